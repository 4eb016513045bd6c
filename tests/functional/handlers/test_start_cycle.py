"""The clock's call starts one cycle a scheduled time, however often it is made."""

import boto3
import pytest

from ledgerlake.handlers import start_cycle
from ledgerlake.ops import cycle

DEFINITION = '{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}'
ROLE = "arn:aws:iam::123456789012:role/cycle"


@pytest.fixture
def states(settings):
    return boto3.client("stepfunctions", region_name=settings.region)


@pytest.fixture
def machine(states):
    return states.create_state_machine(name="cycle", definition=DEFINITION, roleArn=ROLE)["stateMachineArn"]


@pytest.fixture
def call(machine, context):
    def call(scheduled_time):
        event = {"state_machine_arn": machine, "scheduled_time": scheduled_time}
        return start_cycle.handle(event, context)["execution_arn"]

    return call


def names(states, machine):
    return sorted(e["name"] for e in states.list_executions(stateMachineArn=machine)["executions"])


def test_a_scheduled_time_that_is_delivered_twice_starts_one_cycle(call, states, machine):
    assert call("2026-01-18T10:00:00Z") == call("2026-01-18T10:00:00Z")
    assert names(states, machine) == ["scheduled-20260118T100000Z"]


def test_a_cycle_that_has_ended_is_not_started_again(call, states, machine):
    first = call("2026-01-18T10:00:00Z")
    states.stop_execution(executionArn=first)
    assert call("2026-01-18T10:00:00Z") == first
    assert states.describe_execution(executionArn=first)["status"] == "ABORTED"


def test_every_time_has_its_own_cycle(call, states, machine):
    call("2026-01-18T10:00:00Z")
    call("2026-01-18T10:15:00Z")
    assert names(states, machine) == ["scheduled-20260118T100000Z", "scheduled-20260118T101500Z"]


def test_a_name_that_was_given_to_other_topics_is_refused(states, machine):
    cycle.start(states, machine, ["events"], name="nightly")
    assert cycle.start(states, machine, ["events"], name="nightly").endswith(":nightly")
    with pytest.raises(cycle.BadCycleName, match="other topics"):
        cycle.start(states, machine, ["orders"], name="nightly")
