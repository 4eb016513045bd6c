"""How every topic stands: its gate, where its records are, what its last cycle did."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyiceberg.expressions import AlwaysTrue, BooleanExpression, EqualTo, GreaterThanOrEqual

from ledgerlake.ops.identities import Ledger, ledger
from ledgerlake.state.breakers import Breaker, Breakers
from ledgerlake.state.gate import Admission, Gate
from ledgerlake.tables.definitions import DLQ_ERRORS, FIREHOSE_ERRORS, JOB_RUN_HISTORY
from ledgerlake.tables.lake import Lake

READERS = 4
# Far enough back for the last cycle of a topic that is stopped, near enough to read few of the history's files.
HISTORY = timedelta(days=30)


@dataclass(frozen=True)
class LastRun:
    """The newest row of ops.job_run_history of a topic in which something was done or refused."""

    cycle_id: str
    stage: str
    outcome: str
    ended_at: datetime
    error: str | None


@dataclass(frozen=True)
class TopicStatus:
    """One topic: its contract and gate (None: no contract), its ledger, its pre-RAW losses, its last run.

    `breaker` says whether its messages are taken off the queue (None: none was counted yet, so they are).
    """

    topic: str
    admission: Admission | None
    ledger: Ledger
    dlq_errors: int
    firehose_errors: int
    last: LastRun | None
    breaker: Breaker | None = None

    @property
    def gate(self) -> str:
        """The gate in words."""
        if self.admission is None:
            return "no contract"
        return "open" if self.admission.enabled else f"closed: {self.admission.reason or 'no reason given'}"


def status(lake: Lake, gate: Gate, breakers: Breakers, topics: Sequence[str] = ()) -> list[TopicStatus]:
    """Every topic that has a RAW table (or these only), sorted by name. Raises UnknownTopics."""
    lake.require_topics(topics)
    chosen = sorted(topics) or lake.topics()
    admissions, stands = gate.all(), breakers.all()
    last = _last_runs(lake)
    with ThreadPoolExecutor(READERS) as readers:
        ledgers = list(readers.map(lambda topic: ledger(lake, topic), chosen))
    return [
        TopicStatus(
            topic=found.topic,
            admission=admissions.get(found.topic),
            ledger=found,
            dlq_errors=_count(lake, DLQ_ERRORS, found.topic),
            firehose_errors=_count(lake, FIREHOSE_ERRORS, found.topic),
            last=last.get(found.topic),
            breaker=stands.get(found.topic),
        )
        for found in ledgers
    ]


def _count(lake: Lake, table: str, topic: str) -> int:
    found = lake.find("raw", table)
    if found is None or found.current_snapshot() is None:
        return 0
    return found.scan(row_filter=EqualTo(term="topic_name", value=topic)).count()


def _last_runs(lake: Lake) -> dict[str, LastRun]:
    """The newest row of each topic; an idle skip is only told where there is nothing else."""
    since = (datetime.now(UTC) - HISTORY).isoformat()
    latest: dict[str, dict[str, Any]] = {}
    for row in history(lake, GreaterThanOrEqual(term="started_at", value=since)):
        known = latest.get(row["topic_name"])
        if known is None or _rank(row) > _rank(known):
            latest[row["topic_name"]] = row
    return {
        topic: LastRun(row["cycle_id"], row["stage"], row["outcome"], row["ended_at"], row["error"])
        for topic, row in latest.items()
    }


def _rank(row: dict[str, Any]) -> tuple[bool, datetime]:
    return (row["outcome"] != "SKIPPED_IDLE", row["ended_at"])


def history(lake: Lake, where: BooleanExpression | None = None) -> list[dict[str, Any]]:
    """Rows of ops.job_run_history, in the order of their end."""
    table = lake.find("ops", JOB_RUN_HISTORY)
    if table is None or table.current_snapshot() is None:
        return []
    rows: list[dict[str, Any]] = (
        table.scan(row_filter=where if where is not None else AlwaysTrue()).to_arrow().to_pylist()
    )
    return sorted(rows, key=lambda row: row["ended_at"])


def failed_topics(lake: Lake, cycle_id: str) -> list[str]:
    """The topics that failed in a cycle and why, one line each."""
    rows = history(lake, EqualTo(term="cycle_id", value=cycle_id))
    return [f"{row['topic_name']} ({row['stage']}): {row['error']}" for row in rows if row["outcome"] == "FAILED"]
