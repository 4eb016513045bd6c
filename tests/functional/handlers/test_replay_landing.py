"""Objects of the landing bucket are ingested again (design 3.6)."""

import gzip
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from ledgerlake import failpoints
from ledgerlake.handlers import clients
from ledgerlake.ops.dead_letters import DeadLetters
from ledgerlake.ops.enqueue import QueueSender
from ledgerlake.ops.ingest import Ingest
from ledgerlake.ops.replay_landing import Fate, Selection, find, look, replay
from ledgerlake.records.envelope import parse
from ledgerlake.state.file_registry import FileRegistry

REGION = "eu-central-1"
LINES = b'{"n": 1}\n{"n": 2}\n{"n": 3}\n'


def now():
    return datetime.now(UTC)


@pytest.fixture
def s3(settings):
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=settings.buckets.landing, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=settings.buckets.landing, VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture
def put(s3, settings):
    return lambda key, body=LINES: s3.put_object(Bucket=settings.buckets.landing, Key=key, Body=body)


@pytest.fixture
def ingest(s3, queues, state_tables, settings):
    sqs, prefix = clients.sqs(), settings.queue_prefix
    return Ingest(
        s3=s3,
        queues=QueueSender(sqs, prefix),
        dead_letters=DeadLetters(sqs, prefix),
        registry=FileRegistry(state_tables["file_registry"]),
        owner="replay-1",
        remaining=lambda: 10**9,
    )


@pytest.fixture
def looked(ingest, settings):
    """What a dry run says: each key's fate, records and code."""

    def run(again=False, **chosen):
        selection = Selection(**({"topic": "events"} | chosen))
        found = find(ingest.s3, ingest.registry, settings.buckets.landing, selection, again=again)
        return {one.landed.key: (one.fate, one.records, one.code) for one in (look(ingest, o) for o in found)}

    return run


@pytest.fixture
def go(ingest, settings):
    def run(again=False, **chosen):
        selection = Selection(**({"topic": "events"} | chosen))
        found = find(ingest.s3, ingest.registry, settings.buckets.landing, selection, again=again)
        return {one.landed.key: (one.fate, one.records) for one in (replay(ingest, o, now) for o in found)}

    return run


def ids(received, url):
    return [parse(body, "events").message_id for body, _ in received(url)]


def test_what_was_never_taken_is_ingested_and_then_left_alone(put, looked, go, received, queues):
    put("landing/events/a.jsonl")
    put("events/b.jsonl", b'{"n": 4}\n')
    put("landing/orders/c.jsonl")
    assert looked() == {"landing/events/a.jsonl": (Fate.INGEST, 3, ""), "events/b.jsonl": (Fate.INGEST, 1, "")}
    assert ids(received, queues["events"]) == []
    assert go() == {"landing/events/a.jsonl": (Fate.INGEST, 3), "events/b.jsonl": (Fate.INGEST, 1)}
    assert len(ids(received, queues["events"])) == 4
    assert go() == {"landing/events/a.jsonl": (Fate.KEPT, 3), "events/b.jsonl": (Fate.KEPT, 1)}
    assert ids(received, queues["events"]) == []


def test_again_sends_the_same_ids_which_are_duplicates_only(put, looked, go, received, queues):
    put("landing/events/a.jsonl")
    go()
    first = ids(received, queues["events"])
    assert looked(again=True) == {"landing/events/a.jsonl": (Fate.DUPLICATES, 3, "")}
    assert go(again=True) == {"landing/events/a.jsonl": (Fate.DUPLICATES, 3)}
    assert sorted(ids(received, queues["events"])) == sorted(first)


def test_only_the_current_version_of_an_object_counts(put, looked):
    put("landing/events/a.jsonl")
    put("landing/events/a.jsonl", b'{"n": 9}\n')
    assert looked() == {"landing/events/a.jsonl": (Fate.INGEST, 1, "")}


def test_it_takes_only_what_is_selected(put, looked):
    put("landing/events/2026/a.jsonl")
    put("landing/events/2025/b.jsonl")
    assert list(looked(keys=["*/2026/*"])) == ["landing/events/2026/a.jsonl"]
    assert looked(until=now() - timedelta(days=1)) == {}
    assert len(looked(since=now() - timedelta(days=1))) == 2
    assert looked(topic="nobody") == {}


def test_what_was_refused_is_tried_again_and_says_why_it_still_is(put, looked, go):
    put("landing/events/a.jsonl.gz", b"no gzip")
    put("landing/events/b.txt")
    assert go() == {"landing/events/a.jsonl.gz": (Fate.REFUSED, None), "landing/events/b.txt": (Fate.REFUSED, None)}
    assert looked() == {
        "landing/events/a.jsonl.gz": (Fate.REFUSED, None, "bad_gzip"),
        "landing/events/b.txt": (Fate.REFUSED, None, "unsupported_suffix"),
    }
    put("landing/events/a.jsonl.gz", gzip.compress(LINES))
    assert go()["landing/events/a.jsonl.gz"] == (Fate.INGEST, 3)


def test_a_refused_object_whose_cause_is_mended_comes_in(put, looked, go, aws, settings):
    put("landing/later/a.jsonl")
    assert go(topic="later") == {"landing/later/a.jsonl": (Fate.REFUSED, None)}
    boto3.client("sqs", region_name=REGION).create_queue(QueueName=settings.queue_prefix + "later")
    assert looked(topic="later") == {"landing/later/a.jsonl": (Fate.TRY_AGAIN, 3, "")}
    assert go(topic="later") == {"landing/later/a.jsonl": (Fate.TRY_AGAIN, 3)}


def test_a_replay_that_dies_goes_on_when_it_is_started_again(put, looked, go, received, queues):
    put("landing/events/a.jsonl")
    put("landing/events/b.jsonl", b'{"n": 4}\n')
    failpoints.arm("ingest.after_send_before_mark=crash*1")
    try:
        with pytest.raises(failpoints.Crashed):
            go()
    finally:
        failpoints.arm("")
    assert looked()["landing/events/a.jsonl"] == (Fate.GO_ON, 3, "")
    assert go() == {"landing/events/a.jsonl": (Fate.GO_ON, 3), "landing/events/b.jsonl": (Fate.INGEST, 1)}
    assert len(set(ids(received, queues["events"]))) == 4
    assert {fate for fate, _ in go().values()} == {Fate.KEPT}


def test_an_object_that_another_is_at_work_on_is_left_to_it(put, go, ingest, settings):
    put("landing/events/a.jsonl")
    [found] = find(ingest.s3, ingest.registry, settings.buckets.landing, Selection("events"))
    ingest.registry.claim(found.landed.version, "somebody", now())
    assert go() == {"landing/events/a.jsonl": (Fate.BUSY, None)}
