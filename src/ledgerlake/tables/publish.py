"""Write, audit, publish: a commit is staged beside main, looked at, and published by a compare-and-set (ADR 0008)."""

import uuid
from collections.abc import Iterable, Mapping

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import write_manifest_list
from pyiceberg.table import Table
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import Operation, Snapshot, Summary, update_snapshot_summaries
from pyiceberg.table.update import AssertRefSnapshotId, SetSnapshotRefUpdate, TableRequirement, TableUpdate

from ledgerlake.errors import TerminalError, TransientError

_WAP_ID = "wap.id"


class MainMoved(TransientError):
    """Somebody else, maintenance perhaps, committed to the table since the snapshot was staged."""


class NotStaged(TerminalError):
    """A commit that should have been staged is not there: the table lacks `write.wap.enabled`."""


def staged(table: Table, name: str) -> Snapshot:
    """The snapshot that was staged under a name. Raises NotStaged."""
    for snapshot in reversed(table.metadata.snapshots):
        if snapshot.summary and snapshot.summary.additional_properties.get(_WAP_ID) == name:
            return snapshot
    raise NotStaged(f"{'.'.join(table.name())} holds no staged commit {name}; set write.wap.enabled on it")


def publish(table: Table, base: int | None, snapshot: Snapshot) -> None:
    """Move main from `base`, None for an empty table, to a snapshot made on it. Raises MainMoved, nothing changed."""
    if snapshot.parent_snapshot_id != base:
        raise _moved(table, base)
    move_main(table, base, snapshot.snapshot_id)


def move_main(
    table: Table, base: int | None, snapshot_id: int, *also: TableUpdate, provided: Iterable[TableRequirement] = ()
) -> None:
    """Move main from `base` to a snapshot, after what else belongs to it, in one commit. Raises MainMoved, also where
    one of the other requirements is not met.
    """
    updates = (*also, ref(MAIN_BRANCH, SnapshotRefType.BRANCH, snapshot_id))
    requirements = (AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=base), *provided)
    try:
        table.catalog.commit_table(table, requirements, updates)
    except CommitFailedException as error:
        raise _moved(table, base) from error


def restated(table: Table, parent: Snapshot, properties: Mapping[str, str], schema_id: int) -> Snapshot:
    """A snapshot with the parent's very rows that says this, and is read by this schema; it is in no table yet."""
    metadata, snapshot_id = table.metadata, table.metadata.new_snapshot_id()
    place = table.location_provider().new_metadata_location(f"snap-{snapshot_id}-0-{uuid.uuid4()}.avro")
    sequence_number = metadata.next_sequence_number()
    with write_manifest_list(
        format_version=metadata.format_version,
        output_file=table.io.new_output(place),
        snapshot_id=snapshot_id,
        parent_snapshot_id=parent.snapshot_id,
        sequence_number=sequence_number,
        avro_compression="deflate",
    ) as manifests:
        manifests.add_manifests(parent.manifests(table.io))
    return Snapshot(
        snapshot_id=snapshot_id,
        parent_snapshot_id=parent.snapshot_id,
        sequence_number=sequence_number,
        manifest_list=place,
        summary=update_snapshot_summaries(Summary(Operation.APPEND, **properties), parent.summary),
        schema_id=schema_id,
    )


def ref(name: str, kind: SnapshotRefType, snapshot_id: int, max_age_ms: int | None = None) -> SetSnapshotRefUpdate:
    """The update that has a branch or a tag name a snapshot."""
    return SetSnapshotRefUpdate(
        ref_name=name,
        type=kind,
        snapshot_id=snapshot_id,
        max_ref_age_ms=max_age_ms,
        max_snapshot_age_ms=None,
        min_snapshots_to_keep=None,
    )


def _moved(table: Table, base: int | None) -> MainMoved:
    return MainMoved(f"{'.'.join(table.name())}: main is no longer at snapshot {base}")
