"""Failed records are exported, edited by hand, and come in as messages that replace them (design 3.6)."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from ledgerlake import failpoints
from ledgerlake.ops import edits, replacements
from ledgerlake.ops.edit_lines import BadEdits, Selection, export
from ledgerlake.ops.enqueue import QueueSender
from ledgerlake.ops.redrive import NoQueue, Pace
from ledgerlake.records.envelope import parse
from ledgerlake.tables import append, definitions, snapshots
from ledgerlake.tables.ensure import evolve

REGION = "eu-central-1"
START = datetime(2026, 1, 18, 10, 0, 0, 123456, tzinfo=UTC)


def edited_id(original, payload):
    return f"{original}~{hashlib.sha256(payload.encode()).hexdigest()[:12]}"


@pytest.fixture
def tables(lake):
    """`events` in RAW with its copies, one parse error, two curated errors and one broken envelope."""
    evolve(lake, definitions.standardized("events"))
    later = START + timedelta(days=2)
    raw = [
        ("broken", '{"n": 1', START, START),
        ("bad", '{"n": "x"}', later, later),
        ("bad", '{"n": "copy"}', later, later + timedelta(minutes=1)),
        ("worse", '{"n": "y"}', START, START),
        ("good", '{"n": 1}', START, START),
    ]
    append.append(
        lake.load("raw", "events_staging"),
        [
            {
                "message_id": message_id,
                "topic_name": "events",
                "publish_time": published,
                "ingestion_ts": taken,
                "idempotency_key": f"k-{message_id}",
                "source": "s3://landing/a.jsonl#1",
                "attributes": '{"a": "ü", "ledgerlake.encoding": "base64"}',
                "json_payload": payload,
            }
            for message_id, payload, published, taken in raw
        ],
    )
    common = {"topic_name": "events", "batch_id": "events-0-1", "failed_at": START}
    append.append(
        lake.load("standardized", "parse_errors"),
        [
            common
            | {
                "message_id": "broken",
                "publish_time": START,
                "json_payload": '{"n": 1',
                "error_code": "not_json",
                "error_message": "it ends too early",
            }
        ],
    )
    violation = {"kind": "cast", "column": "n", "rule": "int", "value": "x"}
    append.append(
        lake.load("curated", "errors"),
        [
            common | {"message_id": "bad", "publish_time": later, "violations": [violation]},
            common | {"message_id": "worse", "publish_time": START, "violations": [violation, violation]},
        ],
    )
    append.append(
        lake.load("raw", "dlq_errors"),
        [
            {
                "topic_name": "events",
                "body": '{"message_id": "m9"}',
                "attributes": '{"sqs.message_id": "s1"}',
                "error_code": "missing_field",
                "reason": "publish_time is required",
                "sent_at": START,
            }
        ],
    )
    return lake


@pytest.fixture
def sender(queues, settings):
    return QueueSender(boto3.client("sqs", region_name=REGION), settings.queue_prefix)


@pytest.fixture
def lines(tables):
    """The export as a person has it: editable lines by message_id, the broken envelope under None."""
    return {line["message_id"]: dict(line) for line in export(tables, Selection("events"))}


@pytest.fixture
def put_right(tables, sender):
    """Import lines; returns the plan."""

    def run(*given, replay_id="r1"):
        planned = edits.plan(tables, sender, [json.dumps(line) for line in given])
        edits.send(tables, sender, planned, replay_id, Pace(1e9))
        return planned

    return run


@pytest.fixture
def answers(tables):
    """Each error row with an answer: what replaces it, and what resolved it."""

    def read(layer="curated", table="errors"):
        rows = tables.load(layer, table).scan().to_arrow().to_pylist()
        return {row["message_id"]: (row["replaced_by"], row["resolved_by"]) for row in rows if row["replaced_by"]}

    return read


def take_in(lake, batch_id, *ids, published=START, parse_error=False):
    """What standardize does with new messages, as far as it can be seen."""
    rows = [{"message_id": i, "topic_name": "events", "batch_id": batch_id, "publish_time": published} for i in ids]
    if parse_error:
        append.append(lake.load("standardized", "parse_errors"), rows)
        rows = [{"message_id": "other", "topic_name": "events", "batch_id": batch_id, "publish_time": published}]
    properties = {snapshots.BATCH_ID: batch_id, snapshots.SOURCE_SNAPSHOT_ID: "1"}
    append.append(lake.load("standardized", "events"), rows, properties)


def test_an_export_holds_what_was_sent_and_why_it_failed(lines):
    told = {name: (line["place"], line["reason"], line.get("payload")) for name, line in lines.items()}
    assert told == {
        "broken": ("standardized.parse_errors", "not_json: it ends too early", '{"n": 1'),
        "bad": ("curated.errors", "cast n int", '{"n": "x"}'),
        "worse": ("curated.errors", "cast n int; cast n int", '{"n": "y"}'),
        None: ("raw.dlq_errors", "missing_field: publish_time is required", None),
    }
    assert lines[None]["body"] == '{"message_id": "m9"}'


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        ({"places": ["curated.errors"]}, ["bad", "worse"]),
        ({"message_ids": ["broken", "good"]}, ["broken"]),
        ({"since": START + timedelta(hours=1)}, []),
        ({"until": START}, []),
        ({"limit": 1}, ["broken"]),
        ({"topic": "orders"}, []),
    ],
    ids=str,
)
def test_an_export_takes_only_what_is_selected(tables, chosen, ids):
    assert [line["message_id"] for line in export(tables, Selection(**{"topic": "events"} | chosen))] == ids


def test_an_edited_record_goes_out_as_a_new_message_that_names_its_original(
    lines, put_right, received, queues, answers
):
    payload = '{"n": 5}'
    planned = put_right(lines["bad"] | {"payload": payload}, lines["worse"])
    assert (planned.messages, planned.unchanged, planned.answered) == (1, 1, 0)
    [(body, attributes)] = received(queues["events"])
    message = parse(body, "events")
    assert message.message_id == edited_id("bad", payload)
    assert (message.json_payload, message.idempotency_key) == (payload, "k-bad")
    assert message.publish_time == int((START + timedelta(days=2)).timestamp()) * 1_000_000 + 123456
    assert message.attributes == {"a": "ü", edits.REPLACES: "bad"}
    assert attributes == {"source": "s3://landing/a.jsonl#1"}
    assert answers() == {"bad": (edited_id("bad", payload), None)}


def test_the_original_is_resolved_by_the_batch_that_took_the_edited_record_in(lines, put_right, tables, answers):
    put_right(lines["bad"] | {"payload": '{"n": 5}'}, lines["broken"] | {"payload": '{"n": 6}'})
    assert replacements.resolve(tables, ["events"]) == 0
    bad, broken = edited_id("bad", '{"n": 5}'), edited_id("broken", '{"n": 6}')
    take_in(tables, "events-1-2", broken)
    assert replacements.resolve(tables, ["events", "orders"]) == 1
    take_in(tables, "events-2-3", bad, published=START + timedelta(days=2))
    assert replacements.resolve(tables, ["orders"]) == 0
    assert replacements.resolve(tables, ["events"]) == 1
    assert answers() == {"bad": (bad, "events-2-3")}
    assert answers("standardized", "parse_errors") == {"broken": (broken, "events-1-2")}
    assert [line["message_id"] for line in export(tables, Selection("events"))] == ["worse", None]
    before = tables.load("curated", "errors").current_snapshot()
    assert replacements.resolve(tables, ["events"]) == 0
    assert tables.load("curated", "errors").current_snapshot() == before


def test_an_edited_record_that_fails_again_is_the_one_that_stays_open(lines, put_right, tables, answers):
    new_id = edited_id("broken", '{"n": 7}')
    put_right(lines["broken"] | {"payload": '{"n": 7}'})
    take_in(tables, "events-1-2", new_id, parse_error=True)
    assert replacements.resolve(tables, ["events"]) == 1
    assert answers("standardized", "parse_errors") == {"broken": (new_id, "events-1-2")}


def test_a_replacement_in_a_batch_that_was_never_committed_resolves_nothing(lines, put_right, tables):
    put_right(lines["broken"] | {"payload": '{"n": 7}'})
    row = {"message_id": edited_id("broken", '{"n": 7}'), "topic_name": "events", "batch_id": "events-1-2"}
    append.append(tables.load("standardized", "parse_errors"), [row | {"publish_time": START}])
    assert replacements.resolve(tables, ["events"]) == 0


def test_the_same_file_again_sends_the_same_ids_until_they_are_in_and_then_nothing(
    lines, put_right, received, queues, tables
):
    line = lines["bad"] | {"payload": '{"n": 5}'}
    put_right(line)
    assert put_right(line).messages == 1
    assert len({body for body, _ in received(queues["events"])}) == 1
    take_in(tables, "events-2-3", edited_id("bad", '{"n": 5}'), published=START + timedelta(days=2))
    replacements.resolve(tables, ["events"])
    assert (put_right(line).messages, put_right(line).answered) == (0, 1)


def test_a_crash_before_sending_is_mended_by_the_same_file(lines, put_right, received, queues, answers):
    line = lines["bad"] | {"payload": '{"n": 5}'}
    failpoints.arm("replay.after_mark_before_send=crash*1")
    try:
        with pytest.raises(failpoints.Crashed):
            put_right(line)
    finally:
        failpoints.arm("")
    assert received(queues["events"]) == []
    put_right(line)
    assert len(received(queues["events"])) == 1
    assert answers() == {"bad": (edited_id("bad", '{"n": 5}'), None)}


def test_a_corrected_envelope_is_sent_under_its_own_id_and_its_row_is_resolved(
    lines, put_right, received, queues, tables
):
    body = json.dumps({"message_id": "m9", "publish_time": "2026-01-18T10:00:00Z", "json_payload": "{}"})
    assert put_right(lines[None] | {"body": body}).messages == 1
    assert received(queues["events"]) == [(body, {"source": "sqs"})]
    [row] = tables.load("raw", "dlq_errors").scan().to_arrow().to_pylist()
    assert row["resolved_by"] == "redrive-r1"
    assert put_right(lines[None] | {"body": body}).answered == 1


def test_every_line_that_cannot_be_used_is_named_and_nothing_is_sent(lines, put_right, received, queues, answers):
    put_right(lines["worse"] | {"payload": '{"n": 1}'})
    received(queues["events"])
    wrong = [
        lines["bad"] | {"payload": '{"n": '},
        lines["bad"] | {"payload": "[]"},
        lines["worse"] | {"payload": '{"n": 2}'},
        lines["bad"] | {"key": "events-0-1/nobody", "message_id": "nobody", "payload": "{}"},
        lines[None] | {"body": '{"message_id": "m9", "json_payload": "{}"}'},
    ]
    with pytest.raises(BadEdits) as refused:
        put_right(lines["broken"] | {"payload": "{}"}, *wrong)
    assert [problem.partition(":")[0] for problem in sorted(refused.value.problems)] == [
        "line 2 (bad)",
        "line 3 (bad)",
        "line 4 (worse)",
        "line 5 (nobody)",
        "line 6 (s1)",
    ]
    assert received(queues["events"]) == []
    assert answers("standardized", "parse_errors") == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"place": "x"}', '{"place": "raw.nowhere", "payload": ""}'])
def test_a_file_that_is_no_export_is_refused(tables, sender, text):
    with pytest.raises(BadEdits, match="line 2: not a line of an export"):
        edits.plan(tables, sender, ["", text])


def test_a_topic_without_a_queue_is_named(tables, sender, lines):
    with pytest.raises(NoQueue, match="ghosts"):
        edits.plan(tables, sender, [json.dumps(lines["bad"] | {"topic": "ghosts", "payload": "{}"})])
