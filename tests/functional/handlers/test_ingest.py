import base64
import gzip
import json
import sys
from datetime import UTC, datetime

import boto3
import pytest

from ledgerlake.failpoints import Crashed
from ledgerlake.handlers import ingest
from ledgerlake.ops import ingest as ingesting
from ledgerlake.ops.enqueue import NotSent, Outgoing, Queue, QueueSender, batches
from ledgerlake.ops.ingest import OutOfTime
from ledgerlake.records import envelope
from ledgerlake.state.file_registry import Busy, FileRegistry

REGION = "eu-central-1"
LINES = b'{"a": 1.10}\n{"b": \n{"a": 1.10}\n'


@pytest.fixture
def s3(settings):
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=settings.buckets.landing, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=settings.buckets.landing, VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture
def land(s3, settings):
    """Put an object and return the notification that S3 sends for it."""

    def put(key, data, announced=None):
        answer = s3.put_object(Bucket=settings.buckets.landing, Key=key, Body=data)
        entity = {"key": announced or key, "eTag": answer["ETag"].strip('"'), "versionId": answer["VersionId"]}
        return {"Records": [{"s3": {"bucket": {"name": settings.buckets.landing}, "object": entity}}]}

    return put


@pytest.fixture
def run(queues, state_tables, context):
    for cached in (ingest._queues, ingest._dead_letters, ingest._registry):
        cached.cache_clear()
    yield lambda event: ingest.handle(event, context)["objects"]
    for cached in (ingest._queues, ingest._dead_letters, ingest._registry):
        cached.cache_clear()


@pytest.fixture
def registered(state_tables):
    return lambda: state_tables["file_registry"].scan()["Items"]


def envelopes(messages):
    return [envelope.parse(body, "events") for body, _ in messages]


def test_every_line_becomes_a_message_and_a_broken_one_is_kept_as_it_is(land, run, queues, received, settings):
    [outcome] = run(land("landing/events/day 1.jsonl", LINES, announced="landing/events/day+1.jsonl"))
    assert (outcome["outcome"], outcome["sent"]) == ("done", 3)
    messages = received(queues["events"])
    by_source = {attributes["source"]: envelope.parse(body, "events") for body, attributes in messages}
    root = f"s3://{settings.buckets.landing}/landing/events/day 1.jsonl"
    assert {source: found.json_payload for source, found in by_source.items()} == {
        f"{root}#1": '{"a": 1.10}',
        f"{root}#2": '{"b": ',
        f"{root}#3": '{"a": 1.10}',
    }
    assert len({found.message_id for found in by_source.values()}) == 3


def test_the_later_of_two_lines_is_published_later(land, run, queues, received):
    before = datetime.now(UTC).replace(microsecond=0)
    run(land("landing/events/a.jsonl", b'{"v":1}\n{"v":2}\n'))
    times = {e.json_payload: e.publish_time for e in envelopes(received(queues["events"]))}
    assert times['{"v":2}'] == times['{"v":1}'] + 1
    assert before <= datetime.fromtimestamp(times['{"v":1}'] / 1e6, UTC) <= datetime.now(UTC)


def test_the_same_content_has_the_same_ids_under_any_name(land, run, queues, received):
    run(land("landing/events/a.jsonl", LINES))
    first = {e.message_id for e in envelopes(received(queues["events"]))}
    run(land("landing/events/b.jsonl.gz", gzip.compress(LINES)))
    assert {e.message_id for e in envelopes(received(queues["events"]))} == first


def test_an_object_that_is_announced_twice_is_ingested_once(land, run, queues, received, registered):
    event = land("landing/events/a.jsonl", LINES)
    run(event)
    assert run(event)[0]["outcome"] == "already_ingested"
    assert len(received(queues["events"])) == 3
    [item] = registered()
    assert (item["status"], item["sent"], item["position"]) == ("done", 3, 3)


def test_a_new_version_of_an_object_is_another_object(land, run, registered):
    run(land("landing/events/a.jsonl", LINES))
    run(land("landing/events/a.jsonl", LINES))
    assert [item["status"] for item in registered()] == ["done", "done"]


@pytest.mark.parametrize(
    ("name", "data", "payloads"),
    [
        ("one.json", b'{\n "a": 1\n}\n', ['{\n "a": 1\n}']),
        ("array.json", b'[{"a": 1}, {"a": 2}]', ['{"a": 1}', '{"a": 2}']),
        ("lines.json", b'{"a": 1}\n{"a": 2}\n', ['{"a": 1}', '{"a": 2}']),
        ("array.json.gz", gzip.compress(b'[{"a": 1},{"a": 2}]'), ['{"a": 1}', '{"a": 2}']),
        ("members.jsonl.gz", gzip.compress(b'{"a":1}\n') + gzip.compress(b'{"a":2}\n'), ['{"a":1}', '{"a":2}']),
        ("empty.jsonl", b"", []),
    ],
)
def test_the_file_forms(land, run, queues, received, name, data, payloads):
    run(land(f"landing/events/2026/01/{name}", data))
    assert sorted(e.json_payload for e in envelopes(received(queues["events"]))) == payloads


def test_the_folder_landing_may_be_left_out(land, run, queues, received):
    assert run(land("events/a.jsonl", b"{}"))[0]["outcome"] == "done"
    assert len(received(queues["events"])) == 1


def test_bytes_that_are_no_text_travel_whole(land, run, queues, received):
    run(land("landing/events/a.jsonl", b'{"a":"\xff"}\n'))
    [found] = envelopes(received(queues["events"]))
    assert found.attributes == {"ledgerlake.encoding": "base64"}
    assert base64.b64decode(found.json_payload.removeprefix("base64:")) == b'{"a":"\xff"}'


def test_characters_that_sqs_refuses_are_escaped(land, run, queues, received):
    text = '{"a":"\uffff\ufffe\x01"}'
    run(land("landing/events/a.jsonl", text.encode()))
    [(body, _)] = received(queues["events"])
    assert "\uffff" not in body
    assert envelope.parse(body, "events").json_payload == text


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("landing/strangers/a.jsonl", "unknown_topic"),
        ("landing/events/a.csv", "unsupported_suffix"),
        ("landing/a.jsonl", "no_topic"),
        ("landing/Not a topic/a.jsonl", "no_topic"),
    ],
)
def test_what_cannot_be_ingested_is_refused_with_its_reason_and_stays(land, run, registered, s3, settings, key, code):
    [outcome] = run(land(key, LINES))
    assert (outcome["outcome"], outcome["code"]) == ("refused", code)
    [item] = registered()
    assert (item["status"], item["error_code"]) == ("failed", code)
    assert item["failure"] == outcome["reason"]
    assert s3.get_object(Bucket=settings.buckets.landing, Key=key)["Body"].read() == LINES


def test_a_refused_object_is_ingested_when_it_is_announced_again_after_the_repair(land, run, registered):
    event = land("landing/late/a.jsonl", LINES)
    assert run(event)[0]["outcome"] == "refused"
    boto3.client("sqs", region_name=REGION).create_queue(QueueName="ledgerlake-test-late")
    assert run(event)[0]["outcome"] == "done"
    assert "error_code" not in registered()[0]


def test_a_broken_gzip_sends_what_it_holds_and_is_refused(land, run, queues, received, registered):
    whole = gzip.compress(b'{"a":1}\n')
    [outcome] = run(land("landing/events/a.jsonl.gz", whole + whole[:-6]))
    assert outcome["code"] == "bad_gzip"
    assert registered()[0]["status"] == "failed"


def test_an_object_that_is_gone_is_refused(land, run, s3, settings):
    event = land("landing/events/a.jsonl", LINES)
    entity = event["Records"][0]["s3"]["object"]
    s3.delete_object(Bucket=settings.buckets.landing, Key=entity["key"], VersionId=entity["versionId"])
    assert run(event)[0]["code"] == "object_gone"


def test_the_announced_version_is_read_even_when_a_newer_one_is_there(land, run, queues, received):
    event = land("landing/events/a.jsonl", b'{"v":1}')
    land("landing/events/a.jsonl", b'{"v":2}')
    run(event)
    assert [e.json_payload for e in envelopes(received(queues["events"]))] == ['{"v":1}']


def test_a_record_too_large_for_a_message_leaves_a_dead_letter_that_says_where_it_is(
    land, run, queues, received, settings, registered
):
    data = b'{"a":1}\n{"big":"' + b"x" * 1_100_000 + b'"}\n{"b":2}\n'
    [outcome] = run(land("landing/events/a.jsonl", data))
    assert (outcome["sent"], outcome["too_large"]) == (2, 1)
    [(body, attributes)] = received(queues["events-dlq"])
    assert attributes["error_code"] == "too_large"
    pointer = json.loads(body)
    assert pointer["source"] == f"s3://{settings.buckets.landing}/landing/events/a.jsonl#2"
    assert pointer["record_bytes"] == 1_100_010
    assert pointer["message_id"]
    assert registered()[0]["too_large"] == 1


def test_a_record_is_too_large_when_its_queue_says_so(land, run, queues, received):
    sqs = boto3.client("sqs", region_name=REGION)
    sqs.set_queue_attributes(QueueUrl=queues["events"], Attributes={"MaximumMessageSize": "2048"})
    [outcome] = run(land("landing/events/a.jsonl", b'{"a":"' + b"x" * 2000 + b'"}\n{"b":2}\n'))
    assert (outcome["sent"], outcome["too_large"]) == (1, 1)
    assert [attributes["error_code"] for _, attributes in received(queues["events-dlq"])] == ["too_large"]


def test_an_ingest_out_of_time_is_resumed_by_its_retry_without_a_second_sending(
    land, run, queues, received, context, monkeypatch
):
    monkeypatch.setattr(ingesting, "WINDOW", 1)
    lines = [json.dumps({"n": number % 7}) for number in range(30)]
    event = land("landing/events/a.jsonl", "\n".join(lines).encode())
    context.get_remaining_time_in_millis = lambda: 10_000
    with pytest.raises(OutOfTime):
        run(event)
    context.get_remaining_time_in_millis = lambda: 300_000
    run(event)
    found = envelopes(received(queues["events"]))
    assert len(found) == 30
    assert len({e.message_id for e in found}) == 30


def test_one_that_died_is_resumed_by_its_own_retry_at_once(land, run, queues, received, monkeypatch):
    event = land("landing/events/a.jsonl", LINES)
    with monkeypatch.context() as dying:
        dying.setattr(QueueSender, "send", lambda *_: sys.exit("killed, with no time to release anything"))
        with pytest.raises(SystemExit):
            run(event)
    assert run(event)[0]["outcome"] == "done"
    assert len(received(queues["events"])) == 3


def test_one_that_died_after_sending_sends_the_same_ids_again_and_loses_none(
    land, run, arm, queues, received, monkeypatch
):
    monkeypatch.setattr(ingesting, "WINDOW", 1)
    lines = [json.dumps({"n": number}) for number in range(25)]
    event = land("landing/events/a.jsonl", "\n".join(lines).encode())
    arm("ingest.after_send_before_mark[events]=crash*1")
    with pytest.raises(Crashed):
        run(event)
    assert run(event)[0]["outcome"] == "done"
    found = envelopes(received(queues["events"]))
    assert sorted(e.json_payload for e in found) == sorted(lines + lines[:10])
    assert len({e.message_id for e in found}) == 25


def test_one_that_failed_lets_any_other_go_on_at_once(land, run, context, queues, received, monkeypatch):
    event = land("landing/events/a.jsonl", LINES)
    with monkeypatch.context() as failing:
        failing.setattr(QueueSender, "send", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(event)
    context.aws_request_id = "request-2"
    assert run(event)[0]["outcome"] == "done"
    assert len(received(queues["events"])) == 3


def test_another_invocation_keeps_off_while_one_is_at_work(land, run, context, state_tables, monkeypatch):
    event = land("landing/events/a.jsonl", LINES)
    with monkeypatch.context() as dying:
        dying.setattr(QueueSender, "send", lambda *_: sys.exit("killed, with no time to release anything"))
        with pytest.raises(SystemExit):
            run(event)
    context.aws_request_id = "request-2"
    with pytest.raises(Busy):
        run(event)
    [item] = state_tables["file_registry"].scan()["Items"]
    state_tables["file_registry"].put_item(Item=item | {"lease_until": 0})
    assert run(event)[0]["outcome"] == "done"


def test_test_events_and_folder_markers_announce_nothing(land, run, registered):
    assert run({"Service": "Amazon S3", "Event": "s3:TestEvent"}) == []
    assert run(land("landing/events/", b"")) == []
    assert registered() == []


QUEUE = Queue("url", 262_144)


class Sqs:
    """A queue that refuses each message of a batch as often as told."""

    def __init__(self, refusals):
        self.refusals = refusals
        self.sent = []

    def send_message_batch(self, QueueUrl, Entries):
        failed = []
        for entry in Entries:
            if self.refusals.get(entry["MessageBody"], 0):
                self.refusals[entry["MessageBody"]] -= 1
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                self.sent.append(entry["MessageBody"])
        return {"Successful": [], "Failed": failed}


def outgoing(number):
    return Outgoing(number, f"s3://b/k#{number}", 1, {"n": number})


def test_only_what_sqs_refused_is_sent_again():
    sqs = Sqs({'{"n":2}': 2})
    QueueSender(sqs, "p-", wait=lambda _: None).send(QUEUE, [outgoing(1), outgoing(2), outgoing(3)])
    assert sorted(sqs.sent) == ['{"n":1}', '{"n":2}', '{"n":3}']


def test_what_sqs_keeps_refusing_is_an_error():
    with pytest.raises(NotSent, match="1 messages"):
        QueueSender(Sqs({'{"n":2}': 99}), "p-", wait=lambda _: None).send(QUEUE, [outgoing(1), outgoing(2)])


def test_batches_keep_sqs_limits_and_the_order():
    messages = [Outgoing(n, "s", 1, {"pad": "x" * 300_000}) for n in range(7)]
    split = list(batches(messages))
    assert all(sum(message.bytes for message in batch) <= 1024 * 1024 for batch in split)
    assert [message for batch in split for message in batch] == messages
    assert [len(batch) for batch in batches([outgoing(n) for n in range(25)])] == [10, 10, 5]


def test_a_refused_file_can_be_looked_up_with_its_reason(land, run, state_tables, settings):
    run(land("landing/ghosts/a.jsonl", LINES))
    run(land("landing/events/a.jsonl", LINES))
    [refused] = FileRegistry(state_tables["file_registry"]).refused()
    assert (refused.object, refused.code) == (f"{settings.buckets.landing}/landing/ghosts/a.jsonl", "unknown_topic")
    assert "no queue for topic ghosts" in refused.reason
