"""What a contract's parts must be to each other, checked on whatever of them could be read."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ledgerlake.contracts.formats import wrong_with_format
from ledgerlake.contracts.model import (
    CURATED_COLUMNS,
    IDEMPOTENCY_KEY,
    Attribute,
    Path,
    parse_path,
    parse_source,
    written_source,
)
from ledgerlake.contracts.partitions import Partition, parse_partition
from ledgerlake.contracts.problems import Problem, Wrong, did_you_mean, one_of
from ledgerlake.contracts.rules import wrong_with
from ledgerlake.contracts.types import ColumnType, parse_type
from ledgerlake.records import paths

Read = TypeVar("Read")
Document = dict[str, Any]

_RESERVED: Final = frozenset((*CURATED_COLUMNS, *paths.ICEBERG_METADATA_COLUMNS))


@dataclass(frozen=True, slots=True)
class Draft:
    """A column as far as it can be read: a part that is wrong by itself is None here, and reported elsewhere."""

    pointer: str
    document: Document
    in_envelope: bool
    name: str | None
    type: ColumnType | None
    sources: tuple[tuple[str, Path | Attribute], ...]

    @property
    def is_key(self) -> bool:
        """Whether the column is the envelope's idempotency key."""
        return self.in_envelope and self.name == IDEMPOTENCY_KEY

    @property
    def payload_sources(self) -> Iterator[tuple[str, Path]]:
        """The sources that lie in the payload, each with its place in the contract."""
        return ((place, source) for place, source in self.sources if not isinstance(source, Attribute))


def _read(parse: Callable[[str], Read], value: object) -> Read | None:
    try:
        return parse(value) if isinstance(value, str) else None
    except Wrong:
        return None


def _items(document: Document, field: str) -> Iterator[tuple[str, Any]]:
    items = document.get(field)
    for index, item in enumerate(items if isinstance(items, list) else []):
        yield f"/{field}/{index}", item


def drafts(document: Document) -> list[Draft]:
    """The contract's columns, the envelope's first."""
    return [
        _draft(pointer, item, in_envelope=field == "envelope_columns")
        for field in ("envelope_columns", "payload_columns")
        for pointer, item in _items(document, field)
        if isinstance(item, dict)
    ]


def _draft(pointer: str, item: Document, *, in_envelope: bool) -> Draft:
    name = item["name"] if isinstance(item.get("name"), str) else None
    parse: Callable[[str], Path | Attribute] = parse_source if in_envelope else parse_path
    written = item.get("source") if item.get("source") is not None else name
    if isinstance(written, list):
        places = [(f"{pointer}/source/{index}", part) for index, part in enumerate(written)]
    else:
        places = [(f"{pointer}/source", written)]
    sources = tuple((place, source) for place, part in places if (source := _read(parse, part)) is not None)
    return Draft(pointer, item, in_envelope, name, _read(parse_type, item.get("type")), sources)


def check(document: Document, topic: str) -> Iterator[Problem]:
    """Every problem between the contract's parts, and with its topic."""
    columns = drafts(document)
    if isinstance(document.get("table_name"), str) and document["table_name"] != topic:
        message = f"table_name is `{document['table_name'][:100]}`, the topic is `{topic}`"
        yield Problem("/table_name", message, f"write `{topic}`, or publish the contract under the other topic")
    yield from _names(columns)
    for column in columns:
        yield from _values(column)
        yield from _key(column)
    yield from _renamed(columns)
    yield from _meeting(columns)
    yield from _inside_json(columns)
    yield from _partitions(document, columns)
    yield from _rules(document, columns)


def _at(pointer: str, wrong: Wrong) -> Problem:
    return Problem(pointer, wrong.message, wrong.remedy)


def _names(columns: list[Draft]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for column in columns:
        if column.name is None:
            continue
        place, name = f"{column.pointer}/name", column.name.lower()
        if name in first:
            yield Problem(
                place, f"the column `{name}` stands at {first[name]} already", "names differ, whatever their case"
            )
        first.setdefault(name, column.pointer)
        if name in _RESERVED and not column.is_key:
            declare = name == IDEMPOTENCY_KEY and not column.in_envelope
            remedy = (
                "declare it in envelope_columns" if declare else f"choose another, e.g. `payload_{name.lstrip('_')}`"
            )
            yield Problem(place, f"the name `{name}` is reserved", remedy)


def _values(column: Draft) -> Iterator[Problem]:
    """cde, default, allow_empty and format: which go together, and with which type."""
    document, kind = column.document, column.type
    default, written_format = document.get("default"), document.get("format")
    if document.get("cde") is True and default is not None:
        message = "a column has either `cde` or `default`: what has a default is never missing"
        yield Problem(f"{column.pointer}/default", message, "take one of them away")
    if document.get("allow_empty") is True and kind and kind.kind != "string":
        yield Problem(f"{column.pointer}/allow_empty", f"an empty text is no {kind}", "only a string has `allow_empty`")
    wrong_format = list(wrong_with_format(written_format, kind)) if isinstance(written_format, str) else []
    yield from (_at(f"{column.pointer}/format", wrong) for wrong in wrong_format)
    if isinstance(default, str) and kind and not wrong_format and not _is_one(default, kind, written_format):
        message = f"the default {default[:100]!r} is no {kind}"
        yield Problem(f"{column.pointer}/default", message, "write it as the payload would, or change the type")


def _is_one(text: str, kind: ColumnType, written_format: object) -> bool:
    from ledgerlake.records.casts import cast_text  # it casts by the contract's model: imported here, no circle is made

    try:
        text.encode()
    except UnicodeEncodeError:
        return True  # reported as such by the model
    return cast_text(text, kind, written_format if isinstance(written_format, str) else None) is not None


def _key(column: Draft) -> Iterator[Problem]:
    """idempotency_key is a string and a critical data element; only it has several sources."""
    if not column.is_key:
        if column.in_envelope and isinstance(column.document.get("source"), list):
            message = "only idempotency_key is made of several sources"
            yield Problem(f"{column.pointer}/source", message, "write one path, e.g. event.time")
        return
    if column.type and column.type.kind != "string":
        yield Problem(f"{column.pointer}/type", f"idempotency_key is a string, not {column.type}", "write `string`")
    if column.document.get("cde") is False:
        message = "idempotency_key is always a critical data element"
        yield Problem(f"{column.pointer}/cde", message, "leave `cde` out")
    for field in ("default", "allow_empty", "format"):
        if column.document.get(field):
            yield Problem(f"{column.pointer}/{field}", f"idempotency_key has no `{field}`", "take it away")
    written = [source for _, source in column.sources]
    for source in [source for source, times in Counter(written).items() if times > 1]:
        message = f"`{written_source(source)}` stands twice in the key"
        yield Problem(f"{column.pointer}/source", message, "name each path once")


def _renamed(columns: list[Draft]) -> Iterator[Problem]:
    """A column has one name before, and a name becomes one column (contracts/renames.py knows the version before)."""
    first: dict[str, str] = {}
    for column in columns:
        before = column.document.get("renamed_from")
        if not isinstance(before, str):
            continue
        place = f"{column.pointer}/renamed_from"
        if before == column.name:
            yield Problem(place, f"`{before[:100]}` is the column's name already", "take `renamed_from` away")
        if column.name == IDEMPOTENCY_KEY or before in _RESERVED:
            yield Problem(place, "CURATED's own columns keep their names", "take `renamed_from` away")
        if before in first:
            message = f"`{before[:100]}` became the column at {first[before]} already"
            yield Problem(place, message, "a column becomes one column; give the other one the same `source`")
        first.setdefault(before, column.pointer)


def _meeting(columns: list[Draft]) -> Iterator[Problem]:
    """Two paths that STANDARDIZED would have to keep in one column (design 4.1)."""
    owners: dict[str, Path] = {}
    for column in columns:
        for place, source in column.payload_sources:
            name = paths.column_name(source)
            owner = owners.setdefault(name, source)
            if owner != source:
                message = (
                    f"`{written_source(source)}` and `{written_source(owner)}` "
                    f"meet in one column of STANDARDIZED, `{name}`"
                )
                yield Problem(place, message, "name one of them only: a column belongs to one path")


def _inside_json(columns: list[Draft]) -> Iterator[Problem]:
    """A json column holds its path's whole value, so no other column can be found in there."""
    whole: dict[Path, str | None] = {
        source: column.name
        for column in columns
        if column.type and column.type.kind == "json"
        for _, source in column.payload_sources
    }
    for column in columns:
        for place, source in column.payload_sources:
            same_kind = column.type is not None and column.type.kind == "json"
            depths = range(1, len(source) + (0 if same_kind else 1))
            if outer := next((source[:depth] for depth in depths if source[:depth] in whole), None):
                message = (
                    f"`{written_source(source)}` lies in the json column `{whole[outer]}` (`{written_source(outer)}`)"
                )
                yield Problem(
                    place, message, "take one of the two columns away, or give the outer one's fields columns"
                )


def _types(columns: list[Draft]) -> dict[str, ColumnType | None]:
    own: dict[str, ColumnType | None] = dict(CURATED_COLUMNS)
    return {column.name.lower(): column.type for column in columns if column.name is not None} | own


def _partitions(document: Document, columns: list[Draft]) -> Iterator[Problem]:
    types = _types(columns)
    taken: dict[tuple[str, str], str] = {}
    for place, item in _items(document, "partition_by"):
        partition = _read(parse_partition, item)
        if partition is None:
            continue
        if partition.column not in types:
            remedy = did_you_mean(partition.column, sorted(types), "name one of the contract's columns")
            yield Problem(place, f"there is no column `{partition.column}`", remedy)
            continue
        yield from _unfit(place, partition, types)
        group = "time" if partition.transform in ("year", "month", "day", "hour") else partition.transform
        if (earlier := taken.setdefault((partition.column, group), place)) != place:
            message = f"`{partition}` is redundant beside {earlier}"
            yield Problem(place, message, "keep the finer of the two")


def _unfit(place: str, partition: Partition, types: dict[str, ColumnType | None]) -> Iterator[Problem]:
    column_type = types[partition.column]
    if column_type and not partition.fits(column_type):
        message = f"{partition.transform} does not fit `{partition.column}`, which is {column_type}"
        yield Problem(place, message, f"{partition.transform} takes {one_of(partition.fitting_types)}")
    if partition.transform != "identity" and partition.field_name in types:
        message = f"the partition field of `{partition}` has the name of the column `{partition.field_name}`"
        yield Problem(place, message, "rename that column")


def _rules(document: Document, columns: list[Draft]) -> Iterator[Problem]:
    types = _types(columns)
    known = {name: column_type for name, column_type in types.items() if column_type}
    first: dict[str, str] = {}
    for place, item in _items(document, "rules"):
        if not isinstance(item, dict):
            continue
        if isinstance(name := item.get("name"), str) and (earlier := first.setdefault(name.lower(), place)) != place:
            yield Problem(
                f"{place}/name", f"the rule `{name[:100]}` stands at {earlier} already", "name each rule once"
            )
        if isinstance(expression := item.get("expression"), str) and expression:
            for wrong in wrong_with(expression, known, frozenset(types)):
                yield _at(f"{place}/expression", wrong)
