"""SQS → Firehose: the door through which every message enters the lake."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from ledgerlake.errors import TerminalError, TransientError
from ledgerlake.handlers import clients
from ledgerlake.handlers.breaker import breaker
from ledgerlake.handlers.intake import take
from ledgerlake.ops.forward import Message
from ledgerlake.state.breakers import Counts


class ForeignQueue(TerminalError):
    """The function was wired to a queue that is no topic's: nothing is taken from it."""


logger = Logger(service="processor")
metrics = Metrics(namespace="ledgerlake", service="processor")


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Forward a batch of messages to Firehose; report the ones that SQS must deliver again."""
    messages = [message_of(record, clients.settings().queue_prefix) for record in event["Records"]]
    result = take(messages)
    _watch(messages[0].topic, Counts(len(messages), result.dead_lettered, len(result.retry)))
    metrics.add_metric(name="MessagesDelivered", unit=MetricUnit.Count, value=result.delivered)
    metrics.add_metric(name="MessagesDeadLettered", unit=MetricUnit.Count, value=result.dead_lettered)
    metrics.add_metric(name="MessagesToRetry", unit=MetricUnit.Count, value=len(result.retry))
    if result.dead_lettered or result.retry:
        logger.warning(
            "messages not delivered", extra={"dead_lettered": result.dead_lettered, "to_retry": sorted(result.retry)}
        )
    return {"batchItemFailures": [{"itemIdentifier": m.id} for m in messages if m.id in result.retry]}


def _watch(topic: str, counts: Counts) -> None:
    """Tell the circuit breaker of a batch, which came from one queue; the batch itself never fails for it."""
    try:
        opened = breaker().record(topic, counts, datetime.now(UTC))
    except (ClientError, BotoCoreError, TransientError):
        logger.exception("circuit breaker not reached", extra={"topic": topic})
        return
    if opened:
        logger.warning("circuit breaker opened", extra={"topic": topic, "reason": opened.reason})
        metrics.add_metric(name="BreakerOpened", unit=MetricUnit.Count, value=1)


def message_of(record: dict[str, Any], queue_prefix: str) -> Message:
    """Return an SQS record as a Message: topic from the queue's ARN, source from its attribute. Raises ForeignQueue."""
    queue = record["eventSourceARN"].rpartition(":")[2]
    if not queue.startswith(queue_prefix):
        raise ForeignQueue(queue, queue_prefix)
    source = record.get("messageAttributes", {}).get("source", {}).get("stringValue")
    return Message(record["messageId"], queue.removeprefix(queue_prefix), record["body"], source or "sqs")
