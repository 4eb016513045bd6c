"""Start a cycle of the state machine, follow it, and say how it ended and why."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ledgerlake.errors import TerminalError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

RUNNING = "RUNNING"
NOTHING_TO_DO = "NothingToDo"
# Narrower than Step Functions' rule: the name is the cycle's id, and stands in keys, file names and SQL.
NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


class CycleTimeout(TerminalError):
    """A cycle was still running when the wait for it ended."""


class NoCycle(TerminalError):
    """There is no such cycle."""


class BadCycleName(TerminalError):
    """A cycle cannot have this name, or another cycle has it."""


@dataclass(frozen=True)
class Step:
    """One state that a cycle entered. `ended` is None while the cycle is in it."""

    name: str
    began: datetime
    ended: datetime | None = None


@dataclass(frozen=True)
class Cycle:
    """One execution: `status` is Step Functions' own, `error` and `cause` are its failure's.

    `trouble` is what HandleError was given: it knows more than the fixed cause a Fail state can have.
    """

    arn: str
    status: str
    started: datetime
    stopped: datetime | None = None
    output: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    cause: str = ""
    steps: Sequence[Step] = ()
    trouble: dict[str, Any] = field(default_factory=dict)

    @property
    def cycle_id(self) -> str:
        """The execution's name, under which every table and file knows this cycle."""
        return self.arn.rsplit(":", 1)[-1]

    @property
    def running(self) -> bool:
        """Whether it still works."""
        return self.status == RUNNING

    @property
    def succeeded(self) -> bool:
        """Whether it ended green."""
        return self.status == "SUCCEEDED"

    @property
    def end(self) -> str:
        """The state it is in or ended in."""
        return self.steps[-1].name if self.steps else ""


def start(client: "SFNClient", state_machine_arn: str, topics: Sequence[str] = (), name: str = "") -> str:
    """Start a cycle over all topics, or over these only; returns the execution's ARN. Raises BadCycleName.

    A name stands for one cycle: starting it again, while it runs or later, finds it and starts nothing. Without one
    the cycle gets a name of its own.
    """
    name = name or f"by-hand-{_compact(datetime.now(UTC))}-{uuid.uuid4().hex[:6]}"
    if not NAME.fullmatch(name):
        raise BadCycleName(f"{name!r} is no name for a cycle: use up to 80 letters, digits, - and _")
    document = json.dumps({"topics": sorted(topics)} if topics else {})
    try:
        return client.start_execution(stateMachineArn=state_machine_arn, name=name, input=document)["executionArn"]
    except client.exceptions.ExecutionAlreadyExists as error:
        arn = execution_arn(state_machine_arn, name)
        if client.describe_execution(executionArn=arn).get("input") != document:
            raise BadCycleName(f"the cycle {name} was started with other topics: choose another name") from error
        return arn


def scheduled_name(scheduled_time: str) -> str:
    """The name of the cycle that the clock starts for this time (ISO 8601, with zone). Raises BadCycleName."""
    try:
        time_of_day = datetime.fromisoformat(scheduled_time)
    except ValueError as error:
        raise BadCycleName(f"{scheduled_time!r} is no time") from error
    if time_of_day.tzinfo is None:
        raise BadCycleName(f"{scheduled_time!r} has no zone")
    return f"scheduled-{_compact(time_of_day)}"


def _compact(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def execution_arn(state_machine_arn: str, cycle_id: str) -> str:
    """The ARN of a cycle of that state machine."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{cycle_id}"


def describe(client: "SFNClient", arn: str) -> Cycle:
    """How a cycle stands now, with the states it went through. Raises NoCycle."""
    try:
        answer = client.describe_execution(executionArn=arn)
    except client.exceptions.ExecutionDoesNotExist as error:
        raise NoCycle(f"there is no cycle {arn.rsplit(':', 1)[-1]}; see: ledgerlake cycle history") from error
    events = list(_events(client, arn))
    return Cycle(
        arn=arn,
        status=answer["status"],
        started=answer["startDate"],
        stopped=answer.get("stopDate"),
        output=_object(answer.get("output")),
        error=answer.get("error", ""),
        cause=answer.get("cause", ""),
        steps=_steps(events),
        trouble=_trouble(events),
    )


def wait(
    client: "SFNClient",
    arn: str,
    seconds: float = 3600,
    pause: float = 1.0,
    seen: Callable[[Cycle], None] | None = None,
) -> Cycle:
    """Follow a cycle to its end, telling `seen` how it stands on every look. Raises CycleTimeout after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        cycle = describe(client, arn)
        if seen is not None:
            seen(cycle)
        if not cycle.running:
            return cycle
        if time.monotonic() > deadline:
            raise CycleTimeout(f"cycle {cycle.cycle_id} is still in {cycle.end} after {seconds:.0f} s")
        time.sleep(pause)


def recent(client: "SFNClient", state_machine_arn: str, limit: int = 20) -> list[Cycle]:
    """The latest cycles, newest first, without their steps."""
    answer = client.list_executions(stateMachineArn=state_machine_arn, maxResults=limit)
    return [
        Cycle(e["executionArn"], e["status"], e["startDate"], e.get("stopDate")) for e in answer["executions"][:limit]
    ]


def running(client: "SFNClient", state_machine_arn: str) -> list[str]:
    """The ARNs of the cycles at work now."""
    answer = client.list_executions(stateMachineArn=state_machine_arn, statusFilter="RUNNING", maxResults=100)
    return [execution["executionArn"] for execution in answer["executions"]]


def did_nothing(cycle: Cycle) -> bool:
    """Whether it found no topic with anything to do."""
    return cycle.end == NOTHING_TO_DO


def failures(cycle: Cycle) -> list[str]:
    """Why a cycle failed, one line each: the topics and variances it names, else its error and cause as they stand."""
    if cycle.succeeded or cycle.running:
        return []
    failed = cycle.trouble.get("failed")
    topics = failed if isinstance(failed, list) else []  # CheckCuratedReady gives their number
    lines = [f"{topic.get('topic')} ({topic.get('stage')}): {topic.get('error')}" for topic in topics]
    lines += [f"not balanced: {variance}" for variance in cycle.trouble.get("variances") or []]
    lines += [_caught(caught) for caught in (cycle.trouble.get("error"),) if caught]
    return lines or [": ".join(part for part in (cycle.error, cycle.cause) if part) or cycle.status]


def _caught(error: dict[str, Any]) -> str:
    """An error as a Catch has it; a Lambda's cause is JSON with its message."""
    cause = str(error.get("Cause", ""))
    return f"{error.get('Error')}: {_object(cause).get('errorMessage') or cause}"


def _trouble(events: Sequence[Any]) -> dict[str, Any]:
    """The input of HandleError, where the cycle came to it."""
    entered = (event.get("stateEnteredEventDetails", {}) for event in events)
    return next((_object(state.get("input")) for state in entered if state.get("name") == "HandleError"), {})


def _steps(events: Sequence[Any]) -> list[Step]:
    """The top states in the order entered; what goes on inside a Map is one state here."""
    steps: list[Step] = []
    inside = 0
    for event in events:
        kind, when = event["type"], event["timestamp"]
        if kind == "MapIterationStarted":
            inside += 1
        elif kind in {"MapIterationSucceeded", "MapIterationFailed", "MapIterationAborted"}:
            inside -= 1
        elif not inside and kind.endswith("StateEntered"):
            steps.append(Step(event["stateEnteredEventDetails"]["name"], when))
        elif not inside and kind.endswith("StateExited") and steps:
            steps[-1] = Step(steps[-1].name, steps[-1].began, when)
    return steps


def _events(client: "SFNClient", arn: str) -> Iterator[Any]:
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    for page in pages:
        yield from page["events"]


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object, or nothing where the text is none."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
