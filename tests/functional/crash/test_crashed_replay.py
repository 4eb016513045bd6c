"""A replay that dies at each of its points, and what the next one makes of it (ADR 0011)."""

import pytest
from lakehouse import Lakehouse, message
from replaying import current, cycle, dying_at, go, open_errors, require_balanced, with_errors

SAME, OTHER, LATER = "the same request", "another replay", "a cycle, then another replay"


@pytest.mark.parametrize(
    ("point", "how"),
    [
        ("before_errors_write", SAME),
        ("after_errors_write", OTHER),
        ("before_commit", LATER),
        ("after_stage", SAME),
        ("after_commit", LATER),
        ("before_unlock", OTHER),
    ],
)
def test_wherever_a_replay_dies_its_errors_end_in_one_place(lakehouse: Lakehouse, point: str, how: str) -> None:
    orders = with_errors(lakehouse)
    with dying_at(f"replay.{point}"):
        go(orders)
    done = point in ("after_commit", "before_unlock")
    require_balanced(orders, *((2, 3, 2) if done else (1, 0, 6)))

    if how == LATER:
        orders.land("orders", message("next", {"id": "k1", "amount": 7}, 2.5))
        cycle(orders)
    go(orders, "r1" if how == SAME else "r2")
    assert current(orders) == {"k1": "newer", "k2": "twice"}
    assert open_errors(orders) == ["both", "missing"]
    require_balanced(orders, 2, 4 if how == LATER else 3, 2)


def test_marks_of_a_replay_that_died_are_taken_back_when_another_selects_less(lakehouse: Lakehouse) -> None:
    orders = with_errors(lakehouse)
    with dying_at("replay.before_commit"):
        go(orders)
    go(orders, "r2", message_ids=("negative",))
    assert orders.ids("curated", "errors", "resolved_by IS NOT NULL") == ["negative"]
    require_balanced(orders, 2, 0, 5)
