"""Rows into a table without Spark: few rows, one commit, tried again when another writer was faster."""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import BooleanExpression
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table

from ledgerlake.errors import TransientError

ATTEMPTS = 20
COMMIT_ID = "ledgerlake.commit-id"


class AppendConflict(TransientError):
    """Other writers committed to the table each time we tried to."""


def append(table: Table, rows: Iterable[Mapping[str, Any]], properties: Mapping[str, str] | None = None) -> int:
    """Append rows (by column name; what a row lacks is NULL) in one commit; returns how many. Raises AppendConflict."""
    frame = to_arrow(table, rows)
    if frame.num_rows:
        _retried(table, lambda mark: table.append(frame, snapshot_properties={**(properties or {}), **mark}))
    return len(frame)


def append_made(
    table: Table, make: Callable[[], Iterable[Mapping[str, Any]]], properties: Mapping[str, str] | None = None
) -> int:
    """Append what `make` finds missing in the table; returns how many rows. Raises AppendConflict.

    The commit holds only on the very snapshot that `make` looked at: when another writer was faster it looks again.
    """
    written = 0

    def commit(mark: Mapping[str, str]) -> None:
        nonlocal written
        frame = to_arrow(table, make())
        written = frame.num_rows
        if written:
            table.append(frame, snapshot_properties={**(properties or {}), **mark})

    _retried(table, commit)
    return written


def replace(table: Table, rows: Iterable[Mapping[str, Any]], where: BooleanExpression) -> int:
    """Put rows in the place of those that match `where`, in one transaction. Raises AppendConflict."""
    frame = to_arrow(table, rows)
    _retried(table, lambda mark: table.overwrite(frame, overwrite_filter=where, snapshot_properties=dict(mark)))
    return len(frame)


def amend(table: Table, where: BooleanExpression, change: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Put what `change` makes of each row that matches `where` in its place, in one transaction; how many differ.

    Files are rewritten, so that a partition's record count in the metadata stays its rows. When another writer was
    faster the rows are read anew. Raises AppendConflict.
    """
    changed = 0

    def commit(mark: Mapping[str, str]) -> None:
        nonlocal changed
        before = table.scan(row_filter=where).to_arrow().to_pylist()
        after = [change(dict(row)) for row in before]
        changed = sum(one != other for one, other in zip(before, after, strict=True))
        if changed:
            table.overwrite(to_arrow(table, after), overwrite_filter=where, snapshot_properties=dict(mark))

    _retried(table, commit)
    return changed


def to_arrow(table: Table, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as Arrow in the table's schema; times are datetimes with a zone, or microseconds since the epoch."""
    schema = schema_to_pyarrow(table.schema(), include_field_ids=False)
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def _retried(table: Table, commit: Callable[[Mapping[str, str]], None]) -> None:
    """Commit with a mark of its own, until one commit is in.

    An SDK that lost the answer to a commit asks again, and is told that the table has changed: by itself.
    """
    mark = {COMMIT_ID: uuid.uuid4().hex}
    for attempt in range(ATTEMPTS):
        try:
            return commit(mark)
        except CommitFailedException:
            time.sleep(min(0.05 * 2**attempt, 2.0) * random.uniform(0.5, 1.0))  # noqa: S311 — spread, not secrecy
            table.refresh()
            if _holds(table, mark):
                return None
    raise AppendConflict(f"{'.'.join(table.name())}: {ATTEMPTS} attempts, each time another commit came first")


def _holds(table: Table, mark: Mapping[str, str]) -> bool:
    return any(
        snapshot.summary is not None and mark.items() <= snapshot.summary.additional_properties.items()
        for snapshot in table.metadata.snapshots
    )
