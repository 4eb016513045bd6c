"""A contract that needs its tables rebuilt is handed over to the Glue job, and waits."""

import json
from types import SimpleNamespace

import pytest

from ledgerlake.handlers import clients, publish_contract
from ledgerlake.state.contracts import pending_key
from ledgerlake.state.requests import Requests
from ledgerlake.state.store import State
from ledgerlake.tables.ensure import ensure_topic

REGION = "eu-central-1"
TOPIC = "events"
FIRST = {
    "table_name": TOPIC,
    "envelope_columns": [],
    "payload_columns": [{"name": "at", "type": "timestamp"}],
    "partition_by": ["day(at)"],
}
REBUILT = FIRST | {"partition_by": [], "rebuild": {"reason": "too many partitions"}}
EVENT = {"detail": {"object": {"key": pending_key(TOPIC)}, "requester": "me"}}


@pytest.fixture
def publish(bucket, publisher, settings, lake, state_tables, monkeypatch, context):
    """Put a contract to pending, and have the function do what it does."""
    ensure_topic(lake, TOPIC)
    state = State.connect(settings, clients.dynamodb(), publisher.bucket.s3)
    monkeypatch.setattr(publish_contract, "lake", lambda: lake)
    monkeypatch.setattr(publish_contract, "state", lambda: state)

    def put(document):
        version_id = bucket.put_object(Key=pending_key(TOPIC), Body=json.dumps(document).encode()).version_id
        (told,) = publish_contract.handle(EVENT, context)["contracts"]
        return version_id, told

    return put


def test_the_job_is_started_with_the_upload_and_its_contract_waits(publish, publisher, settings, monkeypatch):
    publish(FIRST)
    started = []
    glue = SimpleNamespace(start_job_run=lambda **run: started.append(run) or {"JobRunId": "jr_1"})
    monkeypatch.setattr(clients, "settings", lambda: settings.model_copy(update={"rebuild_job": "lake-rebuild"}))
    monkeypatch.setattr(clients, "glue", lambda: glue)
    publisher.bucket.s3.create_bucket(
        Bucket=settings.buckets.ops, CreateBucketConfiguration={"LocationConstraint": REGION}
    )

    upload, told = publish(REBUILT)

    assert told["status"] == "rebuilding"
    assert publisher.bucket.head(pending_key(TOPIC)) is not None
    assert publisher.gate.get(TOPIC).contract_version == 1
    (run,) = started
    assert run["JobName"] == "lake-rebuild"
    request = Requests(publisher.bucket.s3, settings.buckets.ops).get(run["Arguments"]["--request"])
    assert request == {"topic": TOPIC, "version_id": upload, "principal": "me"}


def test_where_nothing_can_rebuild_tables_it_is_refused(publish):
    publish(FIRST)
    _, told = publish(REBUILT)
    assert told["status"] == "failed"
    assert told["problems"][0]["pointer"] == "/rebuild"
