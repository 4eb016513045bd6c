"""From the dead-letter queues to RAW `dlq_errors`: written first, deleted from the queue only after."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec
from pyiceberg.expressions import And, GreaterThanOrEqual, LessThanOrEqual, Reference
from pyiceberg.expressions.literals import literal

from ledgerlake import failpoints
from ledgerlake.tables.append import append

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import DeleteMessageBatchRequestEntryTypeDef, MessageTypeDef
    from pyiceberg.table import Table

# What one drain holds in memory at most; the next one, five minutes later, takes the rest.
MAX_MESSAGES = 10_000
MAX_BYTES = 64 * 1024 * 1024
# Longer than a drain may run: it sees no message twice, and when it dies its messages come back.
INVISIBLE_SECONDS = 900
RECEIVERS = 8
# Under this name a row's `attributes` keep the SQS message's id, by which a later drain knows it again.
SQS_MESSAGE_ID = "sqs.message_id"
# SQS itself moved the message here: the processor never said what was wrong with it.
REDRIVEN = "not_delivered"


@dataclass(frozen=True)
class DeadLetter:
    """One message of a dead-letter queue, and what is needed to delete it."""

    queue_url: str
    topic: str
    message: "MessageTypeDef"

    @property
    def id(self) -> str:
        """SQS's id of the message; it stays when the message is received again."""
        return self.message["MessageId"]

    @property
    def sent_at(self) -> datetime:
        """When it was sent to the topic's queue, or by us to the dead-letter queue."""
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(self.message["Attributes"]["SentTimestamp"]))

    def row(self, drained_at: datetime) -> dict[str, Any]:
        """Return the message as a row of `dlq_errors`."""
        given = _given_attributes(self.message)
        received = int(self.message["Attributes"]["ApproximateReceiveCount"])
        return {
            "message_id": _message_id(self.message["Body"]),
            "topic_name": self.topic,
            "queue": self.queue_url.rpartition("/")[2],
            "body": self.message["Body"],
            "attributes": json.dumps({SQS_MESSAGE_ID: self.id} | given, ensure_ascii=False),
            "error_code": given.get("error_code", REDRIVEN),
            "reason": given.get(
                "reason", "SQS gave up delivering it: its receives failed as often as the queue allows"
            ),
            "receive_count": received,
            "sent_at": self.sent_at,
            "drained_at": drained_at,
        }


@dataclass(frozen=True)
class Drained:
    """What a drain did: rows written, messages that an earlier drain had written already, and messages deleted."""

    written: int = 0
    written_before: int = 0
    deleted: int = 0


def drain(
    sqs: "SQSClient", queue_prefix: str, open_table: Callable[[], "Table"], remaining: Callable[[], int]
) -> Drained:
    """Move what waits in the dead-letter queues into `dlq_errors` with one append, then delete it from them.

    `open_table` is called only when there is something to write; `remaining` is the time left in milliseconds. A drain
    that dies between the append and the deletes leaves messages that the next one finds in the table and only deletes.
    """
    letters = receive(sqs, dead_letter_queues(sqs, queue_prefix), queue_prefix, remaining)
    if not letters:
        return Drained()
    table = open_table()
    known = already_written(table, letters)
    new = [letter for letter in letters if letter.id not in known]
    if new:
        drained_at = datetime.now(UTC)
        append(table, [letter.row(drained_at) for letter in new])
        failpoints.hit("drain.after_write_before_delete")
    return Drained(len(new), len(letters) - len(new), delete(sqs, letters))


def dead_letter_queues(sqs: "SQSClient", queue_prefix: str) -> list[str]:
    """Return the URLs of all topics' dead-letter queues."""
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=queue_prefix, PaginationConfig={"PageSize": 1000})
    return [url for page in pages for url in page.get("QueueUrls", []) if url.endswith("-dlq")]


def receive(
    sqs: "SQSClient", queue_urls: Sequence[str], queue_prefix: str, remaining: Callable[[], int]
) -> list[DeadLetter]:
    """Receive from all queues until they are empty, the haul is full, or half of the time is gone."""
    deadline = remaining() // 2
    haul = _Haul()

    def empty(url: str) -> None:
        topic = url.rpartition("/")[2].removeprefix(queue_prefix).removesuffix("-dlq")
        while not haul.full and remaining() > deadline:
            messages = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=1,  # asks every server: a short poll may find a small queue empty that is not
                VisibilityTimeout=INVISIBLE_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if not messages:
                return
            haul.add(DeadLetter(url, topic, message) for message in messages)

    with ThreadPoolExecutor(RECEIVERS) as pool:
        list(pool.map(empty, queue_urls))
    return haul.letters


def already_written(table: "Table", letters: Sequence[DeadLetter]) -> set[str]:
    """Return the SQS ids of those letters that `dlq_errors` holds already; reads only files of their sending times."""
    times = [letter.sent_at for letter in letters]
    after = GreaterThanOrEqual(term=Reference("sent_at"), value=literal(min(times)))
    before = LessThanOrEqual(term=Reference("sent_at"), value=literal(max(times)))
    rows = table.scan(row_filter=And(after, before), selected_fields=("attributes",)).to_arrow()
    return {json.loads(attributes or "{}").get(SQS_MESSAGE_ID) for attributes in rows.column("attributes").to_pylist()}


def delete(sqs: "SQSClient", letters: Iterable[DeadLetter]) -> int:
    """Delete the letters from their queues and return how many are gone; the others come back and are known then."""
    deleted = 0
    for url, batch in _batches(letters):
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(n), "ReceiptHandle": letter.message["ReceiptHandle"]} for n, letter in enumerate(batch)
        ]
        deleted += len(sqs.delete_message_batch(QueueUrl=url, Entries=entries).get("Successful", []))
    return deleted


def _batches(letters: Iterable[DeadLetter]) -> Iterator[tuple[str, list[DeadLetter]]]:
    by_queue: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        by_queue.setdefault(letter.queue_url, []).append(letter)
    for url, of_queue in by_queue.items():
        for start in range(0, len(of_queue), 10):
            yield url, of_queue[start : start + 10]


class _Haul:
    """What the receivers have got so far, by SQS id: a message that came twice counts once."""

    def __init__(self) -> None:
        self._letters: dict[str, DeadLetter] = {}
        self._bytes = 0
        self._lock = Lock()

    @property
    def full(self) -> bool:
        return len(self._letters) >= MAX_MESSAGES or self._bytes >= MAX_BYTES

    @property
    def letters(self) -> list[DeadLetter]:
        return list(self._letters.values())

    def add(self, letters: Iterable[DeadLetter]) -> None:
        with self._lock:
            for letter in letters:
                self._letters[letter.id] = letter
                self._bytes += len(letter.message["Body"])


class _Named(msgspec.Struct):
    message_id: str | None = None


def _message_id(body: str) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Named).message_id
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _given_attributes(message: "MessageTypeDef") -> dict[str, str]:
    return {
        name: value["StringValue"] if "StringValue" in value else base64.b64encode(value["BinaryValue"]).decode()
        for name, value in message.get("MessageAttributes", {}).items()
    }
