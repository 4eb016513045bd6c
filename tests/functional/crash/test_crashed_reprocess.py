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
from ledgerlake.jobs.curate import HalfPublished, curate
from ledgerlake.jobs.reprocess import NotBuilt
from ledgerlake.tables.branches import BEFORE

ONCE = ("after_standardized", "before_checkpoint", "after_checkpoint", "before_unlock")
IN_EACH_TABLE = ("before_errors_write", "after_errors_write", "before_commit", "after_commit")


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


def test_what_is_half_published_is_not_curated_until_it_is_whole(lakehouse: Lakehouse) -> None:
    """What came back to STANDARDIZED may well be in CURATED: a cycle would count it there again."""
    lakehouse.publish(ORDERS)
    land(lakehouse, *MESSAGES)
    spoil(lakehouse)
    failpoints.arm("reprocess.after_standardized=crash*1;reprocess.after_commit=crash*1")
    try:
        with pytest.raises(Crashed):
            reprocess(lakehouse, "build", "half")
        with pytest.raises(NotBuilt):
            reprocess(lakehouse, "publish", "half")
        reprocess(lakehouse, "build", "half")
        with pytest.raises(Crashed):
            reprocess(lakehouse, "publish", "half")
    finally:
        failpoints.arm("")

    with pytest.raises(HalfPublished, match="--publish half"):
        curate(lakehouse.context(), TOPIC)
    assert reprocess(lakehouse, "discard", "half").published == ("standardized",)
    with pytest.raises(HalfPublished, match="--layer curated --apply"):
        curate(lakehouse.context(), TOPIC)
    assert reprocess(lakehouse, "apply", "whole", curated_only=True).published == ("curated",)
    cycle(lakehouse)

    assert amounts(lakehouse) == {"k1": ("m2", "2.00"), "k2": ("m3", "3.00"), "k4": ("good", "4.00")}
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
