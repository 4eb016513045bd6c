"""S3 → contract: a file under schemas/<topic>/pending/ comes into force, or fails with its reasons."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers import clients
from ledgerlake.handlers.lakehouse import lake, state
from ledgerlake.ops.candidates import Pending, Published
from ledgerlake.ops.publish import Publisher
from ledgerlake.state.contracts import ContractsBucket

logger = Logger(service="publish_contract")
metrics = Metrics(namespace="ledgerlake")

_PENDING = re.compile(r"schemas/(.*)/pending/schema\.json", re.DOTALL)


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, Any]]]:
    """Publish the announced contracts. Raises what may pass by itself, so that Lambda invokes again and finishes."""
    bucket = ContractsBucket(clients.s3(), state().contracts_bucket)
    publisher = Publisher(bucket, state().gate, lake(), state().locks)
    return {"contracts": [_told(publisher.publish(pending)) for pending in pending_contracts(event)]}


def pending_contracts(event: dict[str, Any]) -> Iterator[Pending]:
    """Return the pending contracts that an S3 notification, or an EventBridge event of S3, announces.

    One whose key names no one folder under schemas/ can be answered nowhere: it is logged and counted.
    """
    for announced in _announced(event):
        if not (match := _PENDING.fullmatch(announced.key)):
            continue
        if "/" in match[1] or match[1] in {"", ".", ".."}:
            logger.error("a contract lies where no topic's does", extra={"key": announced.key})
            metrics.add_metric(name="ContractsMisplaced", unit=MetricUnit.Count, value=1)
            continue
        yield Pending(match[1], announced.version_id, announced.principal)


class _Announced(NamedTuple):
    key: str
    version_id: str | None
    principal: str | None


def _announced(event: dict[str, Any]) -> list[_Announced]:
    if "detail" in event:
        detail = event["detail"]
        return [_Announced(detail["object"]["key"], detail["object"].get("version-id"), detail.get("requester"))]
    return [
        _Announced(
            unquote_plus(record["s3"]["object"]["key"]),
            record["s3"]["object"].get("versionId"),
            record.get("userIdentity", {}).get("principalId"),
        )
        for record in event.get("Records", [])
    ]


def _told(published: Published) -> dict[str, Any]:
    problems = [problem.as_dict() for problem in published.problems]
    metrics.add_metric(name=f"Contracts{published.status.capitalize()}", unit=MetricUnit.Count, value=1)
    if problems:
        logger.error("contract failed", extra={"topic": published.topic, "problems": problems})
    else:
        logger.info("contract read", extra={"topic": published.topic, "status": published.status})
    return {
        "topic": published.topic,
        "status": published.status,
        "version": published.version,
        "problems": problems,
    }
