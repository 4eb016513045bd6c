"""What sample records hold, path by path: by the flatten that the pipeline uses, never by another parser."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.contracts.sources import Path
from ledgerlake.records import paths
from ledgerlake.records.casts import is_blank
from ledgerlake.records.document import parse
from ledgerlake.records.flatten import discover, flatten
from ledgerlake.records.layout import Layout, Owned

Kind = Literal["string", "number", "boolean", "array", "object"]

MAX_FIELDS: Final = 400
"""Paths that a proposal looks at: more would be no contract that a person reads."""
MAP_KEYS: Final = 20
"""An object with at least so many different keys may be a map from data to data."""
MAP_PRESENCE: Final = 0.2
"""… and is one when a record that has it holds less than this part of them."""

WHITE_SPACE: Final = " \t\n\r\x0b\x0c"
"""What a contract's `trim` takes away at both ends."""
_KINDS: Final[dict[str, Kind]] = {'"': "string", "[": "array", "{": "object", "t": "boolean", "f": "boolean"}


@dataclass(frozen=True)
class Field:
    """One path of the records: its text in each (NULL where it is absent or null), and the JSON kinds of its values."""

    path: Path
    texts: pa.StringArray
    kinds: frozenset[Kind]

    @property
    def records(self) -> int:
        """How many records there are, with the field or without."""
        return len(self.texts)

    @cached_property
    def blank(self) -> int:
        """How many records hold a text of nothing but white space."""
        return int(is_blank(self.texts).true_count)

    @property
    def present(self) -> int:
        """How many records hold a value that is not blank."""
        return len(self.texts) - int(self.texts.null_count) - self.blank

    @property
    def everywhere(self) -> bool:
        """Whether every record holds a value."""
        return self.present == self.records

    @cached_property
    def values(self) -> tuple[str, ...]:
        """The different texts that are not blank, in order of their first occurrence."""
        different = pc.unique(self.texts)
        return tuple(different.filter(pc.fill_null(pc.invert(is_blank(different)), False)).to_pylist())

    @cached_property
    def padded(self) -> bool:
        """Whether a text has white space around it, or is nothing else."""
        return any(text != text.strip(WHITE_SPACE) for text in pc.unique(self.texts).to_pylist() if text)

    @property
    def is_json(self) -> bool:
        """Whether its values are arrays or objects, at least at times."""
        return bool(self.kinds & {"array", "object"})


@dataclass(frozen=True)
class Profile:
    """The records' fields in document order; `nulls` are paths that are null wherever they are, and `left_out` is how
    many fields there are beyond MAX_FIELDS.
    """

    fields: tuple[Field, ...]
    nulls: tuple[Path, ...]
    left_out: int


def profile(payloads: Sequence[str]) -> Profile:
    """The fields of JSON objects.

    A path that holds objects at times and other values at others is one field, and so is an object whose keys are data.
    """
    texts = pa.array(payloads, pa.string())
    pointers = discover(texts)
    leaves = _flat(texts, pointers)
    maps = frozenset(_maps(leaves))
    objects = {parent for pointer in pointers for parent in _parents(pointer)}
    both = objects & leaves.keys()
    empty = {pointer for pointer in both if pc.unique(leaves[pointer].drop_null()).to_pylist() == ["{}"]} - maps
    whole = maps | (both - empty)
    kept = list(dict.fromkeys(_outermost(pointer, whole) for pointer in pointers if pointer not in empty))
    shown = kept[:MAX_FIELDS]
    read, written = _flat(texts, shown, whole), _flat(texts, shown, shown)
    fields = tuple(Field(paths.segments(pointer), read[pointer], _kinds(written[pointer])) for pointer in shown)
    nulls = dict.fromkeys(path for payload in payloads for path in _nulls(parse(payload.encode())))
    known = objects | leaves.keys()
    never = (path for path in nulls if known.isdisjoint((place := paths.pointer(path), _outermost(place, whole))))
    return Profile(fields, tuple(never), len(kept) - len(shown))


def _nulls(document: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    for key, value in document.items():
        if value is None:
            yield (*path, key)
        elif isinstance(value, dict):
            yield from _nulls(value, (*path, key))


def _flat(payloads: pa.StringArray, pointers: Sequence[str], whole: Iterable[str] = ()) -> dict[str, pa.StringArray]:
    """Each path's text in each record; the whole value as JSON for those of `whole`."""
    rows = flatten(payloads, Layout(tuple(Owned(pointer, pointer) for pointer in pointers), frozenset(whole)))
    return {pointer: rows.column(at) for at, pointer in enumerate(pointers)}


def _kinds(written: pa.StringArray) -> frozenset[Kind]:
    """The JSON kinds of values that are written as JSON."""
    first = pc.unique(pc.utf8_slice_codeunits(written.drop_null(), 0, 1)).to_pylist()
    return frozenset(_KINDS.get(character, "number") for character in first)


def _parents(pointer: str) -> Iterator[str]:
    """The pointers of the objects that a path lies in, the outermost first."""
    *parts, _ = pointer.split("/")[1:]
    return accumulate(f"/{part}" for part in parts)


def _outermost(pointer: str, whole: Iterable[str]) -> str:
    return next((parent for parent in _parents(pointer) if parent in whole), pointer)


def _maps(leaves: Mapping[str, pa.StringArray]) -> Iterator[str]:
    """The objects whose keys are data: many different ones, few of them in each record."""
    held: dict[str, pa.BooleanArray] = {}
    children: dict[str, set[str]] = {}
    for pointer, texts in leaves.items():
        places = [*_parents(pointer), pointer]
        for place in places:
            held[place] = pc.or_(held[place], texts.is_valid()) if place in held else texts.is_valid()
        for parent, child in pairwise(places):
            children.setdefault(parent, set()).add(child)
    for parent, keys in children.items():
        found = sum(held[key].true_count for key in keys)
        if len(keys) >= MAP_KEYS and found < MAP_PRESENCE * len(keys) * held[parent].true_count:
            yield parent
