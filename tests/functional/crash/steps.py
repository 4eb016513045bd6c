"""A topic's stages, one at a time."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import orders
from cycles import cycle
from lakehouse import Lakehouse

from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.standardize import standardize
from ledgerlake.state.checkpoints import Stage
from ledgerlake.tables.history import Outcome

Meanwhile = Callable[[str, Callable[[], object]], None]

TOPIC = "orders"
CALM = "calm"
STAGES: tuple[Stage, ...] = ("standardize", "curate")
_JOBS: Mapping[str, Callable[[Any, str], Outcome]] = {"standardize": standardize, "curate": curate}


def begin(house: Lakehouse, *landings: tuple[dict[str, Any], ...]) -> Lakehouse:
    """Publish the topic's contract and land messages, each lot in one snapshot."""
    house.publish(orders.contract(TOPIC))
    for messages in landings:
        house.land(TOPIC, *messages)
    return house


def work(house: Lakehouse, stage: Stage, cycle_id: str = "cycle", topic: str = TOPIC) -> Outcome:
    """Do one stage of a topic, as a run does."""
    return _JOBS[stage](house.context(cycle_id), topic)


def reach(house: Lakehouse, stage: Stage) -> None:
    """Do the stages before this one."""
    for earlier in STAGES[: STAGES.index(stage)]:
        work(house, earlier)


def finish(house: Lakehouse, topic: str = TOPIC) -> None:
    """Have the next cycle do all that waits, once the locks of the dead have expired."""
    house.expire_locks()
    result = cycle(house, uuid.uuid4().hex, [topic])
    assert (result.failed, result.variances) == ([], [])
