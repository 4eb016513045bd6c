"""The accept log: which messages the processor took off a topic's queue, and when (design 2, pre-RAW).

One object in the ops bucket per call of the processor and topic, `accepted/date=…/hour=…/topic=…/<time>-<id>.jsonl`, a
line per message. It is written after Firehose or the dead-letter queue has the message and before SQS may forget it: a
message that goes back to its queue is not accepted yet (ADR 0012). Hours come first, so that one listing finds what all
topics took.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "accepted/"
_HOUR = timedelta(hours=1)
READERS = 16
FEW_TOPICS = 8

Handed = Literal["firehose", "dlq"]


class Accepted(msgspec.Struct, frozen=True):
    """One accepted message.

    `accepted_at` is exactly the ingestion_ts of its RAW row, in microseconds since 1970 UTC. What went to Firehose is
    known by its message_id, a broken envelope (`handed_to` dlq) by the SQS id of the message on the topic's queue.
    """

    topic: str
    message_id: str | None
    sqs_id: str
    handed_to: Handed
    accepted_at: int = 0


def record(s3: "S3Client", bucket: str, messages: Iterable[Accepted], now: datetime) -> None:
    """Write what a call accepted at `now`. Raises what S3 raises: then SQS must keep the messages."""
    by_topic: dict[str, list[Accepted]] = defaultdict(list)
    accepted_at = microseconds(now)
    for message in messages:
        by_topic[message.topic].append(msgspec.structs.replace(message, accepted_at=accepted_at))
    for topic, of_topic in by_topic.items():
        key = f"{_hour(now)}topic={topic}/{now:%M%S.%f}-{uuid.uuid4().hex}.jsonl"
        s3.put_object(Bucket=bucket, Key=key, Body=msgspec.json.Encoder().encode_lines(of_topic))


def read(
    s3: "S3Client", bucket: str, since: datetime, until: datetime, topics: Iterable[str] | None = None
) -> Iterator[Accepted]:
    """Yield what was accepted in [since, until), of these topics or of all, in no order."""
    first, last = microseconds(since), microseconds(until)
    decode = msgspec.json.Decoder(Accepted).decode_lines
    with ThreadPoolExecutor(READERS) as pool:
        for body in pool.map(lambda key: _body(s3, bucket, key), keys(s3, bucket, since, until, topics)):
            yield from (message for message in decode(body) if first <= message.accepted_at < last)


def keys(
    s3: "S3Client", bucket: str, since: datetime, until: datetime, topics: Iterable[str] | None = None
) -> list[str]:
    """Return the log's objects of the hours that [since, until) touches."""
    wanted = None if topics is None else set(topics)
    found = (key for prefix in _prefixes(since, until, wanted) for key in _listed(s3, bucket, prefix))
    return [key for key in found if wanted is None or topic_of(key) in wanted]


def _prefixes(since: datetime, until: datetime, topics: set[str] | None) -> Iterator[str]:
    hour = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour < until:
        # A listing of its own pays for few topics; for many, one of the whole hour is cheaper.
        alone = topics if topics is not None and len(topics) <= FEW_TOPICS else None
        yield from [_hour(hour)] if alone is None else [f"{_hour(hour)}topic={topic}/" for topic in sorted(alone)]
        hour += _HOUR


def _listed(s3: "S3Client", bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", []))


def topic_of(key: str) -> str:
    """Return the topic whose messages an object of the log names."""
    return key.split("/")[3].removeprefix("topic=")


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC, as RAW's rows carry their ingestion_ts."""
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _hour(moment: datetime) -> str:
    return f"{PREFIX}{moment.astimezone(UTC):date=%Y-%m-%d/hour=%H/}"


def _body(s3: "S3Client", bucket: str, key: str) -> bytes:
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
