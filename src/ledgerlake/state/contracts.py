"""The contracts bucket: a topic's contracts by their place, each version of an object by its S3 version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from ledgerlake.state.gate import Admission, Gate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING: Final = {"404", "NoSuchKey", "NoSuchVersion"}
_OVERTAKEN: Final = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


def object_key(topic: str, name: str) -> str:
    """The key of one of a topic's objects."""
    return f"schemas/{topic}/{name}"


def active_key(topic: str) -> str:
    """Where a topic's contract in force lies."""
    return object_key(topic, "active/schema.json")


def pending_key(topic: str) -> str:
    """Where a topic's contract is put to be published."""
    return object_key(topic, "pending/schema.json")


def read_active(s3: "S3Client", bucket: str, admission: Admission) -> bytes:
    """The bytes of the contract that a topic's gate names."""
    answer = s3.get_object(Bucket=bucket, Key=active_key(admission.topic), VersionId=admission.contract_version_id)
    return answer["Body"].read()


def in_force(s3: "S3Client", bucket: str, gate: Gate, topic: str) -> tuple[int, bytes] | None:
    """A topic's contract in force as its version and bytes, also of one that is switched off; None without one."""
    admission = gate.get(topic)
    return (admission.contract_version, read_active(s3, bucket, admission)) if admission else None


def as_metadata(**words: str) -> dict[str, str]:
    """What is said of an object, as S3 keeps it with the object: in ASCII."""
    return {name.replace("_", "-"): quote(text, safe=" /:@") for name, text in words.items() if text}


@dataclass(frozen=True)
class Stored:
    """One version of an object: its size in bytes, and what was said of it when it was put."""

    version_id: str
    etag: str
    size: int
    metadata: Mapping[str, str] = field(default_factory=dict)

    def said(self, name: str) -> str | None:
        """What was said of the object under this name (see as_metadata)."""
        text = self.metadata.get(name.replace("_", "-"))
        return unquote(text) if text else None


@dataclass(frozen=True)
class ContractsBucket:
    """The objects of one environment's contracts."""

    s3: "S3Client"
    name: str

    def newest_pending(self, topic: str) -> Stored | None:
        """The newest version of the pending object, also under a delete marker: a retry may come after the taking away,
        and a contract put in just before it must not be lost. The jobs of older versions are done or pointless.
        """
        key = pending_key(topic)
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=key)
        versions = [v for page in pages for v in page.get("Versions", []) if v["Key"] == key]
        # S3 lists the newest first, which decides where two have the same second.
        newest = max(versions, key=lambda v: (v["IsLatest"], v["LastModified"]), default=None)
        return self.head(key, newest["VersionId"]) if newest else None

    def head(self, key: str, version_id: str | None = None) -> Stored | None:
        """The current version of an object, or this one; None where there is none."""
        which = {"VersionId": version_id} if version_id else {}
        try:
            head = self.s3.head_object(Bucket=self.name, Key=key, **which)  # type: ignore[arg-type]
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return Stored(head.get("VersionId", "null"), head["ETag"], head["ContentLength"], head.get("Metadata", {}))

    def get(self, key: str, version_id: str) -> bytes:
        """The bytes of one version."""
        return self.s3.get_object(Bucket=self.name, Key=key, VersionId=version_id)["Body"].read()

    def find(self, key: str, version_id: str) -> bytes | None:
        """The bytes of one version, or None where it is gone."""
        try:
            return self.get(key, version_id)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise

    def put(self, key: str, body: bytes) -> None:
        """Write an object."""
        self.s3.put_object(Bucket=self.name, Key=key, Body=body, ContentType="application/json")

    def put_over(self, key: str, body: bytes, before: Stored | None) -> str | None:
        """Write an object in the place of the version that was looked at; its S3 version, or None when that moved."""
        condition = {"IfNoneMatch": "*"} if before is None else {"IfMatch": before.etag}
        try:
            answer = self.s3.put_object(
                Bucket=self.name,
                Key=key,
                Body=body,
                ContentType="application/json",
                **condition,  # type: ignore[arg-type]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _OVERTAKEN | _MISSING:
                return None
            raise
        return answer.get("VersionId", "null")

    def delete_version(self, key: str, version_id: str) -> None:
        """Take one version away for good; the one before it is current again."""
        self.s3.delete_object(Bucket=self.name, Key=key, VersionId=version_id)

    def take_away(self, key: str, version_id: str) -> None:
        """Delete an object, unless a newer version lies there by now."""
        current = self.head(key)
        if current is None or current.version_id != version_id:
            return
        try:
            self.s3.delete_object(Bucket=self.name, Key=key, IfMatch=current.etag)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _OVERTAKEN | _MISSING:
                raise
