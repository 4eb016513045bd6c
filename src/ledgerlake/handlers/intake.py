"""The one way by which messages leave a topic's queue: the processor takes it, and so does a breaker's probe."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from ledgerlake import failpoints
from ledgerlake.handlers import clients
from ledgerlake.ops import accepted
from ledgerlake.ops.dead_letters import DeadLetters
from ledgerlake.ops.forward import Forwarded, Message, forward


def take(messages: Sequence[Message]) -> Forwarded:
    """Forward messages to Firehose, broken ones to their topic's dead-letter queue; tell which must come again.

    Only what stands in the accept log may be deleted from its queue: when that cannot be written, this raises.
    """
    now = datetime.now(UTC)
    topic = messages[0].topic
    failpoints.hit("processor.before_put", topic)
    result = forward(messages, now, clients.firehose(), clients.settings().firehose_name, dead_letters())
    accepted.record(clients.s3(), clients.settings().buckets.ops, result.accepted, now)
    failpoints.hit("processor.after_put_before_ack", topic)
    return result


@cache
def dead_letters() -> DeadLetters:
    """Return the topics' dead-letter queues."""
    return DeadLetters(clients.sqs(), clients.settings().queue_prefix)
