"""Curate: all standardized batches that wait become current records, superseded ones and errors (design 4.3, 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyiceberg.table import Table
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake import failpoints
from ledgerlake.contracts import Contract
from ledgerlake.errors import TerminalError
from ledgerlake.jobs.commit import Ledger, commit, once, replace_errors, require_conserved, require_ours
from ledgerlake.jobs.comparison import version_of
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.merge import append, merge, still_open
from ledgerlake.jobs.plan import pin_curate, waiting
from ledgerlake.records.casts import VIOLATIONS
from ledgerlake.records.flatten import Layout
from ledgerlake.state.checkpoints import Checkpoint
from ledgerlake.state.locks import Lock
from ledgerlake.tables import snapshots
from ledgerlake.tables.definitions import ERRORS, curated
from ledgerlake.tables.ensure import evolve
from ledgerlake.tables.history import Outcome
from ledgerlake.tables.layout import layout_of, owned_columns
from ledgerlake.tables.snapshots import Entry
from ledgerlake.transform.identity import Identity, aggregates
from ledgerlake.transform.private import without_private
from ledgerlake.transform.typed import ENVELOPE, FAILING, WARNED, typed
from ledgerlake.transform.verdicts import VERDICT, Verdict, judged

APPLIED = (Verdict.NEW, Verdict.NEWER)


class RuleFailed(TerminalError):
    """Rows broke a rule whose action is `fail`: nothing was written."""

    def __init__(self, topic: str, counts: dict[str, int]) -> None:
        self.topic, self.counts = topic, counts
        told = ", ".join(f"{name} ({count} rows)" for name, count in sorted(counts.items()))
        super().__init__(f"{topic}: fail rules are broken: {told}")


class HalfPublished(TerminalError):
    """A reprocess died between STANDARDIZED and CURATED: what it brought back may be in CURATED already."""


@dataclass(frozen=True)
class Batch:
    """The waiting batches at work, under the contract in force."""

    context: Context
    checkpoint: Checkpoint
    contract: Contract
    contract_version: int
    batch_ids: list[str]
    rows: DataFrame
    layout: Layout

    @property
    def topic(self) -> str:
        """The topic."""
        return self.checkpoint.topic

    def judged(self, current: DataFrame) -> DataFrame:
        """Its rows typed by the contract, with what becomes of each beside CURATED as it stands. Raises NoSalt."""
        return judged(typed(self.rows, self.contract, self.layout, self.context.salt_of(self.contract)), current)


def curate(context: Context, topic: str) -> Outcome:
    """Bring what waits in STANDARDIZED into CURATED and errors in one commit, and move the checkpoint.

    Raises LockHeld, StaleBatch, ContractOutdated, HalfPublished, ConservationError, RuleFailed, UnreadableRange, and
    what Spark cannot read or write.
    """
    admission, contract = context.contract(topic)
    return once(
        context,
        topic,
        "curate",
        pin_curate,
        lambda: _target(context, contract),
        lambda pinned, lock: _process(context, pinned, contract, admission.contract_version, lock),
    )


def _target(context: Context, contract: Contract) -> Table:
    return context.lake.find("curated", contract.table_name) or evolve(context.lake, curated(contract))


def _batch(context: Context, source: Table, checkpoint: Checkpoint, contract: Contract, version: int) -> Batch:
    topic = checkpoint.topic
    after, to = checkpoint.from_snapshot_id, checkpoint.to_snapshot_id
    entries = waiting(source, after, to)
    if after:
        require_whole(topic, entries)
    batch_ids = [entry.batch_id for entry in entries]
    rows = context.range("standardized", topic, 0, to)
    if after:
        rows = rows.where(F.col("batch_id").isin(batch_ids))
    layout = layout_of(owned_columns(source), contract)
    return Batch(context, checkpoint, contract, version, batch_ids, rows, layout)


def require_whole(topic: str, entries: Sequence[Entry]) -> None:
    """Raises HalfPublished when STANDARDIZED's part of a reprocess waits: its CURATED is not main yet."""
    for reprocess_id in filter(None, (entry.batch_id.partition("-reprocess-")[2] for entry in entries)):
        if (version := version_of(reprocess_id)) is not None:
            raise HalfPublished(
                f"{topic}: STANDARDIZED was rebuilt for contract version {version}, CURATED was not yet: put that "
                f"contract to schemas/{topic}/pending/schema.json again to finish it"
            )
        command = f"ledgerlake reprocess {topic}"
        raise HalfPublished(
            f"{topic}: reprocess {reprocess_id} is published in STANDARDIZED only; finish it: {command} --publish "
            f"{reprocess_id}, or if CURATED went on or it was discarded: {command} --layer curated --apply"
        )


def _process(context: Context, checkpoint: Checkpoint, contract: Contract, version: int, lock: Lock) -> Entry:
    source, target = context.lake.load("standardized", checkpoint.topic), _target(context, contract)
    batch = _batch(context, source, checkpoint, contract, version)
    require_ours(target, lock, version)
    with context.expecting(snapshots.current_rows(source) + snapshots.current_rows(target)):
        rows = batch.judged(context.table("curated", batch.topic)).persist(StorageLevel.DISK_ONLY)
        try:
            parts, warned = parts_of(batch, rows)
            return _commit(batch, rows, parts, warned, lock)
        finally:
            rows.unpersist()


def parts_of(batch: Batch, rows: DataFrame) -> tuple[dict[Verdict, Identity], int]:
    """Who is in each part, and how many rows broke a warn rule. Raises ConservationError and RuleFailed."""
    whole = Identity.read(batch.rows.agg(*aggregates("whole")).collect()[0], "whole")
    facts = [column for verdict in Verdict for column in aggregates(verdict.value, F.col(VERDICT) == verdict.value)]
    row = rows.agg(*facts, F.count(F.when(F.size(WARNED) > 0, 1)).alias("$warned_rows"), *_failures(batch)).collect()[0]
    if broken := {rule: row["$fail_" + rule] for rule in _fail_rules(batch) if row["$fail_" + rule]}:
        raise RuleFailed(batch.topic, broken)
    parts = {verdict: Identity.read(row, verdict.value) for verdict in Verdict}
    require_conserved(batch.topic, whole, {verdict.value: part for verdict, part in parts.items()})
    return parts, _count(row, "$warned_rows")


def _fail_rules(batch: Batch) -> list[str]:
    return [rule.name for rule in batch.contract.rules if rule.action == "fail"]


def _failures(batch: Batch) -> list[Column]:
    return [F.count(F.when(F.array_contains(FAILING, rule), 1)).alias("$fail_" + rule) for rule in _fail_rules(batch)]


def _count(row: Row, name: str) -> int:
    return int(row[name] or 0)


def _commit(batch: Batch, rows: DataFrame, parts: dict[Verdict, Identity], warned: int, lock: Lock) -> Entry:
    """Errors first, then the one commit to the main table. Raises StaleBatch, LockLost and AuditFailed."""
    if parts[Verdict.ERROR].rows or batch.checkpoint.attempts > 1:
        since = batch.context.lake.load("curated", ERRORS).metadata.current_snapshot_id
        require_ours(_target(batch.context, batch.contract), lock, batch.contract_version)
        failpoints.hit("curate.before_errors_write", batch.topic)
        _write_errors(batch, rows, parts[Verdict.ERROR].rows, since)
        failpoints.hit("curate.after_errors_write", batch.topic)
    applied = sum(parts[verdict].rows for verdict in APPLIED)
    counts = {
        "in": sum(part.rows for part in parts.values()),
        "curated": applied,
        "superseded": sum(parts[verdict].rows for verdict in (Verdict.SUPERSEDED, Verdict.LATE, Verdict.NEWER)),
        "error": parts[Verdict.ERROR].rows,
        "warned": warned,
    }
    return commit(
        batch.context,
        Ledger(batch.checkpoint, lock.token, batch.contract_version, counts),
        lock,
        lambda: _target(batch.context, batch.contract),
        lambda properties: write_current(batch, rows, applied, properties),
        added=applied,
        replaced=parts[Verdict.NEWER].rows,
    )


def write_current(batch: Batch, rows: DataFrame, applied: int, properties: Mapping[str, str]) -> None:
    """Bring the applied ones of the judged rows into CURATED, in one snapshot with the properties."""
    name = batch.context.lake.spark_name("curated", batch.topic)
    if applied:
        winners = rows.where(F.col(VERDICT).isin([verdict.value for verdict in APPLIED]))
        columns = [*ENVELOPE, *(column.name for column in batch.contract.columns)]
        merge(winners.select(*columns), name, properties)
    else:  # none of the records is new: the snapshot only says that the batch was here
        append(batch.context.spark.table(name).limit(0), name, properties)


def _write_errors(batch: Batch, rows: DataFrame, count: int, since: int | None) -> None:
    """Put the batches' errors in the place of any that an earlier try left."""
    name = batch.context.lake.spark_name("curated", ERRORS)
    # No rows at all are not worth a look at the whole batch.
    errors = error_rows(batch, rows) if count else batch.context.spark.table(name).limit(0)
    mine = (F.col("topic_name") == batch.topic) & F.col("batch_id").isin(batch.batch_ids)
    replace_errors(errors, name, mine, since)


def error_rows(batch: Batch, rows: DataFrame) -> DataFrame:
    """The rows that broke the contract, each with its violations and its standardized row (personal data masked)."""
    place = ["batch_id", "message_id"]
    broken = rows.where(F.col(VERDICT) == Verdict.ERROR.value).select(*place, F.col(VIOLATIONS).alias("violations"))
    source = without_private(batch.rows.drop("_file", "_pos"), batch.contract, batch.layout)
    record = F.to_json(F.struct(*source.columns), {"ignoreNullFields": "true"})
    return (
        source.select(*ENVELOPE, record.alias("record"))
        .join(broken, place)
        .select(
            "message_id",
            F.lit(batch.topic).alias("topic_name"),
            *("idempotency_key", "publish_time", "violations", "record"),
            F.lit(batch.contract_version).alias("contract_version"),
            "batch_id",
            F.lit(datetime.now(UTC).isoformat()).cast("timestamp").alias("failed_at"),
            F.lit(batch.checkpoint.batch_id).alias("reported_by"),
            *still_open(),
        )
    )
