"""The envelope of a message on a topic's queue, and the RAW row it becomes (design 3.1, 3.3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypedDict

import msgspec

from ledgerlake.errors import TerminalError
from ledgerlake.records import document, times

MAX_MESSAGE_ID: Final = 512
UNKNOWN_PREFIX: Final = "envelope."
"""What an unknown field of the envelope is called among the attributes."""

FIELDS: Final = ("message_id", "publish_time", "topic_name", "idempotency_key", "attributes", "json_payload")

Code = Literal[
    "not_json",
    "not_an_object",
    "too_deep",
    "number_too_long",
    "bad_text",
    "missing_field",
    "wrong_type",
    "bad_message_id",
    "bad_publish_time",
    "wrong_topic",
    "too_large",
]

_ISO_8601: Final = re.compile(r"[0-9TWZ:., +-]+")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS: Final = {str: "a string", bool: "a boolean", dict: "an object", list: "an array", type(None): "null"}


class BrokenEnvelope(TerminalError):
    """A message that cannot become a RAW row: `code` for machines, `reason` for people; it goes to the topic's DLQ."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code: Code = code
        self.reason = reason


class RawRow(TypedDict):
    """RAW's columns (design 3.3); times in microseconds since 1970 UTC, attributes as JSON text."""

    message_id: str
    topic_name: str
    idempotency_key: str | None
    publish_time: int
    ingestion_ts: int
    source: str
    attributes: str | None
    json_payload: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message; `publish_time` in microseconds since 1970 UTC, `attributes` None when it has none at all."""

    message_id: str
    topic_name: str
    publish_time: int
    json_payload: str
    idempotency_key: str | None = None
    attributes: Mapping[str, str] | None = None

    def to_raw_row(self, source: str, ingestion_ts: datetime) -> RawRow:
        """The row of RAW that this message becomes; `source` as in `sqs` or `s3://bucket/key#line`."""
        return {
            "message_id": self.message_id,
            "topic_name": self.topic_name,
            "idempotency_key": self.idempotency_key,
            "publish_time": self.publish_time,
            "ingestion_ts": (ingestion_ts - _EPOCH) // timedelta(microseconds=1),
            "source": source,
            "attributes": msgspec.json.encode(self.attributes).decode() if self.attributes else None,
            "json_payload": self.json_payload,
        }


def parse(body: str | bytes, topic: str) -> Envelope:
    """The envelope of a message from `topic`'s queue; the payload within stays unread. Raises BrokenEnvelope."""
    try:
        fields = document.parse(body.encode() if isinstance(body, str) else body)
        unknown = {name: _as_text(value) for name, value in fields.items() if name not in FIELDS}
    except UnicodeEncodeError:
        raise BrokenEnvelope("bad_text", "the message holds a lone surrogate, which is no character") from None
    except document.Defect as defect:
        raise BrokenEnvelope(defect.code, defect.message) from None
    return Envelope(
        message_id=_message_id(fields),
        topic_name=_topic(fields, topic),
        publish_time=_publish_time(fields),
        json_payload=_required(fields, "json_payload"),
        idempotency_key=_optional(fields, "idempotency_key"),
        attributes=_attributes(fields.get("attributes"), unknown),
    )


def _as_text(value: Any) -> str:
    return "null" if value is None else document.leaf_text(value, 1)


def _required(fields: Mapping[str, Any], name: str) -> str:
    value = _optional(fields, name)
    if value is None:
        raise BrokenEnvelope("missing_field", f"{name} is required")
    return value


def _optional(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise BrokenEnvelope("wrong_type", f"{name} must be a string, not {_kind(value)}")
    return value


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number")


def _message_id(fields: Mapping[str, Any]) -> str:
    value = _required(fields, "message_id")
    if not 1 <= len(value) <= MAX_MESSAGE_ID:
        raise BrokenEnvelope("bad_message_id", f"message_id has {len(value)} characters; 1 to {MAX_MESSAGE_ID} may be")
    return value


def _topic(fields: Mapping[str, Any], topic: str) -> str:
    value = _optional(fields, "topic_name")
    if value is not None and value != topic:
        raise BrokenEnvelope("wrong_topic", f"topic_name is {value[:100]!r}, the queue is that of {topic!r}")
    return topic


def _publish_time(fields: Mapping[str, Any]) -> int:
    value = _required(fields, "publish_time")
    moment = times.microseconds(value) if times.is_zoned(value) else None
    if moment is None:
        moment = _other_iso_8601(value)
    if moment is None:
        raise BrokenEnvelope("bad_publish_time", f"publish_time {value[:100]!r} is no ISO 8601 time with a zone")
    return moment


def _other_iso_8601(text: str) -> int | None:
    """What ISO 8601 allows beyond what a contract's timestamp does: basic format, week dates, +HH. With a zone."""
    if not _ISO_8601.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


def _attributes(given: object, unknown: Mapping[str, str]) -> dict[str, str] | None:
    """The message's attributes with the unknown fields under `envelope.<name>`; None when there is none."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise BrokenEnvelope("wrong_type", f"attributes must be an object of strings, not {_kind(given)}")
    attributes: dict[str, str] = dict(given)
    for name, value in attributes.items():
        if not isinstance(value, str):
            raise BrokenEnvelope("wrong_type", f"attributes.{name[:100]} must be a string, not {_kind(value)}")
    for name, value in unknown.items():
        key = UNKNOWN_PREFIX + name
        while key in attributes:  # an attribute that has this name already is not overwritten
            key = UNKNOWN_PREFIX + key
        attributes[key] = value
    return attributes or None
