"""What the crash tests share: something that happens at a point, and what a topic tells to which nothing happened."""

from collections.abc import Callable, Sequence
from typing import Any

import orders
import pytest
from crash.steps import CALM, Meanwhile, finish
from lakehouse import Lakehouse

from ledgerlake import failpoints


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Have something happen, once, when a run passes a point."""
    waiting: dict[str, Callable[[], object]] = {}

    def hit(point: str, topic: str = "") -> None:
        if event := waiting.pop(point, None):
            event()

    monkeypatch.setattr(failpoints, "hit", hit)
    return waiting.__setitem__


@pytest.fixture(scope="session")
def told_before() -> dict[str, dict[str, list[str]]]:
    return {}


@pytest.fixture
def uninterrupted(
    lakehouse: Lakehouse, told_before: dict[str, dict[str, list[str]]]
) -> Callable[..., dict[str, list[str]]]:
    """What a topic tells whose batches, each of one or more landings, are brought through both stages in turn."""

    def tell(*batches: Sequence[Sequence[dict[str, Any]]]) -> dict[str, list[str]]:
        key = repr(batches)
        if key not in told_before:
            lakehouse.publish(orders.contract(CALM))
            for landings in batches:
                for messages in landings:
                    lakehouse.land(CALM, *messages)
                finish(lakehouse, CALM)
            told_before[key] = orders.told(lakehouse, CALM)
        return told_before[key]

    return tell
