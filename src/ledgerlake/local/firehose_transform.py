"""Firehose's transform Lambda: called with AWS's limits, its answer judged record by record.

Source: Amazon Data Firehose developer guide, "Data transformation": every recordId must come back once, with Ok,
Dropped or ProcessingFailed; a failed invocation is repeated (3 times by default), then its records count as failed.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ledgerlake.errors import TransientError
from ledgerlake.local.credentials import RoleSession

ANSWER_BYTES = 6 * 1024 * 1024


@dataclass(frozen=True)
class Record:
    """A record as it was put: its id, its arrival in epoch milliseconds, its bytes."""

    id: str
    arrived: int
    data: bytes


@dataclass(frozen=True)
class Failure:
    """A record for the error prefix. `output_type` is Firehose's error-output-type."""

    record: Record
    output_type: str
    code: str
    message: str
    data: bytes
    attempts: int = 1
    lambda_arn: str | None = None


@dataclass(frozen=True)
class Routed:
    """A record after the transform, with where it shall go (otfMetadata; empty when the Lambda said nothing)."""

    record: Record
    data: bytes
    route: dict[str, str] = field(default_factory=dict)


class _CallFailed(TransientError):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def transformed(
    stream_arn: str, config: dict[str, Any], records: Sequence[Record], role: RoleSession
) -> tuple[list[Routed], list[Failure]]:
    """The records as the destination's Lambda leaves them; without one they pass as they are."""
    parameters = _lambda_parameters(config)
    if parameters is None:
        return [Routed(record, record.data) for record in records], []
    routed: list[Routed] = []
    failures: list[Failure] = []
    for batch in _batches(records, int(float(parameters.get("BufferSizeInMBs", 1)) * 1024 * 1024)):
        good, bad = _invoke(stream_arn, parameters, batch, role)
        routed += good
        failures += bad
    return routed, failures


def _lambda_parameters(config: dict[str, Any]) -> dict[str, str] | None:
    processing = config.get("ProcessingConfiguration") or {}
    for processor in (processing.get("Processors") or []) if processing.get("Enabled") else []:
        if processor.get("Type") == "Lambda":
            return {each["ParameterName"]: each["ParameterValue"] for each in processor.get("Parameters") or []}
    return None


def _batches(records: Sequence[Record], limit: int) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and size + len(record.data) > limit:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.data)
    if batch:
        yield batch


def _invoke(
    stream_arn: str, parameters: dict[str, str], batch: list[Record], role: RoleSession
) -> tuple[list[Routed], list[Failure]]:
    arn = parameters["LambdaArn"]
    client = role.client("lambda")
    event = {
        "invocationId": str(uuid.uuid4()),
        "deliveryStreamArn": stream_arn,
        "region": role.region,
        "records": [
            {
                "recordId": record.id,
                "approximateArrivalTimestamp": record.arrived,
                "data": base64.b64encode(record.data).decode(),
            }
            for record in batch
        ],
    }
    attempts = 1 + int(parameters.get("NumberOfRetries", 3))
    for attempt in range(1, attempts + 1):
        try:
            return _judged(batch, _call(client, arn, event), arn, attempt)
        except _CallFailed as failed:
            last = failed
    return [], [_failed(record, last.code, str(last), arn, attempts) for record in batch]


def _call(client: Any, arn: str, event: dict[str, Any]) -> list[Any]:
    try:
        answer = client.invoke(FunctionName=arn, Payload=json.dumps(event).encode())
    except ClientError as refused:
        denied = refused.response["Error"]["Code"] in ("AccessDeniedException", "AccessDenied")
        raise _CallFailed(
            "Lambda.InvokeAccessDenied" if denied else "Lambda.InvocationFailed", str(refused)
        ) from refused
    except BotoCoreError as unreachable:
        raise _CallFailed("Lambda.InvocationFailed", str(unreachable)) from unreachable
    payload = answer["Payload"].read()
    if answer.get("FunctionError"):
        raise _CallFailed("Lambda.FunctionError", payload.decode(errors="replace")[:2000])
    if len(payload) > ANSWER_BYTES:
        raise _CallFailed(
            "Lambda.ResponseTooLarge", f"The function answered {len(payload)} bytes, over the limit of 6 MB"
        )
    try:
        records = json.loads(payload)["records"]
    except (ValueError, TypeError, KeyError) as broken:
        raise _CallFailed("Lambda.JsonProcessingException", "The function's answer has no records") from broken
    if not isinstance(records, list):
        raise _CallFailed("Lambda.JsonProcessingException", "The function's records are no list")
    return records


def _judged(batch: list[Record], answers: list[Any], arn: str, attempt: int) -> tuple[list[Routed], list[Failure]]:
    given: dict[str, list[dict[str, Any]]] = {}
    for answer in answers:
        if isinstance(answer, dict):
            given.setdefault(str(answer.get("recordId")), []).append(answer)
    routed: list[Routed] = []
    failures: list[Failure] = []
    for record in batch:
        try:
            kept = _outcome(record, given.get(record.id, []))
        except _CallFailed as failed:
            failures.append(_failed(record, failed.code, str(failed), arn, attempt))
        else:
            routed += [kept] if kept else []
    return routed, failures


def _outcome(record: Record, answers: list[dict[str, Any]]) -> Routed | None:
    """The record that goes on, or None for a dropped one."""
    if not answers:
        raise _CallFailed("Lambda.MissingRecordId", "The function did not return this record's id")
    if len(answers) > 1:
        raise _CallFailed("Lambda.DuplicatedRecordId", "The function returned this record's id more than once")
    answer = answers[0]
    result = answer.get("result")
    if result == "Dropped":
        return None
    if result != "Ok":
        code = "Lambda.ProcessingFailedStatus" if result == "ProcessingFailed" else "Lambda.JsonProcessingException"
        raise _CallFailed(code, f"The function returned the record with the result {result}")
    try:
        data = base64.b64decode(answer["data"], validate=True)
    except (KeyError, TypeError, binascii.Error) as broken:
        raise _CallFailed("Lambda.JsonProcessingException", "The record's data is not base64") from broken
    return Routed(record, data, (answer.get("metadata") or {}).get("otfMetadata") or {})


def _failed(record: Record, code: str, message: str, arn: str, attempts: int) -> Failure:
    return Failure(record, "processing-failed", code, message, record.data, attempts, arn)
