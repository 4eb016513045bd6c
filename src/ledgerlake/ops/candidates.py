"""A contract on its way into force: as it was uploaded, as it was read, and what it would replace."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ledgerlake.contracts import Contract, Problem
from ledgerlake.contracts.diff import Change
from ledgerlake.state.contracts import pending_key
from ledgerlake.state.gate import Admission
from ledgerlake.tables.registry import Outcome, SchemaTry


def sha256(text: bytes) -> str:
    """How a contract's bytes are told from others."""
    return hashlib.sha256(text).hexdigest()


@dataclass(frozen=True)
class Pending:
    """A contract that waits at schemas/<topic>/pending/schema.json; the version is None where the event named none.

    `principal` is who put it there, as S3 says.
    """

    topic: str
    version_id: str | None = None
    principal: str | None = None

    @property
    def key(self) -> str:
        """The object's key."""
        return pending_key(self.topic)


@dataclass(frozen=True)
class Upload:
    """A pending object as it was read; the text is None where it is too large to be read at all."""

    pending: Pending
    version_id: str
    size: int
    text: bytes | None
    uploaded_by: str | None = None
    reason: str | None = None

    @property
    def sha256(self) -> str | None:
        """The hash of the contract's bytes."""
        return None if self.text is None else sha256(self.text)

    def row(self, outcome: Outcome, **facts: Any) -> SchemaTry:
        """The upload as ops.schema_versions tells it."""
        return SchemaTry(
            topic=self.pending.topic,
            outcome=outcome,
            text=self.text,
            upload_version_id=self.version_id,
            **{"uploaded_by": self.uploaded_by, "reason": self.reason, **facts},
        )


@dataclass(frozen=True)
class InForce:
    """The contract that a new one replaces, as its bytes and its number."""

    text: bytes
    version: int

    @property
    def contract(self) -> Contract:
        """The contract."""
        return Contract.model_validate(json.loads(self.text))

    @property
    def archive_name(self) -> str:
        """What it is called once it is replaced."""
        return f"archive/{self.version}-{sha256(self.text)}.json"


@dataclass(frozen=True)
class Candidate:
    """A pending contract that is right by itself, and what it would replace; its tables are not ready for it yet."""

    upload: Upload
    text: bytes
    contract: Contract
    changes: tuple[Change, ...]
    in_force: InForce | None
    admission: Admission | None

    @property
    def topic(self) -> str:
        """The topic."""
        return self.upload.pending.topic

    @property
    def breaking(self) -> bool:
        """Whether its tables have to be rebuilt for it: it says why."""
        return any(change.impact == "breaking" for change in self.changes)

    def row(self, number: int, version_id: str, field_ids: Mapping[str, int]) -> SchemaTry:
        """The version as ops.schema_versions tells it."""
        why = self.contract.rebuild.reason if self.breaking and self.contract.rebuild else None
        return self.upload.row(
            "active",
            number=number,
            version_id=version_id,
            changes=self.changes,
            field_ids=field_ids,
            reason=self.upload.reason or why,
        )


class Rebuilds(Protocol):
    """What rebuilds a topic's tables for a contract with breaking changes, and puts it in force then.

    It reads the pending object again, which stays where it is, and ends with `Publisher.put_in_force` or
    `Publisher.refuse` under the topic's turn.
    """

    def start(self, candidate: Candidate) -> None:
        """Start it, unless it runs for this very upload already. Raises TransientError, to be tried again."""


@dataclass(frozen=True)
class Published:
    """What became of a pending contract.

    active: in force now; unchanged: these bytes were in force; failed: its problems stand in failed/error.json;
    superseded: a newer pending version waits or was dealt with; rebuilding: its tables are being rebuilt, and it waits.
    """

    topic: str
    status: Literal["active", "unchanged", "failed", "superseded", "rebuilding"]
    version: int | None = None
    problems: tuple[Problem, ...] = ()
