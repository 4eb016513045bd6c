"""What becomes of a RAW batch (design 4.1, 4.2, 5)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lakehouse import Lakehouse, message

from ledgerlake.jobs.commit import StaleBatch, require_ours
from ledgerlake.jobs.plan import plan
from ledgerlake.jobs.standardize import standardize
from ledgerlake.state.locks import Lock
from ledgerlake.tables.history import Outcome, Result

EVENTS = {"table_name": "events", "envelope_columns": [], "payload_columns": []}
DAY = 24 * 60


@pytest.fixture
def lakehouse(new_lakehouse_on_disk: Callable[[], Lakehouse]) -> Lakehouse:
    return new_lakehouse_on_disk()


def run(lakehouse: Lakehouse) -> Outcome:
    return standardize(lakehouse.context(), "events")


def counts(outcome: Outcome) -> tuple[int | None, ...]:
    """Rows in, standardized, duplicates, parse errors."""
    return outcome.rows_in, outcome.rows_standardized, outcome.rows_duplicate, outcome.rows_parse_error


def test_numbers_keep_their_text_and_rows_their_envelope(lakehouse: Lakehouse) -> None:
    lakehouse.publish(EVENTS)
    payload = '{"a": 1.10, "b": 1e5, "c": 123456789012345678901234567890, "d": [1.10]}'
    lakehouse.land("events", message("m1", payload, key="k1"), message("m2", "no json", 1))

    outcome = run(lakehouse)

    assert counts(outcome) == (2, 1, 0, 1)
    (row,) = lakehouse.rows("standardized", "events")
    assert [row[name] for name in "abcd"] == ["1.10", "1e5", "123456789012345678901234567890", "[1.10]"]
    assert (row["message_id"], row["idempotency_key"], row["batch_id"]) == ("m1", "k1", outcome.batch_id)
    (error,) = lakehouse.rows("standardized", "parse_errors")
    assert (error["message_id"], error["json_payload"], error["error_code"]) == ("m2", "no json", "not_json")


def test_the_first_occurrence_decides_where_a_message_ends(lakehouse: Lakehouse) -> None:
    lakehouse.publish(EVENTS)
    lakehouse.land(
        "events",
        message("twice", {"v": "later"}, 5),
        message("twice", {"v": "first"}, 1),
        message("broken first", "{", 1),
        message("broken first", {"v": "whole"}, 2),
        message("tied", {"v": 1}, 3, source="s3://b/2#1"),
        message("tied", {"v": 2}, 3, source="s3://b/1#1"),
    )
    assert counts(run(lakehouse)) == (6, 2, 3, 1)

    lakehouse.land("events", message("twice", {"v": "again"}, 0), message("broken first", {"v": "whole"}, 9))
    lakehouse.land("events", message("new", {"v": "new"}, 9))
    assert counts(run(lakehouse)) == (3, 1, 2, 0)

    values = {row["message_id"]: row["v"] for row in lakehouse.rows("standardized", "events")}
    assert values == {"twice": "first", "tied": "2", "new": "new"}
    assert lakehouse.ids("standardized", "parse_errors") == ["broken first"]


def test_beyond_the_window_an_id_counts_as_new(lakehouse: Lakehouse) -> None:
    lakehouse.publish({**EVENTS, "dedup_window_days": 1})
    lakehouse.land("events", message("m", {"v": 1}))
    run(lakehouse)

    lakehouse.land("events", message("m", {"v": 2}, DAY))
    assert counts(run(lakehouse)) == (1, 0, 1, 0)
    lakehouse.land("events", message("m", {"v": 3}, 2 * DAY))
    assert counts(run(lakehouse)) == (1, 1, 0, 0)


def test_a_column_belongs_to_the_path_that_claimed_it_first(lakehouse: Lakehouse) -> None:
    contract = {**EVENTS, "payload_columns": [{"name": "chosen", "type": "string", "source": "X.y"}]}
    lakehouse.publish(contract)
    lakehouse.land(
        "events",
        message("later", {"a_b": "loses", "x_y": "named second", "X": {"y": "named by the contract"}}, 2),
        message("first", {"a": {"b": "owns"}, "a-b": "comes second"}, 1),
    )
    run(lakehouse)
    lakehouse.land("events", message("next", {"a_b": "still loses", "a": {"b": "still owns"}, "c": "new"}, 3))
    run(lakehouse)

    rows = {row["message_id"]: row for row in lakehouse.rows("standardized", "events")}
    assert [rows[name]["a_b"] for name in ("first", "later", "next")] == ["owns", None, "still owns"]
    assert rows["first"]["rescued"] == {"/a-b": "comes second"}
    assert rows["later"]["rescued"] == {"/a_b": "loses", "/x_y": "named second"}
    assert rows["later"]["x_y"] == "named by the contract"
    assert (rows["next"]["rescued"], rows["next"]["c"]) == ({"/a_b": "still loses"}, "new")
    log = lakehouse.rows("ops", "drift_log")
    assert sorted((entry["change"], entry["path"], entry["message_id"]) for entry in log) == [
        ("collision", "/a-b", "first"),
        ("collision", "/a_b", "later"),
        ("collision", "/x_y", "later"),
        ("column_added", "/X/y", "later"),
        ("column_added", "/a/b", "first"),
        ("column_added", "/c", "next"),
    ]


def test_a_run_that_died_after_its_commit_is_finished_without_another(lakehouse: Lakehouse) -> None:
    lakehouse.publish(EVENTS)
    lakehouse.land("events", message("m", {"v": 1}), message("bad", "{"))
    first = run(lakehouse)
    done = lakehouse.state.checkpoints.get("events", "standardize")
    assert done is not None
    lakehouse.state.checkpoints.put(replace(done, status="pending"), done)

    again = run(lakehouse)

    assert counts(again) == counts(first)
    assert lakehouse.snapshots("standardized", "events") == 1
    assert lakehouse.ids("standardized", "parse_errors") == ["bad"]
    assert run(lakehouse).outcome is Result.STANDARDIZED  # nothing is pending: nothing is done
    assert lakehouse.snapshots("standardized", "events") == 1


def test_a_run_that_waited_for_another_sees_what_that_one_committed(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look whether the batch is there comes after the lock: before it, the other's commit would be missed."""
    lakehouse.publish(EVENTS)
    lakehouse.land("events", message("m", {"v": 1}))
    plan(lakehouse.lake, lakehouse.state, "cycle")
    acquire = lakehouse.state.locks.acquire

    def another_first(*arguments: Any) -> Lock:
        monkeypatch.undo()
        run(lakehouse)
        done = lakehouse.state.checkpoints.get("events", "standardize")
        assert done is not None
        lakehouse.state.checkpoints.put(replace(done, status="pending"), done)
        return acquire(*arguments)

    monkeypatch.setattr(lakehouse.state.locks, "acquire", another_first)
    assert counts(run(lakehouse)) == (1, 1, 0, 0)
    assert lakehouse.ids("standardized", "events") == ["m"]
    assert lakehouse.snapshots("standardized", "events") == 1


def test_a_lost_checkpoint_is_rebuilt_from_the_tables(lakehouse: Lakehouse) -> None:
    lakehouse.publish(EVENTS)
    lakehouse.land("events", message("m1", {"v": 1}))
    run(lakehouse)
    lakehouse.forget("events", "standardize")
    lakehouse.land("events", message("m2", {"v": 2}))

    assert counts(run(lakehouse)) == (1, 1, 0, 0)
    assert lakehouse.ids("standardized", "events") == ["m1", "m2"]


def test_a_run_with_an_older_token_than_the_tables_does_not_commit(lakehouse: Lakehouse) -> None:
    lakehouse.publish(EVENTS)
    lakehouse.land("events", message("m1", {"v": 1}))
    with lakehouse.state.locks.acquire("events", "stale") as stale:
        pass  # it expired, so to speak
    run(lakehouse)

    with pytest.raises(StaleBatch):
        require_ours(lakehouse.lake.load("standardized", "events"), stale, 1)
