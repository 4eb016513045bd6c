import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

from ledgerlake.failpoints import Crashed
from ledgerlake.handlers import intake, processor
from ledgerlake.handlers.processor import ForeignQueue, message_of
from ledgerlake.ops import accepted

REGION = "eu-central-1"
GOOD = json.dumps({"message_id": "m1", "publish_time": "2026-01-18T10:00:00Z", "json_payload": "{}"})


def record(number, body, queue="ledgerlake-test-events", **attributes):
    return {
        "messageId": f"s{number}",
        "body": body,
        "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:{queue}",
        "messageAttributes": {name: {"dataType": "String", "stringValue": v} for name, v in attributes.items()},
    }


class Firehose:
    """A stream that keeps what it takes, and refuses the records whose data contains `refuse`."""

    def __init__(self, refuse=b"\x00"):
        self.refuse = refuse
        self.taken = []

    def put_record_batch(self, **request):
        assert request["DeliveryStreamName"] == "ledgerlake-test-raw"
        results = []
        for record in request["Records"]:
            if self.refuse in record["Data"]:
                results.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "slow down"})
            else:
                self.taken.append(json.loads(record["Data"]))
                results.append({"RecordId": "r"})
        return {"FailedPutCount": sum("ErrorCode" in result for result in results), "RequestResponses": results}


@pytest.fixture
def ops_bucket(settings):
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=settings.buckets.ops, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return settings.buckets.ops


@pytest.fixture
def process(queues, ops_bucket, context, monkeypatch):
    def run(firehose, *records):
        intake.dead_letters.cache_clear()
        monkeypatch.setattr(intake.clients, "firehose", lambda: firehose)
        return processor.handle({"Records": list(records)}, context)

    return run


def test_messages_arrive_with_their_topic_and_source(process):
    firehose = Firehose()
    answer = process(firehose, record(1, GOOD), record(2, GOOD, source="s3://landing/events/a.jsonl#3"))
    assert answer == {"batchItemFailures": []}
    assert [(row["topic_name"], row["source"]) for row in firehose.taken] == [
        ("events", "sqs"),
        ("events", "s3://landing/events/a.jsonl#3"),
    ]


def test_only_what_was_not_delivered_is_delivered_again(process):
    answer = process(Firehose(refuse=b'"m1"'), record(1, GOOD), record(2, GOOD.replace("m1", "m2")))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "s1"}]}


def test_a_broken_message_lies_in_its_topics_dead_letter_queue_with_code_and_reason(process, queues, received):
    answer = process(Firehose(), record(1, '{"message_id": 7}', source="s3://b/k#1"))
    assert answer == {"batchItemFailures": []}
    [(body, attributes)] = received(queues["events-dlq"])
    assert body == '{"message_id": 7}'
    assert attributes == {
        "error_code": "wrong_type",
        "reason": "message_id must be a string, not a number",
        "source": "s3://b/k#1",
        "sqs.original_message_id": "s1",
    }


def test_a_reason_that_quotes_what_sqs_refuses_is_sent_all_the_same(process, queues, received):
    body = json.dumps({"message_id": "m1", "publish_time": "\u0000", "json_payload": "{}"})
    assert process(Firehose(), record(1, body)) == {"batchItemFailures": []}
    assert [sent for sent, _ in received(queues["events-dlq"])] == [body]


def test_a_broken_message_without_a_dead_letter_queue_stays(process, queues):
    boto3.client("sqs", region_name=REGION).delete_queue(QueueUrl=queues["events-dlq"])
    assert process(Firehose(), record(1, "broken")) == {"batchItemFailures": [{"itemIdentifier": "s1"}]}


@pytest.fixture
def log(ops_bucket):
    """What the accept log holds, as (message_id, SQS id, handed to)."""

    def read():
        now = datetime.now(UTC)
        s3 = boto3.client("s3", region_name=REGION)
        found = accepted.read(s3, ops_bucket, now - timedelta(hours=1), now + timedelta(hours=1))
        return sorted((m.message_id or "", m.sqs_id, m.handed_to, m.accepted_at) for m in found)

    return read


def test_what_was_accepted_stands_in_the_log_under_its_rows_ingestion_ts(process, log):
    firehose = Firehose(refuse=b'"m2"')
    process(firehose, record(1, GOOD), record(2, GOOD.replace("m1", "m2")), record(3, "broken"))
    [row] = firehose.taken
    taken = row["ingestion_ts"]
    assert log() == [("", "s3", "dlq", taken), ("m1", "s1", "firehose", taken)]


def test_a_call_that_accepts_nothing_leaves_no_object(process, ops_bucket):
    process(Firehose(refuse=b'"m1"'), record(1, GOOD))
    assert "Contents" not in boto3.client("s3", region_name=REGION).list_objects_v2(Bucket=ops_bucket)


def test_a_batch_that_cannot_be_logged_goes_back_whole(process, ops_bucket):
    boto3.client("s3", region_name=REGION).delete_bucket(Bucket=ops_bucket)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        process(Firehose(), record(1, GOOD))


def test_a_processor_that_dies_before_it_puts_has_let_go_of_nothing(process, arm, log):
    firehose = Firehose()
    arm("processor.before_put=crash*1")
    with pytest.raises(Crashed):
        process(firehose, record(1, GOOD))
    assert (firehose.taken, log()) == ([], [])
    process(firehose, record(1, GOOD))  # SQS hands the message out again
    assert [row["message_id"] for row in firehose.taken] == ["m1"]
    assert len(log()) == 1


def test_a_processor_that_dies_before_sqs_knows_brings_a_copy_and_loses_nothing(process, arm, log):
    firehose = Firehose()
    arm("processor.after_put_before_ack[events]=crash*1")
    with pytest.raises(Crashed):
        process(firehose, record(1, GOOD))
    assert process(firehose, record(1, GOOD)) == {"batchItemFailures": []}
    assert [row["message_id"] for row in firehose.taken] == ["m1", "m1"]
    assert [message_id for message_id, *_ in log()] == ["m1", "m1"]


def test_a_queue_that_is_no_topics_is_refused():
    with pytest.raises(ForeignQueue):
        message_of(record(1, GOOD, queue="another"), "ledgerlake-test-")
