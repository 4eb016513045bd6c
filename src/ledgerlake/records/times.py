"""Dates and timestamps as text, exactly, in microseconds since 1970 UTC (design 3.1, 4.3)."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from ledgerlake.records import numbers

DAY_US: Final = 86_400_000_000
EPOCH_PLACES: Final = {"epoch_s": 6, "epoch_ms": 3, "epoch_us": 0}
"""The formats that count from 1970, and how many places they are from microseconds."""

# ruff: noqa: DTZ001  all arithmetic here is in UTC, without zones
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
FIRST_US: Final = (datetime(1, 1, 1) - _EPOCH) // _MICROSECOND
LAST_US: Final = (datetime(9999, 12, 31) - _EPOCH) // _MICROSECOND + 86_399_999_999
"""The years 1 to 9999, which Spark and Python can show."""

_ASCII = frozenset(map(chr, range(128)))
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(?:(Z)|([+-])([0-9]{2}):([0-9]{2}))?"
)
_ZONED = re.compile(r".*(Z|[+-][0-9]{2}:[0-9]{2})", re.DOTALL)


def days(text: str) -> int | None:
    """Days since 1970 of YYYY-MM-DD, or None when it is no date that exists."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _EPOCH.toordinal()
    except ValueError:
        return None


def microseconds(text: str) -> int | None:
    """Microseconds since 1970 UTC of an ISO 8601 timestamp, further digits cut; without a zone it is UTC.

    None when it is none: YYYY-MM-DD, `T` or a blank, HH:MM[:SS[.1-9 digits]], then Z or +HH:MM or -HH:MM or nothing.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = match.groups()
    try:
        local = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            int((fraction or "0")[:6].ljust(6, "0")),
        )
        offset = 0
        if sign:
            if int(zone_hours) > 23 or int(zone_minutes) > 59:
                return None
            offset = int(zone_hours) * 60 + int(zone_minutes)
        return _micros(local - timedelta(minutes=-offset if sign == "-" else offset))
    except (ValueError, OverflowError):
        return None


def is_zoned(text: str) -> bool:
    """Whether a timestamp that `microseconds` reads says which zone it is in."""
    return _ZONED.fullmatch(text) is not None


def reader(written: str) -> Callable[[str], int | None]:
    """What reads a contract's `format` (strptime, or epoch_s, epoch_ms, epoch_us) as microseconds since 1970 UTC."""
    places = EPOCH_PLACES.get(written)
    if places is None:
        return lambda text: _strptime(text, written)
    return lambda text: _within(numbers.floored(text, places, -FIRST_US + LAST_US))


def _within(value: int | None) -> int | None:
    return value if value is not None and FIRST_US <= value <= LAST_US else None


def _strptime(text: str, written: str) -> int | None:
    if not text.isascii() and not set(text) <= _ASCII.union(written):
        return None  # strptime would take the digits of every script
    try:
        parsed = datetime.strptime(text, written)  # noqa: DTZ007  without %z it is UTC
        if parsed.tzinfo is not None:
            parsed = parsed.astimezone(UTC).replace(tzinfo=None)
        return _micros(parsed)
    except (ValueError, OverflowError):
        return None


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
