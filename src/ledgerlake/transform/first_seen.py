"""Where paths without a column turned up first: what decides who owns a column (design 4.1)."""

from collections.abc import Sequence
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.records.flatten import RESCUED
from ledgerlake.records.layout import Owned

SAMPLE_CHARACTERS: Final = 200


def first_in_columns(columns: Sequence[Owned]) -> list[Column]:
    """Aggregates over flattened rows: each column's first struct<published, ingested, message_id, sample>.

    They are called after the columns, and NULL for a column that holds no value.
    """
    return [
        F.min(F.when(F.col(owned.name).isNotNull(), _first(F.col(owned.name)))).alias(owned.name) for owned in columns
    ]


def first_rescued(flat: DataFrame, most: int) -> DataFrame:
    """The first `most` paths found in `rescued`.

    Columns out: pointer, first struct<published, ingested, message_id, sample>. Grain: one row per path.
    """
    paths = flat.where(F.col(RESCUED).isNotNull()).select("*", F.explode(RESCUED).alias("$pointer", "$text"))
    found = paths.select(F.col("$pointer").alias("pointer"), _first(F.col("$text")).alias("first"))
    return found.groupBy("pointer").agg(F.min("first").alias("first")).orderBy("first", "pointer").limit(most)


def _first(value: Column) -> Column:
    """A value with its row's place in the order of claims.

    Times are numbers here: Python would make them local times, which are not in order when clocks are put back.
    """
    return F.struct(
        F.unix_micros("publish_time").alias("published"),
        F.unix_micros("ingestion_ts").alias("ingested"),
        F.col("message_id"),
        F.substring(value, 1, SAMPLE_CHARACTERS).alias("sample"),
    )
