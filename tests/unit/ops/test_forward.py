import json
from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber

from ledgerlake.ops.dead_letters import DeadLetters
from ledgerlake.ops.forward import (
    MAX_BATCH_BYTES,
    MAX_RECORD_BYTES,
    MAX_RECORDS,
    Message,
    Row,
    batches,
    forward,
    raw_row,
)

NOW = datetime(2026, 1, 18, 10, 0, 5, tzinfo=UTC)
OK = {"RecordId": "r"}
SLOW_DOWN = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "slow down"}


def envelope(number: int, payload: str = '{"a": 1.10}', **more: object) -> str:
    base = {"message_id": f"m{number}", "publish_time": "2026-01-18T10:00:00.123Z", "json_payload": payload}
    return json.dumps(base | more)


def messages(*bodies: str) -> list[Message]:
    return [Message(f"s{number}", "events", body) for number, body in enumerate(bodies)]


class Dlq(DeadLetters):
    """Dead-letter queues that keep what they are sent, or refuse it."""

    def __init__(self, works: bool = True) -> None:
        self.works = works
        self.sent: list[tuple[str, str, str, str]] = []
        self.sqs_ids: list[str] = []

    def send(self, topic: str, body: str, code: str, reason: str, *, source: str = "sqs", sqs_id: str = "") -> bool:
        self.sqs_ids.append(sqs_id)
        if self.works:
            self.sent.append((topic, body, code, source))
        return self.works


@pytest.fixture
def firehose():
    client = boto3.client(
        "firehose", region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    with Stubber(client) as stub:
        yield stub


def answers(firehose, *calls):
    for results in calls:
        failed = sum("ErrorCode" in result for result in results)
        firehose.add_response("put_record_batch", {"FailedPutCount": failed, "RequestResponses": list(results)})


def run(firehose, batch, dlq=None):
    return forward(batch, NOW, firehose.client, "lake-raw", dlq or Dlq(), wait=lambda _: None)


def test_the_row_is_raws_with_times_in_microseconds():
    row = raw_row(Message("s1", "events", envelope(1, attributes={"k": "v"}), source="s3://b/k#7"), NOW)
    assert json.loads(row.data) == {
        "message_id": "m1",
        "topic_name": "events",
        "idempotency_key": None,
        "publish_time": 1768730400123000,
        "ingestion_ts": 1768730405000000,
        "source": "s3://b/k#7",
        "attributes": '{"k":"v"}',
        "json_payload": '{"a": 1.10}',
    }


def test_all_that_firehose_takes_is_delivered(firehose):
    answers(firehose, [OK, OK])
    result = run(firehose, messages(envelope(1), envelope(2)))
    assert (result.delivered, result.dead_lettered, result.retry) == (2, 0, frozenset())


def test_only_what_firehose_refused_is_put_again(firehose):
    batch = messages(envelope(1), envelope(2), envelope(3))
    refused = raw_row(batch[1], NOW).data
    answers(firehose, [OK, SLOW_DOWN, OK])
    firehose.add_response(
        "put_record_batch",
        {"FailedPutCount": 0, "RequestResponses": [OK]},
        {"DeliveryStreamName": "lake-raw", "Records": [{"Data": refused}]},
    )
    assert run(firehose, batch).delivered == 3
    firehose.assert_no_pending_responses()


def test_what_firehose_keeps_refusing_goes_back_to_the_queue_and_nothing_else(firehose):
    answers(firehose, [OK, SLOW_DOWN], [SLOW_DOWN], [SLOW_DOWN], [SLOW_DOWN])
    result = run(firehose, messages(envelope(1), envelope(2)))
    assert (result.delivered, result.retry) == (1, {"s1"})


def test_a_call_that_fails_every_time_sends_its_whole_batch_back(firehose):
    for _ in range(4):
        firehose.add_client_error("put_record_batch", "ServiceUnavailableException")
    result = run(firehose, messages(envelope(1), envelope(2)))
    assert (result.delivered, result.retry) == (0, {"s0", "s1"})


def test_a_broken_envelope_goes_to_the_dead_letter_queue_and_harms_no_other(firehose):
    dlq = Dlq()
    answers(firehose, [OK])
    result = run(firehose, messages("no json", envelope(2)), dlq)
    assert (result.delivered, result.dead_lettered, result.retry) == (1, 1, frozenset())
    assert dlq.sent == [("events", "no json", "not_json", "sqs")]
    assert dlq.sqs_ids == ["s0"]


def test_a_broken_envelope_stays_on_its_queue_when_the_dead_letter_queue_refuses_it(firehose):
    answers(firehose, [OK])
    result = run(firehose, messages("no json", envelope(2)), Dlq(works=False))
    assert (result.delivered, result.dead_lettered, result.retry) == (1, 0, {"s0"})


def test_accepted_is_what_firehose_or_a_dead_letter_queue_has_and_nothing_that_goes_back(firehose):
    answers(firehose, [OK, SLOW_DOWN], [SLOW_DOWN], [SLOW_DOWN], [SLOW_DOWN])
    result = run(firehose, messages(envelope(1), "no json", envelope(2)))
    assert [(m.topic, m.message_id, m.sqs_id, m.handed_to) for m in result.accepted] == [
        ("events", None, "s1", "dlq"),
        ("events", "m1", "s0", "firehose"),
    ]
    assert result.retry == {"s2"}


def test_a_row_over_firehoses_limit_goes_to_the_dead_letter_queue(firehose):
    dlq = Dlq()
    body = envelope(1, payload="x" * MAX_RECORD_BYTES)
    assert run(firehose, messages(body), dlq).dead_lettered == 1
    assert dlq.sent == [("events", body, "too_large", "sqs")]


def test_a_payload_that_is_no_json_is_delivered(firehose):
    answers(firehose, [OK])
    assert run(firehose, messages(envelope(1, payload="{broken"))).delivered == 1


def test_batches_keep_firehoses_limits_and_the_order():
    rows = [Row(str(number), f"m{number}", b"x") for number in range(1201)]
    assert [len(batch) for batch in batches(rows)] == [MAX_RECORDS, MAX_RECORDS, 201]
    large = [Row(str(number), f"m{number}", b"x" * 1_000_000) for number in range(9)]
    split = list(batches(large))
    assert all(sum(len(row.data) for row in batch) <= MAX_BATCH_BYTES for batch in split)
    assert [row for batch in split for row in batch] == large
