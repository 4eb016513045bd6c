"""A function's environment in moto: settings, queues, buckets, state tables, and a lake in SQLite."""

import json
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledgerlake import failpoints
from ledgerlake.handlers import breaker, clients
from ledgerlake.ops.publish import Publisher
from ledgerlake.settings import Settings
from ledgerlake.state.checkpoints import Checkpoints
from ledgerlake.state.contracts import ContractsBucket
from ledgerlake.state.gate import Gate
from ledgerlake.state.locks import Locks
from ledgerlake.tables.ensure import ensure_ops, ensure_topic
from ledgerlake.tables.lake import LAYERS, Lake

REGION = "eu-central-1"
PREFIX = "ledgerlake-test-"
NAMES = ("landing", "raw", "standardized", "curated", "gold", "ops", "contracts", "artifacts")
STATE = {
    "checkpoints": ("topic", "stage"),
    "locks": ("topic",),
    "processing_enabled": ("topic",),
    "idempotency_keys": ("id",),
    "file_registry": ("object", "version"),
    "circuit_breakers": ("topic",),
}
CACHED = (
    breaker.breaker,
    clients.settings,
    clients.sqs,
    clients.firehose,
    clients.s3,
    clients.dynamodb,
    clients.state_machines,
    clients.cloudwatch,
    clients.glue,
)


@pytest.fixture(scope="session")
def boto3_session():
    """One for all tests: each new one reads the services' descriptions anew, megabytes of JSON."""
    return boto3.Session()


@pytest.fixture
def aws(boto3_session, monkeypatch):
    """moto as the AWS of this test."""
    for name, value in {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        monkeypatch.setattr("boto3.DEFAULT_SESSION", boto3_session)
        yield


@pytest.fixture
def settings(aws, monkeypatch):
    document = {
        "prefix": "ledgerlake_test",
        "region": REGION,
        "buckets": {name: f"{PREFIX}000000000000-{name}" for name in NAMES},
        "databases": {layer: f"ledgerlake_test_{layer}" for layer in LAYERS},
        "dynamodb_tables": {name: PREFIX + name for name in STATE},
        "firehose_name": f"{PREFIX}raw",
        "queue_prefix": PREFIX,
        "alerts_topic_arn": f"arn:aws:sns:{REGION}:123456789012:{PREFIX}alerts",
    }
    monkeypatch.setenv("LEDGERLAKE_SETTINGS", json.dumps(document))
    for make in CACHED:
        make.cache_clear()
    yield Settings.from_env()
    for make in CACHED:
        make.cache_clear()


@pytest.fixture
def arm(settings):
    """Arm failpoints for this test, as the settings of a deployed function would."""
    clients.settings()  # reading them arms what they say: nothing
    yield failpoints.arm
    failpoints.arm("")


@pytest.fixture
def context():
    """A Lambda context with time to spare."""
    return SimpleNamespace(
        function_name="ledgerlake-test",
        function_version="1",
        memory_limit_in_mb=512,
        invoked_function_arn=f"arn:aws:lambda:{REGION}:123456789012:function:ledgerlake-test",
        aws_request_id="request-1",
        get_remaining_time_in_millis=lambda: 300_000,
    )


@pytest.fixture
def queues(settings):
    """The topic `events` with its queue and dead-letter queue, by name."""
    sqs = boto3.client("sqs", region_name=REGION)
    return {
        name: sqs.create_queue(QueueName=PREFIX + name)["QueueUrl"]
        for name in ("events", "events-dlq", "orders", "orders-dlq")
    }


@pytest.fixture
def state_tables(settings):
    """All DynamoDB tables, by purpose."""
    dynamodb = boto3.resource("dynamodb", region_name=REGION)
    return {
        name: dynamodb.create_table(
            TableName=PREFIX + name,
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        for name, keys in STATE.items()
    }


@pytest.fixture
def lake(tmp_path, settings):
    """A lake in SQLite with the fixed tables and the topic `events`."""
    catalog = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}")
    for layer in LAYERS:
        catalog.create_namespace(getattr(settings.databases, layer))

    def locations(database):
        """As Glue lists tables: none of their files is read."""
        wanted = select(IcebergTables).where(IcebergTables.table_namespace == database)
        with Session(catalog.engine) as session:
            return {table.table_name: table.metadata_location for table in session.scalars(wanted)}

    lake = Lake(settings, catalog, locations, {layer: f"file://{tmp_path}/{layer}" for layer in LAYERS})
    ensure_ops(lake)
    ensure_topic(lake, "events")
    return lake


@pytest.fixture
def received(aws):
    """Read what a queue holds, without waiting: a list of (body, message attributes)."""
    sqs = boto3.client("sqs", region_name=REGION)

    def read(url):
        messages = []
        while got := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
        ).get("Messages"):
            messages += got
        return [(m["Body"], {k: v["StringValue"] for k, v in m.get("MessageAttributes", {}).items()}) for m in messages]

    return read


@pytest.fixture
def bucket(settings):
    """The contracts bucket."""
    s3 = boto3.client("s3", region_name=REGION)
    name = settings.buckets.contracts
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return boto3.resource("s3", region_name=REGION).Bucket(name)


@pytest.fixture
def publisher(bucket, state_tables, lake):
    """What publishes contracts here; it waits for no other."""
    objects = ContractsBucket(boto3.client("s3", region_name=REGION), bucket.name)
    locks = Locks(state_tables["locks"], Checkpoints(state_tables["checkpoints"]))
    return Publisher(objects, Gate(state_tables["processing_enabled"]), lake, locks, patience=0)
