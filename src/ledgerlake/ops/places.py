"""What a trace says: the places a message has been, and the one it ended in (design 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ledgerlake.tables.commits import Commit


class Terminal(StrEnum):
    """Where a message ended, or what it waits for."""

    CURATED = "curated"
    SUPERSEDED = "superseded"
    PARSE_ERROR = "parse error"
    CDE_ERROR = "cde error"
    CAST_ERROR = "cast error"
    CHECK_ERROR = "check error"
    RULE_ERROR = "rule error"
    DLQ = "DLQ"
    FIREHOSE_ERROR = "Firehose error"
    REPLAYED = "replayed"
    STANDARDIZED_ONLY = "standardized only"
    WAITING = "waiting"
    IN_FLIGHT = "in flight"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Step:
    """One place a message has been, and when it came there.

    `commit` is the snapshot that took it in: None where no table is involved, or its snapshot has expired. `facts` are
    the row's columns that say more.
    """

    at: datetime
    place: str
    event: str
    commit: Commit | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """What became of a message, why, and how to put it right; with the message or batch that this is about."""

    state: Terminal
    why: str = ""
    remedy: str = ""
    superseded_by: str | None = None
    resolved_by: str | None = None
    replaced_by: str | None = None


@dataclass(frozen=True)
class Trace:
    """A message in one topic. `duplicates`: its copies in RAW that did not count. `replaces`: what it is an edit of."""

    message_id: str
    topic: str
    steps: Sequence[Step]
    ending: Ending
    duplicates: int = 0
    replaces: Sequence[str] = ()
