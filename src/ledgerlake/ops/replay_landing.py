"""Ingest objects of the landing bucket again: what was refused, broke off or was never taken, or all of it on purpose.

A record's message_id comes from its content, so whatever is in RAW already comes in as duplicates only.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ledgerlake.ops.ingest import Ingest, Landed, Refused
from ledgerlake.state.file_registry import AlreadyIngested, Busy, FileRegistry

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Fate(StrEnum):
    """What a replay does with an object, or did."""

    INGEST = "not taken yet: ingested"
    GO_ON = "broke off: gone on with"
    TRY_AGAIN = "refused: tried again"
    DUPLICATES = "in RAW already: duplicates only"
    KEPT = "in RAW already: left alone"
    REFUSED = "refused"
    BUSY = "somebody else is at it"


@dataclass(frozen=True)
class Selection:
    """Which objects: the topic's that match. Times bound LastModified; `keys` are patterns with * and ?."""

    topic: str
    since: datetime | None = None
    until: datetime | None = None
    keys: Sequence[str] = ()


@dataclass(frozen=True)
class Object:
    """One object's current version: what the registry says of it, and what becomes of it.

    `records` are those it holds, as far as known without reading it again; `code` is why it was refused.
    """

    landed: Landed
    modified: datetime
    fate: Fate
    records: int | None = None
    code: str = ""


def find(
    s3: "S3Client", registry: FileRegistry, bucket: str, selection: Selection, *, again: bool = False
) -> Iterator[Object]:
    """The selected objects by key, each with what a replay would do with it; `again` takes those in RAW too."""
    for prefix in (f"landing/{selection.topic}/", f"{selection.topic}/"):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            for version in page.get("Versions", []):
                key, modified = version["Key"], version["LastModified"]
                if version["IsLatest"] and not key.endswith("/") and _selected(key, modified, selection):
                    version_id = None if version["VersionId"] == "null" else version["VersionId"]
                    landed = Landed(bucket, key, version["ETag"].strip('"'), version_id)
                    yield _known(registry, landed, modified, again)


def look(ingest: Ingest, found: Object) -> Object:
    """An object with the number of its records; one that is not in RAW yet is read for that. Nothing is sent."""
    if found.records is not None:
        return found
    try:
        return Object(found.landed, found.modified, found.fate, ingest.count(found.landed))
    except Refused as refused:
        return Object(found.landed, found.modified, Fate.REFUSED, code=refused.code)


def replay(ingest: Ingest, found: Object, now: Callable[[], datetime]) -> Object:
    """Ingest one object as its fate says; returns it with what became of it. Raises what the network raises.

    One that breaks off goes on at its last reported record when the replay is started again.
    """
    if found.fate is Fate.KEPT:
        return found
    try:
        if found.fate is Fate.DUPLICATES:
            ingest.registry.reopen(found.landed.version, now())
        progress = ingest.run(found.landed)
    except Refused as refused:
        return Object(found.landed, found.modified, Fate.REFUSED, code=refused.code)
    except (AlreadyIngested, Busy):
        return Object(found.landed, found.modified, Fate.BUSY)
    return Object(found.landed, found.modified, found.fate, progress.sent + progress.too_large)


def _selected(key: str, modified: datetime, selection: Selection) -> bool:
    if selection.since and modified < selection.since:
        return False
    if selection.until and modified >= selection.until:
        return False
    return not selection.keys or any(fnmatchcase(key, pattern) for pattern in selection.keys)


def _known(registry: FileRegistry, landed: Landed, modified: datetime, again: bool) -> Object:
    known = registry.find(landed.version)
    if known is None:
        return Object(landed, modified, Fate.INGEST)
    if known.status == "failed":
        return Object(landed, modified, Fate.TRY_AGAIN, code=known.code)
    if known.status == "started":
        return Object(landed, modified, Fate.GO_ON)
    records = known.progress.sent + known.progress.too_large
    return Object(landed, modified, Fate.DUPLICATES if again else Fate.KEPT, records)
