"""RAW's rows flattened, by the kernel that every engine uses (design 4.0)."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.types import MapType, StringType, StructField, StructType, TimestampType

from ledgerlake.contracts.sources import Attribute, Path
from ledgerlake.records import kinds
from ledgerlake.records.flatten import ERROR_CODE, ERROR_MESSAGE, RESCUED, flatten_and_tell
from ledgerlake.records.idempotency import idempotency_keys
from ledgerlake.records.layout import Layout
from ledgerlake.records.sources import null_where

PAYLOAD = "json_payload"
BAD_PAYLOAD = "$json_payload"
"""The bad rows' payload in the flattened frame; a payload may have a json_payload of its own."""
KINDS = "$kinds"
"""In one row of each Arrow batch: the kinds of its columns' values (records.kinds.written); NULL in the others."""
_ENVELOPE = ("message_id", "topic_name", "idempotency_key", "publish_time", "ingestion_ts", "attributes")
_READ = (*_ENVELOPE, PAYLOAD)
_TIMES = frozenset({"publish_time", "ingestion_ts"})

Sources = Sequence[Path | Attribute]


def flattened(raw: DataFrame, layout: Layout, key: Sources, passed: Sequence[str] = ()) -> DataFrame:
    """One row for each of RAW's rows: its envelope with the resolved idempotency_key, then the payload's columns.

    Columns out: message_id, topic_name, idempotency_key, publish_time, ingestion_ts, attributes, the layout's (text),
    rescued, $error_code and $error_message (NULL for a good payload), $json_payload (for a bad payload only), $kinds,
    and the columns of text that are `passed` on as they are.
    """
    function = partial(_flatten_batches, layout=layout, key=tuple(key), passed=tuple(passed))
    return raw.select(*_READ, *passed).mapInArrow(function, _schema(layout, passed))


def _schema(layout: Layout, passed: Sequence[str]) -> StructType:
    def column(name: str) -> StructField:
        return StructField(name, TimestampType() if name in _TIMES else StringType())

    return StructType(
        [
            *map(column, _ENVELOPE),
            *(column(owned.name) for owned in layout.columns),
            StructField(RESCUED, MapType(StringType(), StringType())),
            *map(column, (ERROR_CODE, ERROR_MESSAGE, BAD_PAYLOAD, KINDS, *passed)),
        ]
    )


def _flatten_batches(
    batches: Iterable[pa.RecordBatch], layout: Layout, key: Sources, passed: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield _flatten_batch(batch, layout, key, passed)


def _flatten_batch(batch: pa.RecordBatch, layout: Layout, key: Sources, passed: Sequence[str]) -> pa.RecordBatch:
    flat, seen = flatten_and_tell(batch.column(PAYLOAD), layout)
    envelope = {name: batch.column(name) for name in _ENVELOPE}
    sources = pa.RecordBatch.from_pydict(
        {**dict(zip(flat.schema.names, flat.columns, strict=True)), "attributes": envelope["attributes"]}
    )
    envelope["idempotency_key"] = idempotency_keys(sources, key, layout, envelope["idempotency_key"])
    bad = pc.is_valid(flat.column(ERROR_CODE))
    payload = null_where(batch.column(PAYLOAD), pc.invert(bad))
    told = pa.array([kinds.written(seen)][: batch.num_rows] + [None] * (batch.num_rows - 1), pa.string())
    columns = [*envelope.values(), *flat.columns, payload, told, *(batch.column(name) for name in passed)]
    return pa.RecordBatch.from_arrays(columns, names=[*envelope, *flat.schema.names, BAD_PAYLOAD, KINDS, *passed])
