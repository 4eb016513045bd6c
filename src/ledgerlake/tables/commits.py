"""Which commit took which batch in, told from the snapshots of a topic's tables. No data file is opened."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, ancestors_of

from ledgerlake.tables import snapshots
from ledgerlake.tables.snapshots import Entry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXPIRED = math.inf


@dataclass(frozen=True)
class Commit:
    """A snapshot as a person asks for it: when it was made and, when it is a batch's, by what."""

    snapshot_id: int
    committed_at: datetime
    batch_id: str | None = None
    contract_version: int | None = None
    cycle_id: str | None = None
    compaction: bool = False

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """Read a snapshot's summary."""
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        version = summary.get(snapshots.CONTRACT_VERSION)
        return cls(
            snapshot.snapshot_id,
            _EPOCH + timedelta(milliseconds=snapshot.timestamp_ms),
            summary.get(snapshots.BATCH_ID),
            int(version) if version else None,
            summary.get(snapshots.CYCLE_ID),
            snapshot.summary is not None and snapshot.summary.operation is Operation.REPLACE,
        )


class Commits:
    """The commits of one topic's tables, as far back as their snapshots go. A table that is missing has none."""

    def __init__(self, raw: Table | None, standardized: Table | None, curated: Table | None) -> None:
        self._raw, self._standardized, self._curated = _History(raw), _History(standardized), _History(curated)
        self._standardizes = {entry.batch_id: entry for entry in self._standardized.entries}

    def standardized(self, batch_id: str | None) -> Commit | None:
        """The commit that brought a batch to STANDARDIZED; None when it is not there, or has expired."""
        entry = self._standardizes.get(batch_id or "")
        return self._standardized.commit(entry) if entry else None

    def is_standardized(self, batch_id: str | None, written_at: datetime | None) -> bool:
        """Whether the batch that wrote a parse error then is committed."""
        return (batch_id or "") in self._standardizes or self._standardized.may_have_lost(written_at)

    def curated(self, batch_id: str | None) -> Commit | None:
        """The commit to CURATED that took in a batch of STANDARDIZED; None when it waits, or its commit has expired."""
        oldest_first = self._curated.entries[::-1]
        found = next((entry for entry in oldest_first if self._covers(entry, batch_id)), None)
        # The oldest commit that is left need not be the one that did it.
        if found is None or (found is oldest_first[0] and not self._curated.whole):
            return None
        return self._curated.commit(found)

    def is_curated(self, batch_id: str | None) -> bool:
        """Whether CURATED has taken in a batch that is in STANDARDIZED."""
        return any(self._covers(entry, batch_id) for entry in self._curated.entries)

    def took_in(self, batch_id: str | None) -> Commit | None:
        """The commit of just this batch (a replay, say), to whichever table; None when there is none, or no longer."""
        for history in (self._curated, self._standardized):
            for entry in history.entries:
                if entry.batch_id == batch_id:
                    return history.commit(entry)
        return None

    def may_have_taken_in(self, marked_at: datetime | None) -> bool:
        """Whether a batch of that time may have been committed by a snapshot that has expired since."""
        return self._curated.may_have_lost(marked_at) or self._standardized.may_have_lost(marked_at)

    def waits_in_raw(self, snapshot_id: int | None) -> bool:
        """Whether what a snapshot brought to RAW is in no standardized batch yet."""
        ages = [self._raw.age(entry.source_snapshot_id) for entry in self._standardized.entries]
        return not ages or self._raw.age(snapshot_id) < min(ages)

    def _covers(self, curate: Entry, batch_id: str | None) -> bool:
        # A batch that STANDARDIZED no longer tells is older than all that wait.
        entry = self._standardizes.get(batch_id or "")
        age = self._standardized.age(entry.snapshot_id) if entry else _EXPIRED
        return self._standardized.age(curate.source_snapshot_id) <= age


class _History:
    """A table's snapshots from its current one back."""

    def __init__(self, table: Table | None) -> None:
        found = list(ancestors_of(table.current_snapshot(), table.metadata)) if table is not None else []
        self._commits = {snapshot.snapshot_id: Commit.of(snapshot) for snapshot in found}
        self._ages = {snapshot.snapshot_id: age for age, snapshot in enumerate(found)}
        self.entries = [entry for snapshot in found if (entry := Entry.of(snapshot))]
        # The first batch of all begins at no snapshot. (Whether a parent is still named depends on who expired it.)
        self.whole = not self.entries or self.entries[-1].batch_id.rsplit("-", 2)[1:2] == ["0"]
        self._began = Commit.of(found[-1]).committed_at if found else _EPOCH

    def commit(self, entry: Entry) -> Commit:
        return self._commits[entry.snapshot_id]

    def age(self, snapshot_id: int | None) -> float:
        """How many snapshots came after this one; one that is not there is older than all that are."""
        return self._ages.get(snapshot_id, _EXPIRED) if snapshot_id is not None else _EXPIRED

    def may_have_lost(self, moment: datetime | None) -> bool:
        return not self.whole and moment is not None and moment <= self._began
