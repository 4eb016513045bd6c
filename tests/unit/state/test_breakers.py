"""When the counts of a topic are those of a topic that fails."""

import pytest

from ledgerlake.state.breakers import Breaker, Counts, Fault, Stand


@pytest.mark.parametrize(
    ("counts", "fault"),
    [
        (Counts(), None),
        (Counts(10), None),
        (Counts(10, broken=4, undelivered=4), None),
        (Counts(10, broken=5), Fault.BROKEN),
        (Counts(10, undelivered=5), Fault.UNDELIVERED),
        (Counts(10, broken=5, undelivered=5), Fault.BROKEN),
        (Counts(1, undelivered=1), Fault.UNDELIVERED),
    ],
)
def test_a_fault_is_what_reaches_its_share_of_the_messages(counts, fault):
    assert counts.fault(0.5) is fault


def test_an_item_without_anything_but_counts_is_a_closed_breaker():
    breaker = Breaker.from_item({"topic": "events", "received": 3, "broken": 1, "undelivered": 0, "window": 60})
    assert (breaker.stand, breaker.shut, breaker.counts, breaker.window) == (Stand.CLOSED, False, Counts(3, 1, 0), 60)
