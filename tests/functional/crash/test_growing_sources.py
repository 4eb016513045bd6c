"""RAW, or STANDARDIZED, grows while a run reads it: what comes after the plan is the next batch (design 5)."""

from collections.abc import Callable

import orders
from crash.steps import TOPIC, Meanwhile, begin, finish, reach, work
from lakehouse import Lakehouse

from ledgerlake.jobs.plan import plan


def test_rows_that_land_after_the_plan_before_or_after_the_read_are_the_next_batch(
    lakehouse: Lakehouse, uninterrupted: Callable[..., object], meanwhile: Meanwhile
) -> None:
    begin(lakehouse, orders.FIRST)
    plan(lakehouse.lake, lakehouse.state, "cycle", [TOPIC])
    lakehouse.land(TOPIC, *orders.SECOND[:8])
    meanwhile("standardize.after_stage", lambda: lakehouse.land(TOPIC, *orders.SECOND[8:]))
    finish(lakehouse)
    finish(lakehouse)

    told = orders.told(lakehouse, TOPIC)
    assert told == uninterrupted([orders.FIRST], [orders.SECOND[:8], orders.SECOND[8:]])


def test_a_batch_that_is_standardized_while_another_is_curated_is_curated_next(
    lakehouse: Lakehouse, uninterrupted: Callable[..., object], meanwhile: Meanwhile
) -> None:
    begin(lakehouse, orders.FIRST)
    reach(lakehouse, "curate")

    def a_batch_comes() -> None:
        lakehouse.land(TOPIC, *orders.SECOND)
        lakehouse.expire_locks()
        work(lakehouse, "standardize", "another")

    meanwhile("curate.after_stage", a_batch_comes)
    work(lakehouse, "curate")
    finish(lakehouse)

    assert orders.told(lakehouse, TOPIC) == uninterrupted([orders.FIRST], [orders.SECOND])
