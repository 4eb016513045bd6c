"""The one way by which messages leave a topic's queue: the processor takes it, and so does a breaker's probe."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from ledgerlake.handlers import clients
from ledgerlake.ops.dead_letters import DeadLetters
from ledgerlake.ops.forward import Forwarded, Message, forward


def take(messages: Sequence[Message]) -> Forwarded:
    """Forward messages to Firehose, broken ones to their topic's dead-letter queue; tell which must come again."""
    return forward(messages, datetime.now(UTC), clients.firehose(), clients.settings().firehose_name, dead_letters())


@cache
def dead_letters() -> DeadLetters:
    """Return the topics' dead-letter queues."""
    return DeadLetters(clients.sqs(), clients.settings().queue_prefix)
