"""A reprocess that dies at each of its points, and is begun again (ADR 0010)."""

import pytest
from lakehouse import Lakehouse
from reprocessing import (
    MESSAGES,
    ORDERS,
    TOPIC,
    WIDER,
    amounts,
    cycle,
    land,
    open_errors,
    refs,
    reprocess,
    require_balanced,
    spoil,
)

from ledgerlake import failpoints
from ledgerlake.failpoints import Crashed
from ledgerlake.jobs.comparison import Action
from ledgerlake.tables.branches import BEFORE

ONCE = ("after_standardized", "before_checkpoint", "after_checkpoint", "before_unlock")
IN_EACH_TABLE = ("before_errors_write", "after_errors_write", "before_commit", "after_stage", "after_commit")


@pytest.mark.timeout(1800)
def test_it_may_die_anywhere_and_the_same_again_ends_it_once(lakehouse: Lakehouse) -> None:
    """Each point strikes once, in each of the two tables where it is met in both."""
    lakehouse.publish(ORDERS)
    land(lakehouse, *MESSAGES)
    spoil(lakehouse)
    lakehouse.publish(WIDER, version=2)
    points = dict.fromkeys(ONCE, 1) | dict.fromkeys(IN_EACH_TABLE, 2)
    failpoints.arm(";".join(f"reprocess.{point}=crash*{times}" for point, times in points.items()))
    try:
        crashes = sum(died(lakehouse, action) for action in ("build", "publish"))
    finally:
        failpoints.arm("")
    assert crashes == sum(points.values())

    assert lakehouse.ids("standardized", TOPIC) == ["good", "m1", "m2", "m3", "negative", "worse"]
    assert amounts(lakehouse) == {"k1": ("m2", "2.00"), "k2": ("negative", "-4.00"), "k4": ("good", "4.00")}
    assert (open_errors(lakehouse), open_errors(lakehouse, "parse_errors")) == (["worse"], ["broken"])
    assert refs(lakehouse) == {BEFORE + "fragile"}
    require_balanced(lakehouse)
    cycle(lakehouse)
    require_balanced(lakehouse)


def died(house: Lakehouse, action: Action) -> int:
    """How often it had to be begun again."""
    times = 0
    while True:
        try:
            reprocess(house, action, "fragile")
        except Crashed:
            times += 1
        else:
            return times
