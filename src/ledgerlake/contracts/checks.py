"""What a contract's parts must be to each other, checked on whatever of them could be read."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ledgerlake.contracts.formats import wrong_with_format
from ledgerlake.contracts.model import CURATED_COLUMNS, IDEMPOTENCY_KEY
from ledgerlake.contracts.partitions import Partition, parse_partition
from ledgerlake.contracts.problems import Problem, Wrong, did_you_mean, one_of
from ledgerlake.contracts.rules import columns_compared, columns_read, wrong_with
from ledgerlake.contracts.sources import Attribute, Path, parse_path, parse_source, written_source
from ledgerlake.contracts.types import ColumnType, parse_type
from ledgerlake.records import paths

Read = TypeVar("Read")
Document = dict[str, Any]

_KEYLESS: Final = (
    *("default", "allow_empty", "format", "trim", "empty_as_null", "true_values", "false_values", "allowed_values"),
    *("min", "max", "pattern", "min_length", "max_length", "unit", "tags", "drift"),
)
"""The options that idempotency_key has not."""
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
        yield from _kindless(column)
    yield from _renamed(columns)
    yield from _meeting(columns)
    yield from _inside_json(columns)
    yield from _personal(columns)
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
    """The column's options and sources: which go together, and with which type."""
    from ledgerlake.contracts.options import wrong_with_options  # it casts by the model: here no circle is made

    document, kind = column.document, column.type
    default, written_format = document.get("default"), document.get("format")
    if document.get("cde") is True and default is not None:
        message = "a column has either `cde` or `default`: what has a default is never missing"
        yield Problem(f"{column.pointer}/default", message, "take one of them away")
    if document.get("allow_empty") is True and kind and kind.kind != "string":
        yield Problem(f"{column.pointer}/allow_empty", f"an empty text is no {kind}", "only a string has `allow_empty`")
    wrong_format = list(wrong_with_format(written_format, kind)) if isinstance(written_format, str) else []
    yield from (_at(f"{column.pointer}/format", wrong) for wrong in wrong_format)
    for place, wrong in wrong_with_options(document, None if wrong_format else kind):
        yield _at(f"{column.pointer}/{place}", wrong)
    for source in [source for source, times in Counter(source for _, source in column.sources).items() if times > 1]:
        message = f"`{written_source(source)}` stands twice among the sources"
        yield Problem(f"{column.pointer}/source", message, "name each path once")


def _kindless(column: Draft) -> Iterator[Problem]:
    """Where values have no kind that could change, there is none to reject."""
    if column.document.get("drift") != "reject" or column.is_key:
        return
    place, remedy = f"{column.pointer}/drift", "take it away"
    if column.type and column.type.kind == "json":
        yield Problem(place, "a json column takes values of every kind", remedy)
    if column.sources and not any(column.payload_sources):
        yield Problem(place, "an attribute of the message is always a text", remedy)


def _key(column: Draft) -> Iterator[Problem]:
    """idempotency_key is a string and a critical data element, and STANDARDIZED resolves it: nothing casts it."""
    if not column.is_key:
        return
    if column.type and column.type.kind != "string":
        yield Problem(f"{column.pointer}/type", f"idempotency_key is a string, not {column.type}", "write `string`")
    if column.document.get("cde") is False:
        message = "idempotency_key is always a critical data element"
        yield Problem(f"{column.pointer}/cde", message, "leave `cde` out")
    for field in _KEYLESS:
        given = column.document.get(field)
        if given is not False and given not in (None, []):
            yield Problem(f"{column.pointer}/{field}", f"idempotency_key has no `{field}`", "take it away")
    if column.document.get("pii") is not None:
        message = (
            "idempotency_key cannot be personal data: every layer, the look-ups and the replays know a record by it"
        )
        yield Problem(f"{column.pointer}/pii", message, "make the key of something else, or have the sender hash it")


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
    owners: dict[str, tuple[Path, Draft]] = {}
    for column in columns:
        for place, source in column.payload_sources:
            name = paths.column_name(source)
            owner, first = owners.setdefault(name, (source, column))
            # Fallbacks of one column may: a field that moves from nested to flat is read from wherever it stands.
            if owner != source and (first is not column or column.is_key):
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


def _personal(columns: list[Draft]) -> Iterator[Problem]:
    """Where one column hides a source, no other may show it."""
    hidden = {source: column.name for column in columns if column.document.get("pii") for _, source in column.sources}
    for column in columns:
        for place, source in column.sources:
            if source in hidden and not column.document.get("pii"):
                message = (
                    f"`{written_source(source)}` is personal data in the column `{hidden[source]}`, and plain here"
                )
                remedy = "make the key of something else" if column.is_key else "give this column `pii` too"
                yield Problem(place, message, remedy)


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
            found = list(wrong_with(expression, known, frozenset(types)))
            yield from (_at(f"{place}/expression", wrong) for wrong in found)
            if not found:
                yield from _over_personal(f"{place}/expression", expression, columns)


def _over_personal(place: str, expression: str, columns: list[Draft]) -> Iterator[Problem]:
    """A rule reads the row as CURATED holds it: of personal data it could only say whether there is any."""
    for column in columns:
        pii = column.document.get("pii")
        seen = columns_read(expression) if pii == "drop" else columns_compared(expression)
        if pii and column.name and column.name.lower() in seen:
            message = f"`{column.name}` is personal data: rules see what CURATED holds of it, not its text"
            remedy = "check it by its own options, e.g. `pattern`; of a hash or a mask a rule may ask if it IS NULL"
            yield Problem(place, message, remedy)
