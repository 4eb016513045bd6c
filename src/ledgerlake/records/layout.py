"""Which JSON path owns which column of STANDARDIZED, for ever (design 4.1)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple

from ledgerlake.records.paths import MAX_COLUMN_NAME, column_name, segments

MAX_PAYLOAD_COLUMNS = 1_000
"""Payload columns a topic may have unless its settings say otherwise."""

Policy = Literal["evolve", "freeze", "reject"]
"""What becomes of a field that the contract does not name: a column, rescued, or rescued and the record an error."""
Change = Literal["column_added", "collision", "limit", "frozen", "rejected"]
_UNNAMED: Final[dict[Policy, Change]] = {"freeze": "frozen", "reject": "rejected"}


class Owned(NamedTuple):
    """A payload column and the JSON Pointer of the path that owns it."""

    name: str
    pointer: str


class Strict(NamedTuple):
    """A path whose column takes values of these kinds only (records.kinds); others are rescued."""

    pointer: str
    kinds: int


class Drift(NamedTuple):
    """What became of a path seen for the first time; `column` is the name it asked for."""

    change: Change
    column: str
    pointer: str


@dataclass(frozen=True)
class Layout:
    """The payload columns of one topic in the table's order, and the paths whose whole value is kept as JSON text, or
    whose column is strict about the kinds it takes.
    """

    columns: tuple[Owned, ...] = ()
    json_pointers: frozenset[str] = field(default_factory=frozenset)
    strict: frozenset[Strict] = field(default_factory=frozenset)

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The column of each owning JSON Pointer."""
        return {owned.pointer: owned.name for owned in self.columns}


def claim(
    layout: Layout,
    contract: Iterable[str],
    candidates: Iterable[str],
    limit: int = MAX_PAYLOAD_COLUMNS,
    policy: Policy = "evolve",
) -> tuple[tuple[Owned, ...], tuple[Drift, ...]]:
    """Decide which of the newly seen paths own a column from now on; the rest stays in `rescued`.

    `candidates` are JSON Pointers that hold a non-null value, in order of (publish_time, ingestion_ts, message_id) and
    document order; those that `contract` names go first, in the contract's order. Paths that own a column already are
    passed over. Returns the columns to add, in order, and one Drift for each new path: `column_added`; `collision`
    when another path owns the name; `limit` when the topic has its `limit` of columns or the name is too long; under
    another policy than evolve, `frozen` or `rejected` for every path that the contract does not name.
    """
    named = dict.fromkeys(contract)
    taken = {owned.name for owned in layout.columns}
    settled = {owned.pointer for owned in layout.columns}
    seen = dict.fromkeys(candidates)
    added: list[Owned] = []
    drift: list[Drift] = []
    for pointer in dict.fromkeys([*(path for path in named if path in seen), *seen]):
        if pointer in settled:
            continue
        name = column_name(segments(pointer))
        if policy != "evolve" and pointer not in named:
            drift.append(Drift(_UNNAMED[policy], name, pointer))
        elif name in taken:
            drift.append(Drift("collision", name, pointer))
        elif len(name) > MAX_COLUMN_NAME or len(taken) >= limit:
            drift.append(Drift("limit", name, pointer))
        else:
            taken.add(name)
            added.append(Owned(name, pointer))
            drift.append(Drift("column_added", name, pointer))
    return tuple(added), tuple(drift)
