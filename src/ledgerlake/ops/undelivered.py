"""The records that never came to RAW: where they are kept, how one is known again, and the message that it was."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ledgerlake.ops import forward
from ledgerlake.ops.dead_letters import ORIGINAL_ID
from ledgerlake.ops.drain import SQS_MESSAGE_ID
from ledgerlake.ops.enqueue import Letter, Message, Outgoing
from ledgerlake.records.envelope import BrokenEnvelope
from ledgerlake.tables.definitions import DLQ_ERRORS, FIREHOSE_ERRORS

# What was added to the attributes that the message had.
DRAINED = frozenset({SQS_MESSAGE_ID, ORIGINAL_ID, "error_code", "reason"})

Row = dict[str, Any]
"""A row of one of the tables, by column."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """A table of records that never came to RAW.

    `time` is the column that orders them, `text` the one that holds what was sent; `names` are those that `key` is made
    of, by which a row is known again. `letter` makes the message that a row was; it raises BrokenEnvelope.
    """

    table: str
    time: str
    text: str
    names: Sequence[str]
    key: Callable[[Row], str]
    letter: Callable[[Row], Message]


def require_readable(body: str, topic: str) -> None:
    """Raises BrokenEnvelope unless the processor would make a RAW row of a message with this body."""
    forward.raw_row(forward.Message("", topic, body), datetime.now(UTC))


def _dead_letter(row: Row) -> Message:
    given = json.loads(row["attributes"] or "{}")
    return Letter(row["body"] or "", {name: value for name, value in given.items() if name not in DRAINED and value})


def _undelivered(row: Row) -> Message:
    """The message whose RAW row Firehose could not deliver, made of that row."""
    try:
        record = msgspec.json.decode(row["record"] or "", type=_RawRow)
        published = EPOCH + timedelta(microseconds=record.publish_time)
        attributes = None if record.attributes is None else msgspec.json.decode(record.attributes, type=dict[str, str])
    except (msgspec.DecodeError, OverflowError) as error:
        raise BrokenEnvelope("not_json", f"the record is not the RAW row that was sent: {error}") from None
    envelope = {
        "message_id": record.message_id,
        "publish_time": published.isoformat(),
        "topic_name": record.topic_name,
        "idempotency_key": record.idempotency_key,
        "attributes": attributes,
        "json_payload": record.json_payload,
    }
    return Outgoing(0, record.source, 0, envelope)


class _RawRow(msgspec.Struct):
    message_id: str
    topic_name: str
    publish_time: int
    json_payload: str
    idempotency_key: str | None = None
    source: str = "sqs"
    attributes: str | None = None


def _sqs_id(row: Row) -> str:
    return str(json.loads(row["attributes"] or "{}").get(SQS_MESSAGE_ID))


def _object_and_digest(row: Row) -> str:
    return f"{row['object_key']}#{hashlib.sha256((row['record'] or '').encode()).hexdigest()[:16]}"


PLACES: Sequence[Place] = (
    Place(DLQ_ERRORS, "sent_at", "body", ("attributes",), _sqs_id, _dead_letter),
    Place(FIREHOSE_ERRORS, "failed_at", "record", ("object_key", "record"), _object_and_digest, _undelivered),
)
