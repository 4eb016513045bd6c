"""Split a landed file into its records while it streams by: memory is bounded by one record, never by the file."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import msgspec

# SQS's limit for a message: a longer record cannot become one, so no more than this of it is kept.
MAX_RECORD_BYTES = 1024 * 1024

# What lies between two marks of the structure, whole strings included; inside a value only brackets are marks. The
# quantifiers are possessive: nothing is tried twice, and nothing is remembered for it.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BETWEEN_BRACKETS = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+", re.DOTALL)
_BETWEEN_RECORDS = re.compile(rb'(?:[^"\[\]{},\n]++|' + _STRING + rb")*+", re.DOTALL)
_STRING_END = re.compile(rb'["\\]')
_WHITE_SPACE = b" \t\r\n"


@dataclass(frozen=True)
class Record:
    """One record of a file: its number (line, or position in a JSON document; from 1), its bytes and its whole size.

    `data` ends after MAX_RECORD_BYTES; `size` tells when that cut something off.
    """

    number: int
    data: bytes
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether `data` is the record and not only its beginning."""
        return len(self.data) == self.size


def lines(chunks: Iterable[bytes]) -> Iterator[Record]:
    """Yield a file's lines, without their line ends; blank lines are no records but count in the numbers."""
    piece = _Piece()
    number = 0
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            piece.add(part)
            number += 1
            yield from piece.take(number, b"\r")
        piece.add(rest)
    yield from piece.take(number + 1, b"\r")


def document(chunks: Iterable[bytes]) -> Iterator[Record]:
    """Yield the elements of a top-level array, or the top-level values that follow one another.

    Text that is no JSON is never dropped: from where it is broken to where its brackets close again (at worst the
    end) it is one record.
    """
    splitter = _DocumentSplitter()
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.finish()


def json_file(chunks: Iterable[bytes]) -> Iterator[Record]:
    """Yield the records of a .json file: lines when its first line is an object by itself, else a JSON document."""
    stream = iter(chunks)
    head: list[bytes] = []
    size = 0
    for chunk in stream:
        head.append(chunk)
        size += len(chunk)
        if b"\n" in chunk.lstrip(_WHITE_SPACE) or size > MAX_RECORD_BYTES:
            break
    first_line = b"".join(head).lstrip(_WHITE_SPACE).partition(b"\n")[0]
    whole = chain(head, stream)
    return lines(whole) if _is_object(first_line) else document(whole)


def _is_object(text: bytes) -> bool:
    if not text.startswith(b"{"):
        return False
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class _Piece:
    """The record being read: what is kept of it, and how long it is."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._size = 0

    def add(self, part: bytes) -> None:
        self._size += len(part)
        room = MAX_RECORD_BYTES - len(self._data)
        if room > 0:
            self._data += part[:room]

    def take(self, number: int, around: bytes) -> Iterator[Record]:
        """Yield the record without what surrounds it, unless it is blank, and begin the next."""
        data, size = bytes(self._data), self._size
        self._data, self._size = bytearray(), 0
        if len(data) == size:
            data = data.strip(around)
            size = len(data)
        if data.strip(_WHITE_SPACE) or size > len(data):
            yield Record(number, data, size)


class _DocumentSplitter:
    """Finds the ends of values by brackets and strings alone; whether they are JSON is standardize's question."""

    def __init__(self) -> None:
        self._piece = _Piece()
        self._number = 0
        self._depth = 0
        self._base = 0  # 1 inside a top-level array: its elements are the records
        self._begun = False
        self._in_string = False
        self._escaped = False

    def feed(self, chunk: bytes) -> Iterator[Record]:
        if not self._begun:
            chunk = chunk.lstrip(_WHITE_SPACE)
            if not chunk:
                return
            self._begun = True
            if chunk.startswith(b"["):
                self._base = self._depth = 1
                chunk = chunk[1:]
        kept = at = 0
        while True:
            if self._in_string:
                at = self._skip_string(chunk, at)
                if self._in_string:
                    break
            mark = self._next_mark(chunk, at)
            if mark == len(chunk):
                break
            at = mark + 1
            end = self._step(chunk[mark:at], at)
            if end is not None:
                self._piece.add(chunk[kept:end])
                kept = at
                yield from self._next()
        self._piece.add(chunk[kept:])

    def finish(self) -> Iterator[Record]:
        yield from self._next()

    def _next(self) -> Iterator[Record]:
        for record in self._piece.take(self._number + 1, _WHITE_SPACE):
            self._number += 1
            yield record

    def _next_mark(self, chunk: bytes, at: int) -> int:
        between = _BETWEEN_RECORDS if self._depth == self._base else _BETWEEN_BRACKETS
        found = between.match(chunk, at)
        return found.end() if found else at

    def _skip_string(self, chunk: bytes, at: int) -> int:
        """Return the position after the string's end; the string stays open when the chunk ends first."""
        while True:
            if self._escaped and at < len(chunk):
                self._escaped = False
                at += 1
            found = _STRING_END.search(chunk, at)
            if found is None:
                return len(chunk)
            at = found.end()
            if found.group() == b'"':
                self._in_string = False
                return at
            self._escaped = True

    def _step(self, token: bytes, at: int) -> int | None:
        """Take one structural byte, the one before `at`; return where the record ends when it does."""
        if token == b'"':
            self._in_string = True
        elif token in b"{[":
            self._depth += 1
        elif token in b"}]":
            return self._close(token, at)
        elif self._depth == self._base and token == (b"," if self._base else b"\n"):
            return at - 1
        return None

    def _close(self, token: bytes, at: int) -> int | None:
        if self._base and self._depth == 1 and token == b"]":
            self._base = self._depth = 0  # the array is done; whatever follows it is a record of its own
            return at - 1
        self._depth = max(self._base, self._depth - 1)
        return at if self._base == 0 and self._depth == 0 else None
