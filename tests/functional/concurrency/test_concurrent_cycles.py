"""Cycles that start at once: whoever is first does the work, and the tables tell of one clean run (design 3.5, 5)."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import boto3
import orders
import pytest
from cycles import cycle
from lakehouse import Lakehouse

from ledgerlake.errors import TransientError
from ledgerlake.ops.steps import Reconciled
from ledgerlake.state.store import State
from ledgerlake.tables.lake import Lake

CALM = "calm"

pytestmark = pytest.mark.timeout(1800)  # on a busy machine twenty cycles take their time


def tell(house: Lakehouse, *topics: str) -> None:
    for topic in (CALM, *topics):
        house.publish(orders.contract(topic))
        house.land(topic, *orders.FIRST)
    cycle(house, "first")
    for topic in (CALM, *topics):
        house.land(topic, *orders.SECOND)
    cycle(house, "alone", [CALM])


def at_once(house: Lakehouse, cycles: Sequence[tuple[str, Sequence[str]]]) -> list[Reconciled]:
    """Run these cycles, each over its topics, side by side, each with clients of its own."""
    together = threading.Barrier(len(cycles))

    def one(cycle_id: str, topics: Sequence[str]) -> Reconciled:
        mine = Lakehouse(*_connected(house), house.spark)
        together.wait()
        while True:
            try:
                return cycle(mine, cycle_id, topics)
            except TransientError:  # Step Functions tries again, under the same cycle's id
                continue

    with ThreadPoolExecutor(len(cycles)) as pool:
        return list(pool.map(one, *zip(*cycles, strict=True)))


def _connected(house: Lakehouse) -> tuple[Lake, State]:
    settings = house.lake.settings
    reach = {"region_name": settings.region, "endpoint_url": settings.endpoint_url}
    session = boto3.session.Session()
    state = State.connect(settings, session.resource("dynamodb", **reach), session.client("s3", **reach))
    return Lake.connect(settings), state


def test_twenty_identical_cycles_at_once_leave_what_one_leaves(lakehouse: Lakehouse) -> None:
    tell(lakehouse, "apples", "pears")

    ended = at_once(lakehouse, [(f"cycle-{number}", ("apples", "pears")) for number in range(20)])
    after = cycle(lakehouse, "after", ("apples", "pears"))

    assert [outcome.error for one in ended for outcome in one.failed] == []
    assert (after.failed, after.variances) == ([], [])
    for topic in ("apples", "pears"):
        assert orders.told(lakehouse, topic) == orders.told(lakehouse, CALM)
        assert orders.outcomes(lakehouse, topic) == orders.outcomes(lakehouse, CALM)


def test_two_cycles_over_overlapping_topics_do_each_topic_once(lakehouse: Lakehouse) -> None:
    tell(lakehouse, "apples", "both", "pears")

    ended = at_once(lakehouse, [("left", ("apples", "both")), ("right", ("both", "pears"))])
    after = cycle(lakehouse, "after", ("apples", "both", "pears"))

    assert [outcome.error for one in ended for outcome in one.failed] == []
    assert (after.failed, after.variances) == ([], [])
    for topic in ("apples", "both", "pears"):
        assert orders.told(lakehouse, topic) == orders.told(lakehouse, CALM)
