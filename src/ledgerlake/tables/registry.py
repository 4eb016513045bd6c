"""OPS `schema_versions` and `topic_registry`: which contracts were ever active, and which topics there are."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

from pyiceberg.expressions import EqualTo, In
from pyiceberg.table import Table

from ledgerlake.contracts.diff import Change
from ledgerlake.tables.append import append, replace
from ledgerlake.tables.lake import Lake

SCHEMA_VERSIONS = "schema_versions"
TOPIC_REGISTRY = "topic_registry"


@dataclass(frozen=True)
class SchemaVersion:
    """One version of a topic's contract: its number, text, S3 version, and what it changes."""

    topic: str
    number: int
    text: str
    version_id: str
    changes: Sequence[Change] = ()

    @property
    def sha256(self) -> str:
        """The hash of the contract's bytes."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def row(self, published_at: datetime) -> dict[str, object]:
        """The version as a row of schema_versions."""
        return {
            "topic_name": self.topic,
            "contract_version": self.number,
            "contract_sha256": self.sha256,
            "contract_version_id": self.version_id,
            "contract": self.text,
            "changes": json.dumps([change.as_dict() for change in self.changes]),
            "published_at": published_at,
        }


@dataclass(frozen=True)
class SchemaVersions:
    """A topic's rows of schema_versions, as (number, sha256)."""

    table: Table
    rows: frozenset[tuple[int, str]]

    @classmethod
    def of(cls, lake: Lake, topic: str) -> Self:
        """Read a topic's rows."""
        table = lake.load("ops", SCHEMA_VERSIONS)
        columns = ("contract_version", "contract_sha256")
        found = table.scan(EqualTo(term="topic_name", value=topic), selected_fields=columns).to_arrow().to_pylist()
        return cls(table, frozenset((row["contract_version"], row["contract_sha256"]) for row in found))

    def number(self, sha256: str, in_force: int) -> int:
        """The number of a contract about to replace version `in_force` (0: none): one past all that were given, or the
        one that an unfinished try of the same contract was given.
        """
        last = max(self.rows, default=(0, ""))
        return last[0] if last[1] == sha256 and last[0] > in_force else max(last[0], in_force) + 1

    def latest(self, sha256: str) -> int:
        """The last number that a contract was given; 0 for one that has none."""
        return max((number for number, known in self.rows if known == sha256), default=0)

    def add(self, version: SchemaVersion, published_at: datetime) -> None:
        """Add a version's row, unless it is there."""
        if (version.number, version.sha256) not in self.rows:
            append(self.table, [version.row(published_at)])


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
