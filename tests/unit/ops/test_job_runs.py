"""How a job that a person starts is followed to its report, from Glue's answers."""

import boto3
import pytest
from moto import mock_aws

from ledgerlake.ops.job_runs import JobBusy, JobFailed, JobRuns, NotDeployed, new_id
from ledgerlake.state.requests import Requests

REGION = "eu-central-1"


class Busy(Exception):
    """Glue's ConcurrentRunsExceededException."""


class Glue:
    """Glue with one job, whose runs go through these states; `work` is what the job does before the last."""

    class exceptions:  # noqa: N801 — boto3's name
        ConcurrentRunsExceededException = Busy

    def __init__(self, *states, work=lambda _uri: None, error="", busy=False):
        self.states, self.work, self.error, self.busy = list(states), work, error, busy

    def start_job_run(self, JobName, Arguments):
        if self.busy:
            raise Busy
        self.uri = Arguments["--request"]
        return {"JobRunId": "jr_1"}

    def get_job_run(self, JobName, RunId):
        state = self.states.pop(0)
        if not self.states:
            self.work(self.uri)
        return {"JobRun": {"JobRunState": state, "ErrorMessage": self.error}}


@pytest.fixture
def requests(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket="ops", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield Requests(s3, "ops")


def test_a_run_is_given_its_request_and_followed_to_its_report(requests):
    requests.tell(requests.uri("replay", "r1"), "reading")
    glue = Glue(
        "STARTING", "RUNNING", "SUCCEEDED", work=lambda uri: requests.put_report(uri, {"asked": requests.get(uri)})
    )
    seen = []
    report = JobRuns(glue, requests, {"replay": "lake-replay"}).run("replay", {"a": "ü"}, "r1", seen.append, pause=0)
    assert report == {"asked": {"a": "ü"}}
    assert [(look.job, look.state, look.step) for look in seen] == [
        ("lake-replay", "STARTING", "reading"),
        ("lake-replay", "RUNNING", "reading"),
        ("lake-replay", "SUCCEEDED", "reading"),
    ]


@pytest.mark.parametrize("state", ["FAILED", "STOPPED", "TIMEOUT"])
def test_a_run_that_does_not_succeed_is_an_error_with_glues_words(requests, state):
    runs = JobRuns(Glue(state, error="LockHeld: events is locked"), requests, {"replay": "lake-replay"})
    with pytest.raises(JobFailed, match=f"jr_1 of lake-replay {state}: LockHeld: events is locked"):
        runs.run("replay", {}, pause=0)


def test_a_job_with_no_room_for_another_run_says_so(requests):
    with pytest.raises(JobBusy, match="try again"):
        JobRuns(Glue(busy=True), requests, {"replay": "lake-replay"}).run("replay", {}, pause=0)


def test_a_job_that_is_not_deployed_is_named_beside_those_that_are(requests):
    with pytest.raises(NotDeployed, match="no Glue job replay; it has curate"):
        JobRuns(Glue(), requests, {"curate": "lake-curate"}).run("replay", {}, pause=0)


def test_ids_differ_within_a_second():
    assert new_id() != new_id()
