"""Send messages to a topic's queue in SQS's batches, sending again only what SQS refused."""

import json
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from ledgerlake.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

# SQS's limits for a batch; how long a message may be, the queue says.
MAX_BATCH_BYTES = 1024 * 1024
MAX_BATCH = 10
ATTEMPTS = 5
# Characters that JSON allows and SQS refuses: they travel as \\u escapes.
_REFUSED_BY_SQS = re.compile("[\ufffe\uffff]")


class NotSent(TransientError):
    """SQS did not take all messages of a batch, several times over."""


@dataclass(frozen=True)
class Queue:
    """A topic's queue, and the most bytes it takes as one message, attributes included."""

    url: str
    max_message_bytes: int


class Message(Protocol):
    """What can be sent: a body, the SQS message's attributes, and what SQS counts of both."""

    @property
    def body(self) -> str:
        """The message's text."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """The SQS message's attributes; all of them are strings."""

    @property
    def bytes(self) -> int:
        """What SQS counts."""


M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Letter:
    """A message that exists already: its body goes out unchanged."""

    body: str
    attributes: Mapping[str, str]

    @property
    def bytes(self) -> int:
        """What SQS counts: the body, and each attribute's name, type and value."""
        return counted_bytes(self.body, self.attributes)


def counted_bytes(body: str, attributes: Mapping[str, str]) -> int:
    """What SQS counts of a message: the body, and each attribute's name, type and value."""
    facts = (text for name, value in attributes.items() for text in (name, "String", value))
    return len(body.encode()) + sum(len(text.encode()) for text in facts)


class Outgoing:
    """One message of a file's record: its envelope (§3.1), and where the record came from as the attribute `source`."""

    def __init__(
        self, number: int, source: str, record_bytes: int, envelope: dict[str, Any], *, whole: bool = True
    ) -> None:
        self.number = number
        self.source = source
        self.record_bytes = record_bytes
        self._envelope = envelope
        self._whole = whole

    @cached_property
    def body(self) -> str:
        """The envelope's JSON text."""
        text = msgspec.json.encode(self._envelope).decode()
        return json.dumps(self._envelope) if _REFUSED_BY_SQS.search(text) else text

    @property
    def attributes(self) -> Mapping[str, str]:
        """The SQS message's attributes: where the record came from."""
        return {"source": self.source}

    @cached_property
    def bytes(self) -> int:
        """What SQS counts: the body and the attribute's name, type and value."""
        return counted_bytes(self.body, self.attributes)

    def fits(self, queue: "Queue") -> bool:
        """Whether the queue takes the message."""
        return self._whole and self.bytes <= queue.max_message_bytes

    def pointer(self) -> str:
        """Return the body of the dead letter that stands for a record too large for any message."""
        kept = {name: value for name, value in self._envelope.items() if name != "json_payload"}
        return json.dumps(kept | {"source": self.source, "record_bytes": self.record_bytes})


class QueueSender:
    """The topics' queues, `<queue_prefix><topic>`. Safe to share between threads, as the client is."""

    def __init__(self, sqs: "SQSClient", queue_prefix: str, wait: Callable[[float], object] = time.sleep) -> None:
        self._sqs = sqs
        self._queue_prefix = queue_prefix
        self._wait = wait

    def find(self, topic: str) -> Queue | None:
        """Return the topic's queue, or None when it has none."""
        try:
            url = self._sqs.get_queue_url(QueueName=f"{self._queue_prefix}{topic}")["QueueUrl"]
        except self._sqs.exceptions.QueueDoesNotExist:
            return None
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["MaximumMessageSize"])
        return Queue(url, int(answer["Attributes"]["MaximumMessageSize"]))

    def send(self, queue: Queue, batch: Sequence[Message]) -> None:
        """Send one batch. Raises NotSent when some of it is still refused after several tries with back-off."""
        waiting: list[SendMessageBatchRequestEntryTypeDef] = [
            {
                "Id": str(number),
                "MessageBody": message.body,
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
                },
            }
            for number, message in enumerate(batch)
        ]
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(0.1 * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 (jitter, not a secret)
            failed = self._sqs.send_message_batch(QueueUrl=queue.url, Entries=waiting).get("Failed", [])
            if not failed:
                return
            refused = {failure["Id"] for failure in failed}
            waiting = [entry for entry in waiting if entry["Id"] in refused]
        raise NotSent(f"{len(waiting)} messages to {queue.url}: {failed[0]['Code']} {failed[0].get('Message', '')}")


def batches(messages: Iterable[M]) -> Iterator[list[M]]:
    """Yield the messages in order, in batches that SendMessageBatch accepts."""
    batch: list[M] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == MAX_BATCH or size + message.bytes > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += message.bytes
    if batch:
        yield batch
