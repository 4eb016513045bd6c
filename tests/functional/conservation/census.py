"""Where every message_id of a topic stands, read from the tables' rows (design 2)."""

from collections import Counter
from typing import Any

from conservation.model import Place
from conservation.pipeline import arrival
from lakehouse import Lakehouse
from pyiceberg.expressions import BooleanExpression, EqualTo
from pyiceberg.table import Table

from ledgerlake.tables import snapshots
from ledgerlake.tables.definitions import DLQ_ERRORS, ERRORS, PARSE_ERRORS
from ledgerlake.tables.lake import staging

CURRENT = -1
Places = dict[str, list[tuple[Place, int]]]


def census(house: Lakehouse, topic: str) -> Places:
    """Every row that makes a message_id stand somewhere, each with the copy of the message that it is.

    A message that stands nowhere has an empty list, one that stands twice has two entries.
    """
    lake, of_topic = house.lake, EqualTo(term="topic_name", value=topic)
    raw, standardized, curated = (
        lake.load("raw", staging(topic)),
        lake.load("standardized", topic),
        lake.load("curated", topic),
    )
    places: Places = {name: [] for name, _ in _copies(raw)}
    for row in _rows(lake.load("standardized", PARSE_ERRORS), of_topic):
        if row["batch_id"] in _batches(standardized):
            places.setdefault(row["message_id"], []).append((Place.PARSE_ERROR, arrival(row["ingestion_ts"])))
    current = Counter(_copies(curated))
    errors = Counter(
        row["message_id"] for row in _rows(lake.load("curated", ERRORS), of_topic) if _counts(row, curated)
    )
    judged = set(_copies(standardized, at=_source(curated)))
    for name, copy in _copies(standardized):
        found = [Place.CURATED] * current.pop((name, copy), 0) + [Place.ERROR] * errors.pop(name, 0)
        rest = Place.SUPERSEDED if (name, copy) in judged else Place.STANDARDIZED
        places.setdefault(name, []).extend((place, copy) for place in found or [rest])
    for name, copy in current:
        places.setdefault(name, []).append((Place.CURATED, copy))
    for name in errors:
        places.setdefault(name, []).append((Place.ERROR, -1))
    waiting = {name for name, _ in _copies(raw)} - {name for name, _ in _copies(raw, at=_source(standardized))}
    for name in waiting:
        places[name] = places[name] or [(Place.RAW, -1)]
    for name in dead_letters(house, topic):
        places[name] = places.get(name) or [(Place.DEAD_LETTER, -1)]
    return places


def dead_letters(house: Lakehouse, topic: str) -> list[str]:
    """The message_ids of the topic's open rows in `dlq_errors`, sorted."""
    rows = _rows(house.lake.load("raw", DLQ_ERRORS), EqualTo(term="topic_name", value=topic))
    return sorted(row["message_id"] for row in rows if row["resolved_by"] is None)


def _counts(error: dict[str, Any], curated: Table) -> bool:
    """Whether a row of `errors` is one: its batch is committed, and what marks it as resolved is not."""
    batches = _batches(curated)
    return error["reported_by"] in batches and error["resolved_by"] not in batches


def _batches(table: Table) -> set[str]:
    return {entry.batch_id for entry in snapshots.entries(table)}


def _source(table: Table) -> int | None:
    entry = snapshots.last_entry(table)
    return entry.source_snapshot_id if entry else None


def _copies(table: Table, at: int | None = CURRENT) -> list[tuple[str, int]]:
    """The rows by message_id and arrival, as of a snapshot; None is the table's beginning."""
    if at is None:
        return []
    chosen = None if at == CURRENT else at
    rows = table.scan(selected_fields=("message_id", "ingestion_ts"), snapshot_id=chosen).to_arrow().to_pylist()
    return [(row["message_id"], arrival(row["ingestion_ts"])) for row in rows]


def _rows(table: Table, where: BooleanExpression) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.scan(where).to_arrow().to_pylist()
    return rows
