"""`ledgerlake schema history | show | rollback` and `ledgerlake topic`: what they print and do, and how they refuse."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledgerlake.cli import app
from ledgerlake.ops import upload_contract
from ledgerlake.ops.candidates import Pending
from ledgerlake.tables.lake import Lake

TOPIC = "events"
FIRST = {
    "table_name": TOPIC,
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [
        {"name": "amount", "type": "decimal(12,2)", "default": "0.00"},
        {"name": "pieces", "type": "int"},
    ],
}
RENAMED = FIRST | {
    "payload_columns": [
        {"name": "total", "type": "decimal(12,2)", "source": "amount", "default": "0.00", "renamed_from": "amount"},
        {"name": "pieces", "type": "int"},
    ],
    "rules": [{"name": "some", "expression": "pieces > 0", "action": "quarantine"}],
    "accept": ["column_renamed:total", "rule_added:some"],
}


@pytest.fixture
def run(lake, publisher, tmp_path, monkeypatch):
    """A command in this test's environment, where a pending contract is published while one waits for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Lake, "connect", lambda _settings, _glue=None: lake)
    monkeypatch.setattr(upload_contract, "sleep", lambda _seconds: publisher.publish(Pending(TOPIC)))

    def command(*arguments):
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False, env={"COLUMNS": "300"})
        return result.exit_code, result.output

    return command


@pytest.fixture
def publish(run, tmp_path):
    """Publish a contract by the command."""

    def give(document):
        file = Path(tmp_path / TOPIC / "schema.json")
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(document))
        return run("schema", "publish", str(file))

    return give


@pytest.fixture
def two_versions(publish):
    assert publish(FIRST)[0] == 0
    assert publish(FIRST | {"owner": 1})[0] == 1
    assert publish(RENAMED)[0] == 0


def test_publishing_tells_what_it_changes(publish):
    publish(FIRST)
    code, told = publish(RENAMED | {"accept": [*RENAMED["accept"], "rule_aded:some"]})
    assert code == 0
    assert "guarded  column_renamed:total: `amount` becomes `total`" in told
    assert "no change of this version has that id; did you mean `rule_added:some`?" in told


def test_history_tells_every_version_and_every_refusal(two_versions, run):
    code, told = run("schema", "history", TOPIC)
    assert code == 0
    assert told.count("active") == 2
    assert "column_renamed:total" in told
    assert "/owner: a text is needed here" in told
    assert "arn:aws:sts::123456789012:user/moto" in told
    entries = json.loads(run("schema", "history", TOPIC, "--json")[1])
    assert [(entry["version"], entry["outcome"]) for entry in entries] == [
        (1, "active"),
        (None, "failed"),
        (2, "active"),
    ]


def test_a_version_is_shown_byte_for_byte(two_versions, run):
    assert run("schema", "show", TOPIC, "--version", "1") == (0, json.dumps(FIRST))
    assert run("schema", "show", TOPIC) == (0, json.dumps(RENAMED))
    code, told = run("schema", "show", TOPIC, "--version", "7")
    assert (code, "no version 7; there are 1, 2" in told) == (1, True)


def test_going_back_is_refused_with_the_ids_that_it_takes_and_uploads_nothing(two_versions, run, publisher):
    code, told = run("schema", "rollback", TOPIC, "--to", "1")
    assert code == 1
    assert "column_renamed:amount" in told
    assert "--accept-all" in told
    assert publisher.gate.get(TOPIC).contract_version == 2
    assert len(json.loads(run("schema", "history", TOPIC, "--json")[1])) == 3


def test_going_back_makes_a_new_version_and_renames_back(two_versions, run, publisher, lake):
    ids = {field.name: field.field_id for field in lake.load("curated", TOPIC).schema().fields}
    code, told = run("schema", "rollback", TOPIC, "--to", "1", "--reason", "too early", "--accept-all")
    assert code == 0, told
    assert "in force as version 3" in told
    assert publisher.gate.get(TOPIC).contract_version == 3
    now = {field.name: field.field_id for field in lake.load("curated", TOPIC).schema().fields}
    assert now["amount"] == ids["total"]
    last = json.loads(run("schema", "history", TOPIC, "--json")[1])[-1]
    assert last["reason"] == "rollback from version 2 to 1: too early"
    assert json.loads(last["text"])["payload_columns"][0]["renamed_from"] == "total"
    code, told = run("schema", "rollback", TOPIC, "--to", "1")
    assert (code, "says what version 1 says" in told) == (1, True)
    code, told = run("schema", "rollback", TOPIC, "--to", "2", "--accept-all")
    assert (code, publisher.gate.get(TOPIC).contract_version) == (0, 4)


def test_what_needs_no_consent_goes_back_byte_for_byte(publish, run, publisher):
    publish(FIRST)
    publish(FIRST | {"owner": "sales"})
    code, told = run("schema", "rollback", TOPIC, "--to", "1")
    assert code == 0, told
    assert run("schema", "show", TOPIC) == (0, json.dumps(FIRST))
    assert publisher.gate.get(TOPIC).contract_version == 3


@pytest.mark.parametrize("command", [("history", "nothing"), ("show", "nothing"), ("rollback", "nothing", "--to", "1")])
def test_a_topic_that_is_not_there_is_named_with_those_that_are(run, command):
    code, told = run("schema", *command)
    assert (code, "no such topics: nothing; there are events" in told) == (1, True)


def test_a_topic_that_was_never_given_a_contract_says_so(run):
    assert "was never given a contract" in run("schema", "history", TOPIC)[1]


def test_a_topic_is_stopped_with_a_reason_and_goes_on(two_versions, run, publish, publisher):
    assert run("topic", "disable", TOPIC)[0] == 2
    assert run("topic", "disable", TOPIC, "--reason", "audit")[0] == 0
    publish(RENAMED | {"owner": "sales"})
    stopped = publisher.gate.get(TOPIC)
    assert (stopped.contract_version, stopped.enabled, stopped.reason) == (3, False, "audit")
    assert "closed: audit" in run("status")[1]
    assert run("topic", "enable", TOPIC)[0] == 0
    assert (publisher.gate.get(TOPIC).enabled, publisher.gate.get(TOPIC).reason) == (True, "")


@pytest.mark.parametrize("command", [("disable", "orders", "-r", "x"), ("enable", "orders")])
def test_a_topic_without_a_contract_can_neither_be_stopped_nor_go_on(run, command):
    code, told = run("topic", *command)
    assert (code, "orders has no contract in force" in told) == (1, True)
