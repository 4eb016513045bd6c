"""The command line's own part: options, messages and exit codes."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from ledgerlake.cli import app
from ledgerlake.commands.shared import moment

CONTRACT = {
    "table_name": "events",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [{"name": "amount", "type": "int", "source": "amount"}],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEDGERLAKE_SETTINGS", raising=False)
    return lambda *arguments: CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def contract(tmp_path, **changes):
    file = tmp_path / "events" / "schema.json"
    file.parent.mkdir()
    file.write_text(json.dumps(CONTRACT | changes))
    return str(file)


def test_a_known_error_ends_with_its_reason_and_no_traceback(run):
    result = run("status")
    assert result.exit_code == 1
    assert "error: there is no envs/local here or above" in result.output
    assert "Traceback" not in result.output


def test_the_environment_may_be_chosen(run):
    assert "there is no envs/dev here" in run("--env", "dev", "status").output


def test_a_good_contract_is_valid(run, tmp_path):
    result = run("schema", "validate", contract(tmp_path))
    assert result.exit_code == 0
    assert "1 columns, 0 rules" in result.output


def test_every_problem_of_a_contract_is_printed_with_its_place_and_remedy(run, tmp_path):
    wrong = [{"name": "a", "type": "itn", "source": "a"}, {"name": "b", "type": "strin", "source": "b"}]
    result = run("schema", "validate", contract(tmp_path, payload_columns=wrong))
    assert result.exit_code == 1
    assert "2 problem(s)" in result.output
    assert "/payload_columns/0/type" in result.output
    assert "did you mean `string`" in result.output


def test_problems_are_told_to_programs_too(run, tmp_path):
    wrong = contract(tmp_path, owner=1)
    result = run("schema", "validate", "--json", wrong)
    assert result.exit_code == 1
    (told,) = json.loads(result.stdout)
    assert (told["file"], [problem["pointer"] for problem in told["problems"]]) == (wrong, ["/owner"])


def test_two_files_are_reviewed_without_any_environment(run, tmp_path):
    old = tmp_path / "old.json"
    old.write_text(json.dumps(CONTRACT))
    wider = contract(tmp_path, payload_columns=[{**CONTRACT["payload_columns"][0], "type": "bigint"}])
    result = run("schema", "diff", wider, "--against", str(old))
    assert result.exit_code == 0
    assert "type_widened:amount" in result.output
    assert "int → bigint" in result.output
    assert "1 change: 1 safe; none would be refused" in result.output


def test_a_review_ends_1_when_a_change_would_be_refused_and_names_what_to_write(run, tmp_path):
    old = tmp_path / "old.json"
    old.write_text(json.dumps(CONTRACT))
    narrow = contract(tmp_path, payload_columns=[{**CONTRACT["payload_columns"][0], "type": "date"}])
    result = run("schema", "diff", narrow, "--against", str(old), "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["topic"], told["against"]) == ("events", str(old))
    assert [(one["id"], one["refused"]) for one in told["changes"]] == [("type_changed:amount", True)]
    assert "rebuild" in told["changes"][0]["remedy"]


def test_a_review_of_a_rename_that_cannot_be_names_the_problem(run, tmp_path):
    old = tmp_path / "old.json"
    old.write_text(json.dumps(CONTRACT))
    column = {"name": "total", "type": "int", "source": "amount", "renamed_from": "amnt"}
    result = run("schema", "diff", contract(tmp_path, payload_columns=[column]), "--against", str(old))
    assert result.exit_code == 1
    assert "/payload_columns/0/renamed_from" in result.output


def test_a_wrong_contract_is_not_rehearsed(run, tmp_path):
    result = run("schema", "rehearse", contract(tmp_path, owner=1))
    assert result.exit_code == 1
    assert "/owner" in result.output


def test_an_unknown_step_is_answered_with_those_there_are(run):
    result = run("verify", "--step", "everything")
    assert result.exit_code == 2
    assert "whoami" in result.output


def test_an_unknown_format_is_refused(run):
    assert run("query", "SELECT 1", "--format", "xml").exit_code == 2


def test_a_missing_contract_file_is_named_before_the_environment_is_asked(run, tmp_path):
    result = run("schema", "publish", contract(tmp_path), "nowhere.json")
    assert result.exit_code == 2
    assert "nowhere.json cannot be read" in result.output


def test_a_trace_is_of_a_message_or_of_a_key_in_its_topic(run):
    assert "give a message_id, or --key" in run("trace").output
    assert "give a message_id, or --key" in run("trace", "m1", "--key", "k1").output
    result = run("trace", "--key", "k1")
    assert result.exit_code == 2
    assert "add --topic" in result.output


def test_an_unknown_kind_of_error_is_answered_with_those_there_are(run):
    result = run("errors", "--kind", "typo")
    assert result.exit_code == 2
    assert "kinds are" in result.output


@pytest.mark.parametrize("text", ["yesterday", "24x", "-3h", "2026-13-01", "9" * 12 + "d", ""])
def test_what_is_no_time_is_refused(run, text):
    assert run("errors", "--since", text).exit_code == 2


def test_a_time_is_utc_unless_it_has_a_zone_and_may_be_an_age():
    ten = datetime(2026, 1, 18, 10, tzinfo=UTC)
    assert moment("2026-01-18T10:00") == moment("2026-01-18T12:00:00+02:00") == ten
    assert moment("2026-01-18") == ten.replace(hour=0)
    before = datetime.now(UTC)
    assert before - timedelta(days=7) <= moment("7d") <= datetime.now(UTC) - timedelta(days=7)
