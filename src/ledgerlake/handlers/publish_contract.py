"""S3 → contract: a file under schemas/<topic>/pending/ comes into force, or fails with its reasons."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers import clients
from ledgerlake.handlers.lakehouse import lake, state
from ledgerlake.ops.publish import Pending, Published, Publisher

logger = Logger(service="publish_contract")
metrics = Metrics(namespace="ledgerlake", service="publish_contract")

_PENDING = re.compile(r"schemas/([^/]+)/pending/schema\.json")


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, Any]]]:
    """Publish the announced contracts. Raises what may pass by itself, so that Lambda invokes again and finishes."""
    publisher = Publisher(clients.s3(), state().gate, lake())
    return {"contracts": [_told(publisher.publish(pending)) for pending in pending_contracts(event)]}


def pending_contracts(event: dict[str, Any]) -> Iterator[Pending]:
    """Return the pending contracts that an S3 notification, or an EventBridge event of S3, announces."""
    if "detail" in event:
        announced = event["detail"]["object"]
        objects = [(event["detail"]["bucket"]["name"], announced["key"], announced.get("version-id"))]
    else:
        records = [record["s3"] for record in event.get("Records", [])]
        objects = [
            (record["bucket"]["name"], unquote_plus(record["object"]["key"]), record["object"].get("versionId"))
            for record in records
        ]
    for bucket, key, version_id in objects:
        if match := _PENDING.fullmatch(key):
            yield Pending(bucket, match[1], version_id)


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
