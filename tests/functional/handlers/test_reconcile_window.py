"""The recent window of all topics: what the tables and the accept log say, in the log of the ledger and as metrics."""

import dataclasses
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from ledgerlake.handlers import clients, reconcile_window
from ledgerlake.ops import accepted, reconcile
from ledgerlake.ops.accepted import Accepted
from ledgerlake.ops.ledger import ARRIVAL, STANDARDIZE
from ledgerlake.ops.reconcile import Reconciler
from ledgerlake.ops.window import Window
from ledgerlake.tables import append
from ledgerlake.tables.ensure import ensure_topic

REGION = "eu-central-1"
NOW = datetime.now(UTC)
LATELY = NOW - timedelta(hours=2, minutes=30)


@pytest.fixture
def ops_bucket(settings):
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=settings.buckets.ops, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return settings.buckets.ops


@pytest.fixture
def accept(ops_bucket):
    """Log messages of a topic as accepted by the processor."""

    def log(*ids, topic="events", at=LATELY):
        messages = [Accepted(topic, message_id, f"sqs-{message_id}", "firehose") for message_id in ids]
        accepted.record(clients.s3(), ops_bucket, messages, at)

    return log


@pytest.fixture
def land(lake):
    def rows(*ids, topic="events", at=LATELY):
        row = {"topic_name": topic, "publish_time": at, "ingestion_ts": at, "json_payload": "{}"}
        append.append(lake.load("raw", f"{topic}_staging"), [row | {"message_id": i} for i in ids])

    return rows


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(reconcile, "PAUSE_SECONDS", 0)


@pytest.fixture
def run(lake, ops_bucket, context, monkeypatch):
    monkeypatch.setattr(reconcile_window, "lake", lambda: lake)
    return lambda: reconcile_window.handle({}, context)


@pytest.fixture
def log(lake):
    def rows():
        found = lake.load("ops", "reconciliation_log").scan().to_arrow().to_pylist()
        return {(row["topic_name"], row["formula"]): row for row in found}

    return rows


def metric(**dimensions):
    """The values of VariancePercent that were published lately under these dimensions."""
    found = boto3.client("cloudwatch", region_name=REGION).get_metric_statistics(
        Namespace="ledgerlake",
        MetricName="VariancePercent",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=datetime.now(UTC) - timedelta(hours=1),
        EndTime=datetime.now(UTC) + timedelta(hours=1),
        Period=3600,
        Statistics=["Maximum"],
    )
    return [point["Maximum"] for point in found["Datapoints"]]


def test_a_balanced_window_is_logged_and_its_variance_is_zero(run, accept, land, log):
    accept("m1", "m2")
    land("m1", "m2", "m2")
    assert run() == {"checked": 2, "variances": 0}
    rows = log()
    assert {key: (row["expected"], row["actual"], row["missing"], row["balanced"]) for key, row in rows.items()} == {
        ("events", ARRIVAL): (2, 2, 0, True),
        ("events", STANDARDIZE): (3, 3, 0, True),
    }
    arrival = rows["events", ARRIVAL]
    assert arrival["window_to"] - arrival["window_from"] == timedelta(hours=3)
    assert metric(environment="ledgerlake_test") == [0]
    assert metric(environment="ledgerlake_test", topic="events") == []


def test_a_message_that_never_arrived_is_named_and_raises_the_metrics(run, accept, land, log):
    accept("m1", "m2", "m3", "m4")
    land("m1", "m2", "m3")
    assert run()["variances"] == 1
    row = log()["events", ARRIVAL]
    assert (row["missing"], row["doubled"], row["variance_percent"], row["balanced"]) == (1, 0, 25, False)
    assert '"missing": ["m4"]' in row["details"]
    assert metric(environment="ledgerlake_test") == metric(environment="ledgerlake_test", topic="events") == [25]


def test_a_topic_whose_messages_all_got_lost_is_looked_at_too(run, accept, lake, log):
    ensure_topic(lake, "orders")
    accept("o1", topic="orders")
    assert run() == {"checked": 1, "variances": 1}
    assert list(log()) == [("orders", ARRIVAL)]


def test_what_was_accepted_a_moment_ago_is_in_flight(run, accept, log):
    accept("m1", at=datetime.now(UTC))
    assert run() == {"checked": 1, "variances": 0}
    assert '"in_flight": 1' in log()["events", ARRIVAL]["details"]


def test_a_variance_that_a_second_look_does_not_find_is_none(lake, ops_bucket, accept, land):
    accept("m1", "m2")
    land("m1")
    # Its commit came while the first look went on.
    reconciler = dataclasses.replace(Reconciler.of(lake, clients.s3()), wait=lambda _: land("m2"))
    assert all(found.balanced for found in reconciler.check(Window(LATELY, NOW)))


def test_where_nothing_came_there_is_nothing_to_tell(run, land, log):
    land("old", at=NOW - timedelta(days=2))
    assert run() == {"checked": 0, "variances": 0}
    assert log() == {}
    assert metric(environment="ledgerlake_test") == []


def test_a_large_window_is_looked_at_in_parts_with_the_same_result(lake, ops_bucket, accept, land, monkeypatch):
    for minute in range(0, 40, 10):
        accept(f"m{minute}", at=LATELY + timedelta(minutes=minute))
        land(f"m{minute}", at=LATELY + timedelta(minutes=minute))
    accept("gone", at=LATELY + timedelta(minutes=45))
    reconciler, window = Reconciler.of(lake, clients.s3()), Window(LATELY, LATELY + timedelta(hours=1))
    whole = reconciler.check(window)
    monkeypatch.setattr(reconcile, "ROWS_AT_ONCE", 1)
    assert reconciler.check(window) == whole
    assert [(found.expected, found.missing.samples) for found in whole] == [(5, ("gone",)), (4, ())]


def test_only_the_hours_and_topics_asked_for_are_listed(ops_bucket, accept):
    accept("m1")
    accept("o1", topic="orders")
    accept("m2", at=LATELY - timedelta(hours=3))
    s3 = clients.s3()
    ids = {m.message_id for m in accepted.read(s3, ops_bucket, LATELY, LATELY + timedelta(seconds=1))}
    assert ids == {"m1", "o1"}
    [only] = accepted.read(s3, ops_bucket, LATELY - timedelta(hours=1), NOW, ["orders"])
    assert only.message_id == "o1"
    many = [f"t{number}" for number in range(20)]
    assert [m.message_id for m in accepted.read(s3, ops_bucket, LATELY, NOW, [*many, "events"])] == ["m1"]
