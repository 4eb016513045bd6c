"""Every five minutes: what Firehose could not deliver becomes rows of RAW `firehose_errors`."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers import clients
from ledgerlake.handlers.lakehouse import lake
from ledgerlake.ops.firehose_errors import load
from ledgerlake.tables.definitions import FIREHOSE_ERRORS

logger = Logger(service="load_firehose_errors")
metrics = Metrics(namespace="ledgerlake", service="load_firehose_errors")


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Load the error objects that are not in the table yet; return how many, and their records."""
    loaded = load(
        clients.s3(),
        clients.settings().buckets.raw,
        lambda: lake().load("raw", FIREHOSE_ERRORS),
        context.get_remaining_time_in_millis,
    )
    metrics.add_metric(name="FirehoseErrorsLoaded", unit=MetricUnit.Count, value=loaded.records)
    if loaded.records:
        logger.warning("firehose errors loaded", extra=vars(loaded))
    return dict(vars(loaded))
