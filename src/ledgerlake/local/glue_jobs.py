"""Glue jobs that really run: the emulator's own answer SUCCEEDED without starting anything."""

import contextvars
import itertools
import json
import logging
import secrets
import threading
import time
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import eventbridge, glue

from ledgerlake.local.credentials import RoleSession
from ledgerlake.local.glue_run import GlueRun
from ledgerlake.local.instance import Home
from ledgerlake.local.job_logs import JobLogs
from ledgerlake.settings import LocalSettings

Answer = tuple[int, dict[str, str], bytes]

ACTIVE = ("STARTING", "RUNNING", "STOPPING")
DEFAULT_MINUTES = 480
# What the emulator forgets of a job's definition; without it Terraform would see a change in every plan.
FORGOTTEN = ("ExecutionProperty", "ExecutionClass", "LogUri", "NotificationProperty", "MaintenanceWindow", "JobMode")

logger = logging.getLogger("ledgerlake.local.glue")


class GlueJobs:
    """The runs of this emulator, each a process group of its own."""

    def __init__(self, settings: LocalSettings, home: Home) -> None:
        self._settings = settings
        self._home = home
        self._lock = threading.Lock()
        self._runs: dict[str, GlueRun] = {}
        self._numbers = itertools.count(1)
        self._create_job = glue._create_job
        self._update_job = glue._update_job

    def install(self) -> None:
        """Take over the emulator's job operations; it looks them up at each request."""
        glue._create_job = self.create_job
        glue._update_job = self.update_job
        glue._start_job_run = self.start_job_run
        glue._batch_stop_job_run = self.batch_stop_job_run

    def create_job(self, request: dict[str, Any]) -> Answer:
        """CreateJob, keeping what the emulator forgets."""
        answer: Answer = self._create_job(request)
        if answer[0] == 200:
            _remember(glue._jobs[request["Name"]], request)
            glue._tags[glue._arn("job", request["Name"])] = dict(request.get("Tags") or {})
        return answer

    def update_job(self, request: dict[str, Any]) -> Answer:
        """UpdateJob, keeping what the emulator forgets."""
        answer: Answer = self._update_job(request)
        if answer[0] == 200:
            _remember(glue._jobs[request["JobName"]], request.get("JobUpdate", {}))
        return answer

    def start_job_run(self, request: dict[str, Any]) -> Answer:
        """StartJobRun: refuse what Glue refuses, else start the run and return its id at once."""
        job = glue._jobs.get(request.get("JobName"))
        if job is None:
            return _error("EntityNotFoundException", f"There is no job {request.get('JobName')}")
        with self._lock:
            runs = glue._job_runs.setdefault(job["Name"], [])
            allowed = (job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1
            if sum(run["JobRunState"] in ACTIVE for run in runs) >= allowed:
                return _error("ConcurrentRunsExceededException", f"Concurrent runs exceeded for {job['Name']}")
            run = _described(job, request)
            runs.append(run)
            work = self._work(job, run)
            self._runs[run["Id"]] = work
        # The emulator's stores belong to an account and a region that only this context knows.
        threading.Thread(target=contextvars.copy_context().run, args=(self._follow, run, work), daemon=True).start()
        return _ok({"JobRunId": run["Id"]})

    def batch_stop_job_run(self, request: dict[str, Any]) -> Answer:
        """BatchStopJobRun: the runs are STOPPING at once and STOPPED when their processes are gone."""
        name = request.get("JobName", "")
        known = {run["Id"]: run for run in glue._job_runs.get(name, [])}
        stopped, errors = [], []
        for run_id in request.get("JobRunIds", []):
            problem = self._stop(known.get(run_id))
            if problem:
                code, message = problem
                detail = {"ErrorCode": code, "ErrorMessage": message}
                errors.append({"JobName": name, "JobRunId": run_id, "ErrorDetail": detail})
            else:
                stopped.append({"JobName": name, "JobRunId": run_id})
        return _ok({"SuccessfulSubmissions": stopped, "Errors": errors})

    def end_all(self) -> None:
        """Stop every run, side by side: the launcher is leaving."""
        with self._lock:
            works = list(self._runs.values())
        enders = [threading.Thread(target=work.stop) for work in works]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()

    def _stop(self, run: dict[str, Any] | None) -> tuple[str, str] | None:
        if run is None:
            return "EntityNotFoundException", "Job run not found"
        with self._lock:
            work = self._runs.get(run["Id"])
            if work is None or run["JobRunState"] not in ACTIVE:
                return "IllegalSessionStateException", f"The job run is {run['JobRunState']}"
            run["JobRunState"] = "STOPPING"
        threading.Thread(target=work.stop, daemon=True).start()
        return None

    def _work(self, job: dict[str, Any], run: dict[str, Any]) -> GlueRun:
        role = RoleSession.of(job["Role"], f"GlueJobRunnerSession-{run['Id'][-16:]}", self._settings)
        return GlueRun(
            job_name=job["Name"],
            script=job.get("Command", {}).get("ScriptLocation", ""),
            arguments={**run["Arguments"], "--JOB_NAME": job["Name"], "--JOB_RUN_ID": run["Id"]},
            timeout_seconds=run["Timeout"] * self._settings.job_minute,
            role=role,
            logs=JobLogs(role, run["Id"]),
            work=self._home.aws / "runs" / str(next(self._numbers)),
            settings=self._settings,
        )

    def _follow(self, run: dict[str, Any], work: GlueRun) -> None:
        def started() -> None:
            with self._lock:
                if run["JobRunState"] == "STARTING":
                    run.update(JobRunState="RUNNING", LastModifiedOn=time.time())

        ending, message = work.execute(started)
        now = time.time()
        with self._lock:
            del self._runs[run["Id"]]
            run.update(CompletedOn=now, LastModifiedOn=now, ExecutionTime=int(now - run["StartedOn"]))
            if message:
                run["ErrorMessage"] = message
            run["JobRunState"] = ending  # last: whoever sees it sees the rest
        _report(run)
        logger.info("job run %s of %s %s", run["Id"], run["JobName"], ending)


def _report(run: dict[str, Any]) -> None:
    """Tell EventBridge how a run ended, as Glue does."""
    detail = {
        "jobName": run["JobName"],
        "jobRunId": run["Id"],
        "state": run["JobRunState"],
        "severity": "INFO" if run["JobRunState"] == "SUCCEEDED" else "ERROR",
        "message": run.get("ErrorMessage", "Job run succeeded"),
    }
    event = {"Source": "aws.glue", "DetailType": "Glue Job State Change", "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)


def _remember(job: dict[str, Any], given: dict[str, Any]) -> None:
    job.update({field: given[field] for field in FORGOTTEN if field in given})
    job.setdefault("ExecutionProperty", {"MaxConcurrentRuns": 1})


def _described(job: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    arguments = {
        **(job.get("DefaultArguments") or {}),
        **(request.get("Arguments") or {}),
        **(job.get("NonOverridableArguments") or {}),
    }
    run = {
        "Id": f"jr_{secrets.token_hex(32)}",
        "Attempt": 0,
        "JobName": job["Name"],
        "StartedOn": now,
        "LastModifiedOn": now,
        "JobRunState": "STARTING",
        "Arguments": {name: str(value) for name, value in arguments.items()},
        "PredecessorRuns": [],
        "ExecutionTime": 0,
        "Timeout": request.get("Timeout") or job.get("Timeout") or DEFAULT_MINUTES,
        "LogGroupName": "/aws-glue/jobs",
    }
    for field in ("GlueVersion", "WorkerType", "NumberOfWorkers", "MaxCapacity", "ExecutionClass"):
        value = request.get(field) or job.get(field)
        if value is not None:
            run[field] = value
    return run


def _ok(body: dict[str, Any]) -> Answer:
    answer: Answer = json_response(body)
    return answer


def _error(code: str, message: str) -> Answer:
    answer: Answer = error_response_json(code, message, 400)
    return answer
