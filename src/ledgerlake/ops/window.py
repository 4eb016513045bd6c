"""A window of one topic by identity: where every message taken in it stands now (design 2).

The window is over ingestion_ts, which RAW, STANDARDIZED and CURATED carry, so that no file outside it is opened. What
waits for its stage is no variance, nor is what may still be on its way; an id that stands nowhere is missing, one that
stands more often than it may is doubled.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple, Self

from pyiceberg.expressions import And, BooleanExpression, EqualTo, GreaterThanOrEqual, In, LessThan
from pyiceberg.table import Table
from pyiceberg.table.snapshots import ancestors_of

from ledgerlake.ops.accepted import Accepted, microseconds
from ledgerlake.ops.dead_letters import ORIGINAL_ID
from ledgerlake.ops.ledger import ARRIVAL, CURATE, STANDARDIZE, batches_after
from ledgerlake.tables import snapshots
from ledgerlake.tables.snapshots import LedgerLost

SAMPLES = 20
# Copies of a message are looked for this near to it first; what is not found there is looked for everywhere.
NEARBY = timedelta(days=8)
# Iceberg compares a list this long with a file's bounds; longer ones exclude no file.
LISTED = 200


@dataclass(frozen=True)
class Window:
    """Times [since, until) of ingestion_ts."""

    since: datetime
    until: datetime

    @property
    def rows(self) -> BooleanExpression:
        """The rows taken in the window."""
        return _between("ingestion_ts", self.since, self.until)

    def parts(self, count: int) -> list["Window"]:
        """The window in so many parts of the same length."""
        edges = [self.since + (self.until - self.since) * n / count for n in range(count)]
        return [Window(*pair) for pair in zip(edges, [*edges[1:], self.until], strict=True)]


@dataclass(frozen=True)
class Ids:
    """How many ids there are of a kind, and some of them."""

    count: int = 0
    samples: Sequence[str] = ()

    @classmethod
    def of(cls, ids: Collection[str]) -> Self:
        """Count ids, and keep the first ones."""
        return cls(len(ids), tuple(sorted(ids)[:SAMPLES]))

    def __add__(self, other: "Ids") -> "Ids":
        return Ids(self.count + other.count, (*self.samples, *other.samples)[:SAMPLES])

    def __str__(self) -> str:
        return f"{self.count} (e.g. {', '.join(self.samples[:3])})" if self.samples else str(self.count)


@dataclass(frozen=True)
class Checked:
    """One formula for one topic and window, by identity. `parts` are its right side, what waits among them."""

    topic: str
    formula: str
    window: Window
    expected: int
    parts: Mapping[str, int] = field(default_factory=dict)
    missing: Ids = field(default_factory=Ids)
    doubled: Ids = field(default_factory=Ids)
    trouble: str = ""

    @property
    def actual(self) -> int:
        """The right side, in rows (of `accepted`: in messages)."""
        return sum(self.parts.values())

    @property
    def variance(self) -> int:
        """How many ids are missing or stand too often."""
        return self.missing.count + self.doubled.count

    @property
    def variance_percent(self) -> float:
        """The variance in percent of the left side; all of it where the tables cannot be read."""
        return 100.0 if self.trouble else 100.0 * self.variance / max(self.expected, 1)

    @property
    def balanced(self) -> bool:
        """Whether every id stands where it must."""
        return not self.variance and not self.trouble

    @property
    def problem(self) -> str:
        """What is wrong, in words."""
        named = {"missing": self.missing, "doubled": self.doubled}
        return self.trouble or "; ".join(f"{what}: {ids}" for what, ids in named.items() if ids.count)

    def __add__(self, other: "Checked") -> "Checked":
        """The same formula over this window and the one that follows it."""
        return Checked(
            self.topic,
            self.formula,
            Window(self.window.since, other.window.until),
            self.expected + other.expected,
            {name: self.parts.get(name, 0) + other.parts.get(name, 0) for name in {**self.parts, **other.parts}},
            self.missing + other.missing,
            self.doubled + other.doubled,
            self.trouble or other.trouble,
        )

    def row(self, run_id: str, checked_at: datetime) -> dict[str, Any]:
        """Return the check as a row of ops.reconciliation_log."""
        samples = {"missing": list(self.missing.samples), "doubled": list(self.doubled.samples)}
        told = {**self.parts, **{what: ids for what, ids in samples.items() if ids}}
        return {
            "cycle_id": run_id,
            "topic_name": self.topic,
            "formula": self.formula,
            "expected": self.expected,
            "actual": self.actual,
            "balanced": self.balanced,
            "details": json.dumps(told | ({"problem": self.trouble} if self.trouble else {})),
            "checked_at": checked_at,
            "window_from": self.window.since,
            "window_to": self.window.until,
            "missing": self.missing.count,
            "doubled": self.doubled.count,
            "variance_percent": self.variance_percent,
        }


@dataclass(frozen=True)
class Tables:
    """A topic's tables, each as it was when it was opened: those that follow before those they are made from.

    So a stage that commits meanwhile only adds to what waits. None: there is no such table.
    """

    curated: Table | None
    errors: Table | None
    standardized: Table | None
    parse_errors: Table | None
    raw: Table | None


class Standardized(NamedTuple):
    """What tells of a STANDARDIZED row where it must end."""

    message_id: str
    key: str | None
    publish_time: datetime
    ingestion_ts: datetime
    batch_id: str

    @property
    def recency(self) -> tuple[datetime, datetime, str]:
        """What decides between records of one key (design 4.3)."""
        return (self.publish_time, self.ingestion_ts, self.message_id)


STANDARDIZED_COLUMNS = ("message_id", "idempotency_key", "publish_time", "ingestion_ts", "batch_id")
RECENCY = ("idempotency_key", "publish_time", "ingestion_ts", "message_id")


def check(topic: str, tables: Tables, window: Window) -> list[Checked]:
    """Check what the window brought to RAW and to STANDARDIZED."""
    try:
        rows = [Standardized(*row) for row in _scan(tables.standardized, window.rows, STANDARDIZED_COLUMNS)]
        return [_standardize(topic, tables, window, rows), *_curate(topic, tables, window, rows)]
    except LedgerLost as lost:
        return [Checked(topic, STANDARDIZE, window, 0, trouble=str(lost))]
    except FileNotFoundError as gone:
        return [Checked(topic, STANDARDIZE, window, 0, trouble=f"a file of its tables is gone, bring it back: {gone}")]


def check_arrival(
    topic: str,
    window: Window,
    accepted: Sequence[Accepted],
    raw: Table | None,
    undelivered: Table | None,
    dead_letters: Table | None,
    in_flight_since: datetime,
) -> Checked:
    """Check that every message the processor took is in RAW or in a table of failures.

    What was taken after `in_flight_since` may still be on its way. A message may be in RAW and a dead letter too: then
    somebody sent it again.
    """
    fresh = {_identity(one) for one in accepted if one.accepted_at >= microseconds(in_flight_since)}
    sent = {_identity(one) for one in accepted if one.handed_to == "firehose"}
    set_aside = {_identity(one) for one in accepted if one.handed_to == "dlq"}
    landed = _ids(raw, window.rows, sent)
    failed = _ids(undelivered, _of(topic, _since("failed_at", window)), sent - landed)
    drained = set_aside & _original_ids(dead_letters, topic, window) if set_aside else set()
    left = (sent | set_aside) - landed - failed - drained
    # Sent again since, and landed then.
    later = GreaterThanOrEqual(term="ingestion_ts", value=window.until.isoformat())
    again = _ids(raw, later, left - fresh)
    parts = {"raw": len(landed | again), "dlq_errors": len(drained), "firehose_errors": len(failed)}
    parts["in_flight"] = len(left & fresh)
    return Checked(topic, ARRIVAL, window, len(sent | set_aside), parts, Ids.of(left - fresh - again))


def _identity(message: Accepted) -> str:
    return message.message_id if message.handed_to == "firehose" and message.message_id else message.sqs_id


def _original_ids(dead_letters: Table | None, topic: str, window: Window) -> set[str]:
    """The SQS ids, on the topic's queue, of the messages that were drained since the window began."""
    rows = _scan(dead_letters, _of(topic, _since("drained_at", window)), ("attributes",))
    return {json.loads(attributes or "{}").get(ORIGINAL_ID) for (attributes,) in rows}


def _standardize(topic: str, tables: Tables, window: Window, rows: Sequence[Standardized]) -> Checked:
    copies = Counter(message_id for (message_id,) in _scan(tables.raw, window.rows, ("message_id",)))
    done = _done(tables, window, copies)
    failed = _parse_errors(topic, tables, window)
    here = {row.message_id for row in rows} | {message_id for message_id, _ in failed}
    elsewhere = _found_elsewhere(topic, tables, window, done.keys() - here)
    missing = done.keys() - here - elsewhere
    stood = Counter((i, day) for i, day in chain(((r.message_id, r.publish_time.date()) for r in rows), failed))
    lost_rows = sum(done[message_id] for message_id in missing)
    parts = {"standardized": len(rows), "parse_errors": len(failed), "waiting": copies.total() - done.total()}
    parts["duplicates"] = max(0, done.total() - len(rows) - len(failed) - lost_rows)
    doubled = {message_id for (message_id, _), times in stood.items() if times > 1}
    return Checked(topic, STANDARDIZE, window, copies.total(), parts, Ids.of(missing), Ids.of(doubled))


def _done(tables: Tables, window: Window, copies: Counter[str]) -> Counter[str]:
    """The copies in RAW that the last standardized batch reaches."""
    entry = snapshots.last_entry(tables.standardized) if tables.standardized else None
    current = tables.raw.current_snapshot() if tables.raw else None
    if entry is None or tables.raw is None or current is None or not copies:
        return Counter()
    if entry.source_snapshot_id == current.snapshot_id:
        return copies
    if tables.raw.snapshot_by_id(entry.source_snapshot_id) is None:
        raise LedgerLost(f"snapshot {entry.source_snapshot_id} of {'.'.join(tables.raw.name())} has expired")
    rows = _scan(tables.raw, window.rows, ("message_id",), entry.source_snapshot_id)
    return Counter(message_id for (message_id,) in rows)


def _parse_errors(topic: str, tables: Tables, window: Window) -> list[tuple[str, date]]:
    """The parse errors of the window that are their message's terminal place, with their publish day."""
    columns = ("message_id", "publish_time", "batch_id", "failed_at", "resolved_by", "replaced_by")
    committed = Committed(tables.standardized)
    return [
        (message_id, published.date())
        for message_id, published, batch_id, failed_at, resolved_by, replaced_by in _scan(
            tables.parse_errors, _of(topic, window.rows), columns
        )
        if (resolved_by is None or replaced_by is not None) and committed.holds(batch_id, failed_at)
    ]


def _found_elsewhere(topic: str, tables: Tables, window: Window, ids: set[str]) -> set[str]:
    """Those of the ids whose first occurrence came in another window; near in time, then anywhere."""
    found = _ids(tables.parse_errors, EqualTo(term="topic_name", value=topic), ids)
    near = _between("publish_time", window.since - NEARBY, window.until + NEARBY)
    for also in (near, None):
        left = ids - found
        found |= _ids(tables.standardized, _listed("message_id", left, also), left) if left else set()
    return found


def _curate(topic: str, tables: Tables, window: Window, rows: Sequence[Standardized]) -> list[Checked]:
    if tables.curated is None or tables.standardized is None:
        return []
    entry = snapshots.last_entry(tables.curated)
    waiting = batches_after(tables.standardized, entry.source_snapshot_id) if entry else {row.batch_id for row in rows}
    done = [row for row in rows if row.batch_id not in waiting]
    current = Counter(message_id for (message_id,) in _scan(tables.curated, window.rows, ("message_id",)))
    errors = _errors(topic, tables, done)
    settled = current.keys() | errors.counting.keys()
    left = [row for row in done if row.message_id not in settled]
    superseded = _superseded(tables.curated, left)
    # Marked or written by a batch that is not committed: such a record is between two places, not gone.
    moving = {row.message_id for row in left} & errors.void - superseded
    missing = {row.message_id for row in left} - superseded - moving
    failed = moving | (errors.counting.keys() - current.keys())
    parts = {
        "curated": sum(row.message_id in current for row in done),
        "superseded": sum(row.message_id in superseded for row in left),
        "errors": sum(row.message_id in failed for row in done),
        "waiting": len(rows) - len(done),
    }
    doubled = {row.message_id for row in done if current[row.message_id] + errors.counting[row.message_id] > 1}
    return [Checked(topic, CURATE, window, len(rows), parts, Ids.of(missing), Ids.of(doubled))]


@dataclass(frozen=True)
class _Errors:
    """Rows of `errors`: how often an id stands there for good, and the ids that stand there, but not for good."""

    counting: Counter[str]
    void: set[str]


def _errors(topic: str, tables: Tables, rows: Sequence[Standardized]) -> _Errors:
    columns = ("message_id", "batch_id", "failed_at", "reported_by", "resolved_by", "replaced_by")
    committed = Committed(tables.curated)
    counting: Counter[str] = Counter()
    void: set[str] = set()
    batches = {row.batch_id for row in rows}
    if not batches:
        return _Errors(counting, void)
    for message_id, batch_id, failed_at, reported_by, resolved_by, replaced_by in _scan(
        tables.errors, _of(topic, _listed("batch_id", batches)), columns
    ):
        if batch_id not in batches:
            continue
        is_open = resolved_by is None or replaced_by is not None
        if is_open and (reported_by is None or committed.holds(reported_by, failed_at)):
            counting[message_id] += 1
        else:
            void.add(message_id)
    return _Errors(counting, void)


def _superseded(curated: Table, rows: Sequence[Standardized]) -> set[str]:
    """The message_ids of those rows whose key has a later record."""
    if not rows:
        return set()
    wanted: dict[str | None, list[Standardized]] = {}
    for row in rows:
        wanted.setdefault(row.key, []).append(row)
    # A later record was published no earlier: older files are not opened.
    later = GreaterThanOrEqual(term="publish_time", value=min(row.publish_time for row in rows).isoformat())
    keys = {key for key in wanted if key is not None}
    return {
        row.message_id
        for key, *recency in _scan(curated, _listed("idempotency_key", keys, later), RECENCY)
        for row in wanted.get(key, ())
        if tuple(recency) > row.recency
    }


class Committed:
    """The batches that a table holds, for rows that batches wrote beside it before they were committed to it.

    `lost_before_ms` is when the oldest snapshot that is left was made: what was written before may have been committed
    by one that has expired. None while none has.
    """

    def __init__(self, table: Table | None) -> None:
        history = list(ancestors_of(table.current_snapshot(), table.metadata)) if table is not None else []
        self.batches = {entry.batch_id for entry in snapshots.entries(table)} if table is not None else set()
        whole = not history or history[-1].parent_snapshot_id is None
        self.lost_before_ms = None if whole else history[-1].timestamp_ms

    def holds(self, batch_id: str | None, written_at: datetime | None) -> bool:
        """Whether the batch that wrote a row then is committed."""
        if batch_id in self.batches:
            return True
        lost = self.lost_before_ms
        return lost is not None and written_at is not None and written_at.timestamp() * 1000 <= lost


def _scan(
    table: Table | None, where: BooleanExpression, columns: Sequence[str], snapshot_id: int | None = None
) -> Iterator[tuple[Any, ...]]:
    """Yield rows in these columns, a file at a time in memory; none where there is no table."""
    if table is None or table.current_snapshot() is None:
        return
    scan = table.scan(row_filter=where, selected_fields=tuple(columns), snapshot_id=snapshot_id)
    for batch in scan.to_arrow_batch_reader():
        yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def _ids(table: Table | None, where: BooleanExpression, among: Collection[str]) -> set[str]:
    """Those of some ids that a table holds; a table is not even asked for none."""
    if not among:
        return set()
    return {message_id for (message_id,) in _scan(table, where, ("message_id",)) if message_id in among}


def _of(topic: str, where: BooleanExpression) -> BooleanExpression:
    return And(EqualTo(term="topic_name", value=topic), where)


def _since(column: str, window: Window) -> BooleanExpression:
    return GreaterThanOrEqual(term=column, value=window.since.isoformat())


def _between(column: str, since: datetime, until: datetime) -> BooleanExpression:
    return And(GreaterThanOrEqual(term=column, value=since.isoformat()), LessThan(term=column, value=until.isoformat()))


def _listed(column: str, values: Iterable[str], also: BooleanExpression | None = None) -> BooleanExpression:
    """Rows with one of few values; of many values only their bounds, since the caller picks its rows anyway."""
    known = sorted(values)
    if len(known) <= LISTED:
        among: BooleanExpression = In(term=column, literals=set(known))
    else:
        among = And(GreaterThanOrEqual(term=column, value=known[0]), LessThan(term=column, value=known[-1] + "\0"))
    return among if also is None else And(also, among)
