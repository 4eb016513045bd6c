"""The cycle's first state: pin a batch for every topic with something new, and spread the topics over Glue runs."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers.lakehouse import lake, state
from ledgerlake.handlers.transient import transient_by_name
from ledgerlake.ops import steps

logger = Logger(service="plan_cycle")


@transient_by_name
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Plan `cycle_id` for all topics, or for `topics`. Raises UnknownTopics, naming them."""
    work, runs = steps.begin(lake(), state(), event["cycle_id"], event.get("topics"))
    logger.info("cycle planned", extra={"cycle_id": event["cycle_id"], "work": work, "runs": len(runs)})
    return {"cycle_id": event["cycle_id"], "work": work, "runs": runs}
