"""A lakehouse under test: RAW rows go in, jobs run, rows of any table come out."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession

from ledgerlake.contracts import Contract, load
from ledgerlake.jobs.context import Context
from ledgerlake.settings import Buckets, Databases, DynamodbTables, Settings
from ledgerlake.state.contracts import active_key
from ledgerlake.state.gate import Admission
from ledgerlake.state.store import State
from ledgerlake.tables import append
from ledgerlake.tables.ensure import ensure_contract, ensure_ops, ensure_topic
from ledgerlake.tables.lake import LAYERS, Lake, staging

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

START = datetime(2026, 1, 18, 10, tzinfo=UTC)
KEYS = {
    "checkpoints": ("topic", "stage"),
    "locks": ("topic",),
    "processing_enabled": ("topic",),
    "idempotency_keys": ("id",),
    "file_registry": ("object", "version"),
    "circuit_breakers": ("topic",),
}


def settings(prefix: str, region: str, endpoint: str) -> Settings:
    """Settings of an environment that no other test has."""
    hyphens = prefix.replace("_", "-")
    layers = ("landing", "raw", "standardized", "curated", "gold", "ops", "contracts", "artifacts")
    return Settings(
        prefix=prefix,
        region=region,
        buckets=Buckets(**{name: f"{hyphens}-{name}" for name in layers}),
        databases=Databases(**{layer: f"{prefix}_{layer}" for layer in LAYERS}),
        dynamodb_tables=DynamodbTables(**{name: f"{hyphens}-{name}" for name in KEYS}),
        firehose_name=f"{hyphens}-raw",
        queue_prefix=f"{hyphens}-",
        endpoint_url=endpoint,
    )


def message(
    message_id: str,
    payload: object,
    minutes: float = 0,
    *,
    key: str | None = None,
    arrives: float | None = None,
    source: str = "sqs",
    attributes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A RAW row; `minutes` after START it was published, and at `arrives` (else at once) it was taken."""
    published = START + timedelta(minutes=minutes)
    return {
        "message_id": message_id,
        "idempotency_key": key,
        "publish_time": published,
        "ingestion_ts": published if arrives is None else START + timedelta(minutes=arrives),
        "source": source,
        "attributes": None if attributes is None else json.dumps(attributes),
        "json_payload": payload if isinstance(payload, str) else json.dumps(payload),
    }


class Lakehouse:
    """Lake, state and Spark of one test."""

    def __init__(self, lake: Lake, state: State, spark: SparkSession | None) -> None:
        self.lake, self.state, self.spark = lake, state, spark

    def set_up(self, dynamodb: "DynamoDBServiceResource") -> None:
        for layer in LAYERS:
            self.lake.catalog.create_namespace(self.lake.database(layer))
        for name, keys in KEYS.items():
            dynamodb.create_table(
                TableName=getattr(self.lake.settings.dynamodb_tables, name),
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                BillingMode="PAY_PER_REQUEST",
            )
        for bucket in self.lake.settings.buckets.model_dump().values():
            self.state.s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.lake.settings.region}
            )
        self.state.s3.put_bucket_versioning(
            Bucket=self.lake.settings.buckets.contracts, VersioningConfiguration={"Status": "Enabled"}
        )
        ensure_ops(self.lake)

    def publish(self, document: Mapping[str, Any], version: int = 1) -> Contract:
        """Put a contract in force, as the publish handler does."""
        topic, text = document["table_name"], json.dumps(document).encode()
        contract = load(text, topic)
        ensure_contract(self.lake, contract)
        answer = self.state.s3.put_object(Bucket=self.lake.settings.buckets.contracts, Key=active_key(topic), Body=text)
        self.state.gate.put(Admission(topic, True, version, "", answer["VersionId"], contract.curated))
        return contract

    def land(self, topic: str, *messages: Mapping[str, Any]) -> None:
        """Append messages to RAW in one snapshot."""
        ensure_topic(self.lake, topic)
        table = self.lake.load("raw", staging(topic))
        append.append(table, [{"topic_name": topic, **one} for one in messages])

    def context(self, cycle_id: str = "cycle") -> Context:
        return Context(self.lake, self.state, self.spark.newSession(), cycle_id)

    def snapshots(self, layer: str, table: str) -> int:
        """How many snapshots a table has: a run that changes nothing adds none."""
        return len(self.lake.load(layer, table).snapshots())  # type: ignore[arg-type]

    def forget(self, topic: str, stage: str) -> None:
        """Lose a checkpoint."""
        self.state.checkpoints._table.delete_item(Key={"topic": topic, "stage": stage})

    def expire_locks(self) -> None:
        """Let time pass: what a dead run held is anybody's."""
        locks = self.state.locks._table
        for item in locks.scan(ConsistentRead=True)["Items"]:
            locks.put_item(Item=item | {"expires_at": 0})

    def rows(
        self, layer: str, table: str, columns: Iterable[str] = ("*",), where: str = "true"
    ) -> list[dict[str, Any]]:
        """A table's rows as Spark reads them."""
        frame = self.spark.newSession().table(self.lake.spark_name(layer, table))  # type: ignore[arg-type]
        return [row.asDict(recursive=True) for row in frame.where(where).select(*columns).collect()]

    def ids(self, layer: str, table: str, where: str = "true") -> list[str]:
        """The message_ids in a table, sorted."""
        return sorted(row["message_id"] for row in self.rows(layer, table, ["message_id"], where))
