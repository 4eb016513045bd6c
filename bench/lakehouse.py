"""A whole lakehouse in one folder: SQLite for the catalogue's pointers, files beside it, DynamoDB and S3 by moto."""

import json
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyspark.sql import SparkSession

from bench import events
from ledgerlake.contracts import load
from ledgerlake.jobs.session import configuration
from ledgerlake.local.jars import ICEBERG, SQLITE, jars
from ledgerlake.settings import Buckets, Databases, DynamodbTables, Settings
from ledgerlake.state.contracts import active_key
from ledgerlake.state.gate import Admission
from ledgerlake.state.store import State
from ledgerlake.tables.ensure import ensure_contract, ensure_ops, ensure_topic
from ledgerlake.tables.lake import CATALOG, LAYERS, Lake, staging

REGION = "eu-west-1"
NAIVE = ("naive_standardized", "naive_curated")

SETTINGS = Settings(
    prefix="bench",
    region=REGION,
    buckets=Buckets(**{name: f"bench-{name}" for name in Buckets.model_fields}),
    databases=Databases(**{name: name for name in Databases.model_fields}),
    dynamodb_tables=DynamodbTables(**{name: f"bench-{name}" for name in DynamodbTables.model_fields}),
    firehose_name="bench-raw",
    queue_prefix="bench-",
    parallel_topics=2,
)
KEYS = {
    "checkpoints": ("topic", "stage"),
    "locks": ("topic",),
    "processing_enabled": ("topic",),
}


def make(home: Path) -> None:
    """Make the folder, the catalogue and its databases."""
    (home / "warehouse").mkdir(parents=True)
    with sqlite3.connect(home / "catalogue.db") as pointers:
        pointers.execute("PRAGMA journal_mode = WAL")  # who reads keeps nobody from committing
    opened = lake(home)
    for database in (*(opened.database(layer) for layer in LAYERS), *NAIVE):
        opened.catalog.create_namespace(database)
    ensure_ops(opened)


def lake(home: Path) -> Lake:
    """Open the lakehouse in a folder."""
    store = home / "catalogue.db"
    catalog = SqlCatalog(CATALOG, uri=f"sqlite:///{store}?timeout=60", warehouse=f"file://{home / 'warehouse'}")

    def locations(database: str) -> dict[str, str]:
        with sqlite3.connect(store) as pointers:
            query = "SELECT table_name, metadata_location FROM iceberg_tables WHERE table_namespace = ?"
            return dict(pointers.execute(query, (database,)).fetchall())

    roots = {layer: f"file://{home / 'warehouse' / layer}" for layer in LAYERS}
    return Lake(SETTINGS, catalog, locations, roots)


def land(home: Path, topic: str, files: Iterable[pa.Table]) -> None:
    """Append rows to a topic's RAW table, one commit per file, as Firehose does."""
    opened = lake(home)
    ensure_topic(opened, topic)
    table = opened.load("raw", staging(topic))
    for rows in files:
        table.append(rows)


def state(lake: Lake, topics: Iterable[str]) -> State:
    """Make empty state stores with these topics' contracts in force; moto must be mocking AWS."""
    dynamodb = boto3.resource("dynamodb", region_name=REGION)
    s3 = boto3.client("s3", region_name=REGION)
    for purpose, keys in KEYS.items():
        dynamodb.create_table(
            TableName=f"bench-{purpose}",
            KeySchema=[{"AttributeName": k, "KeyType": t} for k, t in zip(keys, ("HASH", "RANGE"), strict=False)],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    for name in ("ops", "contracts"):
        s3.create_bucket(Bucket=f"bench-{name}", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="bench-contracts", VersioningConfiguration={"Status": "Enabled"})
    made = State.connect(SETTINGS, dynamodb, s3)
    for topic in topics:
        made.gate.put(_publish(lake, s3, topic))
    return made


def _publish(lake: Lake, s3: Any, topic: str) -> Admission:
    text = json.dumps(events.contract(topic)).encode()
    ensure_contract(lake, load(text, topic))
    put = s3.put_object(Bucket="bench-contracts", Key=active_key(topic), Body=text)
    return Admission(topic, True, 1, "", put["VersionId"], curated=True)


def spark(home: Path) -> SparkSession:
    """Start Spark on the folder's catalogue; both lanes run with the same configuration."""
    catalog = {
        "type": "jdbc",
        "uri": f"jdbc:sqlite:{home / 'catalogue.db'}?busy_timeout=60000",
        "jdbc.schema-version": "V1",
        # Looking whether its tables exist, Iceberg leaves a query open, which keeps others from committing.
        "jdbc.init-catalog-tables": "false",
        "warehouse": f"file://{home / 'warehouse'}",
    }
    confs = configuration(catalog)
    confs |= {
        "spark.driver.extraClassPath": os.pathsep.join(str(jar) for jar in jars((*ICEBERG, *SQLITE))),
        "spark.driver.memory": "4g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.warehouse.dir": str(home / "spark-warehouse"),
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={home}",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("ledgerlake bench")
    for key, value in confs.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    # Sessions that load the SQLite driver at the same time, for the first time, find no tables.
    session.sql(f"SHOW NAMESPACES IN {CATALOG}").collect()
    return session


def bytes_in(home: Path, databases: Iterable[str]) -> int:
    """Return the bytes of all files under these databases, deleted rows' files included."""
    roots = (home / "warehouse" / database for database in databases)
    return sum(file.stat().st_size for root in roots if root.exists() for file in root.rglob("*") if file.is_file())
