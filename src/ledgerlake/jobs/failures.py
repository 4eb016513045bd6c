"""A topic's share of the error tables while it is reprocessed: read without void marks, staged, published, withdrawn.

The error tables are shared by all topics, so a branch of theirs cannot become main: it holds the topic's rows until
they replace main's in one commit, which Iceberg validates against whoever wrote rows of the topic meanwhile.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.jobs.comparison import RebuiltLayer, ReprocessRequest
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.rebuild import Rebuild, batch_id, branch_name
from ledgerlake.tables import snapshots
from ledgerlake.tables.branches import Branch
from ledgerlake.tables.definitions import ERRORS, PARSE_ERRORS
from ledgerlake.tables.publish import MainMoved

NEW: Final = snapshots.ROWS + "error"


@dataclass(frozen=True)
class Failures:
    """One of the error tables; `reporter` is its column that says which batch wrote a row."""

    layer: RebuiltLayer
    name: str
    reporter: str


OF_LAYER: Final = {
    "standardized": Failures("standardized", PARSE_ERRORS, "batch_id"),
    "curated": Failures("curated", ERRORS, "reported_by"),
}


def is_open() -> Column:
    """Whether nothing was done about a failure yet."""
    return F.col("resolved_by").isNull() & F.col("replaced_by").isNull()


def answered() -> Column:
    """Whether an edited record, a message of its own, took the failed one's place: that stays a failure for ever."""
    return F.col("replaced_by").isNotNull()


def standing(work: Rebuild, of: Failures) -> DataFrame:
    """The topic's failures, without what replays and reprocesses wrote that never came to their commit."""
    rows = work.context.table(of.layer, of.name).where(F.col("topic_name") == work.topic)
    void = sorted(_void(work.context, work.topic, of, rows))
    return _without(rows, of, void) if void else rows


def marked(work: Rebuild, rows: DataFrame, passes: Column) -> DataFrame:
    """The rows, with those that pass now marked as taken in by this reprocess."""
    return rows.withColumns(
        {
            "resolved_by": F.when(passes, work.batch_id).otherwise(F.col("resolved_by")),
            "resolved_at": F.when(passes, work.at).otherwise(F.col("resolved_at")),
        }
    )


def stage(work: Rebuild, of: Failures, rows: DataFrame, new: int) -> None:
    """Keep the topic's failures as they are to be on a branch of the shared table; `new` of them it has not yet."""
    base = work.context.lake.load(of.layer, of.name).metadata.current_snapshot_id
    work.write(of.layer, of.name, base, rows, F.col("topic_name") == work.topic, {NEW: str(new)})


def publish(context: Context, request: ReprocessRequest, of: Failures) -> None:
    """Put the staged failures in main's place, unless they are there. Raises MainMoved when main got others since."""
    table = context.lake.load(of.layer, of.name)
    branch = Branch.find(table, request.id)
    if branch is None or snapshots.has_batch(table, batch_id(request)):
        return
    ours = F.col("topic_name") == request.topic
    rows = context.spark.table(branch_name(context, of.layer, of.name, request.id)).where(ours)
    writer = rows.coalesce(1).writeTo(context.lake.spark_name(of.layer, of.name))
    writer = writer.option("isolation-level", "serializable")
    if branch.base is not None:
        writer = writer.option("validate-from-snapshot-id", branch.base)
    for key, value in _told(request, branch.head.snapshot_id, int(branch.properties[NEW])).items():
        writer = writer.option(f"snapshot-property.{key}", value)
    try:
        writer.overwrite(ours)
    except Py4JJavaError as error:
        if error.java_exception.getClass().getSimpleName() != "ValidationException":
            raise
        raise MainMoved(f"{of.name} got other rows of {request.topic} since the reprocess was built") from error


def withdraw(context: Context, request: ReprocessRequest, of: Failures) -> None:
    """Take back what a reprocess published there whose table never followed."""
    table, main = context.lake.load(of.layer, of.name), context.lake.find(of.layer, request.topic)
    batch = batch_id(request)
    entry = snapshots.has_batch(table, batch)
    if entry is None or entry.rows("error") < 0 or (main is not None and snapshots.has_batch(main, batch)):
        return
    ours = F.col("topic_name") == request.topic
    # A checkpoint, since the rows are read from the table that they replace.
    rows = _without(context.table(of.layer, of.name).where(ours), of, [batch]).localCheckpoint()
    writer = rows.coalesce(1).writeTo(context.lake.spark_name(of.layer, of.name))
    for key, value in _told(request, entry.snapshot_id, -entry.rows("error")).items():
        writer = writer.option(f"snapshot-property.{key}", value)
    writer.overwrite(ours)


def _told(request: ReprocessRequest, source_snapshot_id: int, new: int) -> dict[str, str]:
    """What a commit to the shared table says: the ledger leaves its rows out until the table beside it has followed."""
    return {
        snapshots.BATCH_ID: batch_id(request),
        snapshots.SOURCE_SNAPSHOT_ID: str(source_snapshot_id),
        NEW: str(new),
    }


def _void(context: Context, topic: str, of: Failures, rows: DataFrame) -> set[str]:
    """The replays and reprocesses that marked or wrote rows here and are not in the table beside it."""
    mark = F.when(~answered(), F.struct(F.col("resolved_by").alias("batch"), F.col("resolved_at").alias("at")))
    wrote = F.struct(F.col(of.reporter).alias("batch"), F.col("failed_at").alias("at"))
    named = rows.select(F.explode(F.array(mark, wrote)).alias("one")).select("one.*")
    by_hand = F.col("batch").startswith(f"{topic}-replay-") | F.col("batch").startswith(f"{topic}-reprocess-")
    latest = named.where(by_hand).groupBy("batch").agg(F.unix_millis(F.max("at")).alias("at")).collect()
    main = context.lake.find(of.layer, topic)
    times = {row["batch"]: datetime.fromtimestamp(row["at"] / 1000, UTC) for row in latest}
    return snapshots.void(main, times) if main is not None else set()


def _without(rows: DataFrame, of: Failures, batches: list[str]) -> DataFrame:
    """The rows without those that these batches wrote, and without their marks."""
    theirs = F.coalesce(F.col("resolved_by").isin(batches), F.lit(False)) & ~answered()
    kept = rows.where(~F.coalesce(F.col(of.reporter).isin(batches), F.lit(False)))
    return kept.withColumns({name: F.when(~theirs, F.col(name)) for name in ("resolved_by", "resolved_at")})
