"""Steps and runs that fail: tried again where that helps, red where a topic is, and finished by a later cycle."""

import pytest
from tests.functional.local.cloud import REGION, until
from tests.functional.local.cycle_machine import CycleMachine

THROTTLED = "Lambda.TooManyRequestsException"


@pytest.fixture(scope="module")
def machine(cloud):
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": cloud.instance.endpoint,
        }.items():
            environment.setenv(name, value)
        yield CycleMachine.deploy(cloud)


@pytest.fixture(autouse=True)
def mended(machine):
    """Every test begins without a fault and without a lock."""
    machine.mend("apples")
    machine.expire_locks()


def test_a_run_that_dies_fails_its_cycle_after_the_others_and_the_same_batch_is_done_once_its_lock_is_gone(machine):
    machine.land("apples", "a1")
    machine.land("pears", "p1")
    machine.fault("apples", "die")
    ended = machine.run()
    assert ended.status == "FAILED"
    assert machine.tries(ended.arn) == ["States.TaskFailed"]
    outcomes = machine.history(ended.cycle_id)
    assert outcomes["apples"][0] == "FAILED"
    assert outcomes["pears"] == ("STANDARDIZED", "")
    alert = machine.alert()
    assert alert["cycle_id"] == ended.cycle_id
    assert [topic["topic"] for topic in alert["details"]["failed"]] == ["apples"]
    pinned = machine.state.checkpoints.get("apples", "standardize")

    machine.mend("apples")
    machine.land("apples", "a2")
    skipped = machine.run()
    assert skipped.succeeded
    assert machine.history(skipped.cycle_id)["apples"] == ("SKIPPED_LOCKED", ended.cycle_id)
    assert machine.standardized("apples") == []

    machine.expire_locks()
    done = machine.run()
    assert done.succeeded
    assert machine.history(done.cycle_id)["apples"] == ("STANDARDIZED", "")
    finished = machine.state.checkpoints.get("apples", "standardize")
    assert (finished.batch_id, finished.status) == (pinned.batch_id, "done")


def test_a_run_that_is_stopped_by_hand_makes_its_cycle_red(machine):
    machine.land("apples", "a3")
    machine.fault("apples", "hang")
    arn = machine.start()
    machine.stop_job()
    ended = machine.wait(arn)
    assert ended.status == "FAILED"
    outcome, error = machine.history(ended.cycle_id)["apples"]
    assert outcome == "FAILED"
    assert "STOPPED" in error
    assert machine.alert()["cycle_id"] == ended.cycle_id


def test_a_run_past_its_timeout_makes_its_cycle_red(machine):
    machine.land("apples", "a4")
    machine.fault("apples", "hang")
    machine.set_job_timeout(1)
    try:
        ended = machine.run()
    finally:
        machine.set_job_timeout(480)
    assert ended.status == "FAILED"
    outcome, error = machine.history(ended.cycle_id)["apples"]
    assert outcome == "FAILED"
    assert "TIMEOUT" in error
    assert machine.alert()["cycle_id"] == ended.cycle_id


def test_a_step_that_fails_for_now_or_is_killed_is_called_again_and_finds_what_it_wrote(machine):
    machine.land("apples", "a5")
    machine.fault("plan_cycle", "transient")
    machine.fault("check_curated_ready", "kill")
    ended = machine.run()
    assert ended.succeeded
    assert machine.tries(ended.arn) == ["TransientError", "Runtime.ExitError"]
    assert machine.history(ended.cycle_id)["apples"] == ("STANDARDIZED", "")


def test_a_throttled_step_is_called_again_until_there_is_room(machine):
    machine.set_concurrency("plan_cycle", 0)
    try:
        arn = machine.start()
        until(lambda: THROTTLED in machine.tries(arn))
    finally:
        machine.set_concurrency("plan_cycle", None)
    assert machine.wait(arn).succeeded
    assert set(machine.tries(arn)) == {THROTTLED}


def test_a_step_that_says_no_is_not_called_again_and_the_cycle_is_red_though_its_alert_cannot_be_sent(machine):
    machine.fault("plan_cycle", "terminal")
    muted = machine.muted()
    ended = muted.run()
    assert ended.status == "FAILED"
    said_no, *unsent = muted.tries(ended.arn)
    assert said_no == "TerminalError"
    assert len(unsent) == 6
    assert all(error.startswith("SNS.") for error in unsent)
