"""`ledgerlake redrive` and `ledgerlake replay`: shown first, done with --apply, wrong use named."""

import json
from datetime import UTC, datetime

import boto3
import pytest
from typer.testing import CliRunner

from ledgerlake.cli import app
from ledgerlake.tables import append, definitions
from ledgerlake.tables.ensure import evolve
from ledgerlake.tables.lake import Lake

REGION = "eu-central-1"
START = datetime(2026, 1, 18, 10, tzinfo=UTC)
GOOD = {"message_id": "m1", "publish_time": START.isoformat(), "json_payload": "{}"}


@pytest.fixture
def run(lake, queues, state_tables, settings, tmp_path, monkeypatch):
    """A command in this test's environment; its exit code and output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Lake, "connect", lambda _settings, _glue=None: lake)

    def command(*arguments):
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        return result.exit_code, result.output

    return command


@pytest.fixture
def dead(lake):
    """A dead letter that can be read, and one that cannot."""
    letters = [(GOOD, "not_delivered"), ({"message_id": "m2"}, "missing_field")]
    rows = [
        {
            "topic_name": "events",
            "message_id": body["message_id"],
            "body": json.dumps(body),
            "attributes": json.dumps({"sqs.message_id": f"s{number}"}),
            "error_code": code,
            "sent_at": START,
        }
        for number, (body, code) in enumerate(letters)
    ]
    append.append(lake.load("raw", "dlq_errors"), rows)


def test_redrive_shows_what_it_would_do_and_does_it_when_told(run, dead, received, queues):
    code, shown = run("redrive", "--topic", "events")
    assert code == 0
    assert "would send 1 messages; 1 would only come back" in shown
    assert "would come back: missing_field" in shown
    assert "--apply" in shown
    assert received(queues["events"]) == []
    code, done = run("redrive", "--topic", "events", "--rate", "10000", "--apply")
    assert code == 0
    assert "sent 1 messages" in done
    assert "resolved by redrive-" in done
    assert len(received(queues["events"])) == 1
    assert "sent 0 messages" in run("redrive", "--apply")[1]


def test_records_are_exported_corrected_and_imported(run, dead, received, queues, tmp_path):
    file = tmp_path / "out.jsonl"
    assert "2 records" in run("replay", "export", "--topic", "events", "--to", str(file))[1]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    broken = next(line for line in lines if line["message_id"] == "m2")
    file.write_text(json.dumps(broken | {"body": json.dumps(GOOD | {"message_id": "m2"})}))
    assert "would send 0 edited records and 1 corrected messages" in run("replay", "import", str(file))[1]
    assert received(queues["events"]) == []
    assert "sent 0 edited records and 1 corrected" in run("replay", "import", str(file), "--apply")[1]
    assert len(received(queues["events"])) == 1
    assert "1 were put right before" in run("replay", "import", str(file), "--apply")[1]
    file.write_text(json.dumps(broken | {"body": "{}"}) + "\nno line")
    code, refused = run("replay", "import", str(file), "--apply")
    assert code == 1
    assert "line 2: not a line of an export" in refused


def test_landing_objects_are_listed_and_then_ingested(run, settings, received, queues):
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=settings.buckets.landing, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=settings.buckets.landing, Key="landing/events/a.jsonl", Body=b'{"n": 1}\n{"n": 2}\n')
    _, shown = run("replay", "landing", "--topic", "events")
    assert "landing/events/a.jsonl" in shown
    assert "not taken yet" in shown
    assert received(queues["events"]) == []
    assert run("replay", "landing", "--topic", "events", "--apply")[0] == 0
    assert len(received(queues["events"])) == 2
    s3.put_object(Bucket=settings.buckets.landing, Key="landing/events/b.txt", Body=b"x")
    code, refused = run("replay", "landing", "--topic", "events", "--apply")
    assert code == 1
    assert "unsupported_suffix" in refused


@pytest.mark.parametrize(
    "arguments",
    [
        ["redrive", "--topic", "ghosts"],
        ["replay", "errors", "--topic", "ghosts"],
        ["replay", "export", "--topic", "ghosts", "--to", "x"],
        ["replay", "landing", "--topic", "ghosts"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_topic_that_does_not_exist_is_named_beside_those_that_do(run, arguments):
    code, told = run(*arguments)
    assert code == 1
    assert "no such topics: ghosts; there are events" in told


def test_an_environment_without_the_job_is_told_so(run, lake):
    evolve(lake, definitions.standardized("events"))
    code, told = run("replay", "errors", "--topic", "events")
    assert code == 1
    assert "no Glue job replay" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["redrive", "--rate", "0"], "rate"),
        (["redrive", "--since", "yesterday"], "neither a time"),
        (["replay", "errors"], "topic"),
        (["replay", "errors", "--topic", "events", "--kind", "dlq"], "kind"),
        (["replay", "export", "--topic", "events", "--to", "x", "--place", "raw.nowhere"], "raw.nowhere"),
        (["replay", "import", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_refused_with_the_option_that_is_wrong(run, arguments, words):
    code, told = run(*arguments)
    assert code == 2
    assert words in told
