"""A failed function's error with the type it has on AWS: the exception's class, which retries and catches go by."""

import re
from typing import Any

from ministack.services import lambda_svc

UNTYPED = "Runtime.HandlerError"
# What the emulator says when the process of an environment is gone before it answered; AWS's words for it follow.
DIED = "Worker process died"
EXITED = ("Runtime.ExitError", "Runtime exited with error: signal: killed")

_execute = lambda_svc._execute_function_warm


def install() -> None:
    """Name the type in every answer; the emulator tells it only in the log."""
    lambda_svc._execute_function_warm = execute


def execute(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
    """Run the function; an error carries errorType, errorMessage and stackTrace as on AWS."""
    result: dict[str, Any] = _execute(function, event, request_id)
    error = result.get("body")
    if result.get("error") and isinstance(error, dict) and error.get("errorMessage") == DIED:
        result["body"] = {"errorType": EXITED[0], "errorMessage": f"RequestId: {request_id} Error: {EXITED[1]}"}
    elif result.get("error") and isinstance(error, dict) and error.get("errorType") == UNTYPED:
        log = result.get("log", "")
        kind = error_type(log, error.get("errorMessage", ""))
        if kind:
            trace = log[log.rfind("Traceback (most recent call last):") :].splitlines()[1:-1]
            result["body"] = {**error, "errorType": kind, "requestId": request_id, "stackTrace": trace}
    return result


def error_type(log: str, message: str) -> str | None:
    """The class named by the last traceback in a log that ends with this message."""
    first_line = message.split("\n", 1)[0]
    ending = f": {re.escape(first_line)}" if first_line else ""
    named = re.findall(rf"^([A-Za-z_][\w.]*){ending}$", log, re.MULTILINE)
    return named[-1].rpartition(".")[2] if named else None
