"""The cycle's last state: whether every topic ended well and the layers balance."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers import clients
from ledgerlake.handlers.lakehouse import lake, state
from ledgerlake.handlers.transient import transient_by_name
from ledgerlake.ops import metrics as custom
from ledgerlake.ops import steps, variance

# The answer goes into an alert and through Step Functions (256 KiB); the whole of it stands in the ops tables.
NAMED = 20
ERROR_CHARACTERS = 1000
# Rows that the cycle's batches have in ops.drift_log.
DRIFT = "Drift"

logger = Logger(service="reconcile")
metrics = Metrics(namespace="ledgerlake", service="reconcile")


@transient_by_name
@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Reconcile `cycle_id`; return the failed topics and the formulas that do not hold, at most 20 of each."""
    result = steps.finish(lake(), state(), event["cycle_id"], event["curate"])
    cloudwatch, prefix = clients.cloudwatch(), clients.settings().prefix
    variance.publish(cloudwatch, prefix, result.checks)
    custom.put(cloudwatch, prefix, DRIFT, "Count", sum(result.drift.values()), result.drift)
    metrics.add_metric(name="TopicsFailed", unit=MetricUnit.Count, value=len(result.failed))
    metrics.add_metric(name="Variances", unit=MetricUnit.Count, value=len(result.variances))
    return {
        "cycle_id": event["cycle_id"],
        "failed": [
            {"topic": outcome.topic_name, "stage": outcome.stage, "error": (outcome.error or "")[:ERROR_CHARACTERS]}
            for outcome in result.failed[:NAMED]
        ],
        "failed_count": len(result.failed),
        "balanced": not result.variances,
        "variances": [
            {
                "topic": balance.topic,
                "formula": balance.formula,
                "expected": balance.expected,
                "actual": balance.actual,
                "parts": dict(balance.parts),
                "problem": balance.problem[:ERROR_CHARACTERS],
            }
            for balance in result.variances[:NAMED]
        ],
    }
