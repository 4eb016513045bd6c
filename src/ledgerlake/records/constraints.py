"""What a column's values may be, beyond its type: allowed values, ranges, patterns, lengths (design 3.2)."""

from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.contracts.model import Column, EnvelopeColumn

Read = Callable[[pa.StringArray], pa.Array]
"""What makes values of a column's type from texts as its payload writes them."""

ORDERED: Final = ("int", "bigint", "double", "decimal", "date", "timestamp")
"""The kinds of type that have a `min` and a `max`."""


def broken(
    texts: pa.StringArray, values: pa.Array, column: Column | EnvelopeColumn, read: Read
) -> Iterator[tuple[str, pa.BooleanArray]]:
    """Each constraint of a column with the rows that break it; NULL, also a cast that failed, breaks none.

    `texts` are what the `values` were made of. Ranges and allowed values are compared as values: 1.0 is 1.
    """
    if column.allowed_values:
        allowed = read(pa.array(column.allowed_values, pa.string()))
        yield "allowed_values", _breaks(pc.is_in(values, allowed), values)
    if column.min is not None:
        yield "min", pc.less(values, _bound(column.min, read))
    if column.max is not None:
        yield "max", pc.greater(values, _bound(column.max, read))
    if column.pattern is not None:
        yield "pattern", pc.invert(pc.match_substring_regex(texts, whole(column.pattern)))
    if column.min_length is not None:
        yield "min_length", pc.less(pc.utf8_length(texts), column.min_length)
    if column.max_length is not None:
        yield "max_length", pc.greater(pc.utf8_length(texts), column.max_length)


def whole(pattern: str) -> str:
    """The pattern as one that only a whole text matches, whatever lines it has."""
    return rf"\A(?:{pattern})\z"


def _bound(text: str, read: Read) -> pa.Scalar:
    return read(pa.array([text], pa.string()))[0]


def _breaks(holds: pa.BooleanArray, values: pa.Array) -> pa.BooleanArray:
    return pc.and_(pc.is_valid(values), pc.invert(holds))
