"""Resolve the errors that an edited record replaces, once a batch has taken that in (design 3.6)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyiceberg.expressions import (
    And,
    EqualTo,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThanOrEqual,
    NotNull,
    Reference,
)
from pyiceberg.expressions.literals import literal

from ledgerlake.ops.edit_lines import CHUNK, TABLES, Errors
from ledgerlake.ops.undelivered import Row
from ledgerlake.tables import append, snapshots
from ledgerlake.tables.definitions import PARSE_ERRORS
from ledgerlake.tables.lake import Lake

if TYPE_CHECKING:
    from pyiceberg.table import Table


def resolve(lake: Lake, topics: Iterable[str]) -> int:
    """Mark the topics' errors whose replacement has come to STANDARDIZED or parse_errors; returns how many.

    Where no edit is on its way this reads the errors tables' metadata only: no file without one is opened.
    """
    wanted = sorted(set(topics))
    return sum(_resolve(lake, table, topic, rows) for table in TABLES for topic, rows in _waiting(lake, table, wanted))


def _waiting(lake: Lake, table: Errors, topics: Sequence[str]) -> list[tuple[str, list[Row]]]:
    """The rows with an edit on its way, by topic, few at once."""
    found = lake.find(table.layer, table.table)
    if found is None or found.current_snapshot() is None or not topics:
        return []
    where = And(In(term="topic_name", literals=set(topics)), NotNull(term="replaced_by"), IsNull(term="resolved_by"))
    columns = ("topic_name", "message_id", "batch_id", "publish_time", "replaced_by")
    by_topic: dict[str, list[Row]] = defaultdict(list)
    for row in found.scan(row_filter=where, selected_fields=columns).to_arrow().to_pylist():
        by_topic[row["topic_name"]].append(row)
    return [(topic, rows[at : at + CHUNK]) for topic, rows in by_topic.items() for at in range(0, len(rows), CHUNK)]


def _resolve(lake: Lake, table: Errors, topic: str, rows: Sequence[Row]) -> int:
    taken = _taken_in(lake, topic, rows)
    if not taken:
        return 0
    now = datetime.now(UTC)
    originals = {row["message_id"] for row in rows if row["replaced_by"] in taken}
    where = And(
        EqualTo(term="topic_name", value=topic), In(term="message_id", literals=originals), NotNull(term="replaced_by")
    )

    def change(row: Row) -> Row:
        batch_id = taken.get(row["replaced_by"])
        return row | {"resolved_by": batch_id, "resolved_at": now} if batch_id and not row["resolved_by"] else row

    return append.amend(lake.load(table.layer, table.table), where, change)


def _taken_in(lake: Lake, topic: str, rows: Sequence[Row]) -> Mapping[str, str]:
    """The batch that took in each replacement that has come; one that failed to parse has come too, as an error."""
    standardized = lake.find("standardized", topic)
    if standardized is None:
        return {}
    errors = _batches(lake.load("standardized", PARSE_ERRORS), rows)
    committed = {entry.batch_id for entry in snapshots.entries(standardized)}
    return {
        **{message_id: batch_id for message_id, batch_id in errors.items() if batch_id in committed},
        **_batches(standardized, rows),
    }


def _batches(table: "Table", rows: Sequence[Row]) -> Mapping[str, str]:
    """Which batch brought the replacements that the table holds; it has their originals' publish_times."""
    if table.current_snapshot() is None:
        return {}
    times = [row["publish_time"] for row in rows]
    where = And(
        In(term="message_id", literals={row["replaced_by"] for row in rows}),
        GreaterThanOrEqual(term=Reference("publish_time"), value=literal(min(times))),
        LessThanOrEqual(term=Reference("publish_time"), value=literal(max(times))),
    )
    found = table.scan(row_filter=where, selected_fields=("message_id", "batch_id")).to_arrow().to_pylist()
    return {row["message_id"]: row["batch_id"] for row in found}
