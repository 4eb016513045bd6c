"""A file of sample records as the payloads they would be: read as a stream, the first records only."""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Final, cast

from ledgerlake.errors import TerminalError
from ledgerlake.ops import split
from ledgerlake.ops.ingest import Refused, chunks
from ledgerlake.records.document import Defect, encode, parse

MAX_RECORDS: Final = 10_000
MAX_BYTES: Final = 64 * 1024 * 1024
"""How much of a file is looked at, whichever comes first."""
SUFFIXES: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")

_LINE_END: Final = re.compile(rb"[\r\n]")
_SEPARATORS: Final = ",;\t|"


class BadSample(TerminalError):
    """A sample that cannot be read; the message names the file, the place and what to do."""


@dataclass(frozen=True)
class Sample:
    """The first records of a file, each as the JSON text of an object on one line.

    `untyped`: the file held texts only; `more`: it holds further records; `inner`: the file is one record, and this
    member of it is a list of objects.
    """

    payloads: tuple[str, ...]
    untyped: bool
    more: bool
    inner: str | None = None


def read(file: Path) -> Sample:
    """The records of a .jsonl, .json (lines, a list, or objects one after another), .csv or .tsv file, also .gz.

    Raises BadSample with the line or record that cannot be used.
    """
    kind = file.name.lower().removesuffix(".gz")
    if not kind.endswith(SUFFIXES):
        raise BadSample(f"{file} is no sample: give one of {', '.join(SUFFIXES)}, each also as .gz")
    untyped = kind.endswith((".csv", ".tsv"))
    try:
        with file.open("rb") as packed:
            gz = file.name.lower().endswith(".gz")
            body = cast("IO[bytes]", gzip.GzipFile(fileobj=packed)) if gz else packed
            records = _rows(body, file) if untyped else _documents(body, file, kind)
            payloads = tuple(_first(records))
            more = next(records, None) is not None
    except (gzip.BadGzipFile, EOFError, zlib.error, Refused) as error:
        raise BadSample(f"{file} cannot be unpacked to its end: copy it anew, or give it unpacked") from error
    except OSError as error:
        raise BadSample(f"{file} cannot be read: {error.strerror or error}") from error
    if not payloads:
        raise BadSample(f"{file} holds no records: give a file with some, or scaffold without a sample")
    return Sample(payloads, untyped, more, None if more or len(payloads) > 1 else _inner(payloads[0]))


def _first(records: Iterator[str]) -> Iterator[str]:
    size = 0
    for payload in islice(records, MAX_RECORDS):
        yield payload
        size += len(payload)
        if size >= MAX_BYTES:
            return


def _inner(payload: str) -> str | None:
    """The member of a lone record that is a list of objects: perhaps those are the records."""
    for name, value in parse(payload.encode()).items():
        if isinstance(value, list) and len(value) > 1 and all(isinstance(item, dict) for item in value):
            return name
    return None


def _documents(body: IO[bytes], file: Path, kind: str) -> Iterator[str]:
    """JSON objects, read as a file that is dropped into the landing bucket is."""
    word, splitter = ("record", split.json_file) if kind.endswith(".json") else ("line", split.lines)
    for record in splitter(chunks(body, kind)):
        where = f"{word} {record.number} of {file}"
        if not record.is_whole:
            limit = f"a message holds at most {split.MAX_RECORD_BYTES:,}"
            raise BadSample(f"{where} has {record.size:,} bytes, {limit}: write the records one a line")
        try:
            fields = parse(record.data)
        except Defect as defect:
            raise BadSample(f"{where} is no record: {defect.message}; a record is one JSON object") from defect
        yield (encode(fields) if _LINE_END.search(record.data) else record.data).decode()


def _rows(body: IO[bytes], file: Path) -> Iterator[str]:
    """The rows of a CSV file as JSON objects of texts, named by its first line; an empty cell is an empty text, one
    that a short row lacks is left out.
    """
    lines = _lines(body, file)
    first = next(lines, "")
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(_again(first, lines), delimiter=separator, strict=True)
    try:
        header = next(reader, [])
        _require_names(header, file)
        for row in reader:
            if len(row) > len(header):
                cells = f"{len(row)} cells, the first line has {len(header)} names"
                raise BadSample(f"line {reader.line_num} of {file} has {cells}: correct it, or quote its separators")
            if row:
                yield json.dumps(dict(zip(header, row, strict=False)), ensure_ascii=False)
    except csv.Error as error:
        raise BadSample(f"line {reader.line_num} of {file} is no CSV: {error}") from error


def _again(first: str, lines: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from lines


def _lines(body: IO[bytes], file: Path) -> Iterator[str]:
    """A text file's lines with their ends, none of them longer than a message may be."""
    limit = split.MAX_RECORD_BYTES
    for number, line in enumerate(iter(lambda: body.readline(limit + 1), b""), 1):
        if len(line) > limit:
            raise BadSample(f"line {number} of {file} has more than {limit:,} bytes, which is all that a message holds")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise BadSample(f"line {number} of {file} is not UTF-8: save it as UTF-8") from error


def _require_names(header: list[str], file: Path) -> None:
    """The first line names the columns: each has a name, once, and none is a number."""
    for at, name in enumerate(header, 1):
        if not name.strip():
            raise BadSample(f"column {at} of {file} has no name: the first line names the columns")
        if name.replace(".", "").replace("-", "").isdecimal():
            raise BadSample(f"{file} begins with data ({name!r}): its first line has to name the columns")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise BadSample(f"{file} names the column {twice[0]!r} twice: give each a name of its own")
