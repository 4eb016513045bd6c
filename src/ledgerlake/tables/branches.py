"""Branches on which tables are rebuilt beside main, and how one becomes main (ADR 0010)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from pyiceberg.table import Table
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.snapshots import Snapshot, ancestors_of
from pyiceberg.table.update import AddSnapshotUpdate, RemoveSnapshotRefUpdate, TableUpdate

from ledgerlake.tables.publish import move_main, ref, restated
from ledgerlake.tables.reshape import Shape

BASE: Final = "ledgerlake.base-snapshot-id"
"""In the summary of a rebuilt table's snapshot: the snapshot of main that it was compared with."""

BRANCH: Final = "reprocess-"
BEFORE: Final = "before-"
# Long enough to find that something is amiss; maintenance takes the tag, and its files, away then.
KEEP_BEFORE: Final = timedelta(days=90)


@dataclass(frozen=True)
class Branch:
    """A table's branch of one reprocess: `head` was made on `base`, the snapshot that main had then (None: none)."""

    table: Table
    name: str
    head: Snapshot
    base: int | None

    @classmethod
    def find(cls, table: Table, reprocess_id: str) -> Self | None:
        """The table's branch of a reprocess, or None when it has none (yet, or no longer)."""
        name = BRANCH + reprocess_id
        found = table.metadata.refs.get(name)
        head = table.metadata.snapshot_by_id(found.snapshot_id) if found else None
        return cls(table, name, head, _base(head)) if head else None

    @property
    def properties(self) -> dict[str, str]:
        """What the head's summary says."""
        return dict(self.head.summary.additional_properties) if self.head.summary else {}

    @property
    def fits(self) -> bool:
        """Whether main is still where it was."""
        return self.table.metadata.current_snapshot_id == self.base

    @property
    def made_at(self) -> datetime:
        """When its head was committed."""
        return datetime.fromtimestamp(self.head.timestamp_ms / 1000, UTC)

    def snapshots(self) -> list[int]:
        """Its own snapshots: those that main does not have."""
        main = {one.snapshot_id for one in ancestors_of(self.table.current_snapshot(), self.table.metadata)}
        own = (one.snapshot_id for one in ancestors_of(self.head, self.table.metadata))
        return [one for one in own if one not in main]

    def publish(self, properties: Mapping[str, str], shape: Shape | None = None) -> None:
        """Make its head main's in one commit, whose snapshot says this; main's old state stays reachable under a tag.

        With a shape the table gets its columns and partitions by the same commit. Raises MainMoved.
        """
        schema_id = shape.schema.schema_id if shape else self.table.metadata.current_schema_id
        named = restated(self.table, self.head, properties, schema_id)
        also: list[TableUpdate] = [*(shape.updates(self.table) if shape else ()), AddSnapshotUpdate(snapshot=named)]
        if self.base is not None:
            tag = BEFORE + self.name.removeprefix(BRANCH)
            also.append(ref(tag, SnapshotRefType.TAG, self.base, int(KEEP_BEFORE.total_seconds() * 1000)))
        also.append(RemoveSnapshotRefUpdate(ref_name=self.name))
        provided = (shape.requirement,) if shape else ()
        move_main(self.table, self.base, named.snapshot_id, *also, provided=provided)


def branches(table: Table) -> list[Branch]:
    """The table's branches that wait to be published or discarded."""
    names = [name for name in table.metadata.refs if name.startswith(BRANCH)]
    return [found for name in sorted(names) if (found := Branch.find(table, name.removeprefix(BRANCH)))]


def published(table: Table) -> dict[str, int]:
    """The reprocesses whose state before is still kept, each with that snapshot."""
    refs = table.metadata.refs.items()
    return {name.removeprefix(BEFORE): tag.snapshot_id for name, tag in refs if name.startswith(BEFORE)}


def _base(head: Snapshot) -> int | None:
    base = head.summary.additional_properties.get(BASE) if head.summary else None
    return int(base) if base else None
