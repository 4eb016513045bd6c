"""STANDARDIZED rebuilt from RAW on a branch: the rows that count, flattened as they would be today (ADR 0010)."""

from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.jobs import failures
from ledgerlake.jobs.commit import require_added, require_conserved
from ledgerlake.jobs.comparison import LayerReport
from ledgerlake.jobs.failures import OF_LAYER
from ledgerlake.jobs.rebuild import NothingToRebuild, Rebuild, column_changes, counts, samples
from ledgerlake.jobs.standardize import parse_error_rows, same_start
from ledgerlake.records.flatten import ERROR_CODE, RESCUED
from ledgerlake.tables import snapshots
from ledgerlake.tables.lake import staging
from ledgerlake.tables.snapshots import Entry
from ledgerlake.transform.compared import ADDED, REMOVED, compared
from ledgerlake.transform.flattened import flattened
from ledgerlake.transform.identity import Identity, aggregates
from ledgerlake.transform.occurrences import PLACE
from ledgerlake.transform.private import private_columns
from ledgerlake.transform.settled import BATCH, LOST, OCCURRENCE, ORIGIN, settled

STANDING, FAILED, ANSWERED = "standing", "failed", "answered"
"""Where a row of RAW that counts stood before: in STANDARDIZED, in parse_errors, or there and replaced by an edit."""
SAMPLES = 5


@dataclass(frozen=True)
class _Source:
    """What STANDARDIZED is rebuilt from: main as it is, and RAW up to where main's last batch came."""

    work: Rebuild
    base: int
    entry: Entry
    rows: DataFrame
    errors: DataFrame
    raw: DataFrame
    chosen: DataFrame

    @property
    def uncommitted(self) -> Column:
        """Whether a parse error belongs to a batch that has not come to its commit."""
        return same_start(self.work.topic, self.entry.source_snapshot_id)


@dataclass(frozen=True)
class _Numbers:
    """The rows looked at by where they end, and what of that is news."""

    whole: Identity
    rows: Identity
    bad: Identity
    answered: Identity
    standing: int
    reparsed: int
    newly_bad: int
    lost: int
    brought: int
    without_raw: int


def rebuild_standardized(work: Rebuild) -> LayerReport:
    """Rebuild the table on a branch and say what is different. Main is left alone.

    Raises NothingToRebuild, ConservationError, AuditFailed.
    """
    source = _source(work)
    kept = source.raw.join(source.chosen.where(F.col(ORIGIN) != ANSWERED).select(*PLACE, BATCH, ORIGIN), list(PLACE))
    flat = flattened(kept, work.layout(), work.contract.key_sources, (BATCH, ORIGIN)).persist(StorageLevel.DISK_ONLY)
    try:
        numbers = _numbers(source, flat)
        _stage_errors(source, flat, numbers)
        _write(source, flat, numbers)
        return _report(source, numbers)
    finally:
        flat.unpersist()


def _source(work: Rebuild) -> _Source:
    context, topic = work.context, work.topic
    table = context.lake.find("standardized", topic)
    entry = snapshots.last_entry(table) if table is not None else None
    if table is None or entry is None:
        raise NothingToRebuild(f"{topic} has not been standardized yet: its first cycle builds the table")
    rows = context.table("standardized", topic)
    # A checkpoint, since a frame that reads parse_errors is computed anew when that table is written to.
    errors = failures.standing(work, OF_LAYER["standardized"]).localCheckpoint()
    raw = context.range("raw", staging(topic), 0, entry.source_snapshot_id).where(work.within)
    committed = errors.where(~same_start(topic, entry.source_snapshot_id))
    everywhere = rows.select("message_id").unionByName(committed.select("message_id"))
    chosen = settled(raw, _standing(work, rows, committed), everywhere, work.batch_id).localCheckpoint()
    return _Source(work, table.metadata.current_snapshot_id or 0, entry, rows, errors, raw, chosen)


def _standing(work: Rebuild, rows: DataFrame, errors: DataFrame) -> DataFrame:
    """Where each message stands now: what decides which of its copies in RAW counts."""
    looked_at = errors.where(work.within)
    parts = [
        rows.where(work.within).select(*OCCURRENCE, BATCH, F.lit(STANDING).alias(ORIGIN)),
        *(
            looked_at.where(which).select(*OCCURRENCE, F.lit(work.batch_id).alias(BATCH), F.lit(origin).alias(ORIGIN))
            for which, origin in ((failures.is_open(), FAILED), (failures.answered(), ANSWERED))
        ),
    ]
    return parts[0].unionByName(parts[1]).unionByName(parts[2])


def _numbers(source: _Source, flat: DataFrame) -> _Numbers:
    """Who ends where, conserved. Raises ConservationError."""
    work, bad, origin = source.work, F.col(ERROR_CODE).isNotNull(), F.col(ORIGIN)
    told = flat.agg(
        *aggregates("good", ~bad),
        *aggregates("bad", bad),
        F.count_if(~bad & (origin == FAILED)).alias("$reparsed"),
        F.count_if(bad & (origin != FAILED)).alias("$newly_bad"),
        F.count_if(~bad & (F.col(BATCH) == work.batch_id)).alias("$brought"),
        F.count_if(origin == LOST).alias("$lost"),
    ).collect()[0]
    whole = Identity.read(source.raw.agg(*aggregates("whole")).collect()[0], "whole")
    late = source.raw.select("message_id", *PLACE).join(source.chosen.select(*PLACE), list(PLACE), "left_anti")
    duplicates = Identity.read(late.agg(*aggregates("late")).collect()[0], "late")
    edited = source.chosen.where(origin == ANSWERED).agg(*aggregates("answered")).collect()[0]
    numbers = _Numbers(
        whole=whole,
        rows=Identity.read(told, "good"),
        bad=Identity.read(told, "bad"),
        answered=Identity.read(edited, "answered"),
        standing=source.rows.where(work.within).count(),
        reparsed=told["$reparsed"],
        newly_bad=told["$newly_bad"],
        lost=told["$lost"],
        brought=told["$brought"],
        without_raw=_without_raw(source).select("message_id").count(),
    )
    parts = {"standardized": numbers.rows, "parse errors": numbers.bad, "answered": numbers.answered}
    require_conserved(work.topic, whole, parts | {"duplicates": duplicates})
    return numbers


def _without_raw(source: _Source) -> DataFrame:
    """Main's rows in the range that RAW no longer has: nothing can be made of them, and nothing may be lost."""
    there = source.chosen.select(*OCCURRENCE)
    return source.rows.where(source.work.within).join(there, list(OCCURRENCE), "left_anti")


def _stage_errors(source: _Source, flat: DataFrame, numbers: _Numbers) -> None:
    """Keep the topic's parse errors as they are to be, where any of them changes."""
    work = source.work
    if not (numbers.reparsed or numbers.newly_bad):
        return
    good = flat.where(F.col(ERROR_CODE).isNull() & (F.col(ORIGIN) == FAILED)).select(*OCCURRENCE)
    known = source.errors.join(good.withColumn("$good", F.lit(True)), list(OCCURRENCE), "left")
    passes = F.col("$good").isNotNull() & failures.is_open() & ~source.uncommitted
    old = failures.marked(work, known, passes).drop("$good")
    new = parse_error_rows(flat.where(F.col(ORIGIN) != FAILED), work.batch_id)
    failures.stage(work, OF_LAYER["standardized"], old.unionByName(new), numbers.newly_bad)


def _write(source: _Source, flat: DataFrame, numbers: _Numbers) -> None:
    """The branch of STANDARDIZED. Raises AuditFailed."""
    work = source.work
    columns = source.rows.columns
    good = flat.where(F.col(ERROR_CODE).isNull()).select(*columns)
    stay = [_without_raw(source)] if numbers.without_raw else []
    outside = 0
    if work.ranged:
        others = source.rows.where(work.within_days & ~work.within)
        outside = others.count()
        stay.append(others)
    for rows in stay:
        good = good.unionByName(rows.select(*columns))
    brought = {"in": numbers.brought, "standardized": numbers.brought}
    told = work.told(brought, _totals(source, numbers), source.entry.source_snapshot_id)
    branch = work.write("standardized", work.topic, source.base, good, work.within_days, told)
    require_added(work.topic, branch.head, numbers.rows.rows + numbers.without_raw + outside)


def _totals(source: _Source, numbers: _Numbers) -> dict[str, int]:
    """RAW's rows up to the last batch by where they stand now; the duplicates are the others."""
    work = source.work
    lake = work.context.lake
    raw = lake.load("raw", staging(work.topic)).metadata.snapshot_by_id(source.entry.source_snapshot_id)
    stood = snapshots.current_rows(lake.load("standardized", work.topic))
    rows = stood - numbers.standing + numbers.rows.rows + numbers.without_raw
    committed = source.errors.where(~source.uncommitted)
    standing = committed.where(failures.is_open() | failures.answered()).count()
    errors = standing - numbers.reparsed + numbers.newly_bad
    resolved = committed.count() - standing + numbers.reparsed
    whole = snapshots.rows_of(raw) if raw else 0
    return {
        "in": whole,
        "standardized": rows,
        "parse-error": errors,
        "duplicate": whole + numbers.without_raw - rows - errors,
        "resolved": resolved,
    }


def _report(source: _Source, numbers: _Numbers) -> LayerReport:
    work = source.work
    after = work.on_branch("standardized", work.topic).where(work.within)
    found = compared(source.rows.where(work.within).select(*after.columns), after, OCCURRENCE)
    lost = source.chosen.where(F.col(ORIGIN) == LOST).select("message_id").orderBy("message_id").limit(SAMPLES)
    return LayerReport(
        layer="standardized",
        **counts(found),
        columns=column_changes(found, _hidden(work)),
        added_samples=samples(found, ADDED),
        removed_samples=samples(found, REMOVED),
        failed_no_longer=numbers.reparsed,
        fails_now=numbers.newly_bad,
        lost=numbers.lost,
        lost_samples=tuple(row["message_id"] for row in lost.collect()) if numbers.lost else (),
        without_raw=numbers.without_raw,
    )


def _hidden(work: Rebuild) -> set[str]:
    """The columns whose values no report tells: those of personal data, and those that may hold some among others."""
    private = work.contract.private_sources
    return {*private_columns(work.contract, work.layout()), RESCUED, "attributes"} if private else set()
