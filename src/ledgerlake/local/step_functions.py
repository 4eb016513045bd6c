"""Step Functions' tasks as the state machine's role: Glue jobs, which the emulator lacks, Lambda and SNS, which it lets
anybody use.
"""

import contextvars
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from botocore.exceptions import ClientError
from ministack.services import stepfunctions

from ledgerlake.local.credentials import RoleSession
from ledgerlake.settings import LocalSettings

START_JOB_RUN = "arn:aws:states:::glue:startJobRun"
INVOKE = "arn:aws:states:::lambda:invoke"
PUBLISH = "arn:aws:states:::sns:publish"
POLL_SECONDS = 0.5
ENDED = ("SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR")

_execution: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("execution")
_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)


class RoleTasks:
    """Does what tasks ask for with the credentials of the state machine's role, so that its policy must be enough."""

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._execute_task = stepfunctions._execute_task
        self._invoke_resource = stepfunctions._invoke_resource
        self._invoke_with_timeout = stepfunctions._invoke_resource_with_timeout
        self._fail_execution = stepfunctions._fail_execution

    def install(self) -> None:
        """Register the integrations, and let timeouts and StopExecution reach a job."""
        stepfunctions._SERVICE_DISPATCH[START_JOB_RUN] = self.start_job_run
        stepfunctions._SERVICE_DISPATCH[PUBLISH] = self.publish
        stepfunctions._invoke_resource = self.invoke_resource
        stepfunctions._execute_task = self.execute_task
        stepfunctions._invoke_resource_with_timeout = self.invoke_with_timeout
        stepfunctions._fail_execution = self.fail_execution

    def execute_task(self, state: Any, given: Any, execution: dict[str, Any], context: Any) -> Any:
        """Run a task state, unless its execution was stopped meanwhile (the branches of a Map go on by themselves)."""
        if execution["status"] != "RUNNING":
            _fail("States.Aborted", "The execution was stopped")
        _execution.set(execution)
        return self._execute_task(state, given, execution, context)

    def fail_execution(self, execution: dict[str, Any], error: str, cause: str) -> None:
        """Fail an execution, but leave one that was stopped as it is."""
        if execution["status"] == "RUNNING":
            self._fail_execution(execution, error, cause)

    def invoke_with_timeout(self, resource: str, given: Any, timeout: float) -> Any:
        """A job is watched, and stopped, by the task itself; the emulator would leave it running."""
        if not resource.startswith(START_JOB_RUN):
            return self._invoke_with_timeout(resource, given, timeout)
        limit = _deadline.set(time.monotonic() + timeout)
        try:
            return stepfunctions._invoke_resource(resource, given)
        finally:
            _deadline.reset(limit)

    def invoke_resource(self, resource: str, given: Any) -> Any:
        """Call a function through its API; everything else goes the emulator's way."""
        return self.invoke(given) if resource == INVOKE else self._invoke_resource(resource, given)

    def invoke(self, given: dict[str, Any]) -> dict[str, Any]:
        """A function's answer; its own error fails the state with the error's type and, as cause, its JSON."""
        payload = json.dumps(given.get("Payload", {})).encode()
        answer = _called(self._client("lambda").invoke, FunctionName=given["FunctionName"], Payload=payload)
        returned = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            _fail(returned.get("errorType", "Lambda.Unknown"), json.dumps(returned))
        return {"ExecutedVersion": "$LATEST", "Payload": returned, "StatusCode": answer["StatusCode"]}

    def publish(self, _resource: str, given: dict[str, Any]) -> dict[str, Any]:
        """Publish to a topic; a message that is no text is sent as its JSON."""
        message = given["Message"]
        text = message if isinstance(message, str) else json.dumps(message)
        return {"MessageId": _called(self._client("sns").publish, **{**given, "Message": text})["MessageId"]}

    def start_job_run(self, resource: str, given: dict[str, Any]) -> dict[str, Any]:
        """Start a run; with `.sync` wait for its end. A failed one is States.TaskFailed, its cause the run as JSON."""
        glue = self._client("glue")
        run_id = _called(glue.start_job_run, **given)["JobRunId"]
        if not resource.endswith(".sync"):
            return {"JobRunId": run_id}
        run = self._watch(glue, given["JobName"], run_id)
        if run["JobRunState"] != "SUCCEEDED":
            _fail("States.TaskFailed", json.dumps(run))
        return run

    def _watch(self, glue: Any, job: str, run_id: str) -> dict[str, Any]:
        execution, deadline = _execution.get(), _deadline.get()
        while True:
            run = _called(glue.get_job_run, JobName=job, RunId=run_id)["JobRun"]
            if run["JobRunState"] in ENDED:
                return _as_json(run)
            if execution["status"] != "RUNNING":
                self._stop(glue, job, run_id)
                _fail("States.Aborted", "The execution was stopped")
            if deadline is not None and time.monotonic() > deadline:
                self._stop(glue, job, run_id)
                _fail("States.Timeout", f"The job run {run_id} took longer than the state may")
            time.sleep(POLL_SECONDS)

    @staticmethod
    def _stop(glue: Any, job: str, run_id: str) -> None:
        _called(glue.batch_stop_job_run, JobName=job, JobRunIds=[run_id])

    def _client(self, service: str) -> Any:
        execution = _execution.get()
        role = stepfunctions._state_machines[execution["stateMachineArn"]]["roleArn"]
        return RoleSession.of(role, execution["name"], self._settings).client(service)


def _called(operation: Callable[..., Any], **given: Any) -> Any:
    try:
        return operation(**given)
    except ClientError as refused:
        details = refused.response["Error"]
        _fail(_error_name(operation, details["Code"]), details["Message"])


def _error_name(operation: Callable[..., Any], code: str) -> str:
    """What a Catch or Retry knows the API's error as."""
    match getattr(operation, "__name__", ""):
        case "invoke":
            return "Lambda.AWSLambdaException" if code == "AccessDeniedException" else f"Lambda.{code}"
        case "publish":
            return f"SNS.{code}Exception"
        case _:
            return f"Glue.{code}"


def _fail(error: str, cause: str) -> NoReturn:
    raise stepfunctions._ExecutionError(error, cause)


def _as_json(run: dict[str, Any]) -> dict[str, Any]:
    """The run as a state's output: times in epoch milliseconds."""
    return {k: int(v.timestamp() * 1000) if isinstance(v, datetime) else v for k, v in run.items()}
