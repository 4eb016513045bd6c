"""Dead letters and undelivered records go back to their queues (design 3.6)."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from ledgerlake import failpoints
from ledgerlake.ops import redrive as redriving
from ledgerlake.ops.enqueue import QueueSender
from ledgerlake.ops.redrive import NoQueue, Pace, Selection, drain_first, look, redrive
from ledgerlake.records.envelope import parse
from ledgerlake.tables import append

REGION = "eu-central-1"
START = datetime(2026, 1, 18, 10, tzinfo=UTC)


def body(message_id, topic="events", **changes):
    good = {"message_id": message_id, "publish_time": START.isoformat(), "topic_name": topic, "json_payload": "{}"}
    return json.dumps(good | changes)


def letter(name, text, topic="events", code="not_delivered", minutes=0, message_id=None, **attributes):
    return {
        "message_id": message_id,
        "topic_name": topic,
        "queue": f"{topic}-dlq",
        "body": text,
        "attributes": json.dumps(
            {"sqs.message_id": name, "error_code": code, "reason": "r", "source": "sqs"} | attributes
        ),
        "error_code": code,
        "reason": "r",
        "receive_count": 6,
        "sent_at": START + timedelta(minutes=minutes),
        "drained_at": START + timedelta(hours=1),
    }


@pytest.fixture
def sqs(settings):
    return boto3.client("sqs", region_name=REGION)


@pytest.fixture
def sender(sqs, settings):
    return QueueSender(sqs, settings.queue_prefix)


@pytest.fixture
def keep(lake):
    return lambda *rows, table="dlq_errors": append.append(lake.load("raw", table), rows)


@pytest.fixture
def resolved(lake):
    """The rows that are put right: each body or record with who did it."""

    def read(table="dlq_errors", column="body"):
        rows = lake.load("raw", table).scan().to_arrow().to_pylist()
        return {row[column]: row["resolved_by"] for row in rows}

    return read


@pytest.fixture
def go(lake, sender):
    """Redrive at once."""

    def run(selection=Selection(), redrive_id="r1", **options):  # noqa: B008 — it is frozen
        return redrive(lake, sender, selection, redrive_id, Pace(1e9), **options)

    return run


def test_a_message_goes_back_as_it_was_with_its_own_attributes_and_its_row_says_so(
    queues, keep, go, received, resolved
):
    keep(letter("s1", body("m1"), source="s3://landing/a.jsonl#7", trace="t"))
    report = go()
    assert (report.sent, report.stay) == (1, 0)
    assert received(queues["events"]) == [(body("m1"), {"source": "s3://landing/a.jsonl#7", "trace": "t"})]
    assert resolved() == {body("m1"): "redrive-r1"}


def test_what_would_only_come_back_is_told_and_left_alone(queues, keep, lake, go, received, resolved):
    broken = body("m2", publish_time=7)
    keep(letter("s1", body("m1"), message_id="m1"), letter("s2", broken, code="wrong_type", message_id="m2"))
    report = look(lake, Selection())
    told = {(group.code, group.fate): (count, report.samples[group]) for group, count in report.records.items()}
    assert told == {
        ("not_delivered", redriving.PASSES): (1, ["m1"]),
        ("wrong_type", "would come back: wrong_type"): (1, ["m2"]),
    }
    assert received(queues["events"]) == []
    report = go()
    assert (report.sent, report.stay) == (1, 1)
    assert resolved() == {body("m1"): "redrive-r1", broken: None}


def test_it_takes_only_what_is_selected(queues, keep, lake):
    keep(
        letter("s1", body("m1"), message_id="m1"),
        letter("s2", body("m2"), minutes=10, message_id="m2", code="wrong_type"),
        letter("s3", body("m3", "orders"), "orders", minutes=20, message_id="m3"),
    )

    def ids(**chosen):
        report = look(lake, Selection(**chosen))
        return sorted(sample for samples in report.samples.values() for sample in samples)

    assert ids() == ["m1", "m2", "m3"]
    assert ids(topics=["orders"]) == ["m3"]
    assert ids(codes=["wrong_type"]) == ["m2"]
    assert ids(message_ids=["m1", "m3"]) == ["m1", "m3"]
    assert ids(since=START + timedelta(minutes=10)) == ["m2", "m3"]
    assert ids(until=START + timedelta(minutes=10)) == ["m1"]
    assert ids(limit=2) == ["m1", "m2"]
    assert ids(topics=["nobody"]) == []


def test_twice_sends_once(queues, keep, go, received):
    keep(letter("s1", body("m1")))
    assert go().sent == 1
    assert go(redrive_id="r2").sent == 0
    assert len(received(queues["events"])) == 1


def test_a_crash_between_sending_and_marking_repeats_no_more_than_a_chunk(
    queues, keep, go, received, resolved, monkeypatch
):
    monkeypatch.setattr(redriving, "CHUNK", 2)
    keep(*(letter(f"s{n}", body(f"m{n}"), minutes=n) for n in range(5)))
    chunks = []

    def crash_in_the_second(count):
        chunks.append(count)
        failpoints.arm("redrive.after_send_before_mark[events]=crash*1")

    try:
        with pytest.raises(failpoints.Crashed):
            go(told=crash_in_the_second)
    finally:
        failpoints.arm("")
    assert list(resolved().values()).count("redrive-r1") == 2
    assert go(redrive_id="r2").sent == 3
    sent = sorted(parse(text, "events").message_id for text, _ in received(queues["events"]))
    assert sent == ["m0", "m1", "m2", "m2", "m3", "m3", "m4"]
    assert set(resolved().values()) == {"redrive-r1", "redrive-r2"}


def test_a_record_that_firehose_could_not_deliver_becomes_the_message_it_was(queues, keep, go, received, resolved):
    message = parse(
        body("m1", json_payload='{"n": 1.10}', idempotency_key="k", attributes={"a": "ü"}, extra=[1]), "events"
    )
    record = json.dumps(message.to_raw_row("s3://landing/a#1", START))
    keep(
        {"message_id": "m1", "topic_name": "events", "record": record, "error_code": "Lambda.Failed",
         "object_key": "firehose-errors/1", "failed_at": START},
        {"topic_name": "events", "record": "cut off", "error_code": "X", "object_key": "firehose-errors/1"},
        table="firehose_errors",
    )  # fmt: skip
    report = go()
    assert (report.sent, report.stay) == (1, 1)
    [(text, attributes)] = received(queues["events"])
    assert parse(text, "events") == message
    assert attributes == {"source": "s3://landing/a#1"}
    assert resolved("firehose_errors", "record") == {record: "redrive-r1", "cut off": None}


def test_a_topic_without_a_queue_is_named_and_nothing_is_sent(queues, keep, go, received):
    keep(letter("s1", body("m1")), letter("s2", body("m2", "ghosts"), "ghosts"))
    with pytest.raises(NoQueue, match="topic ghosts"):
        go()
    assert received(queues["events"]) == []


def test_nothing_to_do_changes_nothing(queues, go, lake):
    assert go().sent == 0
    assert lake.load("raw", "dlq_errors").current_snapshot() is None


def test_what_still_waits_in_the_dead_letter_queues_is_drained_first(queues, lake, sqs, settings, go, received):
    sqs.send_message(QueueUrl=queues["events-dlq"], MessageBody=body("m1"))
    assert drain_first(sqs, settings.queue_prefix, lake) == 1
    assert drain_first(sqs, settings.queue_prefix, lake) == 0
    assert go().sent == 1
    assert len(received(queues["events"])) == 1


def test_messages_go_out_at_the_pace_that_was_asked_for():
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(20, lambda: now[0], sleep)
    for _ in range(3):
        pace.wait(10)
    assert slept == [0.5, 0.5]
