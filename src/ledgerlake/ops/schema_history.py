"""Which contracts a topic was given, what became of them, and how to go back to one of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Self

from pyiceberg.expressions import EqualTo

from ledgerlake.contracts import Contract, load
from ledgerlake.contracts.diff import Change, diff
from ledgerlake.contracts.renames import renames
from ledgerlake.errors import TerminalError
from ledgerlake.tables.definitions import SCHEMA_VERSIONS
from ledgerlake.tables.lake import Lake


class NoSuchVersion(TerminalError):
    """A topic has no contract version of that number, or no contract at all."""


class AlreadyInForce(TerminalError):
    """Going back to a version would change nothing."""


@dataclass(frozen=True)
class Entry:
    """One upload of a contract: its version (None: it became none), outcome, and what was said of it."""

    version: int | None
    outcome: str
    at: datetime
    sha256: str | None
    uploaded_by: str | None
    reason: str | None
    changes: Sequence[Mapping[str, Any]]
    problems: Sequence[Mapping[str, str]]
    text: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of schema_versions; one written before outcomes were told was active."""
        return cls(
            version=row["contract_version"],
            outcome=row.get("outcome") or "active",
            at=row["published_at"],
            sha256=row["contract_sha256"],
            uploaded_by=row.get("uploaded_by"),
            reason=row.get("reason"),
            changes=json.loads(row["changes"] or "[]"),
            problems=json.loads(row.get("problems") or "[]"),
            text=row["contract"],
        )


@dataclass(frozen=True)
class History:
    """All uploads of a topic's contract, the first one first."""

    topic: str
    entries: Sequence[Entry]

    @classmethod
    def of(cls, lake: Lake, topic: str) -> Self:
        """Read a topic's history. Raises UnknownTopics and NoSuchVersion."""
        found = lake.load("ops", SCHEMA_VERSIONS).scan(EqualTo(term="topic_name", value=topic)).to_arrow().to_pylist()
        if not found:
            lake.require_topics([topic])
            raise NoSuchVersion(f"{topic} was never given a contract")
        return cls(topic, sorted(map(Entry.of, found), key=lambda entry: entry.at))

    def version(self, number: int) -> Entry:
        """A version that was in force. Raises NoSuchVersion, naming those there are."""
        versions = self.versions
        if number not in versions:
            known = ", ".join(map(str, versions)) or "none"
            raise NoSuchVersion(f"{self.topic} has no version {number}; there are {known}")
        return versions[number]

    @property
    def versions(self) -> dict[int, Entry]:
        """The versions that were in force, by number."""
        found = [entry for entry in self.entries if entry.version and entry.outcome == "active"]
        return {entry.version: entry for entry in sorted(found, key=lambda e: e.version or 0) if entry.version}

    def contract(self, number: int) -> Contract:
        """A version's contract."""
        return Contract.model_validate(json.loads(self.version(number).text or "{}"))


@dataclass(frozen=True)
class Return:
    """A contract that brings back what a version said: its bytes, and what it changes of the one in force."""

    text: bytes
    contract: Contract
    changes: Sequence[Change]


def going_back(history: History, in_force: int, to: int, consent: str | None = None) -> Return:
    """The contract that brings a version back: its very bytes, but for what says how it was meant.

    `accept` and `rebuild` consented to that version's own changes and are left out; columns that were renamed since are
    renamed back. With `consent`, a reason, it accepts every change and rebuilds where that is needed.
    Raises NoSuchVersion and AlreadyInForce.
    """
    target = history.version(to)
    text = (target.text or "").encode()
    document = json.loads(text)
    meant = _renamed_back(document, _now_called(history, to, in_force))
    meant = {field: value for field, value in meant.items() if field not in ("accept", "rebuild")}
    old = history.contract(in_force)
    changes = diff(old, _loaded(meant, history.topic))
    if not changes:
        raise AlreadyInForce(f"{history.topic}: version {in_force}, which is in force, says what version {to} says")
    if consent is not None:
        meant |= {"accept": [change.id for change in changes if change.impact == "guarded"]}
        if any(change.impact == "breaking" for change in changes):
            meant |= {"rebuild": {"reason": consent}}
    written = text if meant == document else json.dumps(meant, indent=2, ensure_ascii=False).encode()
    return Return(written, load(written, history.topic), changes)


def _loaded(document: Mapping[str, Any], topic: str) -> Contract:
    return load(json.dumps(document), topic)


def _now_called(history: History, since: int, until: int) -> dict[str, str]:
    """What the columns of a version are called in a later one."""
    called = {column.name: column.name for column in history.contract(since).columns}
    for before, after in pairwise(number for number in history.versions if since <= number <= until):
        renamed = {was: name for name, was in renames(history.contract(before), history.contract(after)).items()}
        called = {name: renamed.get(now, now) for name, now in called.items()}
    return called


def _renamed_back(document: Mapping[str, Any], called: Mapping[str, str]) -> dict[str, Any]:
    """The document with `renamed_from` as it is to be read now; the version's own was about the one before it."""

    def meant(column: Mapping[str, Any]) -> dict[str, Any]:
        kept = {field: value for field, value in column.items() if field != "renamed_from"}
        now = called.get(column["name"], column["name"])
        return kept if now == column["name"] else kept | {"renamed_from": now}

    fields = ("envelope_columns", "payload_columns")
    return {**document, **{field: [meant(column) for column in document[field]] for field in fields}}
