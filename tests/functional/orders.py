"""A topic's story in two batches with every terminal state in it, and what its tables then hold, fit to be compared."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lakehouse import Lakehouse, message
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, ancestors_of

from ledgerlake.tables import snapshots
from ledgerlake.tables.lake import staging

FIRST = (
    message("a1", {"id": "k1", "amount": "1.10", "note": "first"}, 1),
    message("a2", {"id": "k2", "amount": "2"}, 2),
    message("a2", {"id": "k2", "amount": "2"}, 2, arrives=3),
    message("broken", "{", 3),
    message("no number", {"id": "k3", "amount": "x"}, 4),
)
SECOND = (
    message("a1", {"id": "k1", "amount": "1.10", "note": "first"}, 1, arrives=10),  # delivered again
    message("broken", "{", 3, arrives=10),
    message("no number", {"id": "k3", "amount": "x"}, 4, arrives=10),
    message("b1", {"id": "k1", "amount": "5"}, 5),  # a correction
    message("b2", {"id": "k2", "amount": "0"}, 0),  # a correction that comes too late
    message("b3", {"id": "k4", "amount": "6"}, 6),
    message("b4", {"id": "k4", "amount": "7"}, 7),  # supersedes its predecessor within the batch
    message("b4", {"id": "k4", "amount": "7"}, 7, arrives=8),
    message("a list", "[1]", 8),
    message("also broken", "{}}", 8),
    message("no key", {"amount": "1"}, 9),
    message("no amount", {"id": "k5"}, 9),
    message("wrong twice", {"amount": "1,5"}, 9),
    message("negative", {"id": "k6", "amount": "-1"}, 9),
    message("drifted", {"id": "k7", "amount": "8", "new": {"path": 1}, "new_path": 2}, 9),  # a column, a collision
)

BATCHING = {"batch_id", "reported_by", "record", "count"}
VOLATILE = {"failed_at", "seen_at", "cycle_id", "started_at", "ended_at", "bytes"}
OWN_WORDS = (snapshots.FENCING_TOKEN, "ledgerlake.cycle-id")


def contract(topic: str) -> dict[str, Any]:
    return {
        "table_name": topic,
        "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
        "payload_columns": [
            {"name": "amount", "type": "decimal(12,2)", "source": "amount", "cde": True},
            {"name": "note", "type": "string", "default": "none"},
        ],
        "rules": [{"name": "not_negative", "expression": "amount >= 0", "action": "quarantine"}],
    }


def told(house: Lakehouse, topic: str) -> dict[str, list[str]]:
    """All that the tables hold of a topic, row for row, and how they came to it.

    The topic is called TOPIC, and a snapshot by its table and number, so that topics with the same story tell the same.
    What differs between any two runs is left out: times of failing, fencing tokens, cycles.
    """
    raw, standardized, curated = (
        house.lake.load("raw", staging(topic)),
        house.lake.load("standardized", topic),
        house.lake.load("curated", topic),
    )
    names = {topic: "TOPIC"} | _numbered("raw", raw) | _numbered("standardized", standardized)
    mine = EqualTo(term="topic_name", value=topic)
    parts = {
        "standardized": _rows(standardized),
        "curated": _rows(curated),
        "parse_errors": _rows(house.lake.load("standardized", "parse_errors"), mine),
        "errors": _rows(house.lake.load("curated", "errors"), mine),
        "drift_log": _rows(house.lake.load("ops", "drift_log"), mine),
        "commits to standardized": _commits(standardized),
        "commits to curated": _commits(curated),
    }
    return {part: sorted(_renamed(row, names) for row in rows) for part, rows in parts.items()}


def rows(tales: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """What is left of what a topic tells when it does not matter which batches its messages came in."""
    return {
        part: sorted(json.dumps({k: v for k, v in json.loads(row).items() if k not in BATCHING}) for row in rows)
        for part, rows in tales.items()
        if not part.startswith("commits")
    }


def outcomes(house: Lakehouse, topic: str) -> set[str]:
    """What job_run_history says of the stages that succeeded, once each."""
    names = {topic: "TOPIC"} | _numbered("raw", house.lake.load("raw", staging(topic)))
    names |= _numbered("standardized", house.lake.load("standardized", topic))
    rows = _rows(house.lake.load("ops", "job_run_history"), EqualTo(term="topic_name", value=topic))
    return {_renamed(row, names) for row in rows if row["outcome"] in ("STANDARDIZED", "CURATED")}


def _rows(table: Table, *where: Any) -> Iterable[Mapping[str, Any]]:
    return table.scan(*where).to_arrow().to_pylist()


def _commits(table: Table) -> list[dict[str, str]]:
    """What each batch's snapshot on the main branch says for the ledger."""
    return [
        {name: value for name, value in entry.summary.items() if _of_the_ledger(name)}
        for entry in snapshots.entries(table)
    ]


def _of_the_ledger(name: str) -> bool:
    return name.startswith("ledgerlake.") and name not in OWN_WORDS


def _history(table: Table) -> list[Snapshot]:
    return list(ancestors_of(table.current_snapshot(), table.metadata))[::-1]


def _numbered(name: str, table: Table) -> dict[str, str]:
    """Snapshots by the number of their batch; one that maintenance made holds the rows of the batch before it."""
    names, number = {}, 0
    for snapshot in _history(table):
        if name == "raw":
            number += snapshot.summary is not None and snapshot.summary.operation is Operation.APPEND
        else:
            number += snapshots.Entry.of(snapshot) is not None
        names[str(snapshot.snapshot_id)] = f"{name}-{number}"
    return names


def _renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    kept = {name: _text(value) for name, value in row.items() if name not in VOLATILE}
    text = json.dumps(kept, sort_keys=True, default=str)
    for name, known_as in names.items():
        text = text.replace(name, known_as)
    return text


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
