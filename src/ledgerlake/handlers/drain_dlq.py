"""Every five minutes: what waits in the dead-letter queues becomes rows of RAW `dlq_errors`."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers import clients
from ledgerlake.handlers.lakehouse import lake
from ledgerlake.ops.drain import drain
from ledgerlake.tables.definitions import DLQ_ERRORS

logger = Logger(service="drain_dlq")
metrics = Metrics(namespace="ledgerlake", service="drain_dlq")


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Drain all dead-letter queues once; return what was written and deleted."""
    drained = drain(
        clients.sqs(),
        clients.settings().queue_prefix,
        lambda: lake().load("raw", DLQ_ERRORS),
        context.get_remaining_time_in_millis,
    )
    metrics.add_metric(name="DeadLettersDrained", unit=MetricUnit.Count, value=drained.written)
    if drained.written:
        logger.warning("dead letters drained", extra=vars(drained))
    return dict(vars(drained))
