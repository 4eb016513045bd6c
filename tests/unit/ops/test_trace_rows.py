"""A message's way, told from tables that were written by hand: which files are opened for it, and what is printed."""

import io
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
import typer
from pyiceberg.expressions import And, EqualTo
from rich.console import Console

from ledgerlake.cli import app
from ledgerlake.ops import trace_report
from ledgerlake.ops.places import Terminal
from ledgerlake.ops.trace import trace, versions
from ledgerlake.state.gate import Admission
from ledgerlake.state.store import State
from ledgerlake.tables import append, definitions, lookup
from ledgerlake.tables.commits import Commits
from ledgerlake.tables.lake import UnknownTopics
from ledgerlake.tables.lookup import near

TIME = datetime(2026, 1, 18, 10, tzinfo=UTC)
CONTRACT = {"table_name": "events", "envelope_columns": [], "payload_columns": [{"name": "a", "type": "string"}]}


class Bucket:
    """Only what a trace reads of S3: contracts, and an accept log without objects."""

    def get_object(self, **_):
        return {"Body": io.BytesIO(json.dumps(CONTRACT).encode())}

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        return [{}]


class Gate:
    def get(self, topic):
        return Admission(topic, True, 1, "", "v1", True)


STATE = State(checkpoints=None, locks=None, gate=Gate(), cycles=None, s3=Bucket(), contracts_bucket="contracts")


def row(message_id, minutes=0, *, key=None, days=0):
    moment = TIME + timedelta(days=days, minutes=minutes)
    return {
        "message_id": message_id,
        "topic_name": "events",
        "idempotency_key": key or message_id,
        "publish_time": moment,
        "ingestion_ts": moment,
    }


class Tables:
    """The tables of one topic, written as the jobs write them."""

    def __init__(self, lake):
        self.lake = lake
        self.raw = self.make(definitions.raw("events"))
        self.standardized = self.make(definitions.standardized("events"))
        self.parse_errors = self.make(definitions.parse_errors())
        self.errors = self.make(definitions.errors())
        self.dead_letters = self.make(definitions.dlq_errors())
        self.undelivered = self.make(definitions.firehose_errors())
        # STANDARDIZED's own columns are all that a trace reads of CURATED.
        self.curated = lake.catalog.create_table(
            lake.identifier("curated", "events"), definitions.standardized("events").schema
        )

    def make(self, definition):
        return self.lake.catalog.create_table(
            self.lake.identifier(definition.layer, definition.name),
            definition.schema,
            partition_spec=definition.spec,
            properties=dict(definition.properties),
        )

    def land(self, *rows):
        append.append(self.raw, [{"source": "sqs", "json_payload": "{}"} | one for one in rows])

    def standardize(self, *rows, unreadable=()):
        properties = batch(self.raw)
        name = {"batch_id": properties["ledgerlake.batch-id"]}
        append.append(self.parse_errors, [{**one, **name, "failed_at": TIME} for one in map(unkeyed, unreadable)])
        append.append(self.standardized, [one | name for one in rows], properties)
        return name["batch_id"]

    def curate(self, *rows, bad=()):
        append.append(self.errors, bad)
        append.append(self.curated, rows, batch(self.standardized))


def unkeyed(one):
    return {name: value for name, value in one.items() if name != "idempotency_key"}


def batch(source):
    *_, before, current = [0, *(snapshot.snapshot_id for snapshot in source.refresh().snapshots())]
    return {
        "ledgerlake.batch-id": f"events-{before}-{current}",
        "ledgerlake.source-snapshot-id": str(current),
        "ledgerlake.contract-version": "3",
        "ledgerlake.cycle-id": "cycle-1",
    }


@pytest.fixture
def tables(lake):
    return Tables(lake)


@pytest.fixture
def opened(monkeypatch):
    """The data files that were opened, by table, each time one was."""
    files: list[tuple[str, str]] = []
    read = lookup._read

    def counting(table, where, columns, task):
        files.append((table.name()[1], ",".join(columns)))
        return read(table, where, columns, task)

    monkeypatch.setattr(lookup, "_read", counting)
    return files


def a_month(tables):
    """A file of RAW and of STANDARDIZED for each of 30 days, ids that say nothing of their day."""
    rows = [row(f"{hash(day) % 97:02d}-{day}", days=day) for day in range(30)]
    tables.land(*rows)
    tables.standardize(*rows)
    tables.curate(*rows)
    return rows


def test_a_trace_opens_raw_only_on_the_days_around_the_message(tables, opened):
    rows = a_month(tables)
    tables.land(*(row("same", days=day) for day in range(30)))
    tables.standardize(row("same", days=15))
    (found,) = trace(tables.lake, STATE, "same")
    assert len(found.steps) == 1 + 15  # 7 days on both sides of its day, and its row in STANDARDIZED
    raw = {columns for table, columns in opened if table == "events_staging"}
    assert raw == {"message_id", ",".join(["message_id", "idempotency_key", "publish_time", "ingestion_ts", "source"])}
    assert len([1 for table, columns in opened if table == "events_staging"]) == 30
    opened.clear()
    trace(tables.lake, STATE, rows[3]["message_id"])
    assert len([1 for table, columns in opened if table == "events_staging"]) == 2


def test_bounds_of_the_ids_leave_out_files_before_any_day_is_known(tables, opened):
    for day in range(10):
        ids = [row(f"{day}-{n}", days=day) for n in range(3)]
        tables.land(*ids)
        tables.standardize(*ids)
    opened.clear()
    trace(tables.lake, STATE, "4-1")
    assert sorted({table for table, _ in opened}) == ["events", "events_staging"]
    assert len(opened) == 4  # each table's one file: its ids first, then what is told of the row


def test_of_an_id_that_is_nowhere_only_the_id_column_is_read(tables, opened):
    a_month(tables)
    assert trace(tables.lake, STATE, "50-nobody") == []
    assert {columns for _, columns in opened} <= {"message_id"}


def test_an_error_is_looked_for_in_its_own_batch(tables, opened):
    for n in range(5):
        name = tables_round(tables, n)
    opened.clear()
    (found,) = trace(tables.lake, STATE, "bad-4")
    assert found.ending.state is Terminal.CDE_ERROR
    assert found.steps[-1].facts["batch_id"] == name
    assert len([1 for table, _ in opened if table == "errors"]) == 2  # one file, twice


def tables_round(tables, n) -> str:
    good, bad = row(f"good-{n}"), row(f"bad-{n}")
    tables.land(good, bad)
    name = tables.standardize(good, bad)
    violation = {"kind": "cde", "column": "amount", "rule": "required", "value": None}
    error = {name: value for name, value in bad.items() if name != "ingestion_ts"}
    tables.curate(good, bad=[{**error, "violations": [violation], "batch_id": name, "failed_at": TIME}])
    return name


def test_steps_name_their_commits(tables):
    tables.land(row("a"))
    tables.standardize(row("a"))
    tables.curate(row("a"))
    (found,) = trace(tables.lake, STATE, "a")
    tables_of = (tables.raw, tables.standardized, tables.curated)
    assert [step.commit.snapshot_id for step in found.steps] == [
        table.refresh().current_snapshot().snapshot_id for table in tables_of
    ]
    assert [(step.commit.contract_version, step.commit.cycle_id) for step in found.steps[1:]] == [(3, "cycle-1")] * 2


def test_a_lost_message_is_unknown_and_says_what_is_wrong(tables):
    tables.land(row("a"), row("b"))
    tables.standardize(row("a"))
    tables.curate(row("a", key="other"))
    assert {one: trace(tables.lake, STATE, one)[0].ending.state for one in "ab"} == dict.fromkeys(
        "ab", Terminal.UNKNOWN
    )
    (lost,) = trace(tables.lake, STATE, "b")
    assert "stands nowhere" in lost.ending.why
    assert lost.steps[0].facts["copy"] == "lost"


def test_an_unknown_topic_is_refused(tables):
    with pytest.raises(UnknownTopics):
        trace(tables.lake, STATE, "a", "ghosts")
    with pytest.raises(UnknownTopics):
        versions(tables.lake, STATE, "a", "ghosts")


def test_a_table_that_is_missing_holds_nothing():
    assert lookup.find(None, EqualTo(term="message_id", value="a"), "message_id", ["message_id"]) == []


def test_days_are_whole_and_counted_from_each_moment(tables):
    tables.land(*(row("a", days=day) for day in range(10)))
    around = near("publish_time", [TIME + timedelta(days=1), TIME + timedelta(days=8)], 1)
    where = And(EqualTo(term="message_id", value="a"), around)
    found = lookup.find(tables.raw, where, "message_id", ["publish_time"])
    assert sorted((one.row["publish_time"] - TIME).days for one in found) == [0, 1, 2, 7, 8, 9]


def test_a_batch_whose_snapshot_has_expired_is_taken_for_committed(tables):
    tables.land(row("a"))
    name = tables.standardize(row("a"))
    tables.curate(row("a"))
    tables.land(row("b"))
    tables.standardize(row("b"))
    tables.curate(row("b"))
    with tables.standardized.maintenance.expire_snapshots() as expire:
        expire.by_id(tables.standardized.refresh().snapshots()[0].snapshot_id)
    commits = Commits(tables.raw.refresh(), tables.standardized.refresh(), tables.curated.refresh())
    assert commits.standardized(name) is None
    assert commits.curated(name) is not None
    assert commits.is_curated(name)
    assert commits.is_standardized(name, TIME)
    assert trace(tables.lake, STATE, "a")[0].ending.state is Terminal.CURATED


def printed(renderable, width=100):
    out = Console(width=width, file=io.StringIO())
    out.print(renderable)
    return out.file.getvalue()


@pytest.mark.parametrize("width", [60, 100, 200])
def test_a_timeline_ends_with_the_terminal_state_and_the_next_step(tables, width):
    tables.land(row("a", key="k"), row("b", 5, key="k"))
    tables.standardize(row("a", key="k"), row("b", 5, key="k"))
    tables.curate(row("b", 5, key="k"))
    text = printed(trace_report.timeline(trace(tables.lake, STATE, "a")[0]), width)
    assert "terminal state: superseded (by b)" in text
    assert "next step: all versions: ledgerlake trace --key k --topic events" in " ".join(text.split())
    assert all(len(line) <= width for line in text.splitlines())


def test_what_a_record_brings_cannot_move_the_cursor(tables):
    bad = {"message_id": "a\x1b[2J", "topic_name": "events", "error_code": "bad", "reason": "\x1b]0;x\x07[red]"}
    append.append(tables.dead_letters, [bad | {"drained_at": TIME}])
    text = printed(trace_report.timeline(trace(tables.lake, STATE, "a\x1b[2J")[0]))
    assert "\x1b" not in text
    assert r"\x1b]0;x\x07[red]" in text


def test_many_copies_are_counted_not_listed(tables):
    tables.land(*(row("a") | {"ingestion_ts": TIME + timedelta(minutes=n)} for n in range(30)))
    tables.standardize(row("a"))
    text = printed(trace_report.timeline(trace(tables.lake, STATE, "a")[0]))
    assert "… and 21 more copies" in text
    assert "29 copies are duplicates" in text


def test_a_trace_as_json_has_times_in_utc_and_the_terminal_state(tables):
    tables.land(row("a"))
    (told,) = json.loads(trace_report.traces_json(trace(tables.lake, STATE, "a")))
    assert (told["topic"], told["terminal_state"], told["duplicates"]) == ("events", "waiting", 0)
    (step,) = told["steps"]
    assert (step["at"], step["place"]) == ("2026-01-18T10:00:00.000000Z", "raw.events_staging")
    assert step["commit"]["snapshot_id"] == tables.raw.refresh().current_snapshot().snapshot_id


def test_versions_of_a_key_name_the_current_one(tables):
    rows: list[dict[str, Any]] = [row("a", key="k"), row("b", 5, key="k")]
    tables.land(*rows)
    tables.standardize(*rows)
    tables.curate(rows[1])
    found = versions(tables.lake, STATE, "k", "events")
    text = printed(trace_report.versions_table("k", "events", found), 160)
    assert "current: b" in text
    assert [(one["message_id"], one["current"]) for one in json.loads(trace_report.versions_json(found))] == [
        ("b", True),
        ("a", False),
    ]


def test_every_next_step_is_a_command_that_there_is(tables):
    tables.land(row("it's"), row("raw", 1), row("old", key="a key"), row("new", 5, key="a key"))
    name = tables.standardize(row("it's"), row("old", key="a key"), row("new", 5, key="a key"), unreadable=[row("p q")])
    tables.curate(row("new", 5, key="a key"), bad=[failed("it's", name)])
    dead = {"topic_name": "events", "reason": "…", "queue": "q", "drained_at": TIME}
    codes = {"broken": "missing_field", "given-up": "not_delivered"}
    append.append(tables.dead_letters, [dead | {"message_id": one, "error_code": code} for one, code in codes.items()])
    lost = {"topic_name": "events", "message_id": "lost", "failed_at": TIME, "error_code": "x", "error_message": "y"}
    append.append(tables.undelivered, [lost])
    tables.land(row("waits"))
    endings = {
        one: trace(tables.lake, STATE, one)[0].ending for one in ("it's", "raw", "old", "p q", "lost", "waits", *codes)
    }
    assert len({ending.state for ending in endings.values()}) == 7
    steps = [words for ending in endings.values() for words in commands(ending.remedy)]
    assert len(steps) >= len(endings)
    assert [(words, reason) for words in steps if (reason := refusal(words))] == []
    assert "it's" in commands(endings["it's"].remedy)[0]


def failed(message_id, name):
    violation = {"kind": "rule", "column": None, "rule": "small", "value": None}
    return {
        "message_id": message_id,
        "topic_name": "events",
        "violations": [violation],
        "batch_id": name,
        "failed_at": TIME,
    }


def test_a_failed_record_whose_edited_form_is_on_its_way_is_still_open_and_names_it(tables):
    tables.land(row("bad"), row("other"))
    name = tables.standardize(row("bad"), row("other"))
    tables.curate(row("other"), bad=[failed("bad", name) | {"replaced_by": "good"}])
    (found,) = trace(tables.lake, STATE, "bad")
    assert (found.ending.state, found.ending.replaced_by) == (Terminal.RULE_ERROR, "good")
    assert commands(found.ending.remedy) == [["trace", "good"]]
    (edited,) = trace(tables.lake, STATE, "good")
    assert (edited.ending.state, edited.replaces) == (Terminal.IN_FLIGHT, ["bad"])


def test_a_failed_check_names_the_option_and_the_value(tables):
    tables.land(row("bad"), row("other"))
    name = tables.standardize(row("bad"), row("other"))
    check = {"kind": "check", "column": "state", "rule": "allowed_values", "value": "Paid"}
    tables.curate(row("other"), bad=[failed("bad", name) | {"violations": [check]}])
    (found,) = trace(tables.lake, STATE, "bad")
    assert (found.ending.state, found.ending.why) == (Terminal.CHECK_ERROR, "state breaks allowed_values: 'Paid'")


def test_a_field_that_the_contract_rejects_is_named(tables):
    tables.land(row("bad"), row("other"))
    name = tables.standardize(row("bad"), row("other"))
    check = {"kind": "check", "column": None, "rule": "drift", "value": "/x"}
    tables.curate(row("other"), bad=[failed("bad", name) | {"violations": [check]}])
    (found,) = trace(tables.lake, STATE, "bad")
    assert found.ending.why == "an unknown field breaks drift: '/x'"


def commands(remedy):
    return [shlex.split(command) for command in re.findall(r"ledgerlake ([^;]+)", remedy)]


def refusal(words):
    """Why the command line would not be understood; nothing is run."""
    command: Any = typer.main.get_command(app)
    context = click.Context(command)
    while isinstance(command, click.Group):
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
        context = click.Context(command, parent=context)
    try:
        command.parse_args(context, [word.replace("edit.jsonl", __file__) for word in words])
    except click.UsageError as error:
        return error.format_message()
    return ""
