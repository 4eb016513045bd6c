"""The clock's call: start the cycle of a scheduled time, once however often the scheduler delivers it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers import clients
from ledgerlake.ops import cycle

logger = Logger(service="start_cycle")


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Start the cycle of `scheduled_time` on `state_machine_arn`, or find it; return its ARN. Raises BadCycleName."""
    name = cycle.scheduled_name(event["scheduled_time"])
    arn = cycle.start(clients.state_machines(), event["state_machine_arn"], name=name)
    logger.info("cycle is started", extra={"cycle_id": name})
    return {"execution_arn": arn}
