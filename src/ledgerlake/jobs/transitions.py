"""Columns that change in a batch: their values turn into another kind, they stop coming, they come again (ADR 0016).

What a batch is compared with stands in the summary of STANDARDIZED's last batch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pyiceberg.table import Table
from pyspark.sql import DataFrame

from ledgerlake.jobs.drift import FirstSeen, outer_paths
from ledgerlake.jobs.drift_log import News
from ledgerlake.records import kinds, observed
from ledgerlake.records.flatten import Layout, Owned
from ledgerlake.records.observed import Observed
from ledgerlake.tables import snapshots
from ledgerlake.tables.layout import owned_columns
from ledgerlake.transform.first_seen import count_of, first_in_columns, first_of_kinds

COLUMNS = "ledgerlake.columns"
"""The property of a batch's snapshot in which observed.written tells of its table's columns."""


@dataclass(frozen=True)
class Columns:
    """What the batches so far showed of a topic's columns, by JSON Pointer."""

    before: Mapping[str, Observed]

    @classmethod
    def read(cls, table: Table) -> "Columns":
        """From the newest batch of STANDARDIZED that tells; nothing where none does."""
        texts = (entry.summary[COLUMNS] for entry in snapshots.entries(table) if COLUMNS in entry.summary)
        columns = owned_columns(table)
        known = observed.read(next(texts, ""), len(columns))
        return cls({owned.pointer: each for owned, each in zip(columns, known, strict=True)})

    def of(self, owned: Owned) -> Observed:
        """One column."""
        return self.before.get(owned.pointer, Observed())

    def turned(self, seen: Mapping[str, int]) -> dict[str, int]:
        """The kinds among those seen that are new to their column."""
        found = {pointer: kinds.news(each.kinds, seen.get(pointer, 0)) for pointer, each in self.before.items()}
        return {pointer: kind for pointer, kind in found.items() if kind}

    def written(self, columns: Iterable[Owned], seen: Mapping[str, int]) -> str:
        """What the next batch is to read, after one that showed these kinds in the table's columns.

        A batch that showed nothing at all, of duplicates alone say, tells nothing of them.
        """
        told = any(seen.values())
        known = ((self.of(owned), seen.get(owned.pointer, 0)) for owned in columns)
        return observed.written(each.after(kind) if told else each for each, kind in known)


@dataclass(frozen=True)
class Arrived:
    """A batch's rows, in RAW and flattened, the columns they were flattened into, and the kinds of the values there.

    `found` are its paths without a column.
    """

    raw: DataFrame
    flat: DataFrame
    layout: Layout
    seen: Mapping[str, int]
    found: Iterable[FirstSeen]


def transitions(columns: Columns, batch: Arrived) -> tuple[list[News], dict[str, int]]:
    """What is news of a topic's columns, and the kinds that the batch really has.

    The kernel may tell of kinds that only a bad payload has: what is news by it is looked for among the rows.
    """
    objects = _objects(columns, batch.found)
    seen = {**batch.seen, **{pointer: batch.seen.get(pointer, 0) | kinds.OBJECT for pointer in objects}}
    turned = columns.turned(seen)
    firsts = _firsts(batch, turned, objects)
    seen |= {pointer: seen[pointer] & ~kind for pointer, kind in turned.items() if pointer not in firsts}
    names = batch.layout.owners
    changed = [
        first.news("kind_changed", names[pointer], _turn(columns.before[pointer].kinds, turned[pointer]))
        for pointer, first in firsts.items()
    ]
    return [*changed, *_stopped(columns, batch.layout, seen), *_returned(columns, batch, seen)], seen


def _turn(before: int, new: int) -> str:
    return f"{kinds.named(before)} → {kinds.named(new)}"


def _objects(columns: Columns, found: Iterable[FirstSeen]) -> dict[str, FirstSeen]:
    """The columns whose path has become an object: another path lies in it."""
    firsts: dict[str, FirstSeen] = {}
    for first in found:
        for outer in outer_paths(first.pointer):
            if outer in columns.before and (outer not in firsts or first.order < firsts[outer].order):
                firsts[outer] = replace(first, pointer=outer)
    return firsts


def _firsts(batch: Arrived, turned: Mapping[str, int], objects: Mapping[str, FirstSeen]) -> dict[str, FirstSeen]:
    """Where each column's new kinds are first."""
    firsts = {
        pointer: objects[pointer] for pointer, kind in turned.items() if pointer in objects and kind & kinds.OBJECT
    }
    wanted = {pointer: kind & ~kinds.OBJECT if pointer in objects else kind for pointer, kind in turned.items()}
    wanted = {pointer: kind for pointer, kind in wanted.items() if kind}
    for row in first_of_kinds(batch.raw, batch.layout, wanted).collect() if wanted else ():
        first = FirstSeen.read(row["pointer"], row["first"], row["count"])
        firsts[first.pointer] = min(firsts.get(first.pointer, first), first, key=lambda one: one.order)
    return firsts


def _stopped(columns: Columns, layout: Layout, seen: Mapping[str, int]) -> list[News]:
    """The columns that used to come, and have now been away for longer than ever."""
    if not any(seen.values()):
        return []
    after = {pointer: was.after(seen.get(pointer, 0)) for pointer, was in columns.before.items() if not was.stopped}
    return [
        News("column_stopped", layout.owners[pointer], pointer, detail=f"in none of the last {each.gap} batches")
        for pointer, each in after.items()
        if each.stopped
    ]


def _returned(columns: Columns, batch: Arrived, seen: Mapping[str, int]) -> list[News]:
    """The columns that had stopped, and have values in the batch."""
    back = [
        owned
        for owned in batch.layout.columns
        if owned.pointer in columns.before and columns.before[owned.pointer].stopped and seen.get(owned.pointer)
    ]
    if not back:
        return []
    row = batch.flat.agg(*first_in_columns(back)).collect()[0]
    return [
        FirstSeen.read(owned.pointer, row[owned.name], row[count_of(owned.name)]).news("reappeared", owned.name)
        for owned in back
        if row[owned.name] is not None
    ]
