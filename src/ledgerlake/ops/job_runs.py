"""Start a Glue job for one request, follow it, and read the report that it leaves."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ledgerlake.errors import TerminalError, TransientError
from ledgerlake.ops.environment import Environment
from ledgerlake.state.requests import Document, Requests

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"})


class JobFailed(TerminalError):
    """A Glue run did not succeed; its request stays, and doing it again finishes what was begun."""

    def __init__(self, job: str, run_id: str, state: str, message: str) -> None:
        super().__init__(f"Glue run {run_id} of {job} {state}: {message or 'see its log'}")
        self.job, self.run_id, self.state, self.message = job, run_id, state, message


class JobBusy(TransientError):
    """The job has as many runs at work as it may have: try again when one has ended."""


class NotDeployed(TerminalError):
    """The environment lacks the job: it was applied before there was one."""


@dataclass(frozen=True)
class Look:
    """How a run stands: Glue's state, what the job says it is at, and since when it was asked for, in seconds."""

    job: str
    run_id: str
    state: str
    step: str
    seconds: float


@dataclass(frozen=True)
class JobRuns:
    """The Glue jobs that people start, by kind; a request's kind is its job's."""

    glue: "GlueClient"
    requests: Requests
    job_names: Mapping[str, str]

    @classmethod
    def of(cls, environment: Environment) -> "JobRuns":
        """The jobs of a deployed environment."""
        settings = environment.settings
        return cls(environment.glue, Requests(environment.s3, settings.buckets.ops), environment.outputs.glue_job_names)

    def run(
        self,
        kind: str,
        request: Document,
        request_id: str | None = None,
        seen: Callable[[Look], None] | None = None,
        pause: float = 1.0,
    ) -> Document:
        """Start the job `kind` with a request, wait for its end, and return its report.

        The same `request_id` (new_id() when not given) is the same work: a job goes on where a run of it broke off.
        Raises JobFailed, JobBusy, and NotDeployed where the environment has no such job.
        """
        run_id, uri = self.start(kind, request, request_id or new_id())
        return self._wait(self.job_names[kind], run_id, uri, seen or (lambda _: None), pause)

    def start(self, kind: str, request: Document, request_id: str) -> tuple[str, str]:
        """Start the job `kind` with a request; returns the run's id and the request's URI.

        Raises JobBusy, and NotDeployed where the environment has no such job.
        """
        if kind not in self.job_names:
            known = ", ".join(sorted(self.job_names)) or "none (use envs/<env>)"
            raise NotDeployed(f"the environment has no Glue job {kind}; it has {known}: apply it again")
        uri = self.requests.put(kind, request_id, request)
        return self._start(self.job_names[kind], uri), uri

    def _start(self, job: str, uri: str) -> str:
        try:
            return self.glue.start_job_run(JobName=job, Arguments={"--request": uri})["JobRunId"]
        except self.glue.exceptions.ConcurrentRunsExceededException as error:
            raise JobBusy(f"{job} has as many runs at work as it may have; try again when one has ended") from error

    def _wait(self, job: str, run_id: str, uri: str, seen: Callable[[Look], None], pause: float) -> Document:
        began = time.monotonic()
        while True:
            run = self.glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]
            state = run["JobRunState"]
            seen(Look(job, run_id, state, self.requests.step(uri), time.monotonic() - began))
            if state in ENDED:
                break
            time.sleep(pause)
        report = self.requests.report(uri)
        if state != "SUCCEEDED" or report is None:
            raise JobFailed(job, run_id, state, run.get("ErrorMessage", ""))
        return report


def new_id(now: datetime | None = None) -> str:
    """A request's id: ids sort by time, and two made in the same second differ."""
    return f"{now or datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(3)}"
