"""Errors of a contract that was fixed are taken in, and the ledger still balances (design 3.6)."""

from typing import Any

import pytest
from lakehouse import START, Lakehouse, message

from ledgerlake import failpoints
from ledgerlake.jobs.context import NotAdmitted
from ledgerlake.jobs.curate import RuleFailed, curate
from ledgerlake.jobs.replay import NotCurated, look, replay
from ledgerlake.jobs.selection import ReplayReport, Selection
from ledgerlake.jobs.standardize import standardize
from ledgerlake.ops import identities, ledger
from ledgerlake.state.locks import LockHeld

STRICT: dict[str, Any] = {
    "table_name": "orders",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [
        {"name": "amount", "type": "decimal(12,2)", "source": "amount", "cde": True},
        {"name": "note", "type": "int", "source": "note"},
    ],
    "rules": [{"name": "not_negative", "expression": "amount >= 0", "action": "quarantine"}],
}
NO_RULE = {**STRICT, "rules": []}
RECORDS = [
    message("good", {"id": "k1", "amount": 1}, 1),
    message("negative", {"id": "k2", "amount": -2}, 2),  # the only record of its key
    message("newer", {"id": "k1", "amount": -3}, 3),  # newer than what stands
    message("older", {"id": "k1", "amount": -4}, 0),  # older than what stands
    message("twice", {"id": "k2", "amount": -5}, 4),  # newer than `negative`, replayed with it
    message("missing", {"id": "k3"}, 5),
    message("both", {"id": "k4", "amount": -6, "note": "x"}, 6),
]
TAKEN_IN = ["negative", "newer", "older", "twice"]


def cycle(house: Lakehouse) -> None:
    standardize(house.context(), "orders")
    curate(house.context(), "orders")


@pytest.fixture
def orders(lakehouse: Lakehouse) -> Lakehouse:
    """Records curated under a strict contract, and then a contract without its rule."""
    lakehouse.publish(STRICT)
    lakehouse.land("orders", *RECORDS)
    cycle(lakehouse)
    lakehouse.publish(NO_RULE, version=2)
    return lakehouse


def go(house: Lakehouse, request_id: str = "r1", **chosen: Any) -> ReplayReport:
    return replay(house.context(f"replay-{request_id}"), "orders", Selection(**chosen), request_id)


def numbers(report: ReplayReport) -> tuple[int, int, int, int]:
    return report.judged, report.curated, report.superseded, report.failing


def current(house: Lakehouse) -> dict[str, str]:
    return {row["idempotency_key"]: row["message_id"] for row in house.rows("curated", "orders")}


def open_errors(house: Lakehouse) -> list[str]:
    return house.ids("curated", "errors", "resolved_by IS NULL")


def require_balanced(house: Lakehouse, curated: int, superseded: int, errors: int) -> None:
    """By identity and from metadata alone."""
    found = identities.ledger(house.lake, "orders")
    assert found.balanced, found.variances
    assert (found.curated, found.superseded, found.errors) == (curated, superseded, errors)
    balances = {one.formula: one for one in ledger.balances(house.lake, house.state.checkpoints, ["orders"])}
    assert all(balance.balanced is not False for balance in balances.values()), balances
    assert dict(balances[ledger.CURATE].parts) == {"curated": curated, "superseded": superseded, "errors": errors}


def test_errors_that_pass_now_are_taken_in_and_the_others_stay_open(orders: Lakehouse) -> None:
    require_balanced(orders, 1, 0, 6)
    report = go(orders)
    assert numbers(report) == (6, 2, 2, 2)
    assert (report.replaced, report.contract_version) == (1, 2)
    assert [(why.kind, why.column, why.records, why.samples) for why in report.reasons] == [
        ("cast", "note", 1, ("both",)),
        ("cde", "amount", 1, ("missing",)),
    ]
    assert current(orders) == {"k1": "newer", "k2": "twice"}
    assert open_errors(orders) == ["both", "missing"]
    assert orders.ids("curated", "errors", "resolved_by = 'orders-replay-r1'") == TAKEN_IN
    require_balanced(orders, 2, 3, 2)


def test_a_dry_run_says_the_same_and_writes_nothing(orders: Lakehouse) -> None:
    before = [orders.snapshots("curated", table) for table in ("orders", "errors")]
    report = look(orders.context("replay-r1"), "orders", Selection(), "r1")
    assert numbers(report) == (6, 2, 2, 2)
    assert report.dry_run
    assert [orders.snapshots("curated", table) for table in ("orders", "errors")] == before
    assert numbers(go(orders)) == numbers(report)


def test_the_same_request_again_does_nothing_and_says_what_it_did(orders: Lakehouse) -> None:
    first = go(orders)
    before = [orders.snapshots("curated", table) for table in ("orders", "errors")]
    again = go(orders)
    assert (again.curated, again.superseded, again.replaced) == (first.curated, first.superseded, first.replaced)
    assert numbers(go(orders, "r2")) == (2, 0, 0, 2)
    assert [orders.snapshots("curated", table) for table in ("orders", "errors")] == before


def test_cycles_go_on_after_a_replay_with_the_totals_it_left(orders: Lakehouse) -> None:
    go(orders)
    orders.land("orders", message("next", {"id": "k2", "amount": 7}, 9), message("bad", {"id": "k9"}, 9))
    cycle(orders)
    assert current(orders) == {"k1": "newer", "k2": "next"}
    require_balanced(orders, 2, 4, 3)


def test_only_what_is_selected_is_judged(orders: Lakehouse) -> None:
    for chosen, judged in (
        ({"message_ids": ("negative", "both", "good", "nobody")}, 2),
        ({"rule": "not_negative"}, 5),
        ({"kind": "cast", "column": "note"}, 1),
        ({"kind": "cast", "column": "amount"}, 0),
        ({"since": START}, 6),
        ({"until": START}, 0),
    ):
        selection = Selection.model_validate(chosen)
        assert look(orders.context("replay-r1"), "orders", selection, "r1").judged == judged, chosen


def test_a_fail_rule_that_records_break_stops_the_replay_before_any_write(orders: Lakehouse) -> None:
    orders.publish({**STRICT, "rules": [{"name": "sane", "expression": "amount > -5", "action": "fail"}]}, version=3)
    with pytest.raises(RuleFailed, match="sane"):
        go(orders)
    assert len(open_errors(orders)) == 6
    assert go(orders, "r2", message_ids=("negative",)).curated == 1
    require_balanced(orders, 2, 0, 5)


SAME, OTHER, LATER = "the same request", "another replay", "a cycle, then another replay"


@pytest.mark.parametrize(
    ("point", "how"),
    [
        ("before_errors_write", SAME),
        ("after_errors_write", OTHER),
        ("before_commit", LATER),
        ("after_stage", SAME),
        ("after_commit", LATER),
        ("before_unlock", OTHER),
    ],
)
def test_wherever_a_replay_dies_its_errors_end_in_one_place(orders: Lakehouse, point: str, how: str) -> None:
    failpoints.arm(f"replay.{point}=crash*1")
    with pytest.raises(failpoints.Crashed):
        go(orders)
    failpoints.arm("")
    done = point in ("after_commit", "before_unlock")
    require_balanced(orders, *((2, 3, 2) if done else (1, 0, 6)))

    if how == LATER:
        orders.land("orders", message("next", {"id": "k1", "amount": 7}, 2.5))
        cycle(orders)
    go(orders, "r1" if how == SAME else "r2")
    assert current(orders) == {"k1": "newer", "k2": "twice"}
    assert open_errors(orders) == ["both", "missing"]
    require_balanced(orders, 2, 4 if how == LATER else 3, 2)


def test_marks_of_a_replay_that_died_are_taken_back_when_another_selects_less(orders: Lakehouse) -> None:
    failpoints.arm("replay.before_commit=crash*1")
    with pytest.raises(failpoints.Crashed):
        go(orders)
    failpoints.arm("")
    go(orders, "r2", message_ids=("negative",))
    assert orders.ids("curated", "errors", "resolved_by IS NOT NULL") == ["negative"]
    require_balanced(orders, 2, 0, 5)


def test_a_topic_at_work_is_left_alone(orders: Lakehouse) -> None:
    with orders.state.locks.acquire("orders", "cycle-7"), pytest.raises(LockHeld, match="cycle-7"):
        go(orders)


def test_errors_of_a_batch_that_was_not_curated_yet_are_not_judged(orders: Lakehouse) -> None:
    orders.land("orders", message("late", {"id": "k7", "amount": 8, "note": "y"}, 9))
    standardize(orders.context(), "orders")
    failpoints.arm("curate.before_commit=crash*1")
    with pytest.raises(failpoints.Crashed):
        curate(orders.context(), "orders")
    failpoints.arm("")
    assert "late" in open_errors(orders)
    orders.publish({**NO_RULE, "payload_columns": NO_RULE["payload_columns"][:1]}, version=3)
    assert go(orders).judged == 6
    curate(orders.context(), "orders")
    assert "late" in current(orders).values() or "late" in open_errors(orders)
    assert identities.ledger(orders.lake, "orders").balanced


def test_a_topic_that_is_not_there_or_not_curated_is_refused(lakehouse: Lakehouse) -> None:
    with pytest.raises(NotAdmitted, match="orders"):
        go(lakehouse)
    lakehouse.publish({**STRICT, "payload_columns": [], "rules": []})
    with pytest.raises(NotCurated, match="no CURATED table"):
        go(lakehouse)
