"""Latest by idempotency_key: which typed rows become current, and which are superseded (design 4.3)."""

from enum import StrEnum
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.records.casts import VIOLATIONS

VERDICT: Final = "$verdict"
KEY: Final = "idempotency_key"
RECENCY: Final = ("publish_time", "ingestion_ts", "message_id")
"""Latest is greatest in these, in this order."""


class Verdict(StrEnum):
    """What becomes of a row."""

    ERROR = "error"
    SUPERSEDED = "superseded"  # by a later record of its key in the same batch
    LATE = "late"  # by the record of its key that stands already
    NEW = "new"  # the first record of its key
    NEWER = "newer"  # it supersedes the record that stands


def judged(rows: DataFrame, current: DataFrame) -> DataFrame:
    """The typed rows with $verdict; `current` is CURATED as it stands, of which only keys and recency are read."""
    bad = F.col(VIOLATIONS).isNotNull()
    # Bad rows compete with nobody; one may well lack its key, and all of those must not meet in one place.
    rival = F.when(bad, F.col("message_id")).otherwise(F.col(KEY))
    order = Window.partitionBy(bad, rival).orderBy(*(F.col(name).desc() for name in RECENCY))
    ranked = rows.withColumn("$rank", F.row_number().over(order))
    standing = current.select(F.col(KEY).alias("$key"), F.struct(*RECENCY).alias("$standing"))
    joined = ranked.join(standing, (F.col(KEY) == F.col("$key")) & ~bad & (F.col("$rank") == 1), "left")
    return joined.withColumn(VERDICT, _verdict(bad)).drop("$rank", "$key", "$standing")


def _verdict(bad: Column) -> Column:
    return (
        F.when(bad, Verdict.ERROR.value)
        .when(F.col("$rank") > 1, Verdict.SUPERSEDED.value)
        .when(F.col("$standing").isNull(), Verdict.NEW.value)
        .when(F.struct(*RECENCY) > F.col("$standing"), Verdict.NEWER.value)
        .otherwise(Verdict.LATE.value)
    )
