"""Which of a record's times is the event's, which says when it was written, and how fine to partition by one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.contracts.sources import Path
from ledgerlake.inference import names
from ledgerlake.inference.profile import Field
from ledgerlake.inference.types import Typed
from ledgerlake.inference.values import cast_values

_FIRST_CHOICE: Final = frozenset({"event", "occurred", "happened", "timestamp", "time", "ts"})
_DAYS_BY_DAY: Final = 5 * 366
"""Days that a sample may span for a partition a day; past it, and past ten times as many, partitions are coarser."""


def event_time(fields: Sequence[Field], types: Mapping[Path, Typed]) -> Field | None:
    """The time at which what a record tells of happened: one that all have, best named so; None when there is none."""
    spoken = {field.path: set(names.words(field.path[-1])) for field in fields}
    named = [field for field in _times(fields, types) if field.everywhere and not names.is_id(field.path)]
    able = [field for field in named if names.NEVER_THE_EVENT.isdisjoint(spoken[field.path])]

    def order(field: Field) -> tuple[bool, bool, bool, int]:
        named = spoken[field.path]
        coarse = types[field.path].type.kind != "timestamp"
        return (bool(named & names.SELDOM_THE_EVENT), coarse, not named & _FIRST_CHOICE, len(field.path))

    return min(able, key=order, default=None)


def written_time(fields: Sequence[Field], types: Mapping[Path, Typed]) -> Field | None:
    """The time at which a record was last written, by its name: what a message's publish_time should be."""
    exact = [field for field in _times(fields, types) if types[field.path].type.kind == "timestamp"]
    written = [field for field in exact if not names.CHANGES.isdisjoint(names.words(field.path[-1]))]
    return min(written, key=lambda field: (not field.everywhere, len(field.path)), default=None)


def _times(fields: Sequence[Field], types: Mapping[Path, Typed]) -> Iterator[Field]:
    return (field for field in fields if types[field.path].type.kind in ("date", "timestamp"))


def grains(event: Field, typed: Typed) -> tuple[str, ...]:
    """The partition transforms that fit the sample's span, best first: by day, unless it spans many years."""
    days = pc.cast(cast_values(event, typed), pa.date32()).cast(pa.int32())
    span = pc.max(days).as_py() - pc.min(days).as_py()
    by = ("day", "month", "year")
    return by if span <= _DAYS_BY_DAY else by[1:] if span <= 10 * _DAYS_BY_DAY else by[2:]
