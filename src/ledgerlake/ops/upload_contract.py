"""Give a contract to the contracts bucket as its owner does, and learn what became of it."""

import hashlib
import json
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ledgerlake.contracts import ContractError, Problem
from ledgerlake.errors import TransientError
from ledgerlake.state.contracts import as_metadata, object_key, pending_key
from ledgerlake.state.gate import Admission, Gate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class NoAnswer(TransientError):
    """A pending contract was not taken up in time."""


@dataclass(frozen=True)
class Published:
    """An active contract; `changed` is False when the same bytes were active already."""

    topic: str
    version: int
    changed: bool


@dataclass(frozen=True)
class Contracts:
    """The contracts bucket and the gate, as the CLI reaches them; `uploader` is who it says that it is."""

    s3: "S3Client"
    bucket: str
    gate: Gate
    uploader: str = ""

    def publish(self, topic: str, text: bytes, seconds: float = 180, pause: float = 0.5, reason: str = "") -> Published:
        """Upload a contract and wait for its end; `reason` is kept in its history.

        Raises ContractError with its problems or NoAnswer.
        """
        active = self._active(topic, text)
        if active is not None:
            return Published(topic, active.contract_version, changed=False)
        failed_before = self._version(topic, "failed/error.json")
        said = as_metadata(uploaded_by=self.uploader, reason=reason)
        self.s3.put_object(Bucket=self.bucket, Key=pending_key(topic), Body=text, Metadata=said)
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            active = self._active(topic, text)
            if active is not None:
                return Published(topic, active.contract_version, changed=True)
            if self._version(topic, "failed/error.json") != failed_before:
                raise self._failure(topic)
            sleep(pause)
        raise NoAnswer(
            f"the contract of {topic} was uploaded {seconds:.0f} s ago and is neither active nor failed; "
            "look at the logs of the publish_contract function, and of the job `rebuild` where its tables are rebuilt"
        )

    def _active(self, topic: str, text: bytes) -> Admission | None:
        """The topic's admission when these very bytes are in force: the gate is set last, so it alone tells."""
        admission = self.gate.get(topic)
        same = admission is not None and admission.contract_sha256 == hashlib.sha256(text).hexdigest()
        return admission if same else None

    def _version(self, topic: str, name: str) -> str | None:
        try:
            head = self.s3.head_object(Bucket=self.bucket, Key=object_key(topic, name))
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
                return None
            raise
        return head.get("VersionId") or head["ETag"]

    def _failure(self, topic: str) -> ContractError:
        body = self.s3.get_object(Bucket=self.bucket, Key=object_key(topic, "failed/error.json"))["Body"].read()
        return ContractError([Problem(p["pointer"], p["message"], p["remedy"]) for p in json.loads(body)["problems"]])
