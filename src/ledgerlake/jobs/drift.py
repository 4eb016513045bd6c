"""New paths in a batch: who gets a column, in what order, and what is logged of it (design 4.1)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyiceberg.expressions import EqualTo
from pyspark.sql import DataFrame, Row

from ledgerlake.records.flatten import Layout, Owned, claim, discover
from ledgerlake.records.layout import Drift
from ledgerlake.tables import append
from ledgerlake.tables.definitions import DRIFT_LOG
from ledgerlake.tables.lake import Lake

# Far past any limit of columns: a payload keyed by ids brings a new path with every row.
MOST_PATHS = 20_000
MOST_LOGGED = 1_000


@dataclass(frozen=True)
class FirstSeen:
    """A path's first occurrence in a batch; `order` is that row's (publish_time, ingestion_ts, message_id)."""

    pointer: str
    order: tuple[Any, ...]
    sample: str

    @classmethod
    def read(cls, pointer: str, first: Row) -> "FirstSeen":
        """From the struct that transform.first_seen makes."""
        return cls(pointer, (first.published, first.ingested, first.message_id), first.sample)

    @property
    def message_id(self) -> str:
        """The message that brought it."""
        return str(self.order[-1])


@dataclass(frozen=True)
class Claims:
    """What became of a batch's new paths."""

    added: tuple[Owned, ...]
    drifts: tuple[Drift, ...]
    seen: Mapping[str, FirstSeen]


def claims(layout: Layout, contract: Sequence[str], found: Iterable[FirstSeen], batch: DataFrame, limit: int) -> Claims:
    """Decide who owns a column from now on; `batch` are RAW's rows that are no duplicates, `layout` the table's."""
    seen = {first.pointer: first for first in found}
    ordered = _in_order(list(seen.values()), batch, layout.json_pointers)
    added, drifts = claim(layout, contract, [first.pointer for first in ordered], limit)
    return Claims(added, drifts, seen)


def _in_order(found: list[FirstSeen], batch: DataFrame, json_pointers: frozenset[str]) -> list[FirstSeen]:
    """By (publish_time, ingestion_ts, message_id), and within one message by document order."""
    times = Counter(first.message_id for first in found)
    together = [message_id for message_id, count in times.items() if count > 1]
    places = _document_order(together, batch, json_pointers)
    return sorted(found, key=lambda first: (*first.order, places.get((first.message_id, first.pointer), 0)))


def _document_order(
    message_ids: Sequence[str], batch: DataFrame, json_pointers: frozenset[str]
) -> dict[tuple[str, str], int]:
    """The place of each path in these messages' payloads; one payload at a time is held."""
    places: dict[tuple[str, str], int] = {}
    if not message_ids:
        return places
    payloads = batch.select("message_id", "json_payload").where(batch["message_id"].isin(list(message_ids)))
    for row in payloads.toLocalIterator():
        paths = discover(pa.array([row.json_payload], pa.string()), json_pointers)
        places |= {(row.message_id, pointer): place for place, pointer in enumerate(paths)}
    return places


def log(lake: Lake, topic: str, batch_id: str, found: Claims) -> None:
    """Write the batch's drift to ops.drift_log; collisions and limits that an earlier batch logged are not news."""
    table = lake.load("ops", DRIFT_LOG)
    known = table.scan(
        row_filter=EqualTo(term="topic_name", value=topic), selected_fields=("change", "path")
    ).to_arrow()
    logged = set(zip(known["change"].to_pylist(), known["path"].to_pylist(), strict=True))
    news = [drift for drift in found.drifts if (drift.change, drift.pointer) not in logged]
    now = datetime.now(UTC)
    rows = [
        {
            "topic_name": topic,
            "change": drift.change,
            "column_name": drift.column,
            "path": drift.pointer,
            "message_id": found.seen[drift.pointer].message_id,
            "sample": found.seen[drift.pointer].sample,
            "batch_id": batch_id,
            "seen_at": now,
        }
        for drift in news[:MOST_LOGGED]
    ]
    append.append(table, rows)
