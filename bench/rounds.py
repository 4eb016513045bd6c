"""What is measured, in which order: fresh processes that take turns, on the same data."""

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import compare, events, lakehouse, process

TOPIC = "bench"
LATER = events.DAY + dt.timedelta(hours=6)
NAIVE_SAMPLE = 10
ACTIVE = 0.3


def rows(work: Path, count: int, rounds: int) -> dict[str, Any]:
    """Both lanes over one large batch and then a small one of corrections, `rounds` times."""
    small = max(1, count // 300)
    figures: dict[str, Any] = {"batches": {"first": count, "corrections": small}, "rounds": []}
    for number in range(rounds):
        home = work / f"round-{number}"
        lakehouse.make(home)
        lanes = ("ledgerlake", "naive") if number % 2 == 0 else ("naive", "ledgerlake")
        measured: dict[str, Any] = {}
        lakehouse.land(home, TOPIC, events.batches(TOPIC, count))
        first = {lane: _lane(home, lane, number, "first", {}) for lane in lanes}
        measured["first"] = {**first, "agreement": vars(compare.compare(home, TOPIC))}
        lakehouse.land(home, TOPIC, events.batches(TOPIC, small, published=LATER))
        rest = {"after": first["naive"]["after"], "since": LATER.isoformat()}
        second = {lane: _lane(home, lane, number, "corrections", rest) for lane in lanes}
        measured["corrections"] = {**second, "agreement": vars(compare.compare(home, TOPIC))}
        figures["rounds"].append(measured)
    return figures


def topics(work: Path, count: int) -> dict[str, Any]:
    """Cycles over many small topics: all of them active, then 30 % of them, then none; and the naive job over a few."""
    home = work / "topics"
    lakehouse.make(home)
    names = [f"topic_{number:04}" for number in range(count)]
    _land_small(home, names)
    some = names[: round(count * ACTIVE)]
    request = {"lane": "ledgerlake", "home": str(home), "topics": names, "then": [some, []]}
    ours = process.run("bench.lane", request, work / "cycles.log")
    sample = names[:NAIVE_SAMPLE]
    naive = _lane(home, "naive", 0, "topics", {"topics": sample})
    return {
        "topics": count,
        "rows_per_topic": events.SMALL,
        "cycles": ours.report["cycles"],
        "start": ours.report["start"],
        "peak_memory": ours.peak_memory,
        "cpu": ours.cpu_seconds,
        "naive": {"topics": len(sample), **naive},
    }


def _land_small(home: Path, names: Iterable[str]) -> None:
    for name in names:
        lakehouse.land(home, name, events.batches(name, events.SMALL))


def _lane(home: Path, lane: str, number: int, batch: str, more: dict[str, Any]) -> dict[str, Any]:
    databases = lakehouse.NAIVE if lane == "naive" else ("standardized", "curated")
    before = lakehouse.bytes_in(home, databases)
    request = {"lane": lane, "home": str(home), "topics": [TOPIC], **more}
    done = process.run("bench.lane", request, home.parent / f"{lane}-{batch}-{number}.log")
    written = lakehouse.bytes_in(home, databases) - before
    return {**done.report, "bytes_written": written, "peak_memory": done.peak_memory, "cpu": done.cpu_seconds}
