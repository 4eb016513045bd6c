"""The accept log against RAW and the tables of failures, in Spark: accepted messages that stand nowhere, by name."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import boto3
import msgspec
import pyarrow as pa
from pyiceberg.table import Table
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.jobs.context import Context
from ledgerlake.ops import accepted
from ledgerlake.ops.accepted import Accepted, microseconds
from ledgerlake.ops.dead_letters import ORIGINAL_ID
from ledgerlake.tables.definitions import DLQ_ERRORS, FIREHOSE_ERRORS
from ledgerlake.tables.lake import staging

COLUMNS = "message_id string, sqs_id string, handed_to string, accepted_at long"
# So many objects of the log one task reads; each holds a call's messages.
OBJECTS_PER_TASK = 2_000


@dataclass(frozen=True)
class Arrived:
    """The accept log of one topic: its objects, and the times [since, until) of it that count."""

    keys: Sequence[str]
    since: datetime
    until: datetime


def arrivals(context: Context, since: datetime, until: datetime) -> dict[str, Arrived]:
    """What of the log there is for each topic, told by one listing of its hours."""
    found: dict[str, list[str]] = defaultdict(list)
    for key in accepted.keys(context.state.s3, context.settings.buckets.ops, since, until):
        found[accepted.topic_of(key)].append(key)
    return {topic: Arrived(keys, since, until) for topic, keys in found.items()}


def lost(context: Context, topic: str, arrived: Arrived, raw: Table | None) -> tuple[int, DataFrame]:
    """How many messages were accepted, and as findings those in no table; a broken envelope goes by its SQS id."""
    log = _log(context, arrived)
    sent = log.where("handed_to = 'firehose'").select("message_id").distinct()
    set_aside = log.where("handed_to = 'dlq'").select(F.col("sqs_id").alias("message_id")).distinct()
    messages = sent.count() + set_aside.count()
    since = F.lit(arrived.since.isoformat()).cast("timestamp")
    if raw is not None:
        landed = context.table("raw", staging(topic)).where(F.col("ingestion_ts") >= since)
        sent = sent.join(landed.select("message_id"), "message_id", "left_anti")
    undelivered = context.table("raw", FIREHOSE_ERRORS).where(F.col("failed_at") >= since).select("message_id")
    drained = context.table("raw", DLQ_ERRORS).where((F.col("topic_name") == topic) & (F.col("drained_at") >= since))
    original = F.get_json_object("attributes", f"$['{ORIGINAL_ID}']").alias("message_id")
    missing = sent.join(undelivered, "message_id", "left_anti").unionByName(
        set_aside.join(drained.select(original), "message_id", "left_anti")
    )
    place = F.lit(accepted.PREFIX).alias("place")
    return messages, missing.select("message_id", F.lit("missing").alias("finding"), place)


def _log(context: Context, arrived: Arrived) -> DataFrame:
    """The log's lines, read where Spark runs: its objects may be many."""
    settings = context.settings
    region, endpoint, bucket = settings.region, settings.endpoint_url, settings.buckets.ops

    def read(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        s3 = boto3.client("s3", region_name=region, endpoint_url=endpoint)
        decode = msgspec.json.Decoder(Accepted).decode_lines
        for batch in batches:
            for key in batch.column("key").to_pylist():
                lines = decode(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
                yield pa.RecordBatch.from_pylist([msgspec.structs.asdict(line) for line in lines], schema=_SCHEMA)

    keys = context.spark.createDataFrame([(key,) for key in arrived.keys], "key string")
    tasks = max(1, len(arrived.keys) // OBJECTS_PER_TASK)
    first, last = microseconds(arrived.since), microseconds(arrived.until)
    within = (F.col("accepted_at") >= first) & (F.col("accepted_at") < last)
    return keys.repartition(tasks).mapInArrow(read, COLUMNS).where(within)


_SCHEMA = pa.schema(
    [("message_id", pa.string()), ("sqs_id", pa.string()), ("handed_to", pa.string()), ("accepted_at", pa.int64())]
)
