"""A column's `format`: how its dates or times are written (design 4.3)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from ledgerlake.contracts.problems import Wrong, did_you_mean
from ledgerlake.contracts.types import ColumnType

EPOCHS: Final = ("epoch_s", "epoch_ms", "epoch_us")
DATED: Final = ("date", "timestamp")
_SAMPLES: Final = (datetime(2018, 2, 7, 1, 32, 53, 840_000, UTC), datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC))
_EXAMPLES: Final = f"write strptime directives, e.g. %d/%m/%Y %H:%M, or one of {', '.join(EPOCHS)}"
_ZONE_NAME = re.compile(r"(?<!%)(?:%%)*%Z")


def wrong_with_format(written: str, column_type: ColumnType | None) -> Iterator[Wrong]:
    """What is wrong with a format, for a column of this type (None: not known)."""
    if column_type and column_type.kind not in DATED:
        yield Wrong(f"a {column_type} has no `format`", "only date and timestamp columns have one; take it away")
    if written in EPOCHS:
        return
    if "%" not in written:
        yield Wrong(f"{written[:100]!r} is no format", did_you_mean(written, EPOCHS, _EXAMPLES))
    elif _ZONE_NAME.search(written):
        yield Wrong(
            "%Z reads the names of time zones, which are ambiguous", "write %z for an offset, or the name itself"
        )
    else:
        yield from _not_a_date(written)


def _not_a_date(written: str) -> Iterator[Wrong]:
    """A format is good when it reads back the day that it wrote."""
    try:
        whole = all(datetime.strptime(s.strftime(written), written).date() == s.date() for s in _SAMPLES)  # noqa: DTZ007
    except (ValueError, re.error) as error:
        yield Wrong(f"{written[:100]!r} is no strptime format: {str(error)[:200]}", _EXAMPLES)
        return
    if not whole:
        yield Wrong(f"{written[:100]!r} does not hold year, month and day", _EXAMPLES)
