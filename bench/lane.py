"""One process of the benchmark: `python -m bench.lane '<request>'` works off what waits and prints what it took.

The naive lane works through its topics one by one; ours runs whole cycles, as the state machine does.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from moto import mock_aws

from bench import events, lakehouse, naive
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.plan import Plan, plan, plan_curate
from ledgerlake.jobs.run import run

T = TypeVar("T")


def run_naive(request: dict[str, Any]) -> dict[str, Any]:
    """Run the naive job over each topic's new rows, one topic after the other."""
    home = Path(request["home"])
    spark, start = timed(lambda: lakehouse.spark(home))
    seconds = {"standardize": 0.0, "curate": 0.0}
    upto: dict[str, int] = {}
    for topic in request["topics"]:
        source, target = f"lake.raw.{topic}_staging", f"lake.naive_standardized.{topic}"
        after, since = request.get("after", {}).get(topic), request.get("since")
        columns, curated = events.contract(topic)["payload_columns"], f"lake.naive_curated.{topic}"
        began = time.perf_counter()
        upto[topic] = naive.standardize(spark, source, target, after)
        between = time.perf_counter()
        naive.curate(spark, target, curated, columns, since)
        seconds["standardize"] += between - began
        seconds["curate"] += time.perf_counter() - between
    return {"seconds": seconds, "start": start, "after": upto}


def run_ours(request: dict[str, Any]) -> dict[str, Any]:
    """Run one cycle, and one more for each list of topics in `then` after landing new rows in those."""
    home = Path(request["home"])
    spark, start = timed(lambda: lakehouse.spark(home))
    with mock_aws():
        lake = lakehouse.lake(home)
        state = lakehouse.state(lake, request["topics"])
        cycles = []
        for number, landed in enumerate(_landed(home, request.get("then", []))):
            context = Context(lake, state, spark, f"bench-{number}")
            cycles.append({"landed": landed, **_cycle(context)})
    return {"cycles": cycles, "seconds": cycles[0]["seconds"], "start": start}


def _landed(home: Path, then: list[list[str]]) -> Iterator[int | None]:
    yield None  # what was landed before this process began
    for number, topics in enumerate(then, 1):
        for topic in topics:
            lakehouse.land(home, topic, events.batches(topic, events.SMALL, first=number * events.SMALL))
        yield len(topics)


def _cycle(context: Context) -> dict[str, Any]:
    lake, state, cycle_id = context.lake, context.state, context.cycle_id
    planned, planning = timed(lambda: plan(lake, state, cycle_id))
    _, standardizing = timed(lambda: _run_all(context, planned))
    again, planning_curate = timed(lambda: plan_curate(lake, state, cycle_id))
    _, curating = timed(lambda: _run_all(context, again))
    return {
        "active": sum(len(request.topics) for request in planned.requests),
        "runs": len(planned.requests),
        "seconds": {
            "plan": planning,
            "standardize": standardizing,
            "plan_curate": planning_curate,
            "curate": curating,
        },
    }


def _run_all(context: Context, planned: Plan) -> None:
    for request in planned.requests:
        run(context, request)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what the work returns, and the seconds it took."""
    began = time.perf_counter()
    done = work()
    return done, time.perf_counter() - began


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    report = run_naive(asked) if asked["lane"] == "naive" else run_ours(asked)
    sys.stdout.write(json.dumps(report) + "\n")
