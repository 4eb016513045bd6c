"""Firehose asks where each record goes: to its topic's RAW table."""

import base64
import binascii
import json
from typing import Annotated, Any

import msgspec
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake import failpoints
from ledgerlake.errors import TransientError
from ledgerlake.handlers import clients

# A synchronous answer may hold 6 MB; the rest of the budget is for the brackets around the records.
MAX_ANSWER_BYTES = 6 * 1000 * 1000 - 1024

logger = Logger(service="firehose_transform")
metrics = Metrics(namespace="ledgerlake", service="firehose_transform")


class _Routed(msgspec.Struct):
    """The one field that routes a RAW row; everything else is skipped without being built."""

    topic_name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\Z")]


_decoder = msgspec.json.Decoder(_Routed)


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Give every record its destination table; what names no topic goes to Firehose's error prefix, whole."""
    answers = _within_answer_limit([route(record, clients.settings().databases.raw) for record in event["records"]])
    failed = sum(answer["result"] != "Ok" for answer in answers)
    metrics.add_metric(name="RecordsRouted", unit=MetricUnit.Count, value=len(answers) - failed)
    if failed:
        metrics.add_metric(name="RecordsUnroutable", unit=MetricUnit.Count, value=failed)
        logger.error("records without a destination", extra={"failed": failed, "records": len(answers)})
    failpoints.hit("transform.before_answer")
    return {"records": answers}


def route(record: dict[str, Any], database: str) -> dict[str, Any]:
    """Return one record's answer: Ok with `otfMetadata` naming `<topic>_staging`, or ProcessingFailed."""
    try:
        routed = _decoder.decode(base64.b64decode(record["data"], validate=True))
        failpoints.hit("transform.route", routed.topic_name)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError, TransientError):
        return _failed(record["recordId"], record["data"])
    destination = {
        "destinationDatabaseName": database,
        "destinationTableName": f"{routed.topic_name}_staging",
        "operation": "insert",
    }
    return {
        "recordId": record["recordId"],
        "result": "Ok",
        "data": record["data"],
        "metadata": {"otfMetadata": destination},
    }


def _within_answer_limit(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turn what does not fit into 6 MB into ProcessingFailed: Lambda would refuse the whole answer, the good ones too.

    Not reached with the stream's buffer of 1 MB. Firehose keeps the source record of what is failed here.
    """
    if len(json.dumps(answers)) <= MAX_ANSWER_BYTES:
        return answers
    failures = [_failed(answer["recordId"], "") for answer in answers]
    room = MAX_ANSWER_BYTES - len(json.dumps(failures))
    fitting = []
    for answer, failure in zip(answers, failures, strict=True):
        room -= max(0, len(json.dumps(answer)) - len(json.dumps(failure)))
        fitting.append(answer if room >= 0 else failure)
    return fitting


def _failed(record_id: str, data: str) -> dict[str, Any]:
    return {"recordId": record_id, "result": "ProcessingFailed", "data": data}
