"""First by message_id: which of a batch's rows are later copies (design 4.2)."""

from collections.abc import Sequence
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

FILE = "_file"
POSITION = "_pos"
PLACE = (FILE, POSITION)
"""Where a row lies: Iceberg's name of a row within a snapshot."""

MESSAGE_ID = "message_id"
_SETTLED = "$settled"
_FEW = 1_000_000


def later_copies(batch: DataFrame, before: DataFrame) -> DataFrame:
    """The places of the batch's duplicates: every copy but the first of an id, and all whose id was there `before`.

    `batch`: RAW's columns with _file and _pos. `before`: message_id of rows that earlier batches settled. First the
    ids with more than one row: most batches have none and are done; no payload is read, and `before` once. Columns
    out: _file, _pos, message_id. Grain: one row each, computed already.
    """
    ids = batch.select(MESSAGE_ID, *PLACE)
    here = ids.select(MESSAGE_ID, F.lit(False).alias(_SETTLED))
    known = before.join(ids, MESSAGE_ID, "left_semi").select(MESSAGE_ID, F.lit(True).alias(_SETTLED))
    rows = here.unionByName(known).groupBy(MESSAGE_ID).agg(F.count("*").alias("$rows"), F.max(_SETTLED).alias(_SETTLED))
    # One that was settled has a row here and one from before.
    suspects = rows.where(F.col("$rows") > 1).select(MESSAGE_ID, _SETTLED).localCheckpoint()
    found = suspects.count()
    if not found:
        return ids.select(*PLACE, MESSAGE_ID).where("false")
    suspects = few(suspects, found)
    again = ids.join(suspects.where(F.col(_SETTLED)), MESSAGE_ID, "left_semi")
    twins = not_first(batch.join(suspects.where(~F.col(_SETTLED)), MESSAGE_ID, "left_semi"))
    # A checkpoint, since a cached frame that reads a table is computed anew when that table is written to.
    return again.select(*PLACE, MESSAGE_ID).unionByName(twins.select(*PLACE, MESSAGE_ID)).localCheckpoint()


def few(frame: DataFrame, rows: int) -> DataFrame:
    """The frame, sent whole to every worker that joins with it when it has so few rows (about 100 bytes each)."""
    return F.broadcast(frame) if rows <= _FEW else frame


def not_first(rows: DataFrame, by: Sequence[str] = (MESSAGE_ID,)) -> DataFrame:
    """All rows but the first of each message_id, by (publish_time, ingestion_ts, source, sha256 of the payload).

    Copies equal in all of that differ in nothing that decides where they end; their place then decides.
    """
    order = Window.partitionBy(*by).orderBy(
        "publish_time",
        "ingestion_ts",
        F.col("source").asc_nulls_first(),
        F.sha2("json_payload", 256),
        "idempotency_key",
        "attributes",
        *PLACE,
    )
    return rows.withColumn("$rank", F.row_number().over(order)).where(F.col("$rank") > 1)


def without(rows: DataFrame, places: DataFrame) -> DataFrame:
    """The rows that are not at these places; payloads stay where they are as long as the places are few."""
    return rows.join(places.select(*PLACE), list(PLACE), "left_anti")


def within_days(first: date, last: date, window_days: int) -> Column:
    """Whether publish_time lies in the days looked up: from the first to the last, and `window_days` on both sides."""
    start, end = first - timedelta(days=window_days), last + timedelta(days=window_days + 1)
    published = F.col("publish_time")
    return (published >= F.lit(f"{start} 00:00:00+00:00").cast("timestamp")) & (
        published < F.lit(f"{end} 00:00:00+00:00").cast("timestamp")
    )
