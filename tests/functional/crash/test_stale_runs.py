"""A run whose lock expired while it stood still wakes up after another one did its work (design 5)."""

import orders
import pytest
from crash.steps import STAGES, TOPIC, Meanwhile, begin, finish, reach, work
from lakehouse import Lakehouse

from ledgerlake.jobs.commit import StaleBatch
from ledgerlake.state.checkpoints import CheckpointMoved, Stage

LAYERS = ("standardized", "curated", "ops")


def locations(house: Lakehouse) -> dict[str, str]:
    """Every table's metadata file: a commit of any kind changes it."""
    return {name: place for layer in LAYERS for name, place in house.lake.metadata_locations(layer).items()}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("point", ["before_errors_write", "after_stage"])
def test_a_stale_run_that_wakes_up_commits_nothing_and_says_so(
    lakehouse: Lakehouse, meanwhile: Meanwhile, point: str, stage: Stage
) -> None:
    begin(lakehouse, (*orders.FIRST, *orders.SECOND))
    reach(lakehouse, stage)
    after_the_other: dict[str, str] = {}

    def another_takes_over() -> None:
        lakehouse.expire_locks()
        work(lakehouse, stage, "another")
        after_the_other.update(locations(lakehouse))

    meanwhile(f"{stage}.{point}", another_takes_over)
    with pytest.raises(StaleBatch):
        work(lakehouse, stage, "stale")

    assert locations(lakehouse) == after_the_other
    done = lakehouse.state.checkpoints.get(TOPIC, stage)
    assert done is not None
    assert not done.pending


def test_a_stale_run_does_not_move_the_checkpoint_back(lakehouse: Lakehouse, meanwhile: Meanwhile) -> None:
    begin(lakehouse, orders.FIRST)

    def two_cycles_pass() -> None:
        finish(lakehouse)
        lakehouse.land(TOPIC, *orders.SECOND)
        finish(lakehouse)

    meanwhile("standardize.before_checkpoint", two_cycles_pass)
    with pytest.raises(CheckpointMoved):
        work(lakehouse, "standardize", "stale")

    assert work(lakehouse, "standardize").rows_in == len(orders.SECOND)  # the newest batch, and it is done
