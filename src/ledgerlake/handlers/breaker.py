"""The circuit breaker as functions use it."""

from functools import cache

import boto3
from botocore.config import Config

from ledgerlake.handlers import clients
from ledgerlake.ops.breaker import Alerts, CircuitBreaker
from ledgerlake.ops.mappings import Mappings
from ledgerlake.state.breakers import Breakers

# Clients of its own: when DynamoDB does not answer, the messages that were forwarded meanwhile must not wait for it
# until the processor's time is up, and come again.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 2}, connect_timeout=1, read_timeout=3)


@cache
def breaker() -> CircuitBreaker:
    """Return the environment's circuit breaker."""
    settings = clients.settings()
    region = settings.region
    dynamodb = boto3.resource("dynamodb", region_name=region, config=_CONFIG)
    return CircuitBreaker(
        limits=settings.circuit_breaker,
        breakers=Breakers(dynamodb.Table(settings.dynamodb_tables.circuit_breakers)),
        mappings=Mappings(
            boto3.client("lambda", region_name=region, config=_CONFIG),
            boto3.client("sqs", region_name=region, config=_CONFIG),
            settings.queue_prefix,
        ),
        alerts=Alerts(boto3.client("sns", region_name=region, config=_CONFIG), settings.alerts_topic_arn),
    )
