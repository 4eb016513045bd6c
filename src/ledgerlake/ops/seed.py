"""Send messages to topics and drop files into the landing bucket, as sources do."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledgerlake.errors import TerminalError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

EARTHQUAKES = "earthquakes"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# SQS takes 10 messages and 1 MiB in one call; some room is left for what the call itself needs.
MAX_ENTRIES = 10
MAX_BYTES = 1_000_000
SENDERS = 4
ATTEMPTS = 5


class NotSentError(TerminalError):
    """The queue refused messages for good; the message holds SQS's reasons."""


@dataclass(frozen=True)
class Day:
    """One day of a topic: message bodies for its queue, and payload lines for a dropped file."""

    bodies: Sequence[str]
    lines: Sequence[str]


def send(sqs: "SQSClient", queue_url: str, bodies: Sequence[str], sent: Callable[[int], None] = lambda _: None) -> int:
    """Send all bodies in full batches, several at a time; `sent` is told of each batch. Raises NotSentError."""
    with ThreadPoolExecutor(SENDERS) as senders:
        for count in senders.map(lambda batch: _send_batch(sqs, queue_url, batch), batches(bodies)):
            sent(count)
    return len(bodies)


def batches(bodies: Iterable[str]) -> Iterator[list[str]]:
    """Cut bodies into what one SendMessageBatch takes."""
    batch: list[str] = []
    size = 0
    for body in bodies:
        length = len(body.encode())
        if batch and (len(batch) == MAX_ENTRIES or size + length > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += length
    if batch:
        yield batch


def _send_batch(sqs: "SQSClient", queue_url: str, batch: Sequence[str]) -> int:
    """Send one batch, and again what SQS failed to take through no fault of ours."""
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)
    ]
    reasons: set[str] = set()
    for _ in range(ATTEMPTS):
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        failed = {failure["Id"]: failure for failure in answer.get("Failed", [])}
        if not failed:
            return len(batch)
        reasons = {f"{failure['Code']}: {failure.get('Message', '')}" for failure in failed.values()}
        if any(failure["SenderFault"] for failure in failed.values()):
            break
        entries = [entry for entry in entries if entry["Id"] in failed]
    raise NotSentError(f"{queue_url.rsplit('/', 1)[-1]} refused {len(entries)} messages: {'; '.join(sorted(reasons))}")


def drop(s3: "S3Client", bucket: str, topic: str, name: str, lines: Sequence[str]) -> str:
    """Put payload lines as one .jsonl object under landing/<topic>/; returns its key."""
    key = f"landing/{topic}/{name}.jsonl"
    s3.put_object(Bucket=bucket, Key=key, Body="".join(f"{line}\n" for line in lines).encode())
    return key


def earthquakes(lines: Sequence[str]) -> tuple[Day, Day]:
    """Real events in two days: the earlier and the later half by `updated`; of each, every other one goes by file."""
    updated = sorted((line for line in lines if line.strip()), key=_updated)
    middle = len(updated) // 2
    first, second = (
        Day(bodies=[earthquake_body(line) for line in half[::2]], lines=half[1::2])
        for half in (updated[:middle], updated[middle:])
    )
    return first, second


def earthquake_body(line: str) -> str:
    """The queue's message for one earthquake: published when it was updated; its key is the contract's to find."""
    feature = json.loads(line)
    updated = feature["properties"]["updated"]
    published = EPOCH + timedelta(milliseconds=updated)
    return json.dumps(
        {
            "message_id": f"{feature['id']}-{updated}",
            "publish_time": published.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "topic_name": EARTHQUAKES,
            "idempotency_key": None,
            "attributes": {"source": "earthquake.usgs.gov"},
            "json_payload": line,
        },
        ensure_ascii=False,
    )


def read_lines(path: Path) -> list[str]:
    """The lines of a sample file. Raises NotSentError when it is not there."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise NotSentError(f"there is no sample data to send: {error}") from error


def _updated(line: str) -> Any:
    return json.loads(line)["properties"]["updated"]
