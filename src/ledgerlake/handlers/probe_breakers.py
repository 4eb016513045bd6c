"""Every minute: topics that are no longer taken are tried, and taken again when their messages fare well."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from ledgerlake.errors import TransientError
from ledgerlake.handlers import clients
from ledgerlake.handlers.breaker import breaker
from ledgerlake.handlers.intake import take
from ledgerlake.ops.probe import Probe

# Enough for one more probe, retries included; who is left is due first next time.
MILLISECONDS_A_PROBE = 30_000


class ProbesFailed(TransientError):
    """Probes that came to no end, by topic; their claims expire, and they are tried again."""


logger = Logger(service="probe_breakers")
metrics = Metrics(namespace="ledgerlake", service="probe_breakers")


@logger.inject_lambda_context
@metrics.log_metrics
def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Probe the topics that are due; return which were, and which of them are taken again. Raises ProbesFailed."""
    probe = Probe(breaker(), clients.sqs(), clients.settings().queue_prefix, take)
    probed: list[str] = []
    closed: list[str] = []
    failed: list[str] = []
    for topic in probe.due(datetime.now(UTC)):
        if context.get_remaining_time_in_millis() < MILLISECONDS_A_PROBE:
            break
        try:
            closed += [topic] if probe.run(topic, datetime.now(UTC)) else []
            probed.append(topic)
        except (ClientError, BotoCoreError, TransientError):
            logger.exception("probe failed", extra={"topic": topic})
            failed.append(topic)
    if probed:
        logger.info("topics probed", extra={"probed": probed, "closed": closed})
    metrics.add_metric(name="BreakerClosed", unit=MetricUnit.Count, value=len(closed))
    if failed:
        raise ProbesFailed(", ".join(failed))
    return {"probed": probed, "closed": closed}
