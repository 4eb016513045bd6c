"""How a cycle is followed and its end explained, from Step Functions' answers."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from ledgerlake.ops import cycle as cycles

BEGAN = datetime(2026, 1, 18, 10, tzinfo=UTC)
MACHINE = "arn:aws:states:eu-central-1:000000000000:stateMachine:ledgerlake-test"


class StateMachines:
    """Step Functions with one execution, whose looks are given in turn."""

    exceptions = SimpleNamespace(
        ExecutionAlreadyExists=type("ExecutionAlreadyExists", (Exception,), {}),
        ExecutionDoesNotExist=type("ExecutionDoesNotExist", (Exception,), {}),
    )

    def __init__(self, *looks):
        self.looks = list(looks)
        self.started = []

    def start_execution(self, stateMachineArn, name, input):  # noqa: A002
        self.started.append(json.loads(input))
        return {"executionArn": cycles.execution_arn(stateMachineArn, name)}

    def describe_execution(self, executionArn):
        self.look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {"status": self.look["status"], "startDate": BEGAN} | self.look.get("answer", {})

    def get_paginator(self, name):
        assert name == "get_execution_history"
        return self

    def paginate(self, executionArn):
        return [{"events": self.look["events"]}]


def entered(name, second=0, given="{}"):
    return {
        "type": "TaskStateEntered",
        "timestamp": BEGAN + timedelta(seconds=second),
        "stateEnteredEventDetails": {"name": name, "input": given},
    }


def left(second):
    return {"type": "TaskStateExited", "timestamp": BEGAN + timedelta(seconds=second)}


def test_all_topics_are_asked_for_unless_some_are_named():
    client = StateMachines({"status": "RUNNING", "events": []})
    cycles.start(client, MACHINE)
    cycles.start(client, MACHINE, ["b", "a"])
    assert client.started == [{}, {"topics": ["a", "b"]}]


def test_a_cycle_bears_its_name_or_one_of_its_own():
    client = StateMachines({"status": "RUNNING", "events": []})
    named = "arn:aws:states:eu-central-1:000000000000:execution:ledgerlake-test:nightly"
    assert cycles.start(client, MACHINE, name="nightly") == named
    own = {cycles.start(client, MACHINE).rpartition(":")[2] for _ in range(2)}
    assert len(own) == 2
    assert all(cycles.NAME.fullmatch(name) for name in own)


@pytest.mark.parametrize("name", ["a:b", "a b", "x" * 81, "ü"])
def test_a_name_that_step_functions_would_refuse_is_told_before(name):
    with pytest.raises(cycles.BadCycleName, match="letters, digits"):
        cycles.start(StateMachines({"status": "RUNNING", "events": []}), MACHINE, name=name)


def test_a_scheduled_time_has_one_name_in_every_zone():
    names = {cycles.scheduled_name(time) for time in ("2026-01-18T10:00:00Z", "2026-01-18T11:00:00+01:00")}
    assert names == {"scheduled-20260118T100000Z"}


@pytest.mark.parametrize("time", ["<aws.scheduler.scheduled-time>", "2026-01-18T10:00:00", ""])
def test_what_is_no_time_names_no_cycle(time):
    with pytest.raises(cycles.BadCycleName):
        cycles.scheduled_name(time)


def test_a_cycle_is_followed_to_its_end():
    client = StateMachines(
        {"status": "RUNNING", "events": [entered("PlanCycle")]},
        {"status": "SUCCEEDED", "events": [entered("PlanCycle"), left(2), entered("NothingToDo", 2)]},
    )
    seen = []
    ended = cycles.wait(client, "arn:c1", pause=0, seen=lambda cycle: seen.append(cycle.end))
    assert seen == ["PlanCycle", "NothingToDo"]
    assert ended.succeeded
    assert cycles.did_nothing(ended)
    assert cycles.failures(ended) == []


def test_a_cycle_that_takes_too_long_is_an_error():
    client = StateMachines({"status": "RUNNING", "events": [entered("RunStandardized")]})
    with pytest.raises(cycles.CycleTimeout, match="still in RunStandardized"):
        cycles.wait(client, "arn:c1", seconds=0, pause=0)


def test_what_goes_on_inside_a_map_is_one_state():
    events = [
        entered("RunStandardized"),
        {"type": "MapIterationStarted", "timestamp": BEGAN},
        entered("Standardize"),
        left(5),
        {"type": "MapIterationSucceeded", "timestamp": BEGAN},
        left(6),
        entered("CheckCuratedReady", 6),
    ]
    found = cycles.describe(StateMachines({"status": "RUNNING", "events": events}), "arn:c1")
    assert [step.name for step in found.steps] == ["RunStandardized", "CheckCuratedReady"]
    assert found.steps[0].ended == BEGAN + timedelta(seconds=6)


def failed(trouble, **answer):
    events = [entered("HandleError", given=json.dumps(trouble))]
    client = StateMachines({"status": "FAILED", "events": events, "answer": answer})
    return cycles.failures(cycles.describe(client, "arn:c1"))


def test_a_failure_names_its_topics():
    trouble = {"failed": [{"topic": "events", "stage": "curate", "error": "no file"}], "variances": ["events: 1 lost"]}
    assert failed(trouble) == ["events (curate): no file", "not balanced: events: 1 lost"]


def test_a_failed_function_is_told_by_its_own_message():
    caught = {"Error": "Unhandled", "Cause": json.dumps({"errorMessage": "no table"})}
    assert failed({"error": caught}) == ["Unhandled: no table"]


def test_where_nobody_knows_more_the_fixed_cause_is_told():
    assert failed({"failed": 2}, error="CycleFailed", cause="see the history") == ["CycleFailed: see the history"]
