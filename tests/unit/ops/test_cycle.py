"""How a cycle is followed and its end explained, from Step Functions' answers."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ledgerlake.ops import cycle as cycles

BEGAN = datetime(2026, 1, 18, 10, tzinfo=UTC)
MACHINE = "arn:aws:states:eu-central-1:000000000000:stateMachine:ledgerlake-test"


class StateMachines:
    """Step Functions with one execution, whose looks are given in turn."""

    def __init__(self, *looks):
        self.looks = list(looks)
        self.started = []

    def start_execution(self, stateMachineArn, input):  # noqa: A002
        self.started.append(json.loads(input))
        return {"executionArn": cycles.execution_arn(stateMachineArn, "c1")}

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
    assert cycles.start(client, MACHINE) == "arn:aws:states:eu-central-1:000000000000:execution:ledgerlake-test:c1"
    cycles.start(client, MACHINE, ["b", "a"])
    assert client.started == [{}, {"topics": ["a", "b"]}]


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
