"""New paths in a batch: who gets a column, in what order, and what is told of it (design 4.1)."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Row

from ledgerlake.jobs.drift_log import News
from ledgerlake.records.flatten import Layout, Owned, claim, discover
from ledgerlake.records.layout import Drift, Policy

# Far past any limit of columns: a payload keyed by ids brings a new path with every row.
MOST_PATHS = 20_000


@dataclass(frozen=True)
class FirstSeen:
    """A path's first occurrence in a batch, and its number of rows; `order` is that row's (publish_time, ingestion_ts,
    message_id).
    """

    pointer: str
    order: tuple[Any, ...]
    sample: str
    count: int

    @classmethod
    def read(cls, pointer: str, first: Row, count: int) -> "FirstSeen":
        """From the struct that transform.first_seen makes, and the number of rows beside it."""
        return cls(pointer, (first.published, first.ingested, first.message_id), first.sample, count)

    @property
    def message_id(self) -> str:
        """The message that brought it."""
        return str(self.order[-1])

    def news(self, change: str, column: str, detail: str | None = None) -> News:
        """What it makes known of its path, which has or asked for a column of that name."""
        return News(change, column, self.pointer, self.message_id, self.sample, self.count, detail)


@dataclass(frozen=True)
class Claims:
    """What became of a batch's new paths."""

    added: tuple[Owned, ...]
    news: tuple[News, ...]


def claims(
    layout: Layout,
    contract: Sequence[str],
    found: Iterable[FirstSeen],
    batch: DataFrame,
    limit: int,
    policy: Policy,
) -> Claims:
    """Decide who owns a column from now on; `batch` are RAW's rows that are no duplicates, `layout` the table's."""
    # A strict column's path is found twice: in the column that it gets, and in `rescued`. The earlier one is the first.
    seen = {first.pointer: first for first in sorted(found, key=lambda first: first.order, reverse=True)}
    ordered = _in_order(list(seen.values()), batch, layout.json_pointers)
    added, drifts = claim(layout, contract, [first.pointer for first in ordered], limit, policy)
    objects = {outer for owned in layout.columns for outer in outer_paths(owned.pointer)}
    return Claims(added, tuple(_news(drift, seen[drift.pointer], objects) for drift in drifts))


def outer_paths(pointer: str) -> Iterator[str]:
    """The paths that a path lies in."""
    while outer := pointer.rpartition("/")[0]:
        yield outer
        pointer = outer


def _news(drift: Drift, first: FirstSeen, objects: Collection[str]) -> News:
    detail = "an object before" if drift.pointer in objects else None
    return first.news(drift.change, drift.column, detail)


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
