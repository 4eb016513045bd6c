import json

import boto3
import pytest

from ledgerlake.failpoints import Crashed
from ledgerlake.handlers import drain_dlq
from ledgerlake.ops import drain as draining
from ledgerlake.ops.drain import SQS_MESSAGE_ID, delete

REGION = "eu-central-1"


@pytest.fixture
def drain(lake, context, monkeypatch):
    monkeypatch.setattr(drain_dlq, "lake", lambda: lake)
    return lambda: drain_dlq.handle({}, context)


@pytest.fixture
def rows(lake):
    return lambda: sorted(lake.load("raw", "dlq_errors").scan().to_arrow().to_pylist(), key=lambda row: row["body"])


def send(url, body, **attributes):
    sqs = boto3.client("sqs", region_name=REGION)
    given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    return sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=given)["MessageId"]


def left(url):
    sqs = boto3.client("sqs", region_name=REGION)
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(map(int, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


def test_every_dead_letter_becomes_a_row_with_its_reason_and_leaves_its_queue(queues, drain, rows):
    body = '{"message_id": "m1", "publish_time": 7}'
    sqs_id = send(queues["events-dlq"], body, error_code="bad_type", reason="publish_time: a number")
    send(queues["orders-dlq"], "not even JSON")
    assert drain() == {"written": 2, "written_before": 0, "deleted": 2}
    broken, other = sorted(rows(), key=lambda row: row["topic_name"])
    assert (broken["message_id"], broken["topic_name"], broken["queue"]) == (
        "m1",
        "events",
        "ledgerlake-test-events-dlq",
    )
    assert (broken["body"], broken["error_code"], broken["reason"]) == (body, "bad_type", "publish_time: a number")
    assert json.loads(broken["attributes"])[SQS_MESSAGE_ID] == sqs_id
    assert broken["sent_at"] <= broken["drained_at"]
    assert broken["receive_count"] == 1
    assert (other["message_id"], other["topic_name"], other["error_code"]) == (None, "orders", "not_delivered")
    assert left(queues["events-dlq"]) == left(queues["orders-dlq"]) == 0


def test_empty_queues_cost_no_commit(queues, drain, lake):
    assert drain() == {"written": 0, "written_before": 0, "deleted": 0}
    assert lake.load("raw", "dlq_errors").current_snapshot() is None


def test_topic_queues_are_left_alone(queues, drain):
    send(queues["events"], "a message on its way")
    assert drain()["written"] == 0
    assert left(queues["events"]) == 1


def test_one_drain_is_one_commit(queues, drain, lake):
    for number in range(25):
        send(queues["events-dlq"], f"{number}")
    assert drain()["written"] == 25
    assert len(lake.load("raw", "dlq_errors").snapshots()) == 1


def test_nothing_is_deleted_when_the_write_fails(queues, drain, lake, monkeypatch):
    send(queues["events-dlq"], "kept")

    def refuse(*_):
        raise OSError("no space")

    monkeypatch.setattr(draining, "append", refuse)
    with pytest.raises(OSError, match="no space"):
        drain()
    assert left(queues["events-dlq"]) == 1


def test_a_drain_that_died_after_its_write_is_finished_without_a_second_row(queues, drain, rows, arm, monkeypatch):
    send(queues["events-dlq"], "once")
    monkeypatch.setattr(draining, "INVISIBLE_SECONDS", 0)
    monkeypatch.setattr(draining, "MAX_MESSAGES", 1)
    arm("drain.after_write_before_delete=crash*1")
    with pytest.raises(Crashed):
        drain()
    assert left(queues["events-dlq"]) == 1
    assert drain() == {"written": 0, "written_before": 1, "deleted": 1}
    assert [row["body"] for row in rows()] == ["once"]
    assert left(queues["events-dlq"]) == 0


def test_what_is_over_one_drains_limit_waits_for_the_next(queues, drain, rows, monkeypatch):
    monkeypatch.setattr(draining, "MAX_MESSAGES", 10)
    for number in range(15):
        send(queues["events-dlq"], f"{number:02}")
    assert drain()["written"] == 10
    assert left(queues["events-dlq"]) == 5
    assert drain()["written"] == 5
    assert [row["body"] for row in rows()] == [f"{number:02}" for number in range(15)]


def test_it_stops_receiving_in_time_to_write(queues, drain, rows, context):
    send(queues["events-dlq"], "later")
    times = iter([60_000])
    context.get_remaining_time_in_millis = lambda: next(times, 20_000)
    assert drain()["written"] == 0
    assert left(queues["events-dlq"]) == 1


def test_binary_attributes_are_kept_as_base64(queues, drain, rows):
    boto3.client("sqs", region_name=REGION).send_message(
        QueueUrl=queues["events-dlq"],
        MessageBody="b",
        MessageAttributes={"trace": {"DataType": "Binary", "BinaryValue": b"\xff\x00"}},
    )
    drain()
    assert json.loads(rows()[0]["attributes"])["trace"] == "/wA="


def test_deleting_nothing_calls_nothing():
    assert delete(None, []) == 0
