"""Errors of a contract that was fixed are taken in, and the ledger still balances (design 3.6)."""

import pytest
from lakehouse import START, Lakehouse, message
from replaying import (
    NO_RULE,
    STRICT,
    TAKEN_IN,
    current,
    cycle,
    dying_at,
    go,
    numbers,
    open_errors,
    require_balanced,
    with_errors,
)

from ledgerlake.jobs.context import NotAdmitted
from ledgerlake.jobs.curate import RuleFailed, curate
from ledgerlake.jobs.replay import NotCurated, look
from ledgerlake.jobs.selection import Selection
from ledgerlake.jobs.standardize import standardize
from ledgerlake.ops import identities
from ledgerlake.state.locks import LockHeld


@pytest.fixture
def orders(lakehouse: Lakehouse) -> Lakehouse:
    return with_errors(lakehouse)


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


def test_a_topic_at_work_is_left_alone(orders: Lakehouse) -> None:
    with orders.state.locks.acquire("orders", "cycle-7"), pytest.raises(LockHeld, match="cycle-7"):
        go(orders)


def test_errors_of_a_batch_that_was_not_curated_yet_are_not_judged(orders: Lakehouse) -> None:
    orders.land("orders", message("late", {"id": "k7", "amount": 8, "note": "y"}, 9))
    standardize(orders.context(), "orders")
    with dying_at("curate.before_commit"):
        curate(orders.context(), "orders")
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
