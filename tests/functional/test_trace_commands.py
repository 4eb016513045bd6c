"""`ledgerlake trace` and `ledgerlake errors` as they are typed, against an environment known by its settings."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from lakehouse import START, Lakehouse, message
from typer.testing import CliRunner

from ledgerlake.cli import app
from ledgerlake.tables import append

Run = Callable[..., Result]


@pytest.fixture
def run(bare: Lakehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEDGERLAKE_SETTINGS", bare.lake.settings.model_dump_json())
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)


def dead_letter(house: Lakehouse, message_id: str, **more: object) -> None:
    row = {"message_id": message_id, "topic_name": "orders", "error_code": "missing_field", "reason": "…", "queue": "q"}
    append.append(house.lake.load("raw", "dlq_errors"), [row | {"drained_at": START, "body": "=1+1"} | more])


def test_a_message_is_traced_and_one_that_is_nowhere_ends_1(bare: Lakehouse, run: Run) -> None:
    bare.land("orders", message("m1", {}))
    found = run("trace", "m1")
    assert found.exit_code == 0
    assert "terminal state: waiting" in found.stdout
    assert json.loads(run("trace", "m1", "--topic", "orders", "--json").stdout)[0]["terminal_state"] == "waiting"
    nowhere = run("trace", "m2")
    assert nowhere.exit_code == 1
    assert "no message m2 in RAW, STANDARDIZED and CURATED of the topic orders" in nowhere.output
    assert "--kind dlq" in nowhere.output
    assert run("trace", "m1", "--topic", "ghosts").exit_code == 1
    assert run("trace", "--key", "k1", "--topic", "orders").exit_code == 1


def test_failures_are_shown_and_exported(bare: Lakehouse, run: Run, tmp_path: Path) -> None:
    dead_letter(bare, "m1")
    dead_letter(bare, "m2", resolved_by="redrive-1", resolved_at=START)
    assert "missing_field" in run("errors", "--kind", "dlq", "--since", "2026-01-18", "--until", "2026-01-19").stdout
    (shown,) = json.loads(run("errors", "--json").stdout)
    assert (shown["kind"], shown["records"], shown["samples"]) == ("dlq", 1, ["m1"])
    assert "No record has failed" in run("errors", "--until", "2026-01-18").stdout
    assert "wrote 2 records" in run("errors", "--all", "--export", "all.csv").stdout
    assert "'=1+1" in (tmp_path / "all.csv").read_text("utf-8-sig")
    assert run("errors", "--resolved", "--export", "done.jsonl").exit_code == 0
    (line,) = (tmp_path / "done.jsonl").read_text().splitlines()
    assert (json.loads(line)["message_id"], json.loads(line)["resolved_by"]) == ("m2", "redrive-1")
    assert run("errors", "--export", "nowhere/all.csv").exit_code == 2
    assert run("errors", "--export", "all.xlsx").exit_code == 1
