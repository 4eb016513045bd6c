"""S3 → SQS: a file that lands becomes one message a record."""

from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers import clients
from ledgerlake.ops.dead_letters import DeadLetters
from ledgerlake.ops.enqueue import QueueSender
from ledgerlake.ops.ingest import Ingest, Landed, Refused
from ledgerlake.state.file_registry import AlreadyIngested, FileRegistry

logger = Logger(service="ingest")
# Under its function's name, which tells environments apart: an alarm watches ObjectsRefused.
metrics = Metrics(namespace="ledgerlake")


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, Any]]]:
    """Ingest the announced objects. Raises what may pass by itself, so that Lambda invokes again and work resumes."""
    ingest = Ingest(
        s3=clients.s3(),
        queues=_queues(),
        dead_letters=_dead_letters(),
        registry=_registry(),
        owner=context.aws_request_id,  # a retried invocation keeps its id, and so its claim
        remaining=context.get_remaining_time_in_millis,
    )
    outcomes = [_outcome(ingest, landed) for landed in landed_objects(event)]
    refused = sum(outcome["outcome"] == "refused" for outcome in outcomes)
    metrics.add_metric(name="ObjectsRefused", unit=MetricUnit.Count, value=refused)
    metrics.add_metric(name="RecordsSent", unit=MetricUnit.Count, value=sum(o.get("sent", 0) for o in outcomes))
    return {"objects": outcomes}


def landed_objects(event: dict[str, Any]) -> list[Landed]:
    """Return the objects of an S3 notification; folder markers and S3's test event announce none."""
    return [
        Landed(
            bucket=record["s3"]["bucket"]["name"],
            key=unquote_plus(record["s3"]["object"]["key"]),
            etag=record["s3"]["object"]["eTag"],
            version_id=record["s3"]["object"].get("versionId"),
        )
        for record in event.get("Records", [])
        if not record["s3"]["object"]["key"].endswith("/")
    ]


def _outcome(ingest: Ingest, landed: Landed) -> dict[str, Any]:
    try:
        progress = ingest.run(landed)
    except AlreadyIngested:
        logger.info("object ingested before", extra={"object": landed.version.object})
        return {"object": landed.version.object, "outcome": "already_ingested"}
    except Refused as refused:
        # Trying again would change nothing; the file registry keeps the reason, and `ledgerlake errors` shows it.
        logger.error(
            "object refused", extra={"object": landed.version.object, "code": refused.code, "reason": refused.reason}
        )
        return {"object": landed.version.object, "outcome": "refused", "code": refused.code, "reason": refused.reason}
    logger.info("object ingested", extra={"object": landed.version.object, **vars(progress)})
    return {"object": landed.version.object, "outcome": "done", "sent": progress.sent, "too_large": progress.too_large}


@cache
def _queues() -> QueueSender:
    return QueueSender(clients.sqs(), clients.settings().queue_prefix)


@cache
def _dead_letters() -> DeadLetters:
    return DeadLetters(clients.sqs(), clients.settings().queue_prefix)


@cache
def _registry() -> FileRegistry:
    return FileRegistry(clients.dynamodb().Table(clients.settings().dynamodb_tables.file_registry))
