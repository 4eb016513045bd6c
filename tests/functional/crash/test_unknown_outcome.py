"""A commit is applied, and nobody is told (design 5)."""

from collections import Counter
from collections.abc import Callable, Iterator

import cycles
import orders
import pytest
from aws import Aws
from crash.steps import STAGES, TOPIC, begin, finish, reach, work
from lakehouse import Lakehouse
from pyiceberg.expressions import EqualTo

from ledgerlake import failpoints
from ledgerlake.failpoints import ReplyLost
from ledgerlake.state.checkpoints import Stage

STORY = (*orders.FIRST, *orders.SECOND)


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_every_commit_of_a_cycle_is_applied_and_its_answer_lost_on_the_way(
    lakehouse: Lakehouse, uninterrupted: Callable[..., object], server: Aws
) -> None:
    """What asks again, be it an SDK, Iceberg, pyiceberg or ours, finds the version gone, and must not commit twice."""
    lost: Counter[str] = Counter()

    def lose(table: str) -> None:
        lost[table] += 1
        raise ConnectionError

    begin(lakehouse, STORY)
    with server.commits(after=lose):
        result = cycles.cycle(lakehouse, "cycle")

    assert (result.failed, result.variances) == ([], [])
    assert {TOPIC, "parse_errors", "errors", "drift_log", "job_run_history", "reconciliation_log"} <= set(lost)
    assert orders.told(lakehouse, TOPIC) == uninterrupted([STORY])
    history = lakehouse.lake.load("ops", "job_run_history").scan(EqualTo(term="topic_name", value=TOPIC)).to_arrow()
    assert sorted(history["stage"].to_pylist()) == ["curate", "standardize"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_never_hears_of_its_commit_fails_and_the_next_one_finds_it(
    lakehouse: Lakehouse, uninterrupted: Callable[..., object], stage: Stage
) -> None:
    begin(lakehouse, STORY)
    reach(lakehouse, stage)
    failpoints.arm(f"{stage}.after_commit=lost_reply")
    with pytest.raises(ReplyLost):
        work(lakehouse, stage)
    failpoints.arm("")
    finish(lakehouse)

    assert orders.told(lakehouse, TOPIC) == uninterrupted([STORY])


def test_an_append_whose_answer_is_lost_is_made_once(bare: Lakehouse, server: Aws) -> None:
    bare.land(TOPIC, *orders.FIRST)

    def lose(_table: str) -> None:
        raise ConnectionError

    with server.commits(after=lose):
        bare.land(TOPIC, *orders.SECOND)

    assert len(bare.lake.load("raw", f"{TOPIC}_staging").scan().to_arrow()) == len(orders.FIRST) + len(orders.SECOND)
