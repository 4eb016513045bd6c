"""A topic with errors to be replayed: its records, the contracts they meet, and what its tables are asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from lakehouse import Lakehouse, message

from ledgerlake import failpoints
from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.replay import replay
from ledgerlake.jobs.selection import ReplayReport, Selection
from ledgerlake.jobs.standardize import standardize
from ledgerlake.ops import identities, ledger

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


def with_errors(lakehouse: Lakehouse) -> Lakehouse:
    """Records curated under a strict contract, and then a contract without its rule."""
    lakehouse.publish(STRICT)
    lakehouse.land("orders", *RECORDS)
    cycle(lakehouse)
    lakehouse.publish(NO_RULE, version=2)
    return lakehouse


def go(house: Lakehouse, request_id: str = "r1", **chosen: Any) -> ReplayReport:
    return replay(house.context(f"replay-{request_id}"), "orders", Selection(**chosen), request_id)


@contextmanager
def dying_at(point: str) -> Iterator[None]:
    """What is done within dies there, as far as a process can that goes on."""
    failpoints.arm(f"{point}=crash*1")
    try:
        with pytest.raises(failpoints.Crashed):
            yield
    finally:
        failpoints.arm("")


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
