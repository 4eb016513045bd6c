"""What a table's snapshots say: the batches it holds, and what was appended since. No data file is opened."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation, Snapshot, ancestors_of

from ledgerlake.errors import TerminalError

BATCH_ID = "ledgerlake.batch-id"
SOURCE_SNAPSHOT_ID = "ledgerlake.source-snapshot-id"
FENCING_TOKEN = "ledgerlake.fencing-token"  # noqa: S105 — a counter, no secret
CONTRACT_VERSION = "ledgerlake.contract-version"
CONTRACT_SHA256 = "ledgerlake.contract-sha256"
CYCLE_ID = "ledgerlake.cycle-id"
ROWS = "ledgerlake.rows-"
TOTAL = "ledgerlake.total-"
DRIFT = "ledgerlake.drift"


class LedgerLost(TerminalError):
    """A table holds rows but none of its snapshots says which batch brought them: nothing may be added blindly."""


class UnreadableRange(TerminalError):
    """A batch's snapshots are no longer in the source's history, or one of them did more than append."""


@dataclass(frozen=True)
class Entry:
    """One batch's commit, as its snapshot's summary tells it."""

    snapshot_id: int
    batch_id: str
    source_snapshot_id: int
    fencing_token: int
    summary: dict[str, str]

    @classmethod
    def require(cls, snapshot: Snapshot) -> Self:
        """The ledger entry of a batch's snapshot. Raises LedgerLost."""
        entry = cls.of(snapshot)
        if entry is None:
            raise LedgerLost(f"snapshot {snapshot.snapshot_id} names no batch")
        return entry

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self | None:
        """The ledger entry of a snapshot, or None when it is no batch's commit (maintenance, say)."""
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        if BATCH_ID not in summary:
            return None
        return cls(
            snapshot.snapshot_id,
            summary[BATCH_ID],
            int(summary[SOURCE_SNAPSHOT_ID]),
            int(summary.get(FENCING_TOKEN, "0")),
            dict(summary),
        )

    def rows(self, name: str) -> int:
        """How many of the batch's rows ended as this."""
        return int(self.summary.get(ROWS + name, "0"))

    @property
    def contract_version(self) -> int:
        """The contract by which the batch was processed; 0 where the commit does not say."""
        return int(self.summary.get(CONTRACT_VERSION, "0"))

    @property
    def contract_sha256(self) -> str:
        """The hash of that contract's bytes; of rebuilds only."""
        return self.summary.get(CONTRACT_SHA256, "")

    @property
    def totals(self) -> dict[str, str]:
        """Every running total, as the summary has it."""
        return {name: value for name, value in self.summary.items() if name.startswith(TOTAL)}

    def total(self, name: str) -> int:
        """A running total over all batches up to this one, in rows."""
        return int(self.summary.get(TOTAL + name, "0"))


def entries(table: Table) -> Iterator[Entry]:
    """The batches that the table's current state holds, newest first, as far back as its snapshots go."""
    for snapshot in ancestors_of(table.current_snapshot(), table.metadata):
        if entry := Entry.of(snapshot):
            yield entry


def last_entry(table: Table) -> Entry | None:
    """The newest batch's commit. Raises LedgerLost when there are rows but no commit that names a batch."""
    entry = next(entries(table), None)
    if entry is None and _has_rows(table):
        raise LedgerLost(f"{'.'.join(table.name())} holds rows, but no snapshot of it names a batch")
    return entry


def void(table: Table, marks: Mapping[str, datetime]) -> set[str]:
    """Which batches of these never came into the table; `marks` are their times, from before they would have.

    A batch that the snapshots no longer tell of is taken to have come, if it is older than all that they tell.
    """
    known = {entry.batch_id for entry in entries(table)}
    history = list(ancestors_of(table.current_snapshot(), table.metadata))
    whole = not history or history[-1].parent_snapshot_id is None
    since = 0 if whole else history[-1].timestamp_ms
    return {batch_id for batch_id, at in marks.items() if batch_id not in known and at.timestamp() * 1000 >= since}


def has_batch(table: Table, batch_id: str) -> Entry | None:
    """The commit that brought a batch, or None when the table does not hold it."""
    return next((entry for entry in entries(table) if entry.batch_id == batch_id), None)


def appended(metadata: TableMetadata, after: int, to: int) -> list[Snapshot]:
    """The snapshots in (after, to] that added rows, oldest first; `after` 0 means from the table's beginning.

    Raises UnreadableRange when the range is no longer in the history or holds a snapshot that changed or removed rows:
    an incremental read would leave those out silently.
    """
    if metadata.snapshot_by_id(to) is None:
        raise UnreadableRange(f"snapshot {to} is no longer there: expired, or the table was made anew")
    found: list[Snapshot] = []
    for snapshot in ancestors_of(metadata.snapshot_by_id(to), metadata):
        if snapshot.snapshot_id == after:
            return found[::-1]
        operation = snapshot.summary.operation if snapshot.summary else None
        if after and operation not in (Operation.APPEND, Operation.REPLACE):
            kind = operation.value if operation else "unknown operation"
            raise UnreadableRange(f"snapshot {snapshot.snapshot_id} is no append but a {kind}: RAW is append-only")
        if operation is Operation.APPEND:
            found.append(snapshot)
    if after:
        raise UnreadableRange(f"snapshot {after} is no ancestor of {to}: expired, or the table was rolled back")
    return found[::-1]


def ancestors(table: Table, to: int) -> Iterator[Snapshot]:
    """A snapshot and those before it, newest first. Raises UnreadableRange when it is no longer there."""
    snapshot = table.metadata.snapshot_by_id(to)
    if snapshot is None:
        raise UnreadableRange(f"snapshot {to} of {'.'.join(table.name())} is no longer there")
    yield from ancestors_of(snapshot, table.metadata)


def between(table: Table, after: int, to: int) -> list[Snapshot]:
    """The snapshots in (after, to], newest first, whatever they did."""
    return list(itertools.takewhile(lambda snapshot: snapshot.snapshot_id != after, ancestors(table, to)))


def data_bytes(snapshots: list[Snapshot]) -> int:
    """Bytes of the data files these snapshots added."""
    return sum(count(snapshot, "added-files-size") for snapshot in snapshots)


def row_count(snapshots: list[Snapshot]) -> int:
    """Rows these snapshots added."""
    return sum(count(snapshot, "added-records") for snapshot in snapshots)


def current_rows(table: Table) -> int:
    """Rows the table holds now, after deletes."""
    current = table.current_snapshot()
    return rows_of(current) if current else 0


def rows_of(snapshot: Snapshot) -> int:
    """Rows the table held at a snapshot, after deletes."""
    return count(snapshot, "total-records") - count(snapshot, "total-position-deletes")


def _has_rows(table: Table) -> bool:
    current = table.current_snapshot()
    return current is not None and count(current, "total-records") > 0


def count(snapshot: Snapshot, name: str) -> int:
    """One of the numbers that Iceberg keeps in a snapshot's summary."""
    summary = snapshot.summary.additional_properties if snapshot.summary else {}
    return int(summary.get(name, "0"))
