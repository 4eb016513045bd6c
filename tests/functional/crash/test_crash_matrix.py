"""Whatever point a job's process is killed at, the next cycle makes good, and the tables tell of nothing (design 5)."""

from dataclasses import dataclass, field

import cycles
import orders
import pytest
from crash.job_process import Drivers
from cycles import Start, cycle
from lakehouse import Lakehouse
from pyiceberg.expressions import EqualTo
from pyspark.sql import SparkSession

from ledgerlake.jobs.run import RunFailed
from ledgerlake.ops.steps import Reconciled
from ledgerlake.state.checkpoints import Stage
from ledgerlake.state.cycles import Request
from ledgerlake.tables import snapshots

# Every point has a topic of its own name, whose jobs die there; the calm topic's never do.
CALM = "calm"
STAGES: tuple[Stage, ...] = ("standardize", "curate")
# What a process leaves that dies at a point: are there errors of the batch, is it in the main table, is it done.
POINTS = {
    "before_errors_write": (False, False, False),
    "after_errors_write": (True, False, False),
    "before_commit": (True, False, False),
    "after_stage": (True, False, False),
    "after_commit": (True, True, False),
    "before_checkpoint": (True, True, False),
    "after_checkpoint": (True, True, True),
    "before_unlock": (True, True, True),
}

pytestmark = pytest.mark.timeout(1800)  # the story of all the topics is told once, before the first test


@dataclass(frozen=True)
class Story:
    """What happened: what was left at each death, and how the cycles ended that made good."""

    house: Lakehouse
    left: dict[tuple[str, Stage], tuple[bool, bool, bool]] = field(default_factory=dict)
    locked: dict[tuple[str, Stage], bool] = field(default_factory=dict)
    ended: list[Reconciled] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(shared_lakehouse: Lakehouse, spark: SparkSession) -> Story:
    house = shared_lakehouse
    drivers, story = Drivers(house.lake.settings, spark), Story(house)
    for topic in (CALM, *POINTS):
        house.publish(orders.contract(topic))
        house.land(topic, *orders.FIRST)
    cycle(house, "first")
    for topic in (CALM, *POINTS):
        house.land(topic, *orders.SECOND)
    cycle(house, "second", standardize=_deadly(drivers, story))
    house.expire_locks()
    story.ended.append(cycle(house, "third", curate=_deadly(drivers, story)))
    house.expire_locks()
    story.ended.append(cycle(house, "fourth"))
    return story


def _deadly(drivers: Drivers, story: Story) -> Start:
    """Runs that die, each at the point that its topic is called after."""

    def start(house: Lakehouse, request: Request, uri: str) -> None:
        (topic,) = request.topics
        if topic == CALM:
            return cycles.here(house, request, uri)
        drivers.kill(uri, f"{request.stage}.{topic}")
        story.left[topic, request.stage] = _left(house, topic, request.stage)
        story.locked[topic, request.stage] = topic in house.state.locks.held()
        raise RunFailed([], 1)

    return start


def _left(house: Lakehouse, topic: str, stage: Stage) -> tuple[bool, bool, bool]:
    checkpoint = house.state.checkpoints.get(topic, stage)
    assert checkpoint is not None
    if stage == "standardize":
        table, errors, batch_id = house.lake.load("standardized", topic), "parse_errors", checkpoint.batch_id
    else:
        table, errors = house.lake.load("curated", topic), "errors"
        batch_id = next(snapshots.entries(house.lake.load("standardized", topic))).batch_id
    found = house.lake.load("standardized" if stage == "standardize" else "curated", errors)
    rows = found.scan(EqualTo(term="batch_id", value=batch_id)).to_arrow()
    return rows.num_rows > 0, snapshots.has_batch(table, checkpoint.batch_id) is not None, not checkpoint.pending


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("point", POINTS)
def test_a_dead_process_leaves_errors_before_rows_and_rows_before_the_checkpoint(
    story: Story, point: str, stage: Stage
) -> None:
    assert story.left[point, stage] == POINTS[point]
    assert story.locked[point, stage]


@pytest.mark.parametrize("point", POINTS)
def test_a_topic_whose_processes_died_tells_row_for_row_what_the_calm_one_tells(story: Story, point: str) -> None:
    assert orders.told(story.house, point) == orders.told(story.house, CALM)


@pytest.mark.parametrize("point", POINTS)
def test_the_history_counts_each_batch_as_the_calm_one_does(story: Story, point: str) -> None:
    assert orders.outcomes(story.house, point) <= orders.outcomes(story.house, CALM)


def test_the_last_cycle_is_green_and_the_ledger_balances(story: Story) -> None:
    third, fourth = story.ended
    assert {one.topic_name for one in third.failed} == set(POINTS)
    assert (fourth.failed, fourth.variances) == ([], [])
    assert story.house.state.locks.held() == {}


def test_the_calm_story_has_every_terminal_state_in_it(story: Story) -> None:
    standardized = snapshots.last_entry(story.house.lake.load("standardized", CALM))
    curated = snapshots.last_entry(story.house.lake.load("curated", CALM))
    assert standardized is not None
    assert curated is not None
    assert [standardized.total(name) for name in ("standardized", "duplicate", "parse-error")] == [12, 5, 3]
    assert [curated.total(name) for name in ("curated", "superseded", "error")] == [5, 3, 5]
