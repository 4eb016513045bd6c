"""What identifies a record: a field, or a few together, whose values differ in every sampled one."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from ledgerlake.contracts.sources import Path
from ledgerlake.inference import names
from ledgerlake.inference.profile import Field
from ledgerlake.inference.types import Typed

ENOUGH: Final = 20
"""Records from which on differing values are evidence by themselves."""
MOST_PARTS: Final = 3
MOST_CANDIDATES: Final = 10
LONGEST: Final = 100
"""Characters of a value that may still be a key."""

_KINDS: Final = frozenset({"string", "int", "bigint", "date", "timestamp"})


@dataclass(frozen=True)
class Key:
    """The proposed idempotency key: its paths (none: the messages have to bring it), and why."""

    paths: tuple[Path, ...]
    why: str
    certain: bool = False


def key(fields: Sequence[Field], types: Mapping[Path, Typed], personal: Set[Path] = frozenset()) -> Key:
    """The key that the fields propose: named like an id and unique, else a unique one, else two or three together.

    Copies of whole records do not count against a key. Fields with long texts, fractions or missing values are none,
    and `personal` ones only where they are named like an id.
    """
    able = [field for field in fields if field.everywhere and _able(field, types[field.path])]
    everything = len(set(zip(*(field.texts.to_pylist() for field in fields), strict=True)))
    for field in sorted((field for field in able if _rank(field) is not None), key=_order):
        if len(field.values) == everything:
            return Key((field.path,), f"named like an id, and different in {_all(everything)}", certain=True)
    if everything < ENOUGH:
        named = [field for field in able if _rank(field) == 0]
        if named:
            return Key((named[0].path,), "named like an id; of records with the same one the latest counts")
        return Key((), f"no field is named like an id, and {everything} records are too few to tell by their values")
    for parts in _combinations([field for field in able if field.path not in personal], types):
        if len(set(zip(*(part.texts.to_pylist() for part in parts), strict=True))) == everything:
            return Key(tuple(part.path for part in parts), _why(parts, everything))
    return Key((), "no field, and no few fields together, differ in all records")


def _all(records: int) -> str:
    return f"all {records:,} records" if records > 1 else "the one record"


def _able(field: Field, typed: Typed) -> bool:
    return typed.type.kind in _KINDS and not field.is_json and max(map(len, field.values)) <= LONGEST


def _rank(field: Field) -> int | None:
    """How much a name is that of the record's own id: 0 most, None not at all."""
    own = names.words(field.path[-1])
    if own in {("id",), ("uuid",), ("guid",), ("key",), ("idempotency", "key"), ("event", "id"), ("message", "id")}:
        return 0
    if names.is_record_id(field.path) or names.last_word(field.path) == "key":
        return 1
    named = names.is_id(field.path) or names.is_code(field.path) or names.last_word(field.path) in {"url", "uri"}
    return 2 if named and own[-1] != "version" else None


def _order(field: Field) -> tuple[int, int]:
    rank = _rank(field)
    return (9 if rank is None else rank, len(field.path))


def _combinations(able: Sequence[Field], types: Mapping[Path, Typed]) -> Iterator[tuple[Field, ...]]:
    """One field, two, three: first without quantities, then with; a quantity alone identifies nothing."""

    def weight(field: Field) -> int:
        if _rank(field) is not None:
            return 0
        return 2 if types[field.path].type.kind in {"int", "bigint"} and not names.is_time(field.path) else 1

    likely = sorted(able, key=weight)[:MOST_CANDIDATES]
    every = [parts for size in range(1, MOST_PARTS + 1) for parts in combinations(likely, size)]
    weights = [sorted(map(weight, parts), reverse=True) for parts in every]
    told = [(heavy, parts) for heavy, parts in zip(weights, every, strict=True) if heavy != [2]]
    yield from (parts for _, parts in sorted(told, key=lambda one: (one[0][0] == 2, len(one[0]), sum(one[0]))))


def _why(parts: Sequence[Field], records: int) -> str:
    whole = f"in all {records:,} records: check that this stays so"
    if len(parts) == 1:
        return f"no field is named like an id, but this one differs {whole}"
    return f"no field is one by itself, but together these differ {whole}"
