"""What becomes of standardized batches (design 4.3, 5)."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from lakehouse import Lakehouse, message

from ledgerlake.jobs.curate import RuleFailed, curate
from ledgerlake.jobs.standardize import standardize
from ledgerlake.tables.history import Outcome

ORDERS: dict[str, Any] = {
    "table_name": "orders",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [
        {"name": "amount", "type": "decimal(12,2)", "source": "amount", "cde": True},
        {"name": "big", "type": "decimal(38,0)", "source": "c"},
        {"name": "note", "type": "string", "default": "none"},
    ],
    "rules": [{"name": "not_negative", "expression": "amount >= 0", "action": "quarantine"}],
}


@pytest.fixture
def lakehouse(new_lakehouse_on_disk: Callable[[], Lakehouse]) -> Lakehouse:
    return new_lakehouse_on_disk()


def both(lakehouse: Lakehouse, topic: str = "orders") -> tuple[Outcome, Outcome]:
    return standardize(lakehouse.context(), topic), curate(lakehouse.context(), topic)


def current(lakehouse: Lakehouse) -> dict[str, tuple[str, str]]:
    """Each key's message and amount."""
    rows = lakehouse.rows("curated", "orders")
    assert len({row["idempotency_key"] for row in rows}) == len(rows)
    return {row["idempotency_key"]: (row["message_id"], str(row["amount"])) for row in rows}


def test_a_record_is_typed_or_an_error_with_every_violation(lakehouse: Lakehouse) -> None:
    lakehouse.publish(ORDERS)
    digits = "123456789012345678901234567890"
    lakehouse.land(
        "orders",
        message("good", f'{{"id": "k1", "amount": "1.10", "c": {digits}}}'),
        message("bad", '{"amount": "1.105", "c": "x"}', 1),
        message("negative", '{"id": "k3", "amount": -1}', 2),
        message("missing", '{"id": "k4"}', 3),
    )

    _, outcome = both(lakehouse)

    assert (outcome.rows_in, outcome.rows_curated, outcome.rows_error) == (4, 1, 3)
    (row,) = lakehouse.rows("curated", "orders")
    assert (row["big"], row["amount"], row["note"]) == (Decimal(digits), Decimal("1.10"), "none")
    errors = {row["message_id"]: row for row in lakehouse.rows("curated", "errors")}
    kinds = {
        name: [(v["kind"], v["column"], v["rule"], v["value"]) for v in e["violations"]] for name, e in errors.items()
    }
    assert kinds == {
        "bad": [
            ("cde", "idempotency_key", "required", None),
            ("cast", "amount", "decimal(12,2)", "1.105"),
            ("cast", "big", "decimal(38,0)", "x"),
        ],
        "negative": [("rule", None, "not_negative", None)],
        "missing": [("cde", "amount", "required", None)],
    }
    assert json.loads(errors["negative"]["record"])["amount"] == "-1"
    assert errors["negative"]["idempotency_key"] == "k3"


CHANGES = [
    message("m1", {"id": "k1", "amount": 1}, 1),
    message("m2", {"id": "k1", "amount": 2}, 2),
    message("m3", {"id": "k2", "amount": 3}, 3),
    message("m4", {"id": "k2", "amount": "wrong"}, 4),
    message("m5", {"id": "k1", "amount": 5}, 1.5),  # an older correction
]
LATEST = {"k1": ("m2", "2.00"), "k2": ("m3", "3.00")}


@pytest.mark.parametrize(
    "batches",
    [
        [CHANGES],
        [CHANGES[::-1], CHANGES],
        [[CHANGES[1], CHANGES[3]], [CHANGES[4], CHANGES[0], CHANGES[1]], [CHANGES[2], *CHANGES]],
    ],
    ids=["in one batch", "backwards, then all again", "in three overlapping batches"],
)
def test_the_same_messages_leave_the_same_rows_however_they_come(lakehouse: Lakehouse, batches: list[Any]) -> None:
    lakehouse.publish(ORDERS)
    for batch in batches:
        lakehouse.land("orders", *batch)
        both(lakehouse)

    assert current(lakehouse) == LATEST
    assert lakehouse.ids("standardized", "orders") == ["m1", "m2", "m3", "m4", "m5"]
    assert lakehouse.ids("curated", "errors") == ["m4"]


def test_all_waiting_batches_are_curated_in_one_commit_and_only_once(lakehouse: Lakehouse) -> None:
    lakehouse.publish(ORDERS)
    for change in CHANGES[:3]:
        lakehouse.land("orders", change)
        standardize(lakehouse.context(), "orders")

    first = curate(lakehouse.context(), "orders")
    assert (first.rows_in, first.rows_curated, first.rows_superseded) == (3, 2, 1)
    curate(lakehouse.context(), "orders")
    assert lakehouse.snapshots("curated", "orders") == 1

    lakehouse.land("orders", CHANGES[4])
    _, late = both(lakehouse)
    assert (late.rows_in, late.rows_curated, late.rows_superseded) == (1, 0, 1)
    lakehouse.land("orders", message("m6", {"id": "k2", "amount": 6}, 9))
    _, newer = both(lakehouse)
    assert (newer.rows_in, newer.rows_curated, newer.rows_superseded) == (1, 1, 1)
    assert current(lakehouse) == {"k1": ("m2", "2.00"), "k2": ("m6", "6.00")}


def test_a_fail_rule_stops_the_topic_before_any_write_until_the_contract_changes(lakehouse: Lakehouse) -> None:
    rule = {"name": "small", "expression": "amount < 3", "action": "fail"}
    lakehouse.publish({**ORDERS, "rules": [rule]})
    lakehouse.land("orders", *CHANGES)
    standardize(lakehouse.context(), "orders")
    with pytest.raises(RuleFailed, match="small"):
        curate(lakehouse.context(), "orders")
    assert lakehouse.rows("curated", "orders") == lakehouse.rows("curated", "errors") == []

    lakehouse.publish({**ORDERS, "rules": [{**rule, "action": "warn"}]}, version=2)
    assert curate(lakehouse.context(), "orders").rows_warned == 2
    assert current(lakehouse) == LATEST
