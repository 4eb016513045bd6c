"""Cycles without Step Functions: the Lambdas' decisions, and the jobs' runs between them (design 3.5)."""

from collections.abc import Callable, Iterable
from typing import Any

from lakehouse import Lakehouse

from ledgerlake.jobs.run import RunFailed, run
from ledgerlake.ops import steps
from ledgerlake.ops.steps import Reconciled
from ledgerlake.state.cycles import Request

Start = Callable[[Lakehouse, Request, str], None]
"""Does what a request, at the URI, says. Raises when a Glue run would have failed."""


def here(house: Lakehouse, request: Request, uri: str) -> None:
    """Run in this process."""
    run(house.context(request.cycle_id), request)


def work(house: Lakehouse, runs: steps.Runs, start: Start = here) -> list[dict[str, Any]]:
    """Do what the state machine's Map does: start each run, keep the error of one that fails."""
    ended = []
    for one in runs:
        try:
            start(house, house.state.cycles.get_request(one["request"]), one["request"])
            ended.append(one)
        except RunFailed as failed:
            ended.append(one | {"error": {"Error": "States.TaskFailed", "Cause": str(failed)}})
    return ended


def cycle(
    house: Lakehouse,
    cycle_id: str,
    topics: Iterable[str] | None = None,
    *,
    standardize: Start = here,
    curate: Start = here,
) -> Reconciled:
    """One cycle, from its plan to its reconciliation."""
    _, runs = steps.begin(house.lake, house.state, cycle_id, topics)
    _, runs = steps.go_on(house.lake, house.state, cycle_id, work(house, runs, standardize))
    return steps.finish(house.lake, house.state, cycle_id, work(house, runs, curate))
