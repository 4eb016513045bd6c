"""Drift, as a batch brings it: what is logged, what the contract's policy makes of it, and that nothing is lost."""

import json
from dataclasses import replace
from typing import Any

import pytest
from lakehouse import Lakehouse, message

from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.standardize import standardize
from ledgerlake.records import observed
from ledgerlake.tables.history import Outcome

EVENTS = {"table_name": "events", "envelope_columns": [], "payload_columns": []}


def arrive(lakehouse: Lakehouse, *payloads: object) -> Outcome:
    """Land one batch and standardize it; its messages are called by batch and place."""
    raw = lakehouse.lake.find("raw", "events_staging")
    batch = len(raw.snapshots()) if raw else 0
    lakehouse.land("events", *(message(f"b{batch}-{n}", one, batch, key=f"k{n}") for n, one in enumerate(payloads)))
    return standardize(lakehouse.context(), "events")


def logged(lakehouse: Lakehouse, *changes: str) -> list[tuple[Any, ...]]:
    rows = lakehouse.rows("ops", "drift_log")
    told = ("change", "path", "message_id", "sample", "count", "detail")
    return sorted(tuple(row[name] for name in told) for row in rows if not changes or row["change"] in changes)


def test_a_column_whose_values_turn_into_another_kind_is_logged_once(lakehouse: Lakehouse) -> None:
    lakehouse.publish(EVENTS)
    assert arrive(lakehouse, {"n": 1, "s": "x", "o": "flat"}, {"n": 2.5, "s": "y"}).drift == 3
    assert arrive(lakehouse, {"n": 3, "s": "1"}).drift == 0
    many = [{"n": 4, "s": "x"}] * 40
    assert arrive(lakehouse, *many, {"n": "5"}, {"n": "6"}, {"o": {"p": 1}}, '{"s": [1], "n": 1').drift == 3
    assert arrive(lakehouse, {"n": "7", "o": {"p": 2}}).drift == 0
    assert logged(lakehouse, "kind_changed") == [
        ("kind_changed", "/n", "b2-40", "5", 2, "number → string"),
        ("kind_changed", "/o", "b2-42", "1", 1, "string → object"),
    ]
    assert ("column_added", "/n", "b0-0", "1", 2, None) in logged(lakehouse)


def test_a_column_that_stops_and_comes_again_is_logged(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "REGULAR", 2)
    monkeypatch.setattr(observed, "ABSENT", 2)
    lakehouse.publish(EVENTS)
    arrive(lakehouse, {"always": 0, "often": 1, "once": 1})
    arrive(lakehouse, {"always": 1, "often": 1})
    outcomes = [arrive(lakehouse, {"always": 1}) for _ in range(3)]
    assert [outcome.drift for outcome in outcomes] == [0, 1, 0]
    arrive(lakehouse, {"always": 1}, {"always": 2, "often": "again"})
    assert logged(lakehouse, "column_stopped", "reappeared", "kind_changed") == [
        ("column_stopped", "/often", None, None, None, "in none of the last 2 batches"),
        ("kind_changed", "/often", "b5-1", "again", 1, "number → string"),
        ("reappeared", "/often", "b5-1", "again", 1, None),
    ]


def test_fields_that_a_contract_freezes_stay_in_rescued(lakehouse: Lakehouse) -> None:
    lakehouse.publish({**EVENTS, "drift": "freeze", "payload_columns": [{"name": "a", "type": "int"}]})
    assert arrive(lakehouse, {"a": 1, "x": {"y": "2"}}, {"a": 2}).drift == 2
    assert arrive(lakehouse, {"a": 3, "x": {"y": "4"}}).drift == 0
    assert "x_y" not in lakehouse.lake.load("standardized", "events").schema().column_names
    rescued = [row["rescued"] for row in lakehouse.rows("standardized", "events", ["rescued"], "rescued IS NOT NULL")]
    assert sorted(rescued, key=str) == [{"/x/y": "2"}, {"/x/y": "4"}]
    assert logged(lakehouse, "frozen") == [("frozen", "/x/y", "b0-0", "2", 1, None)]
    curate(lakehouse.context(), "events")
    assert len(lakehouse.ids("curated", "events")) == 2  # k0 came twice


def test_what_a_contract_rejects_is_an_error_and_is_taken_in_once_the_contract_allows_it(lakehouse: Lakehouse) -> None:
    columns = [{"name": "a", "type": "int", "drift": "reject"}, {"name": "b", "type": "string", "pii": "mask"}]
    strict = {**EVENTS, "drift": "reject", "payload_columns": columns}
    lakehouse.publish(strict)
    arrive(lakehouse, {"a": 1, "b": "x"}, {"a": "2"}, {"a": 3, "b": {"c": "secret"}}, {"d": 1, "e": [2]}, {"a": None})
    curate(lakehouse.context(), "events")
    assert lakehouse.ids("curated", "events") == ["b0-0", "b0-4"]
    errors = {row["message_id"]: row for row in lakehouse.rows("curated", "errors")}
    told = {
        name: [(one["kind"], one["column"], one["rule"], one["value"]) for one in row["violations"]]
        for name, row in errors.items()
    }
    assert told == {
        "b0-1": [("check", "a", "drift", "2")],
        "b0-2": [("check", None, "drift", "/b/c")],
        "b0-3": [("check", None, "drift", "/d"), ("check", None, "drift", "/e")],
    }
    assert json.loads(errors["b0-3"]["record"])["rescued"] == {"/d": "1", "/e": "[2]"}
    assert "secret" not in json.dumps([errors["b0-2"]["record"], logged(lakehouse)])

    lakehouse.publish({**strict, "drift": "evolve", "payload_columns": [{"name": "a", "type": "int"}]}, version=2)
    lakehouse.forget("events", "curate")
    lakehouse.lake.catalog.drop_table(lakehouse.lake.identifier("curated", "events"))
    curate(lakehouse.context(), "events")
    values = {row["message_id"]: row["a"] for row in lakehouse.rows("curated", "events")}
    assert values == {"b0-0": 1, "b0-1": 2, "b0-2": 3, "b0-3": None, "b0-4": None}


def test_a_burst_of_junk_keys_loses_no_value_and_does_not_explode(lakehouse: Lakehouse) -> None:
    few = lakehouse.lake.settings.model_copy(update={"max_payload_columns": 50})
    lakehouse.lake = replace(lakehouse.lake, settings=few)
    lakehouse.publish(EVENTS)
    arrive(lakehouse, {"id": 1})
    spread = [{"id": 1} | {f"junk {row} {key}": key for key in range(10)} for row in range(1_000)]
    heap = {"id": 2} | {f"heap {key}": key for key in range(10_000)}
    outcome = arrive(lakehouse, *spread, heap)

    columns = lakehouse.lake.load("standardized", "events").schema().fields
    assert len(columns) == 8 + 50
    rows = lakehouse.rows("standardized", "events", where="batch_id LIKE 'events-%' AND id IS NOT NULL")
    held = [
        {name for name, value in row.items() if value is not None and name.startswith(("junk", "heap"))}
        | set(row["rescued"] or ())
        for row in rows
    ]
    assert sorted(map(len, held)) == [0] + [10] * 1_000 + [10_000]
    log = logged(lakehouse)
    assert outcome.drift == 49 + 100 + 1
    assert [row for row in log if row[1] == ""] == [
        ("limit", "", None, None, 20_000 - 49 - 100, "more paths than are listed")
    ]
    assert arrive(lakehouse, {f"later {key}": key for key in range(10_000)}).drift == 101
