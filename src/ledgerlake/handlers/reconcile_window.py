"""Every hour: whether what came lately stands where it must, whatever its topic; a cycle looks at its own only."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers import clients
from ledgerlake.handlers.lakehouse import lake
from ledgerlake.ops.reconcile import Reconciler, reconcile

logger = Logger(service="reconcile_window")


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Reconcile the recent window of all topics; return how many formulas were checked, and how many do not hold."""
    reconciler = Reconciler.of(lake(), clients.s3())
    run_id = f"window-{context.aws_request_id}"
    checks = reconcile(reconciler, clients.cloudwatch(), run_id, reconciler.recent(datetime.now(UTC)))
    wrong = [checked for checked in checks if not checked.balanced]
    for checked in wrong:
        logger.error(
            "does not balance",
            extra={"topic": checked.topic, "formula": checked.formula, "problem": checked.problem, "run_id": run_id},
        )
    return {"checked": len(checks), "variances": len(wrong)}
