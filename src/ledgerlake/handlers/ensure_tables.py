"""Terraform, at apply: the tables that every environment has, and each topic's RAW table."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from ledgerlake.handlers.lakehouse import lake
from ledgerlake.tables.ensure import ensure_ops, ensure_topic
from ledgerlake.tables.registry import register_missing

logger = Logger(service="ensure_tables")


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Make what is missing for `{"topics": […]}`; the answer names the topics only, so that applies do not differ."""
    topics: list[str] = sorted(event["topics"])
    made = [*ensure_ops(lake()), *(name for topic in topics if (name := ensure_topic(lake(), topic)))]
    register_missing(lake(), topics, datetime.now(UTC))
    logger.info("tables ensured", extra={"made": made, "topics": topics})
    return {"topics": topics}
