"""From a topic's queue to Firehose: every message is delivered, set aside with its reason, or left on its queue."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from ledgerlake.ops.accepted import Accepted
from ledgerlake.ops.dead_letters import DeadLetters
from ledgerlake.records import envelope

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient

# PutRecordBatch's limits (AWS): records a call, bytes a call, bytes a record.
MAX_RECORDS = 500
MAX_BATCH_BYTES = 4 * 1024 * 1024
MAX_RECORD_BYTES = 1000 * 1024
ATTEMPTS = 4


@dataclass(frozen=True)
class Message:
    """One message as SQS handed it over; `source` is where the record came from, `sqs` unless the sender says."""

    id: str
    topic: str
    body: str
    source: str = "sqs"


@dataclass(frozen=True)
class Row:
    """A RAW row on its way: the id of its SQS message, its message_id, and the JSON that Firehose writes."""

    sqs_id: str
    message_id: str
    data: bytes


@dataclass(frozen=True)
class Forwarded:
    """What became of a batch: the messages accepted, and the ids of those that SQS must deliver again."""

    accepted: Sequence[Accepted]
    retry: frozenset[str]

    @property
    def delivered(self) -> int:
        """How many messages Firehose took."""
        return sum(message.handed_to == "firehose" for message in self.accepted)

    @property
    def dead_lettered(self) -> int:
        """How many messages a dead-letter queue took."""
        return sum(message.handed_to == "dlq" for message in self.accepted)


def forward(
    messages: Sequence[Message],
    now: datetime,
    firehose: "FirehoseClient",
    stream: str,
    dead_letters: DeadLetters,
    wait: Callable[[float], object] = time.sleep,
) -> Forwarded:
    """Deliver the messages' RAW rows to Firehose; broken envelopes and rows past its limit go to the topic's DLQ."""
    rows: list[Row] = []
    topics: dict[str, str] = {}
    accepted: list[Accepted] = []
    retry: set[str] = set()
    for message in messages:
        try:
            rows.append(raw_row(message, now))
        except envelope.BrokenEnvelope as broken:
            if _set_aside(message, broken, dead_letters):
                accepted.append(Accepted(message.topic, None, message.id, "dlq"))
            else:
                retry.add(message.id)
        else:
            topics[message.id] = message.topic
    for batch in batches(rows):
        refused = put(batch, firehose, stream, wait)
        accepted += [
            Accepted(topics[row.sqs_id], row.message_id, row.sqs_id, "firehose")
            for row in batch
            if row.sqs_id not in refused
        ]
        retry |= refused
    return Forwarded(accepted, frozenset(retry))


def _set_aside(message: Message, broken: envelope.BrokenEnvelope, dead_letters: DeadLetters) -> bool:
    return dead_letters.send(
        message.topic, message.body, broken.code, broken.reason, source=message.source, sqs_id=message.id
    )


def raw_row(message: Message, now: datetime) -> Row:
    """Return the final RAW row of a message. Raises BrokenEnvelope, `too_large` past Firehose's record limit."""
    row = envelope.parse(message.body, message.topic).to_raw_row(message.source, now)
    data = msgspec.json.encode(row)
    if len(data) > MAX_RECORD_BYTES:
        raise envelope.BrokenEnvelope("too_large", f"the row has {len(data)} bytes, Firehose takes {MAX_RECORD_BYTES}")
    return Row(message.id, row["message_id"], data)


def batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows in order, in batches that PutRecordBatch accepts."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == MAX_RECORDS or size + len(row.data) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.data)
    if batch:
        yield batch


def put(batch: list[Row], firehose: "FirehoseClient", stream: str, wait: Callable[[float], object]) -> set[str]:
    """Put one batch, sending again only what Firehose refused; return the SQS ids of what it never took."""
    waiting = batch
    for attempt in range(ATTEMPTS):
        if attempt:
            wait(0.1 * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 (jitter, not a secret)
        try:
            answer: Any = firehose.put_record_batch(
                DeliveryStreamName=stream, Records=[{"Data": row.data} for row in waiting]
            )
        except (ClientError, BotoCoreError):
            continue  # the client has its own retries; the message returns to the queue when these end as well
        if not answer["FailedPutCount"]:
            return set()
        results = zip(waiting, answer["RequestResponses"], strict=True)
        waiting = [row for row, result in results if "ErrorCode" in result]
    return {row.sqs_id for row in waiting}
