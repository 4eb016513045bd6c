"""A contract's way into force: pending → checked → its tables → active, or failed with its reasons (design 3.2).

Every step may be repeated, and the gate is set last: a try that died anywhere is finished by the next one, and until
then the jobs go on with the contract that the gate names.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError
from pyiceberg.exceptions import ValidationError

from ledgerlake.contracts import Contract, ContractError, Problem, load
from ledgerlake.contracts.diff import Change, diff, refused
from ledgerlake.state.contracts import active_key
from ledgerlake.state.gate import Admission, Gate, Overtaken
from ledgerlake.tables.ensure import ReservedTopic, ensure_contract
from ledgerlake.tables.lake import Lake
from ledgerlake.tables.registry import Registered, SchemaVersion, SchemaVersions, register

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING = {"404", "NoSuchKey", "NoSuchVersion"}
_OVERTAKEN = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


@dataclass(frozen=True)
class Pending:
    """A contract that waits at schemas/<topic>/pending/schema.json; the version is None where the event named none."""

    bucket: str
    topic: str
    version_id: str | None = None

    @property
    def key(self) -> str:
        """The object's key."""
        return f"schemas/{self.topic}/pending/schema.json"


@dataclass(frozen=True)
class Published:
    """What became of a pending contract.

    active: in force now; unchanged: these bytes were in force; failed: its problems stand in failed/error.json;
    superseded: a newer pending version waits or was dealt with.
    """

    topic: str
    status: Literal["active", "unchanged", "failed", "superseded"]
    version: int | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _InForce:
    """The contract that a new one replaces, as its bytes and its number."""

    text: bytes
    version: int

    @property
    def contract(self) -> Contract:
        return Contract.model_validate(json.loads(self.text))

    @property
    def archive_name(self) -> str:
        return f"archive/{self.version}-{_sha256(self.text)}.json"


@dataclass(frozen=True)
class Publisher:
    """Publishes the contracts of one environment; `now` is the clock."""

    s3: "S3Client"
    gate: Gate
    lake: Lake
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def publish(self, pending: Pending) -> Published:
        """Bring a pending contract into force, or say in failed/error.json why not; then take it away.

        Raises TransientError, or what AWS raises, when a step could not be done: the same call again finishes it.
        """
        newest = self._newest(pending)
        if newest is None or pending.version_id not in (None, newest["VersionId"]):
            return Published(pending.topic, "superseded")
        text = self._get(pending.bucket, pending.key, newest["VersionId"])
        published = self._bring_into_force(pending, text)
        self._take_away(pending, newest)
        return published

    def _bring_into_force(self, pending: Pending, text: bytes) -> Published:
        admission = self.gate.get(pending.topic)
        if admission is not None and admission.contract_sha256 == _sha256(text):
            return Published(pending.topic, "unchanged", admission.contract_version)
        history = SchemaVersions.of(self.lake, pending.topic)
        old = self._in_force(pending, admission, history)
        try:
            contract, changes = self._checked(text, old, pending.topic, admission)
        except ContractError as error:
            self._fail(pending, text, error)
            return Published(pending.topic, "failed", problems=error.problems)
        version_id = self._activate(pending, text, old, admission)
        known = admission.contract_version if admission else 0
        version = SchemaVersion(pending.topic, history.number(_sha256(text), known), text.decode(), version_id, changes)
        self._record(version, contract, history)
        self._open(pending, version, contract, admission)
        return Published(pending.topic, "active", version.number)

    def _checked(
        self, text: bytes, old: _InForce | None, topic: str, admission: Admission | None
    ) -> tuple[Contract, list[Change]]:
        """The contract and what it changes, its tables ready for it. Raises ContractError, or Overtaken."""
        contract = load(text, topic)
        changes = diff(old.contract, contract) if old else []
        if problems := refused(changes):
            raise ContractError(problems)
        try:
            ensure_contract(self.lake, contract)
        except ReservedTopic as error:
            raise ContractError([Problem("/table_name", str(error), "choose another name")]) from error
        except ValidationError as error:
            self._require_unmoved(topic, admission)
            message = f"the topic's tables cannot follow: {error}"
            raise ContractError([Problem("/payload_columns", message, "name that column otherwise")]) from error
        return contract, changes

    def _in_force(self, pending: Pending, admission: Admission | None, history: SchemaVersions) -> _InForce | None:
        """What the gate names; where that or the gate itself was lost, the active object."""
        key = active_key(pending.topic)
        if (
            admission is not None
            and (text := self._find(pending.bucket, key, admission.contract_version_id)) is not None
        ):
            return _InForce(text, admission.contract_version)
        active = self._head(pending.bucket, key)
        if active is None:
            return None
        text = self._get(pending.bucket, key, active["VersionId"])
        return _InForce(text, history.latest(_sha256(text)))

    def _activate(self, pending: Pending, text: bytes, old: _InForce | None, admission: Admission | None) -> str:
        """Put the contract where the active one lies, the old one in the archive; returns its S3 version.

        The put succeeds only over the object that was looked at: of two publishers at one moment one has to try again.
        """
        key = active_key(pending.topic)
        active = self._head(pending.bucket, key)
        if active is not None and self._get(pending.bucket, key, active["VersionId"]) == text:
            return str(active["VersionId"])  # an earlier try came this far
        if old is not None:
            self._put(pending, old.archive_name, old.text)
        self._require_unmoved(pending.topic, admission)
        condition = {"IfNoneMatch": "*"} if active is None else {"IfMatch": active["ETag"]}
        try:
            return self._put(pending, "active/schema.json", text, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] in _OVERTAKEN | _MISSING:
                raise Overtaken(f"another contract of {pending.topic} became active meanwhile") from error
            raise

    def _record(self, version: SchemaVersion, contract: Contract, history: SchemaVersions) -> None:
        """Write the version's row, and the topic's; a row that an earlier try wrote stays."""
        history.add(version, self.now())
        facts = Registered(contract.table_name, contract.description, contract.owner, version.number, contract.curated)
        register(self.lake, [facts], self.now())

    def _open(self, pending: Pending, version: SchemaVersion, contract: Contract, instead_of: Admission | None) -> None:
        """Set the gate. When another publisher was faster, our active object makes way for the one it put."""
        admission = Admission(
            topic=version.topic,
            enabled=True,
            contract_version=version.number,
            contract_sha256=version.sha256,
            contract_version_id=version.version_id,
            curated=contract.curated,
        )
        try:
            self.gate.admit(admission, instead_of)
        except Overtaken:
            self.s3.delete_object(Bucket=pending.bucket, Key=active_key(version.topic), VersionId=version.version_id)
            raise

    def _require_unmoved(self, topic: str, admission: Admission | None) -> None:
        """Raise Overtaken when another contract came into force since the gate was read."""
        current = self.gate.get(topic)
        if (current and current.contract_version_id) != (admission and admission.contract_version_id):
            raise Overtaken(f"another contract of {topic} came into force meanwhile")

    def _fail(self, pending: Pending, text: bytes, error: ContractError) -> None:
        """Keep the contract with its problems; error.json is written last, since people and tools wait for it."""
        self._put(pending, "failed/schema.json", text)
        document = {
            "topic": pending.topic,
            "failed_at": self.now().isoformat(),
            "contract_sha256": _sha256(text),
            "problems": [problem.as_dict() for problem in error.problems],
            "what_to_do": f"correct these and put the contract to {pending.key} again; the active one stays in force",
        }
        self._put(pending, "failed/error.json", json.dumps(document, indent=2).encode())

    def _newest(self, pending: Pending) -> dict[str, Any] | None:
        """The newest version of the pending object, also under a delete marker: a retry may come after the taking away,
        and a contract put in just before it must not be lost. The jobs of older versions are done or pointless.
        """
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=pending.bucket, Prefix=pending.key)
        versions = [v for page in pages for v in page.get("Versions", []) if v["Key"] == pending.key]
        # S3 lists the newest first, which decides where two have the same second.
        newest = max(versions, key=lambda v: (v["IsLatest"], v["LastModified"]), default=None)
        return dict(newest) if newest else None

    def _take_away(self, pending: Pending, taken: dict[str, Any]) -> None:
        """Delete the pending object, unless a newer one lies there by now: that one has an event of its own."""
        current = self._head(pending.bucket, pending.key)
        if current is None or current["VersionId"] != taken["VersionId"]:
            return
        try:
            self.s3.delete_object(Bucket=pending.bucket, Key=pending.key, IfMatch=current["ETag"])
        except ClientError as error:
            if error.response["Error"]["Code"] not in _OVERTAKEN | _MISSING:
                raise

    def _head(self, bucket: str, key: str) -> dict[str, str] | None:
        try:
            head = self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return {"VersionId": head.get("VersionId", "null"), "ETag": head["ETag"]}

    def _get(self, bucket: str, key: str, version_id: str) -> bytes:
        return self.s3.get_object(Bucket=bucket, Key=key, VersionId=version_id)["Body"].read()

    def _find(self, bucket: str, key: str, version_id: str) -> bytes | None:
        try:
            return self._get(bucket, key, version_id)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise

    def _put(self, pending: Pending, name: str, body: bytes, **condition: str) -> str:
        answer = self.s3.put_object(
            Bucket=pending.bucket,
            Key=f"schemas/{pending.topic}/{name}",
            Body=body,
            ContentType="application/json",
            **condition,  # type: ignore[arg-type]
        )
        return answer.get("VersionId", "null")


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
