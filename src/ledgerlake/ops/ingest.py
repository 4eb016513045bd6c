"""From a landed file to its topic's queue: a message a record, each object version once, resumed where it broke off."""

import base64
import gzip
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from ledgerlake import failpoints
from ledgerlake.errors import TerminalError, TransientError
from ledgerlake.ops import split
from ledgerlake.ops.dead_letters import DeadLetters
from ledgerlake.ops.enqueue import Outgoing, Queue, QueueSender, batches
from ledgerlake.records.keys import message_id
from ledgerlake.state.file_registry import Busy, FileRegistry, Progress, Version

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_TOPIC = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
CHUNK_BYTES = 1024 * 1024
# Batches of ten sent at a time, and between two looks at the clock and the registry.
WINDOW = 16
SENDERS = 8
REPORT_EVERY = timedelta(seconds=5)


class Refused(TerminalError):
    """An object that cannot be ingested until a person changes something: `code` and `reason` say what."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class OutOfTime(TransientError):
    """The invocation ends before the object does: the next one goes on from the recorded position."""


@dataclass(frozen=True)
class Landed:
    """One object as S3 announced it; `etag` pins its bytes where the bucket keeps no versions."""

    bucket: str
    key: str
    etag: str
    version_id: str | None = None

    @property
    def version(self) -> Version:
        """What the registry knows the object by."""
        return Version(f"{self.bucket}/{self.key}", self.version_id or self.etag)

    @property
    def topic(self) -> str:
        """The folder under `landing/` (which may be left out). Raises Refused when the object lies in none."""
        folders = self.key.removeprefix("landing/").split("/")[:-1]
        if not folders or not _TOPIC.match(folders[0]):
            raise Refused("no_topic", f"{self.key} lies in no topic's folder; put it under landing/<topic>/")
        return folders[0]

    def source(self, number: int) -> str:
        """Return the `source` of the object's record, `s3://bucket/key#number`."""
        return f"s3://{self.bucket}/{self.key}#{number}"


@dataclass(frozen=True)
class Ingest:
    """The parts an ingest works with; `remaining` is the invocation's time left, in milliseconds."""

    s3: "S3Client"
    queues: QueueSender
    dead_letters: DeadLetters
    registry: FileRegistry
    owner: str
    remaining: Callable[[], int]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    margin_ms: int = 30_000

    def run(self, landed: Landed) -> Progress:
        """Send every record of the object to its topic's queue. Raises Refused, AlreadyIngested, Busy or OutOfTime."""
        progress = self.registry.claim(landed.version, self.owner, self.now())
        try:
            progress = self._send(landed, progress)
        except Refused as refused:
            self.registry.fail(landed.version, self.owner, refused.code, refused.reason, self.now())
            raise
        except Busy:
            raise
        except Exception:
            # Whoever tries again need not wait for the lease to run out, even under another name.
            self.registry.release(landed.version, self.owner, self.now())
            raise
        self.registry.finish(landed.version, self.owner, progress, self.now())
        return progress

    def count(self, landed: Landed) -> int:
        """How many records the object holds; it is read, and nothing is sent. Raises Refused."""
        _, split_records = landed.topic, _splitter(landed.key)
        body, _ = self._open(landed)
        return sum(1 for _ in split_records(chunks(body, landed.key)))

    def _send(self, landed: Landed, progress: Progress) -> Progress:
        topic, split_records = landed.topic, _splitter(landed.key)
        queue = self.queues.find(topic)
        if queue is None:
            raise Refused("unknown_topic", f"there is no queue for topic {topic}; add its contract or an extra topic")
        body, modified = self._open(landed)
        reported = self.now()
        records = records_to_send(split_records(chunks(body, landed.key)), landed, topic, modified, progress.position)
        for window in windows(records):
            progress = self._send_window(window, topic, queue, progress)
            if self.remaining() < self.margin_ms:
                self.registry.advance(landed.version, self.owner, progress, self.now())
                raise OutOfTime(f"{landed.version.object} is ingested up to record {progress.position}")
            if self.now() - reported > REPORT_EVERY:
                reported = self.now()
                self.registry.advance(landed.version, self.owner, progress, reported)
        return progress

    def _send_window(self, window: list[Outgoing], topic: str, queue: Queue, progress: Progress) -> Progress:
        fitting = [message for message in window if message.fits(queue)]
        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(lambda batch: self.queues.send(queue, batch), batches(fitting)))
        for message in window:
            if not message.fits(queue):
                self._set_aside(message, topic)
        failpoints.hit("ingest.after_send_before_mark", topic)
        return replace(
            progress,
            position=window[-1].number,
            sent=progress.sent + len(fitting),
            too_large=progress.too_large + len(window) - len(fitting),
        )

    def _set_aside(self, message: Outgoing, topic: str) -> None:
        # The record itself stays whole in the versioned landing bucket; its dead letter says where.
        reason = f"the record at {message.source} has {message.record_bytes} bytes, more than its queue takes"
        if not self.dead_letters.send(topic, message.pointer(), "too_large", reason, source=message.source):
            raise TransientError(f"the dead-letter queue of {topic} did not take the record at {message.source}")

    def _open(self, landed: Landed) -> tuple[IO[bytes], datetime]:
        pinned: dict[str, Any] = {"VersionId": landed.version_id} if landed.version_id else {"IfMatch": landed.etag}
        try:
            answer = self.s3.get_object(Bucket=landed.bucket, Key=landed.key, **pinned)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("NoSuchKey", "NoSuchVersion", "PreconditionFailed", "412", "404"):
                raise Refused("object_gone", f"{landed.version.object} was deleted or replaced: {code}") from error
            raise
        return cast("IO[bytes]", answer["Body"]), answer["LastModified"]


def _splitter(key: str) -> Callable[[Iterable[bytes]], Iterator[split.Record]]:
    if not key.endswith(SUFFIXES):
        raise Refused("unsupported_suffix", f"{key} must end in one of {', '.join(SUFFIXES)}")
    return split.json_file if key.removesuffix(".gz").endswith(".json") else split.lines


def chunks(body: IO[bytes], key: str) -> Iterator[bytes]:
    """Yield the object's bytes as they come, unpacked when it is a .gz. Raises Refused when it cannot be unpacked."""
    stream = cast("IO[bytes]", gzip.GzipFile(fileobj=body)) if key.endswith(".gz") else body
    while True:
        try:
            chunk = stream.read(CHUNK_BYTES)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Refused("bad_gzip", f"{key} cannot be unpacked to its end: {error}") from error
        if not chunk:
            return
        yield chunk


def records_to_send(
    records: Iterable[split.Record], landed: Landed, topic: str, modified: datetime, position: int
) -> Iterator[Outgoing]:
    """Yield the messages of the records after `position`.

    A message_id comes from the record's bytes and from which occurrence of them in the object it is, so sending again
    is harmless, under whatever name the file comes back. publish_time is the object's LastModified plus one microsecond
    a record: of two records of one key in one file, the later stands.
    """
    seen: Counter[int] = Counter()
    for order, record in enumerate(records):
        # 64 bits of a digest stand for the content: a collision would shift an occurrence, the same way every time.
        content = int.from_bytes(hashlib.blake2b(record.data, digest_size=8).digest())
        occurrence = seen[content]
        seen[content] += 1
        if record.number <= position:
            continue
        yield outgoing(record, occurrence, landed, topic, modified + timedelta(microseconds=order))


def outgoing(record: split.Record, occurrence: int, landed: Landed, topic: str, publish_time: datetime) -> Outgoing:
    """Return the message of one record; bytes that are no UTF-8 travel as `base64:…`, marked by an attribute."""
    envelope: dict[str, Any] = {
        "message_id": message_id(record.data, occurrence),
        "publish_time": publish_time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "topic_name": topic,
    }
    if not record.is_whole:
        return Outgoing(record.number, landed.source(record.number), record.size, envelope, whole=False)
    try:
        envelope["json_payload"] = record.data.decode()
    except UnicodeDecodeError:
        envelope["json_payload"] = "base64:" + base64.b64encode(record.data).decode()
        envelope["attributes"] = {"ledgerlake.encoding": "base64"}
    return Outgoing(record.number, landed.source(record.number), record.size, envelope)


def windows(messages: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    """Yield the messages in groups that are sent together, bounded in number and bytes."""
    window: list[Outgoing] = []
    size = 0
    for message in messages:
        window.append(message)
        size += message.bytes
        if len(window) == WINDOW * 10 or size >= WINDOW * split.MAX_RECORD_BYTES:
            yield window
            window, size = [], 0
    if window:
        yield window
