"""Failed records one by one, into a file: CSV that a spreadsheet may open, or JSON lines that hold all there is.

JSON lines are exact: a line is the table's row, whatever it holds, after its `place` and `kind`. CSV is for people: an
apostrophe stands before what a spreadsheet would take for a formula (OWASP, CSV injection), and a cell longer than one
may be is cut, with a note at its end.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

from ledgerlake.errors import TerminalError
from ledgerlake.ops.errors_view import PLACES, Place, Selection
from ledgerlake.ops.judgement import violation_text
from ledgerlake.tables.definitions import ERRORS
from ledgerlake.tables.lake import Lake
from ledgerlake.tables.lookup import stream

Record = dict[str, Any]
"""A row of a table of failures, by column, with its `place` and `kind`."""

COLUMNS: Final = (
    *("topic_name", "kind", "failed_at", "reason", "message_id", "idempotency_key", "publish_time", "error_code"),
    *("record", "violations", "attributes", "contract_version", "batch_id", "reported_by", "queue", "receive_count"),
    *("sent_at", "attempts", "object_key", "ingestion_ts", "resolved_by", "resolved_at", "replaced_by", "place"),
)
"""The CSV's columns: what the four tables call differently stands under one name."""
_SAME = {
    "drained_at": "failed_at",
    "error_message": "reason",
    "body": "record",
    "json_payload": "record",
}

# Excel cuts a longer cell without a word, or lets it run over into the next rows.
CELL_CHARACTERS: Final = 32_767
# The last four are the wide forms of the first, which some programs take for them.
_SIGNS: Final = "=+@\uff1d\uff0b\uff0d\uff20-"
_UNSAFE_START: Final = (*_SIGNS, "\t", "\r", "\n", "'")
# Where a spreadsheet that is set to another separator than the comma would begin a cell, in quotes or not.
_INNER_START: Final = re.compile(rf'([;\t\r\n]["\s]*)(?=[{_SIGNS}])')
# JSON allows them in a string, but what reads lines may end one there.
_LINE_ENDS: Final = {ord(c): f"\\u{ord(c):04x}" for c in "\u0085\u2028\u2029"}


class UnknownFormat(TerminalError):
    """A file to export to is named neither .csv nor .jsonl."""


@dataclass
class Exported:
    """What an export wrote: records, and how many cells of them were too long for a spreadsheet."""

    records: int = 0
    cut_cells: int = 0


def records(lake: Lake, selection: Selection) -> Iterator[Record]:
    """The selected records with all their columns, one table after the other; one data file at a time is in memory."""
    for place in PLACES:
        table = place.find(lake, selection)
        if table is None:
            continue
        for batch in stream(table, selection.where(place.time), table.schema().column_names):
            for row in batch.to_pylist():
                if kinds := _kinds(place, row, selection):
                    yield {"place": str(place), "kind": ", ".join(kinds), **row}


def export(lake: Lake, selection: Selection, file: Path, seen: Callable[[int], object] = lambda _: None) -> Exported:
    """Write the selected records to a .csv or .jsonl file; it is there once it is whole. Raises UnknownFormat."""
    writers = {".csv": _write_csv, ".jsonl": _write_jsonl}
    if file.suffix.lower() not in writers:
        raise UnknownFormat(f"{file.name}: name it .csv (for a spreadsheet) or .jsonl (exact, for programs)")
    done = Exported()

    def counted() -> Iterator[Record]:
        for record in records(lake, selection):
            done.records += 1
            seen(1)
            yield record

    with _whole(file) as out:
        writers[file.suffix.lower()](out, counted(), done)
    return done


def line(record: Record) -> str:
    """A record as one line of JSON: exact, times in ISO 8601 UTC to the microsecond."""
    return json.dumps(record, ensure_ascii=False, default=_iso).translate(_LINE_ENDS)


def cells(record: Record) -> tuple[list[str], int]:
    """A record as the cells of a CSV row, and how many of them had to be cut."""
    named = {_SAME.get(name, name): value for name, value in record.items()}
    if violations := record.get("violations"):
        named["reason"] = "; ".join(violation_text(violation) for violation in violations)
    texts = [_text(named.get(name)) for name in COLUMNS]
    told = [_fitting(_harmless(text)) for text in texts]
    return told, sum(_harmless(text) != cell for text, cell in zip(texts, told, strict=True))


def _kinds(place: Place, row: Mapping[str, Any], selection: Selection) -> list[str]:
    """The kinds of failure of a row; none when it is not asked for."""
    if place.table != ERRORS:
        return list(place.kinds)
    violations = row["violations"] or []
    if not any(selection.wants(v["kind"], v["column"], v["rule"]) for v in violations):
        return []
    found = {violation["kind"] for violation in violations}
    return [kind for kind in place.kinds if kind in found]


def _write_csv(out: IO[str], found: Iterator[Record], done: Exported) -> None:
    # Excel takes a CSV without the mark for one of an old code page.
    out.write("\ufeff")
    writer = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for record in found:
        row, cut = cells(record)
        done.cut_cells += cut
        writer.writerow(row)


def _write_jsonl(out: IO[str], found: Iterator[Record], _: Exported) -> None:
    out.writelines(line(record) + "\n" for record in found)


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return _iso(value) if isinstance(value, datetime) else json.dumps(value, ensure_ascii=False)


def _harmless(text: str) -> str:
    inner = _INNER_START.sub(r"\1'", text)
    return f"'{inner}" if text.startswith(_UNSAFE_START) else inner


def _fitting(text: str) -> str:
    """A cell that a spreadsheet holds whole: it counts in UTF-16, where some characters are two."""
    units = len(text.encode("utf-16-le")) // 2
    if units <= CELL_CHARACTERS:
        return text
    note = f" … [cut: {len(text):,} characters; a .jsonl export has them all]"
    kept = text.encode("utf-16-le")[: 2 * (CELL_CHARACTERS - len(note))].decode("utf-16-le", "ignore")
    return kept + note


def _iso(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@contextmanager
def _whole(file: Path) -> Iterator[IO[str]]:
    """A file that takes its name once it is written: an export that fails leaves what was there."""
    unfinished = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as out:
            yield out
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
