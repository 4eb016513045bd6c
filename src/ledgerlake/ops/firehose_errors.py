"""From Firehose's error prefix to RAW `firehose_errors`: each object once, and the objects stay where they are.

Which objects are loaded stands in the table alone: its rows carry their object's key, and its snapshots the time up to
which objects are loaded, so that a run reads nothing of what earlier ones did. A lifecycle rule expires the objects.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from pyiceberg.expressions import And, GreaterThanOrEqual, LessThanOrEqual
from pyiceberg.table import Table
from pyiceberg.table.snapshots import ancestors_of

from ledgerlake import failpoints
from ledgerlake.tables import append

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "firehose-errors/"
LOADED_UNTIL = "ledgerlake.firehose-errors-until"
# What goes into one commit, and is in memory at the same time; an object is never divided.
CHUNK_BYTES = 32 * 1024 * 1024
CHUNK_OBJECTS = 200
# An object appears when its upload ends, and is as old as when that began.
LONGEST_UPLOAD = timedelta(hours=1)
# A line that is none of Firehose's documents is kept too, under this code.
UNREADABLE = "unreadable"
# Time that is left for the last commit.
MARGIN_MS = 60_000


@dataclass(frozen=True)
class Loaded:
    """What a run brought into the table."""

    objects: int = 0
    records: int = 0


@dataclass(frozen=True)
class ErrorObject:
    """One object under the error prefix."""

    key: str
    modified: datetime
    size: int


class _Document(msgspec.Struct, rename="camel"):
    """Firehose's document about one record it could not deliver (AWS, "Handle data delivery failures")."""

    raw_data: str
    error_code: str | None = None
    error_message: str | None = None
    attempts_made: int | None = None
    attempt_ending_timestamp: int | None = None


class _Named(msgspec.Struct):
    message_id: str | None = None
    topic_name: str | None = None


def load(s3: "S3Client", bucket: str, open_table: Callable[[], Table], remaining: Callable[[], int]) -> Loaded:
    """Bring the objects that are not in the table yet into it, the oldest first, until time runs out.

    `open_table` is called only when there are objects at all; `remaining` is the time left in milliseconds.
    """
    objects = found(s3, bucket)
    if not objects:
        return Loaded()
    table = open_table()
    loaded = Loaded()
    for chunk in _chunks(_since(objects, loaded_until(table))):
        if remaining() < MARGIN_MS:
            break
        loaded = _load_chunk(s3, bucket, table, chunk, loaded)
    return loaded


def found(s3: "S3Client", bucket: str) -> list[ErrorObject]:
    """Return the objects under the error prefix, oldest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    listed = (item for page in pages for item in page.get("Contents", []))
    objects = [ErrorObject(item["Key"], item["LastModified"], item["Size"]) for item in listed]
    return sorted(objects, key=lambda one: (one.modified, one.key))


def loaded_until(table: Table) -> datetime | None:
    """The time of the newest object that is loaded, as the table's own history tells; None where it does not."""
    for snapshot in ancestors_of(table.current_snapshot(), table.metadata):
        if snapshot.summary and (told := snapshot.summary.additional_properties.get(LOADED_UNTIL)):
            return datetime.fromisoformat(told)
    return None


def rows(key: str, body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the object's records as rows of `firehose_errors`; a line that cannot be read is a row all the same."""
    for line in body.splitlines():
        if line.strip():
            yield {"object_key": key, **_row(line)}


def _load_chunk(s3: "S3Client", bucket: str, table: Table, chunk: Sequence[ErrorObject], before: Loaded) -> Loaded:
    bodies: dict[str, list[dict[str, Any]]] = {}
    fresh: list[str] = []

    def rows_of_new_objects() -> list[dict[str, Any]]:
        known = _known(table, chunk)
        fresh[:] = [one.key for one in chunk if one.key not in known]
        for key in fresh:
            if key not in bodies:
                bodies[key] = list(rows(key, s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
        return [row for key in fresh for row in bodies[key]]

    written = append.append_made(table, rows_of_new_objects, {LOADED_UNTIL: chunk[-1].modified.isoformat()})
    failpoints.hit("firehose_errors.after_write_before_mark")
    return Loaded(before.objects + len(fresh), before.records + written)


def _known(table: Table, chunk: Sequence[ErrorObject]) -> set[str]:
    """The objects of a chunk whose rows the table holds; only files that can hold their keys are read."""
    if table.current_snapshot() is None:
        return set()
    keys = {one.key for one in chunk}
    between = And(
        GreaterThanOrEqual(term="object_key", value=min(keys)), LessThanOrEqual(term="object_key", value=max(keys))
    )
    batches = table.scan(row_filter=between, selected_fields=("object_key",)).to_arrow_batch_reader()
    return {key for batch in batches for key in batch.column("object_key").unique().to_pylist() if key in keys}


def _since(objects: Iterable[ErrorObject], until: datetime | None) -> list[ErrorObject]:
    return [one for one in objects if until is None or one.modified >= until - LONGEST_UPLOAD]


def _chunks(objects: Iterable[ErrorObject]) -> Iterator[list[ErrorObject]]:
    chunk: list[ErrorObject] = []
    for one in objects:
        if chunk and (len(chunk) == CHUNK_OBJECTS or sum(o.size for o in chunk) + one.size > CHUNK_BYTES):
            yield chunk
            chunk = []
        chunk.append(one)
    if chunk:
        yield chunk


def _row(line: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(line, type=_Document)
        data = base64.b64decode(document.raw_data, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error):
        return {"record": line.decode(errors="replace"), "error_code": UNREADABLE, "failed_at": datetime.now(UTC)}
    named = _names(data)
    ended = document.attempt_ending_timestamp
    return {
        "message_id": named.message_id,
        "topic_name": named.topic_name,
        "record": _text(data),
        "error_code": document.error_code,
        "error_message": document.error_message,
        "attempts": document.attempts_made,
        "failed_at": datetime.now(UTC) if ended is None else _EPOCH + timedelta(milliseconds=ended),
    }


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _names(data: bytes) -> _Named:
    try:
        return msgspec.json.decode(data, type=_Named)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Named()


def _text(data: bytes) -> str:
    """The record's text; bytes that are none travel as `base64:…`, as the ingest's do."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(data).decode()
