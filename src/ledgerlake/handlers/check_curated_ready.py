"""After the standardize runs: see what they did, and plan what is to be curated."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers.lakehouse import lake, state
from ledgerlake.handlers.transient import transient_by_name
from ledgerlake.ops import steps

logger = Logger(service="check_curated_ready")


@transient_by_name
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return whether there is anything to curate, in which runs, and how many topics failed to be standardized."""
    failed, runs = steps.go_on(lake(), state(), event["cycle_id"], event["standardize"])
    logger.info("standardize closed", extra={"cycle_id": event["cycle_id"], "failed": failed, "runs": len(runs)})
    return {"cycle_id": event["cycle_id"], "ready": bool(runs), "failed": failed, "runs": runs}
