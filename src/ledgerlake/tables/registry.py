"""OPS `schema_versions` and `topic_registry`: which contracts were ever uploaded, and which topics there are."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self

from pyiceberg.expressions import And, EqualTo, In
from pyiceberg.table import Table

from ledgerlake.contracts.diff import Change
from ledgerlake.contracts.problems import Problem
from ledgerlake.tables.append import amend, append, replace
from ledgerlake.tables.lake import Lake

SCHEMA_VERSIONS = "schema_versions"
TOPIC_REGISTRY = "topic_registry"


Outcome = Literal["active", "failed", "superseded"]
_TOLD: Final = ("contract_version", "contract_sha256", "upload_version_id", "field_ids")


@dataclass(frozen=True)
class SchemaTry:
    """One upload of a topic's contract and what became of it: a version with its number, or none."""

    topic: str
    outcome: Outcome
    text: bytes | None
    upload_version_id: str
    number: int | None = None
    version_id: str | None = None
    changes: Sequence[Change] = ()
    problems: Sequence[Problem] = ()
    field_ids: Mapping[str, int] | None = None
    uploaded_by: str | None = None
    reason: str | None = None

    def row(self, at: datetime) -> dict[str, object]:
        """The upload as a row of schema_versions."""
        return {
            "topic_name": self.topic,
            "contract_version": self.number,
            "contract_sha256": None if self.text is None else hashlib.sha256(self.text).hexdigest(),
            "contract_version_id": self.version_id,
            "contract": _readable(self.text),
            "changes": json.dumps([change.as_dict() for change in self.changes]),
            "published_at": at,
            "outcome": self.outcome,
            "problems": json.dumps([problem.as_dict() for problem in self.problems]) if self.problems else None,
            "uploaded_by": self.uploaded_by,
            "reason": self.reason,
            "upload_version_id": self.upload_version_id,
            "field_ids": json.dumps(self.field_ids) if self.field_ids else None,
        }


def _readable(text: bytes | None) -> str | None:
    try:
        return None if text is None else text.decode()
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True)
class SchemaVersions:
    """What schema_versions says of a topic's contracts, without their texts."""

    table: Table
    topic: str
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, lake: Lake, topic: str) -> Self:
        """Read a topic's rows."""
        table = lake.load("ops", SCHEMA_VERSIONS)
        found = table.scan(EqualTo(term="topic_name", value=topic), selected_fields=_TOLD).to_arrow().to_pylist()
        return cls(table, topic, found)

    @property
    def _given(self) -> dict[int, str]:
        """The hash of each number that was given."""
        return {row["contract_version"]: row["contract_sha256"] for row in self.rows if row["contract_version"]}

    def number(self, sha256: str, in_force: int) -> int:
        """The number of a contract about to replace version `in_force` (0: none): one past all that were given, or the
        one that an unfinished try of the same contract was given.
        """
        last = max(self._given, default=0)
        return last if self._given.get(last) == sha256 and last > in_force else max(last, in_force) + 1

    def latest(self, sha256: str) -> int:
        """The last number that a contract was given; 0 for one that has none."""
        return max((number for number, known in self._given.items() if known == sha256), default=0)

    def has(self, number: int) -> bool:
        """Whether the version has its row."""
        return number in self._given

    def knows(self, upload_version_id: str) -> bool:
        """Whether an upload has its row."""
        return any(row["upload_version_id"] == upload_version_id for row in self.rows)

    def field_ids(self, number: int) -> dict[str, int]:
        """The Iceberg field ids of a version's columns; none where they were not noted."""
        noted = (row["field_ids"] for row in self.rows if row["contract_version"] == number)
        return next((json.loads(text) for text in noted if text), {})

    def add(self, tried: SchemaTry, at: datetime) -> None:
        """Add an upload's row."""
        append(self.table, [tried.row(at)])

    def supersede(self, numbers: Iterable[int]) -> None:
        """Mark versions that died before they were in force."""
        if died := [number for number in numbers if self.has(number)]:
            where = And(EqualTo(term="topic_name", value=self.topic), In(term="contract_version", literals=died))
            amend(self.table, where, lambda row: row | {"outcome": "superseded"})


@dataclass(frozen=True)
class Registered:
    """A topic, and its active contract's facts; a topic without contract has none."""

    topic_name: str
    description: str | None = None
    owner: str | None = None
    contract_version: int | None = None
    curated: bool | None = None


def register(lake: Lake, topics: Iterable[Registered], now: datetime) -> None:
    """Write the topics' rows in topic_registry; what says nothing new writes nothing."""
    table = lake.load("ops", TOPIC_REGISTRY)
    known = {row["topic_name"]: row for row in table.scan().to_arrow().to_pylist()}
    rows = [
        {"registered_at": known.get(topic.topic_name, {}).get("registered_at", now), "updated_at": now, **asdict(topic)}
        for topic in topics
        if not asdict(topic).items() <= known.get(topic.topic_name, {}).items()
    ]
    if rows:
        replace(table, rows, In(term="topic_name", literals={row["topic_name"] for row in rows}))


def register_missing(lake: Lake, topics: Iterable[str], now: datetime) -> None:
    """Write rows for topics that topic_registry does not know yet: they land in RAW, with no contract."""
    known = set(
        lake.load("ops", TOPIC_REGISTRY).scan(selected_fields=("topic_name",)).to_arrow()["topic_name"].to_pylist()
    )
    register(lake, [Registered(topic) for topic in topics if topic not in known], now)
