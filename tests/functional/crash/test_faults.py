"""Errors that pass, and delays: the topic is red, its batch stays, and the next cycle goes on with it (design 1)."""

from collections.abc import Callable, Iterator

import orders
import pytest
from crash.steps import STAGES, TOPIC, begin, finish, work
from cycles import cycle
from lakehouse import Lakehouse

from ledgerlake import failpoints
from ledgerlake.failpoints import Crashed


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_a_stage_that_fails_makes_its_cycle_red_and_the_next_one_finishes_the_batch(
    lakehouse: Lakehouse, uninterrupted: Callable[..., object]
) -> None:
    begin(lakehouse, orders.FIRST, orders.SECOND)
    for number, stage in enumerate(STAGES):
        failpoints.arm(f"{stage}.before_errors_write=delay:0.01;{stage}.after_stage=transient*1")
        failed = cycle(lakehouse, f"red-{number}").failed
        assert [(one.stage, one.error) for one in failed] == [
            (stage, f"FailedOnPurpose: failpoint {stage}.after_stage[{TOPIC}]")
        ]
    failpoints.arm("")
    assert not cycle(lakehouse, "green").failed

    assert orders.told(lakehouse, TOPIC) == uninterrupted([orders.FIRST, orders.SECOND])


def test_drift_is_logged_once_although_its_run_dies_before_the_columns_are_there(
    lakehouse: Lakehouse, uninterrupted: Callable[..., object]
) -> None:
    begin(lakehouse, orders.FIRST, orders.SECOND)
    failpoints.arm("standardize.after_drift_log=crash")
    with pytest.raises(Crashed):
        work(lakehouse, "standardize")
    failpoints.arm("")
    finish(lakehouse)

    assert orders.told(lakehouse, TOPIC) == uninterrupted([orders.FIRST, orders.SECOND])
