"""A few rows out of a large table: only files that can hold them are opened, and of those one column first.

Files are left out by their partition and by their columns' bounds, row groups by their bounds too. Of the others the
column that is searched is read; what is wanted is read only from files in which it was found.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pyarrow as pa
from pyiceberg.expressions import And, BooleanExpression, GreaterThanOrEqual, LessThan, Or
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.snapshots import Snapshot

# Files are read side by side: a look-up waits for the object store most of the time.
READERS = 16


@dataclass(frozen=True)
class Found:
    """One row, and the snapshot that added the file it lies in; None when that snapshot has expired."""

    row: dict[str, Any]
    snapshot: Snapshot | None


def rows(table: Table | None, where: BooleanExpression, by: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows that match, in these columns; `by` is the one that is read first. No rows where there is no table."""
    return [row for _, page in _search(table, where, by, columns) for row in page.to_pylist()]


def find(table: Table | None, where: BooleanExpression, by: str, columns: Sequence[str]) -> list[Found]:
    """The same rows, each with the snapshot that brought it: the manifests are read once more for that."""
    pages = _search(table, where, by, columns)
    added = _snapshots(table, where) if table is not None and pages else {}
    return [Found(row, added.get(task.file.file_path)) for task, page in pages for row in page.to_pylist()]


def _search(
    table: Table | None, where: BooleanExpression, by: str, columns: Sequence[str]
) -> list[tuple[FileScanTask, pa.Table]]:
    if table is None or table.current_snapshot() is None:
        return []
    tasks = list(table.scan(row_filter=where).plan_files())
    with ThreadPoolExecutor(READERS) as pool:
        counts = pool.map(lambda task: len(_read(table, where, (by,), task)), tasks)
        hits = [task for task, count in zip(tasks, counts, strict=True) if count]
        return list(zip(hits, pool.map(lambda task: _read(table, where, columns, task), hits), strict=True))


def near(column: str, moments: Iterable[datetime], days: int) -> BooleanExpression:
    """Whether a time lies at most so many days (UTC) from one of these moments: whole days, as partitions are."""
    around = [_days(column, moment, timedelta(days=days)) for moment in moments]
    return around[0] if len(around) == 1 else Or(*around)


def _days(column: str, moment: datetime, margin: timedelta) -> BooleanExpression:
    day = datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
    return And(
        GreaterThanOrEqual(term=column, value=(day - margin).isoformat()),
        LessThan(term=column, value=(day + margin + timedelta(days=1)).isoformat()),
    )


def _read(table: Table, where: BooleanExpression, columns: Sequence[str], task: FileScanTask) -> pa.Table:
    projection = table.scan(selected_fields=tuple(columns)).projection()
    return ArrowScan(table.metadata, table.io, projection, where).to_table([task])


def _snapshots(table: Table, where: BooleanExpression) -> dict[str, Snapshot | None]:
    """The snapshot that added each of the files that may match."""
    return {
        entry.data_file.file_path: table.snapshot_by_id(entry.snapshot_id) if entry.snapshot_id else None
        for entries in table.scan(row_filter=where).scan_plan_helper()
        for entry in entries
    }


def stream(table: Table, where: BooleanExpression, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """All rows that match, in these columns, one data file after the other: no more than one is in memory."""
    projection = table.scan(selected_fields=tuple(columns)).projection()
    scan = ArrowScan(table.metadata, table.io, projection, where)
    for task in table.scan(row_filter=where).plan_files():
        yield from scan.to_record_batches([task])


def arrow_schema(table: Table, columns: Sequence[str]) -> pa.Schema:
    """The Arrow schema of some columns, in the table's order."""
    return schema_to_pyarrow(table.scan(selected_fields=tuple(columns)).projection(), include_field_ids=False)
