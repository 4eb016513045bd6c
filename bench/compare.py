"""Checks that both lanes hold the same rows wherever the naive one can be right."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table import Table

from bench import events, lakehouse

NOT_COMPARED = ("ingestion_ts",)  # of equal copies the naive lane keeps any, ours the first


class LanesDiffer(Exception):
    """The lanes disagree where both should be right: nothing measured may be believed."""


@dataclass(frozen=True)
class Agreement:
    """How many rows both lanes hold, and how many values' texts the naive one changed."""

    standardized: int
    curated: int
    rewritten: int


def compare(home: Path, topic: str) -> Agreement:
    """Compare the lanes' tables row by row. Raises LanesDiffer."""
    lake = lakehouse.lake(home)
    ours, naive = lake.load("standardized", topic), lake.catalog.load_table(("naive_standardized", topic))
    rows, rewritten = _same(ours, naive, ("message_id",), events.NUMBER_COLUMNS)
    latest, _ = _same(
        lake.load("curated", topic), lake.catalog.load_table(("naive_curated", topic)), ("message_id",), ()
    )
    return Agreement(rows, latest, rewritten)


def _same(ours: Table, naive: Table, key: tuple[str, ...], numbers: tuple[str, ...]) -> tuple[int, int]:
    names = [field.name for field in naive.schema().fields if field.name not in NOT_COMPARED]
    left, right = (_sorted(table, names, key) for table in (ours, naive))
    if left.num_rows != right.num_rows:
        raise LanesDiffer(f"{ours.name()}: {left.num_rows} rows, {naive.name()}: {right.num_rows}")
    rewritten = 0
    for name in names:
        mine, theirs = left[name].combine_chunks(), right[name].combine_chunks()
        changed = _differing(mine, theirs)
        rewritten += changed
        if changed and name in numbers:
            changed = _differing(pc.cast(mine, pa.float64()), pc.cast(theirs, pa.float64()))
        if changed and name not in events.REWRITTEN_WHOLE:
            raise LanesDiffer(f"{ours.name()}.{name}: {changed} of {left.num_rows} rows differ")
    return left.num_rows, rewritten


def _sorted(table: Table, names: list[str], key: tuple[str, ...]) -> pa.Table:
    rows = table.scan(selected_fields=tuple(names)).to_arrow().select(names)
    return rows.sort_by([(name, "ascending") for name in key])


def _differing(left: pa.Array, right: pa.Array) -> int:
    right = right.cast(left.type)
    equal = pc.fill_null(pc.equal(left, right), False)
    both_null = pc.and_(pc.is_null(left), pc.is_null(right))
    return len(left) - int(pc.sum(pc.or_(equal, both_null)).as_py() or 0)
