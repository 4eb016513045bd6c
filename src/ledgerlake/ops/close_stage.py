"""When a stage's runs have ended: every planned topic has an outcome, told by its job or, when that died, by us."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ledgerlake.state.checkpoints import Stage
from ledgerlake.state.cycles import Cycles, Request
from ledgerlake.tables.history import Outcome, Result, record
from ledgerlake.tables.lake import Lake

SILENT = "the run ended without a word about this topic"


def close_stage(
    lake: Lake, cycles: Cycles, cycle_id: str, stage: Stage, runs: Sequence[Mapping[str, Any]], now: datetime
) -> list[Outcome]:
    """Return the outcomes of all topics planned for the stage; those without one are FAILED with their run's error.

    `runs` are the Map state's items: each run's number, with `error` when it ended in one. A run that died may have
    told outcomes that it never wrote to job_run_history, so all topics of such runs are recorded (it replaces).
    """
    told = {outcome.topic_name: outcome for outcome in cycles.outcomes(cycle_id, stage)}
    errors = {int(run["number"]): error_of(run) for run in runs if "error" in run}
    silent: dict[str, Outcome] = {}
    unrecorded: list[Outcome] = []
    for request in cycles.requests(cycle_id, stage):
        missing = [topic for topic in request.topics if topic not in told]
        silent |= {topic: _failed(request, topic, errors.get(request.number, SILENT), now) for topic in missing}
        if missing or request.number in errors:
            unrecorded += [told.get(topic) or silent[topic] for topic in request.topics]
    for outcome in silent.values():
        cycles.put_outcome(outcome)
    record(lake, unrecorded)
    return [*told.values(), *silent.values()]


def error_of(run: Mapping[str, Any]) -> str:
    """Return why a run ended: Glue's ErrorMessage where the Cause is its job run, else what Step Functions says."""
    error = run["error"]
    cause = error.get("Cause", "")
    try:
        job_run = json.loads(cause)
    except ValueError:
        return f"{error.get('Error', 'unknown')}: {cause}"
    if not isinstance(job_run, dict):
        return f"{error.get('Error', 'unknown')}: {cause}"
    state = job_run.get("JobRunState", error.get("Error", "unknown"))
    return f"Glue run {job_run.get('Id', '?')} {state}: {job_run.get('ErrorMessage', 'no message')}"


def _failed(request: Request, topic: str, error: str, now: datetime) -> Outcome:
    return Outcome(
        cycle_id=request.cycle_id,
        topic_name=topic,
        stage=request.stage,
        outcome=Result.FAILED,
        started_at=now,
        ended_at=now,
        error=error,
    )
