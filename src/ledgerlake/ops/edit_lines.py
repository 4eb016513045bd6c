"""Failed records as lines of a file that a person may edit: written by an export, read again by an import."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pyiceberg.expressions import (
    And,
    BooleanExpression,
    EqualTo,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Reference,
)
from pyiceberg.expressions.literals import literal

from ledgerlake.errors import TerminalError
from ledgerlake.ops import redrive
from ledgerlake.ops.undelivered import PLACES, Place, Row
from ledgerlake.records.envelope import BrokenEnvelope
from ledgerlake.tables.definitions import ERRORS, PARSE_ERRORS, Layer
from ledgerlake.tables.lake import Lake, staging

# Few enough for Iceberg to leave out files by the ids' bounds, and for their payloads to be in memory together.
CHUNK = 200
PROBLEMS_TOLD = 20

Line = Mapping[str, Any]
"""One record of the file. `payload` (`body`, where the whole envelope is) is for editing; the rest says whose it is."""


class BadEdits(TerminalError):
    """Lines of an edited file cannot be used. Nothing was sent."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        more = len(problems) - PROBLEMS_TOLD
        rest = [f"… and {more} more"] if more > 0 else []
        told = [f"{len(problems)} line(s) cannot be used, nothing was sent:", *problems[:PROBLEMS_TOLD], *rest]
        super().__init__("\n".join(told))


@dataclass(frozen=True)
class Errors:
    """A table of messages that failed after RAW, with its column that says why."""

    layer: Layer
    table: str
    reason: Callable[[Row], str]

    @property
    def name(self) -> str:
        """The table as people write it."""
        return f"{self.layer}.{self.table}"


def _violations(row: Row) -> str:
    told = (f"{one['kind']} {one['column'] or ''} {one['rule'] or ''}".split() for one in row["violations"] or ())
    return "; ".join(" ".join(words) for words in told)


TABLES = (
    Errors("standardized", PARSE_ERRORS, lambda row: f"{row['error_code']}: {row['error_message']}"),
    Errors("curated", ERRORS, _violations),
)

NAMES = (*(table.name for table in TABLES), *(f"raw.{place.table}" for place in PLACES))
"""All places that records are exported from, as people write them."""


@dataclass(frozen=True)
class Selection:
    """Which open records of a topic: all that match. Times bound when they failed; `limit` takes so many."""

    topic: str
    places: Sequence[str] = ()
    message_ids: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Edit:
    """A changed line: where it was, whose record it is, and its new text."""

    number: int
    place: str
    topic: str
    key: str
    message_id: str | None
    text: str

    def problem(self, words: str) -> str:
        """What is wrong with it, as a person finds it."""
        return f"line {self.number} ({self.message_id or self.key}): {words}"


def export(lake: Lake, selection: Selection) -> Iterator[Line]:
    """The open records that are selected, one line each; one with an edit on its way is not open."""
    return islice(_export(lake, selection), selection.limit)


def read(lines: Iterable[str]) -> tuple[list[Edit], int]:
    """The changed lines of an edited file, and how many are unchanged. Raises BadEdits."""
    edits: list[Edit] = []
    problems: list[str] = []
    unchanged = 0
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            edit, changed = _read(number, text)
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"line {number}: not a line of an export: {type(error).__name__} {error}")
            continue
        if changed:
            edits.append(edit)
        unchanged += not changed
    if problems:
        raise BadEdits(problems)
    return edits, unchanged


def _export(lake: Lake, selection: Selection) -> Iterator[Line]:
    for table in TABLES:
        if not selection.places or table.name in selection.places:
            for rows in _open_rows(lake, table, selection):
                payloads = _payloads(lake, table, rows)
                yield from (_line(table, row, payloads.get(key_of(row))) for row in rows)
    chosen = redrive.Selection(
        topics=[selection.topic], message_ids=selection.message_ids, since=selection.since, until=selection.until
    )
    for place in PLACES:
        if not selection.places or f"raw.{place.table}" in selection.places:
            for chunk in redrive.chunks(redrive.find(lake, chosen, [place])):
                yield from (_undelivered_line(place, row) for row in redrive.rows(lake, chunk))


def _open_rows(lake: Lake, table: Errors, selection: Selection) -> Iterator[list[Row]]:
    found = lake.find(table.layer, table.table)
    if found is None or found.current_snapshot() is None:
        return
    where: BooleanExpression = And(
        EqualTo(term="topic_name", value=selection.topic), IsNull(term="resolved_by"), IsNull(term="replaced_by")
    )
    if selection.message_ids:
        where = And(where, In(term="message_id", literals=set(selection.message_ids)))
    if selection.since:
        where = And(where, GreaterThanOrEqual(term=Reference("failed_at"), value=literal(selection.since)))
    if selection.until:
        where = And(where, LessThan(term=Reference("failed_at"), value=literal(selection.until)))
    for batch in found.scan(row_filter=where).to_arrow_batch_reader():
        for start in range(0, len(batch), CHUNK):
            yield batch.slice(start, CHUNK).to_pylist()


def _payloads(lake: Lake, table: Errors, rows: Sequence[Row]) -> dict[str, str]:
    """Each row's payload as it was sent, by key."""
    if table.table == PARSE_ERRORS:
        return {key_of(row): row["json_payload"] for row in rows}
    found = originals(lake, rows[0]["topic_name"], rows) if rows else {}
    return {key: row["json_payload"] for key, row in found.items()}


def originals(lake: Lake, topic: str, rows: Sequence[Row]) -> dict[str, Row]:
    """The RAW row of each error row, by the error row's key: of copies, the one that came first (design 4.2)."""
    times = [row["publish_time"] for row in rows]
    where = And(
        In(term="message_id", literals={row["message_id"] for row in rows}),
        GreaterThanOrEqual(term=Reference("publish_time"), value=literal(min(times))),
        LessThanOrEqual(term=Reference("publish_time"), value=literal(max(times))),
    )
    found: dict[tuple[str, datetime], Row] = {}
    for raw in lake.load("raw", staging(topic)).scan(row_filter=where).to_arrow().to_pylist():
        name = raw["message_id"], raw["publish_time"]
        if name not in found or _order(raw) < _order(found[name]):
            found[name] = raw
    named = ((key_of(row), (row["message_id"], row["publish_time"])) for row in rows)
    return {key: found[name] for key, name in named if name in found}


def _order(raw: Row) -> tuple[Any, ...]:
    digest = hashlib.sha256(raw["json_payload"].encode()).hexdigest()
    return raw["ingestion_ts"], raw["source"] or "", digest, raw["idempotency_key"] or "", raw["attributes"] or ""


def key_of(row: Row) -> str:
    """What names an error row: beyond the look-up's window a message_id may stand in two batches."""
    return f"{row['batch_id']}/{row['message_id']}"


def _line(table: Errors, row: Row, payload: str | None) -> Line:
    gone = "" if payload is not None else "; RAW no longer holds it"
    payload = payload or ""
    return {
        "place": table.name,
        "topic": row["topic_name"],
        "key": key_of(row),
        "message_id": row["message_id"],
        "failed_at": iso(row["failed_at"]),
        "reason": table.reason(row) + gone,
        "sha256": _digest(payload),
        "payload": payload,
    }


def _undelivered_line(place: Place, row: Row) -> Line:
    try:
        body = place.letter(row).body
    except BrokenEnvelope:
        body = row[place.text] or ""
    return {
        "place": f"raw.{place.table}",
        "topic": row["topic_name"],
        "key": place.key(row),
        "message_id": row["message_id"],
        "failed_at": iso(row[place.time]),
        "reason": ": ".join(filter(None, (row["error_code"], row.get("reason") or row.get("error_message")))),
        "sha256": _digest(body),
        "body": body,
    }


def iso(time: datetime | None) -> str | None:
    """A time as envelopes and exports have it."""
    return time.astimezone(UTC).isoformat() if time else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(number: int, text: str) -> tuple[Edit, bool]:
    line = json.loads(text)
    new = line["payload"] if "payload" in line else line["body"]
    if not isinstance(new, str):
        raise TypeError("payload and body are strings: the JSON text itself")
    if line["place"] not in NAMES:
        raise ValueError(f"no such place {line['place']!r}; there are {', '.join(NAMES)}")
    edit = Edit(number, line["place"], str(line["topic"]), str(line["key"]), line["message_id"], new)
    return edit, _digest(new) != line["sha256"]
