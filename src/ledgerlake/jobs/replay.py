"""Replay: errors that pass the contract in force become current or superseded records (design 3.6, ADR 0011).

The records come from STANDARDIZED, where they are whole; their rows in `errors` are marked, never removed. Marks are
written first, then CURATED gets one commit: marks whose batch is not in CURATED are void, and the rows still open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pyiceberg.table import Table
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake import failpoints
from ledgerlake.errors import TerminalError
from ledgerlake.jobs.commit import Ledger, commit, require_conserved, require_ours
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.curate import Batch, parts_of, require_whole, write_current
from ledgerlake.jobs.entry import Tell, serve
from ledgerlake.jobs.plan import waiting
from ledgerlake.jobs.selection import ReplayReport, ReplayRequest, Selection, StillFailing
from ledgerlake.state.checkpoints import Checkpoint
from ledgerlake.state.locks import Lock
from ledgerlake.state.requests import Document
from ledgerlake.tables import history, snapshots
from ledgerlake.tables.definitions import ERRORS
from ledgerlake.tables.history import Outcome, Result
from ledgerlake.tables.layout import layout_of, owned_columns
from ledgerlake.tables.snapshots import Entry
from ledgerlake.tables.sql import identifier, literal
from ledgerlake.transform.identity import Identity, aggregates
from ledgerlake.transform.reasons import reasons
from ledgerlake.transform.verdicts import VERDICT, Verdict

PLACE = ("batch_id", "message_id")
"""What names an error row: beyond the look-up's window a message_id may stand in two batches."""
SAMPLES = 3
# More batches than this are not listed in the condition: the days and the join find their rows too.
BATCHES_LISTED = 500
# So many places (about 100 bytes each) go to every worker, which spares the records a shuffle.
FEW_PLACES = 1_000_000


class NotCurated(TerminalError):
    """A topic has no CURATED table: it has no errors that a contract could have caused."""


@dataclass(frozen=True)
class _Replay:
    """A replay at work: the selected records under the contract in force. `selected` are their places in `errors`."""

    batch: Batch
    selected: Identity
    rows: DataFrame
    parts: Mapping[Verdict, Identity]
    warned: int

    @property
    def resolved(self) -> int:
        return self.selected.rows - self.parts[Verdict.ERROR].rows

    def count(self, *verdicts: Verdict) -> int:
        return sum(self.parts[verdict].rows for verdict in verdicts)


@dataclass(frozen=True)
class _ReplayLedger(Ledger):
    """A replay reads nothing new: CURATED stands where it stood."""

    def properties(self, before: Entry | None) -> dict[str, str]:
        source = before.source_snapshot_id if before else self.checkpoint.to_snapshot_id
        return super().properties(before) | {snapshots.SOURCE_SNAPSHOT_ID: str(source)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the run's request says."""
    serve(_serve, arguments)


def _serve(context: Context, document: Document, tell: Tell) -> Document:
    request = ReplayRequest.model_validate(document)
    request_id = context.cycle_id.removeprefix("replay-")
    if request.dry_run:
        report = look(context, request.topic, request.selection, request_id, tell)
    else:
        report = replay(context, request.topic, request.selection, request_id, tell)
    return report.model_dump(mode="json")


def look(
    context: Context, topic: str, selection: Selection, request_id: str, tell: Tell = lambda _: None
) -> ReplayReport:
    """What a replay of these errors would do. Nothing is written.

    Raises NotAdmitted, NotCurated, HalfPublished, RuleFailed.
    """
    batch = _batch(context, topic, request_id)
    found = _judge(batch, selection, _void_marks(batch), tell)
    try:
        return _report(found, dry_run=True)
    finally:
        found.rows.unpersist()


def replay(
    context: Context, topic: str, selection: Selection, request_id: str, tell: Tell = lambda _: None
) -> ReplayReport:
    """Bring the topic's selected errors that pass now into CURATED, once for a request_id, whatever dies when.

    Raises NotAdmitted, NotCurated, LockHeld, StaleBatch, ContractOutdated, HalfPublished, ConservationError,
    RuleFailed.
    """
    started = datetime.now(UTC)
    batch = _batch(context, topic, request_id)
    last = snapshots.last_entry(_target(batch))
    with context.state.locks.acquire(topic, context.cycle_id, last.fencing_token if last else 0) as lock:
        if entry := snapshots.has_batch(_target(batch), batch.checkpoint.batch_id):
            report = _reported(batch, entry)
        else:
            report = _process(batch, selection, lock, tell)
        failpoints.hit("replay.before_unlock", topic)
    history.record(context.lake, [_outcome(context, report, started)])
    return report


def _batch(context: Context, topic: str, request_id: str) -> Batch:
    """The replay before its records are known. It is pinned nowhere: what is open is what there is to do."""
    admission, contract = context.contract(topic)
    if not admission.curated or context.lake.find("curated", topic) is None:
        raise NotCurated(f"{topic} has no CURATED table: nothing of it is checked by a contract")
    checkpoint = Checkpoint(
        topic=topic,
        stage="replay",
        status="pending",
        batch_id=f"{topic}-replay-{request_id}",
        from_snapshot_id=0,
        to_snapshot_id=0,
        metadata_location="",
        contract_version=admission.contract_version,
        cycle_id=context.cycle_id,
    )
    source = context.lake.load("standardized", topic)
    layout = layout_of(owned_columns(source), contract)
    rows = context.table("standardized", topic)
    return Batch(context, checkpoint, contract, admission.contract_version, [], rows, layout)


def _target(batch: Batch) -> Table:
    return batch.context.lake.load("curated", batch.topic)


def _judge(batch: Batch, selection: Selection, void: set[str], tell: Tell) -> _Replay:
    """The selected open records judged by the contract in force. Raises ConservationError and RuleFailed."""
    context, topic = batch.context, batch.topic
    tell(f"looking for the open errors of {topic}")
    # A checkpoint, since a frame that reads `errors` would be computed anew when that table is written to.
    places = _selected(batch, selection, void).localCheckpoint()
    facts = places.agg(
        *aggregates("selected"),
        F.unix_micros(F.min("publish_time")).alias("first"),
        F.unix_micros(F.max("publish_time")).alias("last"),
        F.slice(F.collect_set("batch_id"), 1, BATCHES_LISTED + 1).alias("batches"),
    ).collect()[0]
    selected = Identity.read(facts, "selected")
    tell(f"judging {selected.rows:,} records by contract version {batch.contract_version}")
    standardized = batch.rows.where(F.col("publish_time").between(_micros(facts["first"]), _micros(facts["last"])))
    if len(facts["batches"]) <= BATCHES_LISTED:
        standardized = standardized.where(F.col("batch_id").isin(facts["batches"]))
    named = places.select(*PLACE)
    few = F.broadcast(named) if selected.rows <= FEW_PLACES else named
    whole = replace(batch, rows=standardized.join(few, list(PLACE), "left_semi"))
    current = context.table("curated", topic)
    rows = whole.judged(current).persist(StorageLevel.DISK_ONLY)
    try:
        parts, warned = parts_of(whole, rows)
        require_conserved(topic, selected, {verdict.value: part for verdict, part in parts.items()})
    except BaseException:
        rows.unpersist()
        raise
    return _Replay(whole, selected, rows, parts, warned)


def _selected(batch: Batch, selection: Selection, void: set[str]) -> DataFrame:
    """The places and publish_times of the selected open rows in `errors`; a row with an edit on its way is not open.

    Errors of batches that CURATED does not hold yet are no errors yet.
    """
    context, topic = batch.context, batch.topic
    source = context.lake.load("standardized", topic)
    last, current = snapshots.last_entry(_target(batch)), source.current_snapshot()
    ahead = waiting(source, last.source_snapshot_id if last else 0, current.snapshot_id) if current else []
    require_whole(topic, ahead)
    is_open = F.col("resolved_by").isNull() | F.col("resolved_by").isin(sorted(void))
    conditions = [
        F.col("topic_name") == topic,
        is_open & F.col("replaced_by").isNull(),
        ~F.col("batch_id").isin([entry.batch_id for entry in ahead]),
        *_chosen(selection),
    ]
    errors = context.table("curated", ERRORS)
    for condition in conditions:
        errors = errors.where(condition)
    return errors.select(*PLACE, "publish_time")


def _chosen(selection: Selection) -> list[Column]:
    """The conditions that a selection adds."""
    conditions = []
    if selection.message_ids:
        conditions.append(F.col("message_id").isin(list(selection.message_ids)))
    if selection.since:
        conditions.append(F.col("failed_at") >= _moment(selection.since))
    if selection.until:
        conditions.append(F.col("failed_at") < _moment(selection.until))
    wanted = {"kind": selection.kind, "rule": selection.rule, "column": selection.column}
    if any(wanted.values()):
        conditions.append(F.exists("violations", lambda one: _is(one, wanted)))
    return conditions


def _is(violation: Column, wanted: Mapping[str, str | None]) -> Column:
    same = F.lit(True)
    for name, value in wanted.items():
        if value:
            same = same & (violation[name] == value)
    return same


def _micros(since_1970: int | None) -> Column:
    """A time that was collected as a number: Python would make it a local one."""
    return F.timestamp_micros(F.lit(since_1970).cast("bigint"))


def _moment(time: datetime) -> Column:
    return F.lit(time.astimezone(UTC).isoformat()).cast("timestamp")


def _process(batch: Batch, selection: Selection, lock: Lock, tell: Tell) -> ReplayReport:
    if void := _void_marks(batch):
        _reopen(batch, void)
    found = _judge(batch, selection, set(), tell)
    try:
        if found.resolved:
            tell(f"taking in {found.resolved:,} records")
            require_ours(_target(batch), lock, batch.contract_version)
            _mark(found)
            _commit(found, lock)
        return _report(found, dry_run=False)
    finally:
        found.rows.unpersist()


def _void_marks(batch: Batch) -> set[str]:
    """The replays that marked rows of `errors` and never came to their commit."""
    ours = (F.col("topic_name") == batch.topic) & F.col("resolved_by").startswith(f"{batch.topic}-replay-")
    marks = batch.context.table("curated", ERRORS).where(ours & F.col("replaced_by").isNull())
    latest = marks.groupBy("resolved_by").agg(F.unix_millis(F.max("resolved_at")).alias("at")).collect()
    times = {row["resolved_by"]: datetime.fromtimestamp(row["at"] / 1000, UTC) for row in latest}
    return snapshots.void(_target(batch), times)


def _reopen(batch: Batch, void: set[str]) -> None:
    """Take back what replays marked that never came to their commit."""
    errors = batch.context.lake.spark_name("curated", ERRORS)
    named = ", ".join(literal(batch_id) for batch_id in sorted(void))
    batch.context.spark.sql(
        f"UPDATE {errors} SET resolved_by = NULL, resolved_at = NULL "  # noqa: S608 — names and literals are quoted
        f"WHERE topic_name = {literal(batch.topic)} AND resolved_by IN ({named})"
    )


def _mark(found: _Replay) -> None:
    """Mark the rows of those that pass, in one commit that rewrites their files: partitions keep their counts."""
    batch = found.batch
    failpoints.hit("replay.before_errors_write", batch.topic)
    passing = found.rows.where(F.col(VERDICT) != Verdict.ERROR.value).select(*PLACE)
    passing.createOrReplaceTempView("passing")
    errors = batch.context.lake.spark_name("curated", ERRORS)
    same = " AND ".join(f"old.{identifier(column)} = new.{identifier(column)}" for column in PLACE)
    passing.sparkSession.sql(
        f"MERGE INTO {errors} AS old USING passing AS new "
        f"ON old.topic_name = {literal(batch.topic)} AND {same} "
        f"WHEN MATCHED AND old.resolved_by IS NULL THEN UPDATE SET "
        f"old.resolved_by = {literal(batch.checkpoint.batch_id)}, old.resolved_at = current_timestamp()"
    )
    failpoints.hit("replay.after_errors_write", batch.topic)


def _commit(found: _Replay, lock: Lock) -> Entry:
    batch = found.batch
    applied = found.count(Verdict.NEW, Verdict.NEWER)
    counts = {
        "resolved": found.resolved,
        "curated": applied,
        "superseded": found.count(Verdict.SUPERSEDED, Verdict.LATE, Verdict.NEWER),
        "warned": found.warned,
    }
    return commit(
        batch.context,
        _ReplayLedger(batch.checkpoint, lock.token, batch.contract_version, counts),
        lock,
        lambda: _target(batch),
        lambda properties: write_current(batch, found.rows, applied, properties),
        added=applied,
        replaced=found.count(Verdict.NEWER),
    )


def _report(found: _Replay, *, dry_run: bool) -> ReplayReport:
    failing = found.count(Verdict.ERROR)
    return ReplayReport(
        topic=found.batch.topic,
        batch_id=found.batch.checkpoint.batch_id,
        dry_run=dry_run,
        contract_version=found.batch.contract_version,
        judged=found.selected.rows,
        curated=found.count(Verdict.NEW, Verdict.NEWER),
        superseded=found.count(Verdict.SUPERSEDED, Verdict.LATE),
        failing=failing,
        replaced=found.count(Verdict.NEWER),
        reasons=_reasons(found.rows) if failing else (),
    )


def _reasons(rows: DataFrame) -> tuple[StillFailing, ...]:
    """Why records still fail: the violations of the contract in force, the most frequent first."""
    found = reasons(rows, SAMPLES).withColumn("samples", F.col("samples")["message_id"]).collect()
    return tuple(StillFailing(**row.asDict()) for row in found)


def _reported(batch: Batch, entry: Entry) -> ReplayReport:
    """The report of a request that was done before, as the commit's own summary tells it."""
    curated = entry.rows("curated")
    return ReplayReport(
        topic=batch.topic,
        batch_id=entry.batch_id,
        dry_run=False,
        contract_version=int(entry.summary.get(snapshots.CONTRACT_VERSION, 0)),
        judged=entry.rows("resolved"),
        curated=curated,
        superseded=entry.rows("resolved") - curated,
        replaced=entry.rows("superseded") - (entry.rows("resolved") - curated),
    )


def _outcome(context: Context, report: ReplayReport, started: datetime) -> Outcome:
    return Outcome(
        cycle_id=context.cycle_id,
        topic_name=report.topic,
        stage="replay",
        outcome=Result.REPLAYED,
        batch_id=report.batch_id,
        rows_in=report.judged,
        rows_curated=report.curated,
        rows_superseded=report.superseded + report.replaced,
        rows_error=report.failing,
        contract_version=report.contract_version,
        started_at=started,
        ended_at=datetime.now(UTC),
    )
