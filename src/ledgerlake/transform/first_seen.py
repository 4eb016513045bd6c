"""Where paths and kinds of values turned up first: it decides who owns a column, and is told as drift (design 4.1)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.records.flatten import RESCUED, with_kinds
from ledgerlake.records.layout import Layout, Owned
from ledgerlake.transform.flattened import PAYLOAD

SAMPLE_CHARACTERS: Final = 200


def first_in_columns(columns: Sequence[Owned]) -> list[Column]:
    """Aggregates over flattened rows: each column's first struct<published, ingested, message_id, sample>, and in how
    many rows it holds a value.

    The first ones are called after the columns, NULL for one without any value; the counts as `count_of` says.
    """
    return [
        aggregate
        for owned in columns
        for aggregate in (
            F.min(F.when(F.col(owned.name).isNotNull(), _first(F.col(owned.name)))).alias(owned.name),
            F.count(owned.name).alias(count_of(owned.name)),
        )
    ]


def count_of(column: str) -> str:
    """What the count of a column's values is called."""
    return f"$count {column}"


def first_rescued(flat: DataFrame, most: int) -> DataFrame:
    """The first `most` paths found in `rescued`.

    Columns out: pointer, first struct<published, ingested, message_id, sample>, count (rows that hold it). Grain: one
    row per path.
    """
    paths = flat.where(F.col(RESCUED).isNotNull()).select(*_PLACE, F.explode(RESCUED).alias("pointer", "text"))
    return _firsts(paths).orderBy("first", "pointer").limit(most)


def first_of_kinds(raw: DataFrame, layout: Layout, wanted: Mapping[str, int]) -> DataFrame:
    """Where the paths' values (JSON Pointers) are of the wanted kinds (records.kinds): the first one, and how many.

    Columns out: pointer, first struct<published, ingested, message_id, sample>, count. Grain: one row per path.
    """
    function = partial(_with_kinds, layout=layout, wanted=dict(wanted))
    columns = ", ".join(f"{name} string" for name in ("message_id", "pointer", "text"))
    schema = f"publish_time timestamp, ingestion_ts timestamp, {columns}"
    return _firsts(raw.select(*_PLACE, PAYLOAD).mapInArrow(function, schema))


_PLACE: Final = ("publish_time", "ingestion_ts", "message_id")


def _with_kinds(
    batches: Iterable[pa.RecordBatch], layout: Layout, wanted: Mapping[str, int]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        found = list(with_kinds(batch.column(PAYLOAD), layout, wanted))
        places = batch.select(_PLACE).take(pa.array([row for row, _, _ in found], pa.int64()))
        texts = [pa.array([each[part] for each in found], pa.string()) for part in (1, 2)]
        yield pa.RecordBatch.from_arrays([*places.columns, *texts], names=[*_PLACE, "pointer", "text"])


def _firsts(found: DataFrame) -> DataFrame:
    """Each path's first value, and how many it has; `found` has a row's place, pointer and text."""
    values = found.select("pointer", _first(F.col("text")).alias("first"))
    return values.groupBy("pointer").agg(F.min("first").alias("first"), F.count("first").alias("count"))


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
