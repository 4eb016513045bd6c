"""Checkpoints, locks and the fencing counter are lost: the tables know better (design 1, tenet 3)."""

from collections.abc import Callable, Iterator

import orders
import pytest
from crash.steps import STAGES, TOPIC, Meanwhile, begin, finish, reach, work
from lakehouse import Lakehouse

from ledgerlake import failpoints
from ledgerlake.failpoints import Crashed
from ledgerlake.state.checkpoints import FENCE, Stage
from ledgerlake.tables import snapshots

Uninterrupted = Callable[..., dict[str, list[str]]]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def lose_everything(house: Lakehouse) -> None:
    for stage in (*STAGES, FENCE):
        house.forget(TOPIC, stage)
    house.state.locks._table.delete_item(Key={"topic": TOPIC})


@pytest.mark.parametrize("point", ["after_errors_write", "after_commit"])
def test_a_run_dies_all_state_is_lost_and_raw_has_grown(
    lakehouse: Lakehouse, uninterrupted: Uninterrupted, point: str
) -> None:
    begin(lakehouse, orders.FIRST)
    for stage in STAGES:
        failpoints.arm(f"{stage}.{point}=crash")
        with pytest.raises(Crashed):
            work(lakehouse, stage)
        failpoints.arm("")
        lose_everything(lakehouse)
        if stage == "standardize":
            lakehouse.land(TOPIC, *orders.SECOND)
            work(lakehouse, stage)
    finish(lakehouse)

    assert orders.rows(orders.told(lakehouse, TOPIC)) == orders.rows(uninterrupted([orders.FIRST], [orders.SECOND]))


def test_all_state_is_lost_between_two_cycles_and_tokens_go_on_rising(
    lakehouse: Lakehouse, uninterrupted: Uninterrupted
) -> None:
    begin(lakehouse, orders.FIRST)
    finish(lakehouse)
    lose_everything(lakehouse)
    lakehouse.land(TOPIC, *orders.SECOND)
    finish(lakehouse)

    assert orders.told(lakehouse, TOPIC) == uninterrupted([orders.FIRST], [orders.SECOND])
    for layer in ("standardized", "curated"):
        last, first = snapshots.entries(lakehouse.lake.load(layer, TOPIC))  # type: ignore[arg-type]
        assert last.fencing_token > first.fencing_token


@pytest.mark.parametrize("stage", STAGES)
def test_state_that_is_lost_while_a_run_works_lets_a_second_one_in_and_one_of_both_commits(
    lakehouse: Lakehouse, uninterrupted: Uninterrupted, meanwhile: Meanwhile, stage: Stage
) -> None:
    """Lock, checkpoint and counter are gone: the second run may well get the first one's token."""
    begin(lakehouse, (*orders.FIRST, *orders.SECOND))
    reach(lakehouse, stage)

    def another_finds_nothing() -> None:
        lose_everything(lakehouse)
        work(lakehouse, stage, "another")

    meanwhile(f"{stage}.before_commit", another_finds_nothing)
    work(lakehouse, stage)
    finish(lakehouse)

    assert orders.told(lakehouse, TOPIC) == uninterrupted([(*orders.FIRST, *orders.SECOND)])
