"""Whole cycles: the Lambdas' decisions around the jobs' real commits (design 3.5)."""

from decimal import Decimal
from typing import Any

import pytest
from cycles import cycle
from lakehouse import Lakehouse, message

from ledgerlake.ops import ledger, steps
from ledgerlake.ops.steps import Reconciled
from ledgerlake.tables.lake import staging

ORDERS: dict[str, Any] = {
    "table_name": "orders",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [{"name": "amount", "type": "decimal(12,2)", "source": "amount", "cde": True}],
}


def told(result: Reconciled) -> dict[str, tuple[int | None, int, bool | None]]:
    return {balance.formula: (balance.expected, balance.actual, balance.balanced) for balance in result.balances}


@pytest.fixture
def orders(lakehouse: Lakehouse) -> Lakehouse:
    lakehouse.publish(ORDERS)
    return lakehouse


def test_copies_corrections_and_errors_of_two_cycles_balance_from_metadata_alone(orders: Lakehouse) -> None:
    orders.land(
        "orders",
        message("m1", {"id": "k1", "amount": "1"}),
        message("m1", {"id": "k1", "amount": "1"}),
        message("m2", {"id": "k2", "amount": "2"}),
        message("m3", {"id": "k2", "amount": "3"}, 1),
        message("broken", "{"),
        message("bad", {"id": "k4", "amount": "x"}),
    )
    first = cycle(orders, "c1")
    assert not first.failed
    assert told(first) == {
        ledger.ARRIVAL: (None, 6, None),
        ledger.STANDARDIZE: (6, 6, True),
        ledger.CURATE: (4, 4, True),
    }
    orders.land(
        "orders",
        message("m2", {"id": "k2", "amount": "2"}),
        message("m5", {"id": "k1", "amount": "5"}, 2),
        message("late", {"id": "k2", "amount": "0"}, -1),
        message("bad2", {"id": "k5"}),
    )
    second = cycle(orders, "c2")
    assert not second.failed
    assert told(second)[ledger.STANDARDIZE] == (10, 10, True)
    assert told(second)[ledger.CURATE] == (7, 7, True)


def test_an_idle_cycle_has_no_work(orders: Lakehouse) -> None:
    orders.land("orders", message("m1", {"id": "k1", "amount": "1"}))
    cycle(orders, "c1")
    assert steps.begin(orders.lake, orders.state, "c2", None) == (False, [])


def test_a_topic_that_fails_is_named_while_the_others_are_curated(orders: Lakehouse) -> None:
    orders.publish(ORDERS | {"table_name": "returns"})
    orders.land("orders", message("m1", {"id": "k1", "amount": "1"}))
    orders.land("returns", message("m2", {"id": "k2", "amount": "2"}))
    (file,) = orders.lake.load("raw", staging("returns")).scan().plan_files()
    bucket, _, key = file.file.file_path.removeprefix("s3://").partition("/")
    data = orders.state.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    orders.state.s3.delete_object(Bucket=bucket, Key=key)
    result = cycle(orders, "c1")
    assert [(outcome.topic_name, outcome.stage) for outcome in result.failed] == [("returns", "standardize")]
    assert orders.ids("curated", "orders") == ["m1"]
    orders.state.s3.put_object(Bucket=bucket, Key=key, Body=data)
    assert not cycle(orders, "c2").failed
    assert orders.ids("curated", "returns") == ["m2"]


def test_what_waited_for_a_contract_is_curated_once_it_is_there_with_every_digit(lakehouse: Lakehouse) -> None:
    payload = '{"a": 1.10, "b": 1e5, "c": 123456789012345678901234567890, "d": [1.10]}'
    lakehouse.land("sensors", message("m1", payload, key="k1"))
    lakehouse.land("sensors", message("m2", '{"c": 1}', key="k2"))
    assert steps.begin(lakehouse.lake, lakehouse.state, "c1", None) == (False, [])
    (skipped,) = lakehouse.rows("ops", "job_run_history")
    assert (skipped["topic_name"], skipped["outcome"]) == ("sensors", "SKIPPED_NO_SCHEMA")

    columns = [{"name": "c", "type": "decimal(38,0)", "source": "c"}]
    lakehouse.publish({"table_name": "sensors", "envelope_columns": [], "payload_columns": columns})
    assert not cycle(lakehouse, "c2").failed
    (standardized,) = lakehouse.rows("standardized", "sensors", where="message_id = 'm1'")
    assert [standardized[name] for name in "abcd"] == ["1.10", "1e5", "123456789012345678901234567890", "[1.10]"]
    curated = {row["message_id"]: row["c"] for row in lakehouse.rows("curated", "sensors")}
    assert curated == {"m1": Decimal("123456789012345678901234567890"), "m2": Decimal(1)}
