"""How a field's dates and times are written: a format that reads every sampled value, or why none is proposed."""

import calendar
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from ledgerlake.contracts.types import ColumnType
from ledgerlake.inference.fit import fits
from ledgerlake.records import numbers, times

DATE: Final = ColumnType("date")
TIMESTAMP: Final = ColumnType("timestamp")

FIRST: Final = datetime(1990, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Between these a number may well count from 1970."""

_DAYS: Final = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y",
    "%b %d %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %y",
)  # fmt: skip
_CLOCKS: Final = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p")
_WHOLE: Final = (
    "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%d %H:%M:%S %z", "%Y%m%dT%H%M%SZ",
    "%a, %d %b %Y %H:%M:%S GMT", "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y", "%d/%b/%Y:%H:%M:%S %z",
)  # fmt: skip
_FORMATS: Final = (
    *((DATE, day) for day in _DAYS),
    *((TIMESTAMP, f"{day} {clock}") for day in _DAYS for clock in _CLOCKS),
    *((TIMESTAMP, whole) for whole in _WHOLE),
)
_NAMES: Final = frozenset(
    name.lower() for names in (calendar.month_name, calendar.month_abbr, calendar.day_abbr) for name in names if name
)
_LETTERS: Final = _NAMES | {"t", "z", "am", "pm", "gmt"}
_WORD: Final = re.compile("[a-z]+")
_LIKE_A_DATE: Final = re.compile(r"(?=(?:[^0-9]*[0-9]){3})[A-Za-z0-9 ,:./+-]{6,40}")


class Time(NamedTuple):
    """A proposed type with its format (None: ISO 8601)."""

    type: ColumnType
    format: str | None


def iso(values: Sequence[str]) -> Time | None:
    """Date or timestamp by ISO 8601, when every value is one."""
    return next((Time(kind, None) for kind in (DATE, TIMESTAMP) if fits(values, kind)), None)


def compact(values: Sequence[str]) -> Time | None:
    """Days written as eight digits, when every value may well be one."""
    alike = all(len(value) == 8 and "1900" <= value[:4] < "2100" for value in values)
    return Time(DATE, "%Y%m%d") if alike and fits(values, DATE, "%Y%m%d") else None


def written(values: Sequence[str]) -> list[Time]:
    """The formats that read every value as different moments: one, or several that a person has to choose from."""
    if not all(map(_looks_written, values)):
        return []
    found: dict[tuple[int | None, ...], Time] = {}
    for kind, form in _FORMATS:
        read = times.reader(form)
        if read(values[0]) is not None and fits(values, kind, form):
            found.setdefault(tuple(map(read, values)), Time(kind, form))
    return list(found.values())


def _looks_written(text: str) -> bool:
    """Whether a text may be a date at all: some digits, and no words but names of months, days and zones."""
    return _LIKE_A_DATE.fullmatch(text) is not None and _LETTERS.issuperset(_WORD.findall(text.lower()))


def epoch(values: Sequence[str]) -> Time | None:
    """The count from 1970 that puts every value between 1990 and 2100, when there is one."""
    return next((Time(TIMESTAMP, form) for form in times.EPOCH_PLACES if all(_near(values, form))), None)


def _near(values: Iterable[str], form: str) -> Iterator[bool]:
    read = times.reader(form)
    first, last = (int(moment.timestamp()) * 1_000_000 for moment in (FIRST, LAST))
    for text in values:
        moment = read(text) if numbers.parse(text) else None
        yield moment is not None and first <= moment < last
