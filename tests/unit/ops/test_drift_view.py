"""ops.drift_log written by a batch, read by a person."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ledgerlake.cli import app
from ledgerlake.commands import drift as command
from ledgerlake.jobs.drift_log import LASTING, News, log
from ledgerlake.ops.drift_report import drift_table
from ledgerlake.ops.drift_view import REMEDIES, Selection, drift
from ledgerlake.tables import definitions

NEW = News("column_added", "a_b", "/a/b", "m1", "7", 3)
TURNED = News("kind_changed", "n", "/n", "m2", "x", 2, "number → string")
MORE = News("limit", None, "", count=9_900, detail="more paths than are listed")


@pytest.fixture
def logged(lake):
    definition = definitions.drift_log()
    lake.catalog.create_table(lake.identifier("ops", "drift_log"), definition.schema)
    assert log(lake, "events", "events-0-1", [NEW, TURNED]) == 2
    assert log(lake, "events", "events-0-1", [NEW, TURNED]) == 2  # a second try
    assert log(lake, "events", "events-1-2", [NEW, MORE]) == 1  # the column is known
    assert log(lake, "others", "others-0-1", [NEW]) == 1
    assert log(lake, "events", "events-2-3", []) == 0
    return lake


def paths(found):
    return sorted((row["topic_name"], row["change"], row["path"]) for row in found)


def test_it_is_selected_by_topic_change_and_time(logged):
    assert paths(drift(logged, Selection())) == [
        ("events", "column_added", "/a/b"),
        ("events", "kind_changed", "/n"),
        ("events", "limit", ""),
        ("others", "column_added", "/a/b"),
    ]
    assert paths(drift(logged, Selection("events", ["column_added", "limit"]))) == [
        ("events", "column_added", "/a/b"),
        ("events", "limit", ""),
    ]
    now = datetime.now(UTC)
    assert len(drift(logged, Selection(since=now - timedelta(days=7)))) == 4
    assert drift(logged, Selection(since=now + timedelta(days=1))) == []


def test_the_newest_comes_first_with_what_to_do(logged):
    found = drift(logged, Selection("events"))
    assert (found[0]["change"], found[0]["count"], found[0]["column_name"]) == ("limit", 9_900, None)
    assert found[0]["remedy"] == REMEDIES["limit"]


def test_the_table_tells_all_of_a_change_and_what_to_do_once(logged):
    console = Console(width=160, file=io.StringIO())
    console.print(drift_table(drift(logged, Selection("events"))))
    told = console.file.getvalue()
    for part in ("/n", "number → string", "m2", "x", "9,900", "others", "events-1-2", REMEDIES["kind_changed"]):
        assert part in told
    assert told.count(REMEDIES["column_added"]) == 1
    assert "reappeared:" not in told


def test_every_change_has_its_remedy():
    assert set(REMEDIES) == LASTING | {"kind_changed", "column_stopped", "reappeared"}


def test_the_command_prints_json_and_refuses_a_change_there_is_not(logged, monkeypatch):
    monkeypatch.setattr(command, "environment_of", lambda _ctx: logged)
    monkeypatch.setattr(command.Lake, "connect", lambda _settings: logged)
    ran = CliRunner().invoke(app, ["drift", "--topic", "others", "--json"])
    assert [row["path"] for row in json.loads(ran.stdout)] == ["/a/b"]
    ran = CliRunner().invoke(app, ["drift", "--change", "column_gone"])
    assert ran.exit_code == 2
    assert "no change column_gone" in ran.output
