"""The landing bucket's folders, and waiting until what was sent stands in RAW."""

import time
from collections.abc import Callable, Mapping

from ledgerlake.errors import TransientError
from ledgerlake.tables import snapshots
from ledgerlake.tables.lake import Lake, staging


class NotLanded(TransientError):
    """Records did not reach RAW in time: they are on their way still, or their path is broken."""


def folder(key: str) -> str:
    """The folder under `landing/` (which may be left out) that an object lies in; empty when it lies in none."""
    first, slash, _ = key.removeprefix("landing/").partition("/")
    return first if slash else ""


def rows(lake: Lake, topic: str) -> int:
    """Rows a topic has in RAW, from metadata alone."""
    table = lake.find("raw", staging(topic))
    return snapshots.current_rows(table) if table is not None else 0


def wait(
    lake: Lake,
    wanted: Mapping[str, int],
    seconds: float = 600,
    pause: float = 1.0,
    seen: Callable[[Mapping[str, int]], None] = lambda _: None,
) -> None:
    """Wait until each topic has that many rows in RAW; `seen` is told the rows on every look.

    Raises NotLanded when `seconds` pass in which no row comes: as long as records arrive, it waits.
    """
    reached = dict.fromkeys(wanted, -1)
    deadline = time.monotonic() + seconds
    while True:
        now = {topic: rows(lake, topic) for topic in wanted}
        seen(now)
        if all(now[topic] >= wanted[topic] for topic in wanted):
            return
        if now != reached:
            reached, deadline = now, time.monotonic() + seconds
        if time.monotonic() > deadline:
            missing = ", ".join(f"{t}: {wanted[t] - now[t]}" for t in wanted if now[t] < wanted[t])
            raise NotLanded(
                f"RAW got nothing for {seconds:.0f} s and still misses rows ({missing}); "
                "look at `ledgerlake errors` and the logs of the processor and Firehose"
            )
        time.sleep(pause)
