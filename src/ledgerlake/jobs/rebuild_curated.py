"""CURATED rebuilt from STANDARDIZED on a branch: typed, judged and reduced to the latest anew (ADR 0010)."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.jobs import failures
from ledgerlake.jobs.commit import require_added
from ledgerlake.jobs.comparison import LayerReport
from ledgerlake.jobs.curate import Batch, error_rows, parts_of
from ledgerlake.jobs.failures import OF_LAYER
from ledgerlake.jobs.rebuild import Rebuild, column_changes, counts, samples
from ledgerlake.state.checkpoints import Checkpoint
from ledgerlake.tables import snapshots
from ledgerlake.transform.compared import ADDED, REMOVED, compared
from ledgerlake.transform.identity import Identity
from ledgerlake.transform.typed import ENVELOPE
from ledgerlake.transform.verdicts import KEY, VERDICT, Verdict

PLACE = ["batch_id", "message_id"]
"""What names a row of STANDARDIZED, and its error: beyond the look-up's window an id may stand in two batches."""


@dataclass(frozen=True)
class _Source:
    """What CURATED is rebuilt from: the rows of STANDARDIZED that are judged anew, and what stays beside them.

    `snapshot_id` and `standardized` are STANDARDIZED's snapshot and its number of rows.
    """

    work: Rebuild
    snapshot_id: int
    standardized: int
    rows: DataFrame
    errors: DataFrame
    current: DataFrame
    keys: DataFrame | None


def rebuild_curated(work: Rebuild, *, on_branch: bool) -> LayerReport:
    """Rebuild the table on a branch, from STANDARDIZED's own branch or from its main, and say what is different.

    Raises ConservationError, RuleFailed, AuditFailed.
    """
    source = _source(work, on_branch=on_branch)
    batch = _batch(source)
    first = work.context.table("curated", work.topic).limit(0)
    rows = batch.judged(first).persist(StorageLevel.DISK_ONLY)
    try:
        parts, warned = parts_of(batch, rows)
        # A checkpoint, since the errors are read from a table that is written to.
        after, before = _errors(source, batch, rows)
        changes = _stage_errors(work, after, before)
        _write(source, rows, _counts(parts, warned), after)
    finally:
        rows.unpersist()
    return _report(source, changes)


def _source(work: Rebuild, *, on_branch: bool) -> _Source:
    context, topic = work.context, work.topic
    rows = work.on_branch("standardized", topic) if on_branch else context.table("standardized", topic)
    columns = rows.columns
    branch = work.branch("standardized", topic) if on_branch else None
    table = context.lake.load("standardized", topic)
    snapshot = branch.head if branch else table.current_snapshot()
    errors = failures.standing(work, OF_LAYER["curated"]).localCheckpoint()
    current = context.table("curated", topic)
    keys = None
    if work.ranged:
        keys = _keys(work, rows, context.table("standardized", topic)).localCheckpoint()
        rows = rows.join(keys.withColumn("$key", F.lit(True)), [KEY], "left").where(
            work.within | F.col("$key").isNotNull()
        )
    edited = errors.where(failures.answered()).select(*PLACE)
    return _Source(
        work=work,
        snapshot_id=snapshot.snapshot_id if snapshot else 0,
        standardized=snapshots.rows_of(snapshot) if snapshot else 0,
        rows=rows.join(edited, PLACE, "left_anti").select(*columns),
        errors=errors,
        current=current,
        keys=keys,
    )


def _keys(work: Rebuild, *tables: DataFrame) -> DataFrame:
    """The keys that rows of the range have, or had: who is current of a key is asked of all its rows."""
    found = [rows.where(work.within & F.col(KEY).isNotNull()).select(KEY) for rows in tables]
    return found[0].unionByName(found[1]).distinct()


def _batch(source: _Source) -> Batch:
    """The rows as curate works on a batch; it is pinned nowhere."""
    work = source.work
    checkpoint = Checkpoint(
        topic=work.topic,
        stage="reprocess",
        status="pending",
        batch_id=work.batch_id,
        from_snapshot_id=0,
        to_snapshot_id=source.snapshot_id,
        metadata_location="",
        contract_version=work.contract_version,
        cycle_id=work.context.cycle_id,
    )
    return Batch(work.context, checkpoint, work.contract, work.contract_version, [], source.rows, work.layout())


def _errors(source: _Source, batch: Batch, rows: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The topic's errors as they are to be, each with $change (resolved, new or NULL); and as they are.

    An error that is what it was stays as it is; one that fails otherwise is answered by a new one.
    """
    work = source.work
    said = F.struct("violations", "record")
    now = error_rows(batch, rows).localCheckpoint()
    looked_at = batch.rows.select(*PLACE).withColumn("$judged", F.lit(True))
    known = source.errors.join(now.select(*PLACE, said.alias("$now")), PLACE, "left").join(looked_at, PLACE, "left")
    in_scope = F.col("$judged").isNotNull() | work.within
    passes = failures.is_open() & in_scope & ~said.eqNullSafe(F.col("$now"))
    old = failures.marked(work, known.withColumn("$passes", passes), F.col("$passes"))
    old = old.withColumn("$change", F.when(F.col("$passes"), "resolved")).drop("$now", "$judged", "$passes")
    reported = source.errors.where(failures.is_open()).select(*PLACE, said.alias("$then"))
    new = now.join(reported, PLACE, "left").where(~said.eqNullSafe(F.col("$then"))).drop("$then")
    return old.unionByName(new.withColumn("$change", F.lit("new"))).localCheckpoint(), source.errors


def _stage_errors(work: Rebuild, after: DataFrame, before: DataFrame) -> Mapping[str, int]:
    """Keep them, where any of them changes; returns how many do, by $change."""
    told = after.agg(
        *(F.count_if(F.col("$change") == change).alias(change) for change in ("resolved", "new"))
    ).collect()[0]
    if told["resolved"] or told["new"]:
        failures.stage(work, OF_LAYER["curated"], after.select(*before.columns), told["new"])
    return {"resolved": told["resolved"], "new": told["new"]}


def _counts(parts: Mapping[Verdict, Identity], warned: int) -> dict[str, int]:
    return {
        "in": sum(part.rows for part in parts.values()),
        "curated": parts[Verdict.NEW].rows,
        "superseded": parts[Verdict.SUPERSEDED].rows,
        "error": parts[Verdict.ERROR].rows,
        "warned": warned,
    }


def _write(source: _Source, rows: DataFrame, told: Mapping[str, int], errors: DataFrame) -> None:
    """The branch of CURATED. Raises AuditFailed."""
    work = source.work
    columns = [*ENVELOPE, *(column.name for column in work.contract.columns)]
    winners = rows.where(F.col(VERDICT) == Verdict.NEW.value).select(*columns)
    outside = 0
    if source.keys is not None:
        others = source.current.join(source.keys, [KEY], "left_anti").select(*columns)
        outside = others.count()
        winners = winners.unionByName(others)
    current = told["curated"] + outside
    failed = errors.where(_counts_as_error()).count()
    totals = {
        "in": source.standardized,
        "curated": current,
        "error": failed,
        "superseded": source.standardized - current - failed,
        "resolved": errors.where(~_counts_as_error()).count(),
    }
    base = work.context.lake.load("curated", work.topic).metadata.current_snapshot_id
    properties = work.told(told, totals, source.snapshot_id)
    branch = work.write("curated", work.topic, base, work.as_held(winners), F.lit(True), properties)
    require_added(work.topic, branch.head, current)


def _counts_as_error() -> Column:
    return failures.is_open() | failures.answered()


def _report(source: _Source, changes: Mapping[str, int]) -> LayerReport:
    work = source.work
    after = work.on_branch("curated", work.topic)
    # Columns that become others are not compared: all rows are written anew, and typed otherwise.
    found = {} if work.shape else compared(source.current.select(*after.columns), after, (KEY,))
    return LayerReport(
        layer="curated",
        **counts(found),
        columns=column_changes(found, {column.name for column in work.contract.columns if column.pii}),
        added_samples=samples(found, ADDED),
        removed_samples=samples(found, REMOVED),
        failed_no_longer=changes["resolved"],
        fails_now=changes["new"],
    )
