"""Whether the layers balance, told from tables' metadata alone: no data file is read (design 2)."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table

from ledgerlake.state.checkpoints import Checkpoint, Checkpoints
from ledgerlake.tables import append, snapshots
from ledgerlake.tables.definitions import DLQ_ERRORS, ERRORS, FIREHOSE_ERRORS, PARSE_ERRORS, reconciliation_log
from ledgerlake.tables.lake import Lake, staging
from ledgerlake.tables.snapshots import LedgerLost

STANDARDIZE: Final = "raw = standardized + duplicates + parse_errors"
CURATE: Final = "standardized = curated + superseded + errors"
ARRIVAL: Final = "accepted = raw + dlq_errors + firehose_errors"

# Each topic costs three table loads, which wait for the network most of the time.
READERS = 16

BatchRows = Mapping[str, int]
"""Rows of a shared table by batch_id, of one topic."""


@dataclass(frozen=True)
class Balance:
    """One formula for one topic, in rows. `expected` is None where the left side is not known from the tables."""

    topic: str
    formula: str
    expected: int | None
    actual: int
    parts: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""

    @property
    def balanced(self) -> bool | None:
        """Whether both sides are equal; None when there is no left side to compare with."""
        if self.problem:
            return False
        return None if self.expected is None else self.expected == self.actual

    def row(self, cycle_id: str, checked_at: datetime) -> dict[str, Any]:
        """Return the balance as a row of ops.reconciliation_log."""
        return {
            "cycle_id": cycle_id,
            "topic_name": self.topic,
            "formula": self.formula,
            "expected": self.expected,
            "actual": self.actual,
            "balanced": self.balanced,
            "details": json.dumps({**self.parts, **({"problem": self.problem} if self.problem else {})}),
            "checked_at": checked_at,
        }


def balances(lake: Lake, checkpoints: Checkpoints, topics: Iterable[str]) -> list[Balance]:
    """Check the formulas for each of the topics, as far as its batches are committed.

    What the ledger in a table's snapshots says is compared with what the tables hold: rows by their snapshots, errors
    by their partitions. Errors of a batch that is not committed yet (they are written first) do not count.
    """
    unparsed, broken = lake.load("standardized", PARSE_ERRORS), lake.load("curated", ERRORS)
    parse_errors, errors = _rows_by_batch(unparsed), _rows_by_batch(broken)
    dead_letters = _rows_by_topic(lake.load("raw", DLQ_ERRORS))
    undelivered = snapshots.current_rows(lake.load("raw", FIREHOSE_ERRORS))

    def of(topic: str) -> list[Balance]:
        raw = lake.find("raw", staging(topic))
        standardized = lake.find("standardized", topic)
        curated = lake.find("curated", topic)
        found = [_arrival(topic, raw, dead_letters.get(topic, 0), undelivered)] if raw else []
        if raw and standardized:
            pending = _uncommitted(checkpoints.get(topic, "standardize"), standardized)
            early = _unfinished(unparsed, standardized, topic)
            found += _checked(topic, STANDARDIZE, _standardize, raw, standardized, parse_errors[topic], pending, early)
        if standardized and curated:
            early = _unfinished(broken, curated, topic)
            found += _checked(topic, CURATE, _curate, standardized, curated, errors[topic], set(), early)
        return found

    with ThreadPoolExecutor(READERS) as pool:
        return [balance for of_topic in pool.map(of, sorted(set(topics))) for balance in of_topic]


class Logged(Protocol):
    """What a row of ops.reconciliation_log is made of."""

    def row(self, run_id: str, checked_at: datetime, /) -> dict[str, Any]:
        """Return the row."""


def record(lake: Lake, cycle_id: str, found: Iterable[Logged], checked_at: datetime) -> int:
    """Write what was checked to ops.reconciliation_log; writing it again replaces it. Returns how many rows."""
    rows = [balance.row(cycle_id, checked_at) for balance in found]
    if not rows:
        return 0
    log = lake.load("ops", reconciliation_log().name)
    return append.replace(log, rows, EqualTo(term="cycle_id", value=cycle_id))


def _arrival(topic: str, raw: Table, dead_letters: int, undelivered: int) -> Balance:
    # How many messages the queue accepted stands in no table: this row keeps the right side, for whoever counts them.
    parts = {
        "raw": snapshots.current_rows(raw),
        "dlq_errors": dead_letters,
        "firehose_errors_of_all_topics": undelivered,
    }
    return Balance(topic, ARRIVAL, None, parts["raw"] + dead_letters, parts)


def _checked(topic: str, formula: str, check: Callable[..., list[Balance]], *tables: Any) -> list[Balance]:
    try:
        return check(topic, *tables)
    except LedgerLost as lost:
        return [Balance(topic, formula, None, 0, problem=str(lost))]


def _standardize(
    topic: str, raw: Table, standardized: Table, parse_errors: BatchRows, uncommitted: set[str], early: int
) -> list[Balance]:
    entry = snapshots.last_entry(standardized)
    if entry is None:
        return []
    parts = {
        "standardized": snapshots.current_rows(standardized),
        "duplicates": entry.total("duplicate"),
        # What a reprocess took in keeps its row; how many did, the commits say.
        "parse_errors": _committed(parse_errors, uncommitted) - entry.total("resolved") - early,
    }
    return [Balance(topic, STANDARDIZE, _rows_at(raw, entry.source_snapshot_id), sum(parts.values()), parts)]


def _curate(
    topic: str, standardized: Table, curated: Table, errors: BatchRows, uncommitted: set[str], early: int
) -> list[Balance]:
    entry = snapshots.last_entry(curated)
    if entry is None:
        return []
    # Errors that a replay took in keep their rows; how many, its commit says.
    committed = _committed(errors, uncommitted | batches_after(standardized, entry.source_snapshot_id))
    parts = {
        "curated": snapshots.current_rows(curated),
        "superseded": entry.total("superseded"),
        "errors": committed - entry.total("resolved") - early,
    }
    return [Balance(topic, CURATE, _rows_at(standardized, entry.source_snapshot_id), sum(parts.values()), parts)]


def _rows_at(table: Table, snapshot_id: int) -> int | None:
    """Rows a table held at a snapshot, or None when that has expired."""
    snapshot = table.snapshot_by_id(snapshot_id)
    return None if snapshot is None else snapshots.rows_of(snapshot)


def _uncommitted(checkpoint: Checkpoint | None, table: Table) -> set[str]:
    """The batch whose errors may stand in the errors table although its rows are not committed."""
    if checkpoint is None or not checkpoint.pending or snapshots.has_batch(table, checkpoint.batch_id):
        return set()
    return {checkpoint.batch_id}


def _unfinished(errors: Table, table: Table, topic: str) -> int:
    """How many errors stand that a reprocess wrote before its table followed; what it withdrew counts against them."""
    wrote = (entry for entry in snapshots.entries(errors) if entry.batch_id.startswith(f"{topic}-reprocess-"))
    return sum(entry.rows("error") for entry in wrote if not snapshots.has_batch(table, entry.batch_id))


def batches_after(standardized: Table, snapshot_id: int) -> set[str]:
    """The batches that STANDARDIZED got after a snapshot: curate may have begun with them, but has not committed."""
    found = set()
    for entry in snapshots.entries(standardized):
        if entry.snapshot_id == snapshot_id:
            break
        found.add(entry.batch_id)
    return found


def _committed(rows: BatchRows, uncommitted: set[str]) -> int:
    return sum(count for batch_id, count in rows.items() if batch_id not in uncommitted)


def _rows_by_batch(table: Table) -> Mapping[str, BatchRows]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for partition, count in _partitions(table):
        found[partition["topic_name"]][partition["batch_id"]] += count
    return found


def _rows_by_topic(table: Table) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for partition, count in _partitions(table):
        found[partition["topic_name"]] += count
    return found


def _partitions(table: Table) -> list[tuple[dict[str, str], int]]:
    if table.current_snapshot() is None:
        return []
    rows = table.inspect.partitions().to_pylist()  # of a table without files it has no columns to select
    return [(row["partition"], row["record_count"]) for row in rows]
