"""How many rows a snapshot's position deletes take away. No delete file is opened, only manifests."""

from collections import Counter

from pyiceberg.manifest import ManifestContent, ManifestEntry, ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from ledgerlake.tables import snapshots

# The reserved field id of a position delete's file_path (Iceberg spec, reserved field ids).
_FILE_PATH = 2147483546


def replaced(table: Table, snapshot: Snapshot) -> int:
    """Rows that this snapshot deletes by position, beyond those deleted before it.

    Its summary does not tell: a data file's earlier deletes are written anew beside the new ones (counted as added and
    as removed), and deletes whose data files compaction took away are dropped by whichever commit comes next (counted
    as removed). So each data file that has new deletes is asked how many it had before.
    """
    if not snapshots.count(snapshot, "added-position-deletes"):
        return 0
    added: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    for manifest in snapshot.manifests(table.io):
        if manifest.content is not ManifestContent.DELETES or manifest.added_snapshot_id != snapshot.snapshot_id:
            continue
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
            if entry.snapshot_id == snapshot.snapshot_id and entry.status is not ManifestEntryStatus.EXISTING:
                counted = added if entry.status is ManifestEntryStatus.ADDED else removed
                counted[_data_file(entry)] += entry.data_file.record_count
    return sum(count - removed[path] for path, count in added.items())


def _data_file(entry: ManifestEntry) -> str:
    """The one data file that a delete file is of; the delete file itself when it is of several (never written anew)."""
    file = entry.data_file
    lower, upper = ((bounds or {}).get(_FILE_PATH) for bounds in (file.lower_bounds, file.upper_bounds))
    return lower.decode() if lower and lower == upper else str(file.file_path)
