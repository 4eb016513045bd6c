"""A probe: a few messages of a topic that is no longer taken are, to see how they fare."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ledgerlake import failpoints
from ledgerlake.ops.breaker import CircuitBreaker
from ledgerlake.ops.forward import Forwarded, Message
from ledgerlake.state.breakers import Breaker, Counts, Fault

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# Longer than the probing function may run: a probe that is still at it has not lost its claim.
LEASE_SECONDS = 180
# Broken envelopes leave the queue, so a few tell their share. A message that cannot be delivered comes back with one
# try less: a single one shows whether Firehose takes anything again, and costs the others nothing.
SAMPLE = {Fault.BROKEN: 10, Fault.UNDELIVERED: 1}
IN_QUEUE: tuple["QueueAttributeNameType", ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True)
class Probe:
    """Probes topics; `take` is what the processor does with messages."""

    breaker: CircuitBreaker
    sqs: "SQSClient"
    queue_prefix: str
    take: Callable[[Sequence[Message]], Forwarded]

    def due(self, now: datetime) -> list[str]:
        """The topics to probe, the one that waits longest first."""
        waiting = [(b.probe_at, b.topic) for b in self.breaker.breakers.all().values() if b.shut and b.probe_at]
        return [topic for probe_at, topic in sorted(waiting) if probe_at <= now]

    def run(self, topic: str, now: datetime) -> bool:
        """Probe a topic unless another does; tells whether its breaker closed. Raises what AWS raises.

        A probe that dies leaves a claim that expires, and messages that come back to the queue: the next goes on.
        """
        claimed = self.breaker.breakers.claim(topic, now, LEASE_SECONDS)
        if claimed is None:
            return False
        if not claimed.alerted:
            self.breaker.announce(claimed)
        if not self.breaker.limits.enabled:
            return self.breaker.close(claimed, now)
        self.breaker.settle(topic)  # whoever opened it may have died before
        try:
            url = self.sqs.get_queue_url(QueueName=f"{self.queue_prefix}{topic}")["QueueUrl"]
        except self.sqs.exceptions.QueueDoesNotExist:
            self.breaker.breakers.release(topic)  # the topic was removed
            return False
        counts = self._sample(url, claimed)
        fault = counts.fault(self.breaker.limits.failure_rate)
        if fault:
            self.breaker.fail(claimed, fault, f"probe: {counts}", now)
        elif counts.received or not self._in_queue(url):
            return self.breaker.close(claimed, now)
        else:
            self.breaker.wait(claimed, now)  # all that is there was received before, and comes back when that failed
        return False

    def _sample(self, url: str, claimed: Breaker) -> Counts:
        """Take a few messages, and delete those that need not come again."""
        received = self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=SAMPLE.get(claimed.fault or Fault.BROKEN, 1),
            WaitTimeSeconds=1,  # asks every server: a short poll may find a small queue empty that is not
            MessageAttributeNames=["source"],
        ).get("Messages", [])
        if not received:
            return Counts()
        result = self.take([_message(message, claimed.topic) for message in received])
        failpoints.hit("probe.after_forward_before_delete", claimed.topic)
        self._delete(url, [message for message in received if message["MessageId"] not in result.retry])
        return Counts(len(received), result.dead_lettered, len(result.retry))

    def _delete(self, url: str, done: Sequence["MessageTypeDef"]) -> None:
        if done:
            self.sqs.delete_message_batch(
                QueueUrl=url,
                Entries=[{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(done)],
            )

    def _in_queue(self, url: str) -> int:
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=IN_QUEUE)["Attributes"]
        return sum(int(attributes[name]) for name in IN_QUEUE)


def _message(received: "MessageTypeDef", topic: str) -> Message:
    source = received.get("MessageAttributes", {}).get("source")
    return Message(received["MessageId"], topic, received["Body"], source["StringValue"] if source else "sqs")
