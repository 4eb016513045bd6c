"""Where a message is: every place it has been, through each terminal state (design 2)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lakehouse import START, Lakehouse, message

from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.replay import replay
from ledgerlake.jobs.selection import Selection
from ledgerlake.jobs.standardize import standardize
from ledgerlake.ops import accepted
from ledgerlake.ops.accepted import Accepted
from ledgerlake.ops.places import Terminal, Trace
from ledgerlake.ops.trace import trace, versions
from ledgerlake.tables import append
from ledgerlake.tables.lake import staging

ORDERS: dict[str, Any] = {
    "table_name": "orders",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [
        {"name": "amount", "type": "decimal(12,2)", "source": "amount", "cde": True},
        {"name": "count", "type": "int", "source": "count"},
    ],
    "rules": [{"name": "amount_not_negative", "expression": "amount >= 0", "action": "quarantine"}],
}


def order(message_id: str, key: str, minutes: float = 0, *, amount: object = 1, **more: Any) -> dict[str, Any]:
    return message(message_id, {"id": key, "amount": amount, "count": more.pop("count", 1)}, minutes, **more)


def cycle(house: Lakehouse, cycle_id: str = "c1", topic: str = "orders") -> None:
    standardize(house.context(cycle_id), topic)
    curate(house.context(cycle_id), topic)


def of(house: Lakehouse, message_id: str, topic: str | None = None) -> Trace:
    (found,) = trace(house.lake, house.state, message_id, topic)
    return found


def places(found: Trace) -> list[str]:
    return [step.place for step in found.steps]


def mark(house: Lakehouse, layer: Any, table: str, message_id: str, marks: Mapping[str, Any]) -> None:
    """Resolve an error as a replay does."""
    values = ", ".join(f"{name} = {value}" for name, value in marks.items())
    name = house.lake.spark_name(layer, table)
    house.context().spark.sql(f"UPDATE {name} SET {values} WHERE message_id = '{message_id}'")  # noqa: S608


@pytest.fixture
def orders(lakehouse: Lakehouse) -> Lakehouse:
    lakehouse.publish(ORDERS)
    return lakehouse


def test_a_message_is_followed_to_its_curated_row_past_its_copies(orders: Lakehouse) -> None:
    file = "s3://landing/orders/day.jsonl#7"
    orders.land("orders", order("m1", "k1"), order("m1", "k1", arrives=5, source=file), order("other", "k2"))
    orders.land("orders", order("m1", "k1", arrives=9))
    cycle(orders)
    found = of(orders, "m1")
    assert (found.topic, found.ending.state, found.duplicates) == ("orders", Terminal.CURATED, 2)
    assert places(found) == [*["raw.orders_staging"] * 3, "standardized.orders", "curated.orders"]
    roles = [(step.facts["source"], step.facts["copy"]) for step in found.steps[:3]]
    assert roles == [("sqs", "counted"), (file, "duplicate"), ("sqs", "duplicate")]
    first, second = (snapshot.snapshot_id for snapshot in orders.lake.load("raw", staging("orders")).snapshots())
    assert [step.commit and step.commit.snapshot_id for step in found.steps[:3]] == [first, first, second]
    for layer, step in (("standardized", found.steps[3]), ("curated", found.steps[4])):
        (snapshot,) = orders.lake.load(layer, "orders").snapshots()
        assert step.commit is not None
        assert (step.commit.snapshot_id, step.commit.contract_version) == (snapshot.snapshot_id, 1)
        assert (step.commit.cycle_id, step.commit.batch_id is not None) == ("c1", True)


def test_what_superseded_each_version_of_a_key_is_told(orders: Lakehouse) -> None:
    orders.land("orders", order("m1", "k1", 0), order("m2", "k1", 2))
    cycle(orders, "c1")
    orders.land("orders", order("m4", "k1", 8))
    cycle(orders, "c2")
    orders.land("orders", order("m3", "k1", 5), order("bad", "k1", 9, amount="x"))
    cycle(orders, "c3")
    told = {one.trace.message_id: one.trace.ending for one in versions(orders.lake, orders.state, "k1", "orders")}
    assert list(told) == ["bad", "m4", "m3", "m2", "m1"]
    assert told["m4"].state is Terminal.CURATED
    assert told["bad"].state is Terminal.CAST_ERROR
    superseded = {one: told[one].superseded_by for one in ("m1", "m2", "m3")}
    assert superseded == {"m1": "m2", "m2": "m4", "m3": "m4"}
    assert {one: of(orders, one).ending.superseded_by for one in superseded} == superseded


def test_a_failed_record_names_its_violations(orders: Lakehouse) -> None:
    orders.land(
        "orders",
        message("cde", {"id": "k1"}),
        order("cast", "k2", amount="1,5", count="x"),
        order("rule", "k3", amount=-1),
        message("parse", "{"),
    )
    cycle(orders)
    endings = {one: of(orders, one).ending for one in ("cde", "cast", "rule", "parse")}
    assert {one: ending.state for one, ending in endings.items()} == {
        "cde": Terminal.CDE_ERROR,
        "cast": Terminal.CAST_ERROR,
        "rule": Terminal.RULE_ERROR,
        "parse": Terminal.PARSE_ERROR,
    }
    assert endings["cde"].why == "amount is missing"
    assert endings["cast"].why == "amount is no decimal(12,2): '1,5'; count is no int: 'x'"
    assert endings["rule"].why == "breaks rule amount_not_negative"
    assert endings["parse"].why.startswith("not_json")
    assert all(ending.remedy for ending in endings.values())
    assert places(of(orders, "cast"))[-1] == "curated.errors"
    assert places(of(orders, "parse"))[-1] == "standardized.parse_errors"


def test_what_never_reached_raw_is_found_where_it_is_kept(orders: Lakehouse) -> None:
    at = {"topic_name": "orders"}
    dead = {
        "message_id": "dead",
        "error_code": "missing_field",
        "reason": "no payload",
        "queue": "q",
        "drained_at": START,
    }
    append.append(orders.lake.load("raw", "dlq_errors"), [at | dead])
    lost = {"message_id": "lost", "error_code": "Iceberg.NoSuchTable", "error_message": "no table", "failed_at": START}
    append.append(orders.lake.load("raw", "firehose_errors"), [lost, at | lost | {"message_id": "late"}])
    assert of(orders, "dead", "orders").ending.state is Terminal.DLQ
    assert of(orders, "dead").ending.why == "missing_field: no payload"
    assert of(orders, "late", "orders").ending.state is Terminal.FIREHOSE_ERROR
    assert (of(orders, "lost").topic, of(orders, "lost").ending.state) == ("", Terminal.FIREHOSE_ERROR)


def test_a_redriven_message_is_in_flight_until_it_lands(orders: Lakehouse) -> None:
    row = {"message_id": "m1", "topic_name": "orders", "error_code": "not_delivered", "drained_at": START}
    sent = {"resolved_by": "redrive-1", "resolved_at": START + timedelta(minutes=5)}
    append.append(orders.lake.load("raw", "dlq_errors"), [row | sent])
    assert of(orders, "m1").ending.state is Terminal.IN_FLIGHT
    orders.land("orders", order("m1", "k1", 0, arrives=6))
    cycle(orders)
    found = of(orders, "m1")
    assert found.ending.state is Terminal.CURATED
    assert places(found)[:3] == ["raw.dlq_errors", "redrive", "raw.orders_staging"]


def test_a_message_that_waits_says_for_what(orders: Lakehouse) -> None:
    orders.land("orders", order("m1", "k1"))
    assert of(orders, "m1").ending.why == "in RAW, not standardized yet"
    assert of(orders, "m1").steps[0].facts["copy"] == "waiting"
    orders.state.gate.set_enabled("orders", False, "audit")
    assert "stopped (audit)" in of(orders, "m1").ending.why
    orders.state.gate.set_enabled("orders", True)
    standardize(orders.context(), "orders")
    assert of(orders, "m1").ending.state is Terminal.WAITING
    assert of(orders, "m1").ending.why == "standardized, not curated yet"
    orders.land("strays", order("m2", "k1"))
    assert "no contract" in of(orders, "m2").ending.why


def test_a_copy_that_has_just_landed_waits_while_its_message_is_curated(orders: Lakehouse) -> None:
    orders.land("orders", order("m1", "k1"))
    cycle(orders)
    orders.land("orders", order("m1", "k1", arrives=30))
    found = of(orders, "m1")
    assert found.ending.state is Terminal.CURATED
    assert [step.facts.get("copy") for step in found.steps if step.place == "raw.orders_staging"] == [
        "counted",
        "waiting",
    ]


def test_a_topic_without_columns_to_curate_ends_standardized(lakehouse: Lakehouse) -> None:
    lakehouse.publish({**ORDERS, "payload_columns": [], "rules": []})
    lakehouse.land("orders", order("m1", "k1"))
    standardize(lakehouse.context(), "orders")
    assert of(lakehouse, "m1").ending.state is Terminal.STANDARDIZED_ONLY


def test_errors_of_a_run_that_never_committed_are_no_ending(orders: Lakehouse) -> None:
    orders.land("orders", order("good", "k1"), order("bad", "k2", amount="x"), message("broken", "{"))
    standardize(orders.context(), "orders")
    (row,) = orders.rows("standardized", "orders", where="message_id = 'bad'")
    left = {"message_id": "bad", "topic_name": "orders", "batch_id": row["batch_id"], "failed_at": START}
    append.append(orders.lake.load("curated", "errors"), [left | {"violations": [], "reported_by": "orders-0-1"}])
    assert of(orders, "bad").ending.why == "standardized, not curated yet"
    orders.land("orders", message("broken2", "{"))
    left = {"message_id": "broken2", "topic_name": "orders", "batch_id": "orders-1-2", "failed_at": START}
    append.append(
        orders.lake.load("standardized", "parse_errors"), [left | {"publish_time": START, "ingestion_ts": START}]
    )
    assert of(orders, "broken2").ending.why == "in RAW, not standardized yet"


def test_an_edited_record_is_followed_in_both_directions(orders: Lakehouse) -> None:
    orders.land("orders", order("bad", "k1", amount="x"), message("broken", "{"))
    cycle(orders)
    for layer, table, old, new in (
        ("curated", "errors", "bad", "good"),
        ("standardized", "parse_errors", "broken", "whole"),
    ):
        marks = {"resolved_by": "'replay-7'", "resolved_at": "current_timestamp()", "replaced_by": f"'{new}'"}
        mark(orders, layer, table, old, marks)
    orders.land("orders", order("good", "k1", 1), order("whole", "k2", 1))
    cycle(orders, "c2")
    for old, new in (("bad", "good"), ("broken", "whole")):
        original, edited = of(orders, old), of(orders, new)
        assert (original.ending.state, original.ending.replaced_by) == (Terminal.REPLAYED, new)
        assert original.ending.resolved_by == "replay-7"
        assert (edited.ending.state, edited.replaces) == (Terminal.CURATED, [old])


def test_a_mark_counts_only_once_its_replay_has_committed(orders: Lakehouse) -> None:
    orders.land("orders", order("bad", "k1", amount="x"))
    cycle(orders)
    mark(orders, "curated", "errors", "bad", {"resolved_by": "'orders-replay-1'", "resolved_at": "current_timestamp()"})
    assert of(orders, "bad").ending.state is Terminal.CAST_ERROR


def test_a_record_that_a_replay_took_in_is_curated_by_it(orders: Lakehouse) -> None:
    orders.land("orders", order("bad", "k1", amount=-1), order("worse", "k2", amount="x"))
    cycle(orders)
    orders.publish({**ORDERS, "rules": []}, version=2)
    replay(orders.context("replay-r1"), "orders", Selection(), "r1")
    found = of(orders, "bad")
    assert (found.ending.state, found.ending.resolved_by) == (Terminal.CURATED, "orders-replay-r1")
    assert places(found)[-3:] == ["curated.errors", "replay", "curated.orders"]
    commit = found.steps[-1].commit
    assert commit is not None
    assert (commit.batch_id, commit.contract_version) == ("orders-replay-r1", 2)
    assert of(orders, "worse").ending.state is Terminal.CAST_ERROR
    orders.land("orders", order("next", "k1", 9))
    cycle(orders, "c2")
    assert of(orders, "bad").ending.superseded_by == "next"


def test_a_message_that_only_the_processor_knows_is_in_flight(orders: Lakehouse) -> None:
    taken = Accepted("orders", "m1", "sqs-1", "firehose")
    accepted.record(orders.state.s3, orders.lake.settings.buckets.ops, [taken], datetime.now(UTC))
    found = of(orders, "m1", "orders")
    assert (found.ending.state, places(found)) == (Terminal.IN_FLIGHT, ["processor"])
    assert of(orders, "sqs-1").topic == "orders"


def test_an_id_that_is_nowhere_has_no_trace(orders: Lakehouse) -> None:
    orders.land("orders", order("m1", "k1"))
    assert trace(orders.lake, orders.state, "M1") == []
    assert versions(orders.lake, orders.state, "k9", "orders") == []


def test_rows_that_compaction_moved_are_still_told_apart(orders: Lakehouse) -> None:
    orders.land("orders", order("m1", "k1"))
    orders.land("orders", order("m1", "k1", arrives=5), order("m2", "k2"))
    cycle(orders)
    spark, table = orders.context().spark, orders.lake.spark_name("raw", staging("orders"))
    spark.sql(f"CALL lake.system.rewrite_data_files(table => '{table}', options => map('min-input-files', '1'))")
    found = of(orders, "m1")
    assert [step.facts.get("copy") for step in found.steps[:2]] == ["counted", "duplicate"]
    assert found.steps[0].commit is not None
    assert found.steps[0].commit.compaction
    assert found.ending.state is Terminal.CURATED


def test_the_same_id_in_two_topics_is_two_messages(orders: Lakehouse) -> None:
    orders.publish({**ORDERS, "table_name": "returns"})
    orders.land("orders", order("m1", "k1"))
    orders.land("returns", order("m1", "k1", amount="x"))
    cycle(orders)
    cycle(orders, topic="returns")
    told = {one.topic: one.ending.state for one in trace(orders.lake, orders.state, "m1")}
    assert told == {"orders": Terminal.CURATED, "returns": Terminal.CAST_ERROR}
