"""From a topic's queue to Firehose: every message is delivered, set aside with its reason, or left on its queue."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

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
    """A RAW row on its way: the id of its SQS message and the JSON that Firehose writes."""

    message_id: str
    data: bytes


@dataclass(frozen=True)
class Forwarded:
    """What became of a batch: counts, and the ids of the SQS messages that must be delivered again."""

    delivered: int
    dead_lettered: int
    retry: frozenset[str]


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
    retry: set[str] = set()
    dead = 0
    for message in messages:
        try:
            rows.append(raw_row(message, now))
        except envelope.BrokenEnvelope as broken:
            if dead_letters.send(message.topic, message.body, broken.code, broken.reason, source=message.source):
                dead += 1
            else:
                retry.add(message.id)
    for batch in batches(rows):
        retry |= put(batch, firehose, stream, wait)
    return Forwarded(len(messages) - dead - len(retry), dead, frozenset(retry))


def raw_row(message: Message, now: datetime) -> Row:
    """Return the final RAW row of a message. Raises BrokenEnvelope, `too_large` past Firehose's record limit."""
    row = envelope.parse(message.body, message.topic).to_raw_row(message.source, now)
    data = msgspec.json.encode(row)
    if len(data) > MAX_RECORD_BYTES:
        raise envelope.BrokenEnvelope("too_large", f"the row has {len(data)} bytes, Firehose takes {MAX_RECORD_BYTES}")
    return Row(message.id, data)


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
    """Put one batch, sending again only what Firehose refused; return the message ids that it never took."""
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
    return {row.message_id for row in waiting}
