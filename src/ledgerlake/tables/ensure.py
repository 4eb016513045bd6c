"""Make tables that are missing and evolve those that are there; nothing that was ever written is removed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchTableError,
    ResolveError,
    TableAlreadyExistsError,
    ValidationError,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema, promote
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import IcebergType, NestedField, PrimitiveType, StringType

from ledgerlake import failpoints
from ledgerlake.contracts.model import Contract
from ledgerlake.errors import TerminalError, TransientError
from ledgerlake.records.layout import Owned
from ledgerlake.tables import definitions
from ledgerlake.tables.definitions import RESERVED_TOPICS, TAGS, Definition
from ledgerlake.tables.lake import Lake

ATTEMPTS = 10


class ReservedTopic(TerminalError):
    """A topic is named like one of the lakehouse's own tables."""


class TableBusy(TransientError):
    """Other writers changed the table's schema each time we tried to."""


def ensure_ops(lake: Lake) -> list[str]:
    """Make or evolve the tables that are there whatever topics there are; returns the names of those it made."""
    made = []
    for definition in definitions.fixed_tables():
        if _make_missing(lake, definition):
            made.append(definition.name)
        else:
            evolve(lake, definition)
    return made


def ensure_topic(lake: Lake, topic: str) -> str | None:
    """Make a topic's RAW table; returns its name when it was missing. Raises ReservedTopic."""
    if topic in RESERVED_TOPICS:
        raise ReservedTopic(f"a topic cannot be called {topic}: the lakehouse has a table of that name")
    return _make_missing(lake, definitions.raw(topic))


@dataclass(frozen=True)
class Standing:
    """What is in force: whether it has a CURATED table, what each of its columns is to be called now, and the columns'
    field ids where they were noted.

    Ids tell a column that a died try renamed already, and one that it left behind, from the others.
    """

    curated: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, int] = field(default_factory=dict)

    def fields(self, schema: Schema) -> dict[str, NestedField]:
        """The table's column for each of these, by what it is to be called."""
        by_id = {column.field_id: column for column in schema.fields}
        by_name = {column.name: column for column in schema.fields}
        found = {
            name: by_id.get(self.ids[was]) if was in self.ids else by_name.get(was) for was, name in self.names.items()
        }
        return {name: column for name, column in found.items() if column is not None}


def ensure_contract(lake: Lake, contract: Contract, standing: Standing | None = None) -> None:
    """Make or evolve what a contract needs: RAW, STANDARDIZED, and CURATED when it has payload columns."""
    ensure_topic(lake, contract.table_name)
    _make_missing(lake, definitions.standardized(contract.table_name))
    failpoints.hit("publish.before_curated", contract.table_name)
    if not contract.curated:
        return
    definition = definitions.curated(contract)
    if standing is not None and not standing.curated:
        _drop_left_behind(lake, definition)
    evolve(lake, definition, standing)


def evolve(lake: Lake, definition: Definition, standing: Standing | None = None) -> Table:
    """Make the table, or rename its columns, add those it lacks, widen the types that grew, and renew docs and tags.

    Raises ValidationError where Iceberg cannot follow, and TableBusy.
    """
    _make_missing(lake, definition)
    for _ in range(ATTEMPTS):
        table = lake.load(definition.layer, definition.name)
        moved = _apply(table, definition.schema.fields, standing or Standing())
        if not moved and not _tag(table, definition.properties.get(TAGS)):
            return table
    raise TableBusy(f"{definition.layer}.{definition.name} changes faster than it can be evolved")


def add_payload_columns(lake: Lake, topic: str, columns: Iterable[Owned]) -> Table:
    """Add text columns to STANDARDIZED `<topic>`, each with its path's JSON Pointer as doc; known ones stay."""
    wanted = [NestedField(0, column.name, StringType(), required=False, doc=column.pointer) for column in columns]
    for _ in range(ATTEMPTS):
        table = lake.load("standardized", topic)
        known = table.schema().column_names
        if not _apply(table, [column for column in wanted if column.name not in known], Standing()):
            return table
    raise TableBusy(f"standardized.{topic} changes faster than columns can be added")


def _make_missing(lake: Lake, definition: Definition) -> str | None:
    identifier = lake.identifier(definition.layer, definition.name)
    try:
        lake.catalog.load_table(identifier)
    except NoSuchTableError:
        return _create(lake, definition, identifier)
    return None


def _drop_left_behind(lake: Lake, definition: Definition) -> None:
    """Drop a table that no contract in force has, if a died try made it for another contract and nobody wrote to it."""
    table = lake.find(definition.layer, definition.name)
    if table is None or table.metadata.snapshots:
        return
    if _shape(table.schema(), table.spec()) != _shape(definition.schema, definition.spec):
        lake.catalog.drop_table(lake.identifier(definition.layer, definition.name))


def _shape(schema: Schema, spec: PartitionSpec) -> tuple[list[tuple[str, str]], list[tuple[str | None, str]]]:
    columns = sorted((column.name, str(column.field_type)) for column in schema.fields)
    return columns, [(schema.find_column_name(part.source_id), str(part.transform)) for part in spec.fields]


def _create(lake: Lake, definition: Definition, identifier: tuple[str, str]) -> str | None:
    try:
        lake.catalog.create_table(
            identifier,
            definition.schema,
            location=lake.location(definition.layer, definition.name),
            partition_spec=definition.spec,
            properties=dict(definition.properties),
        )
    except TableAlreadyExistsError:
        return None  # another run made it first
    return definition.name


def _apply(table: Table, wanted: Sequence[NestedField], standing: Standing) -> bool:
    """Commit what the table lacks of these columns; whether there was anything, or another writer came first."""
    try:
        return _put_names_right(table, wanted, standing) or _add_and_widen(table, wanted)
    except CommitFailedException:
        return True


def _put_names_right(table: Table, wanted: Sequence[NestedField], standing: Standing) -> bool:
    """Rename columns, and take away what a died try left under a name that is needed; ids are kept, values too."""
    known = standing.fields(table.schema())
    moving = {column.name: known[column.name] for column in wanted if column.name in known}
    renamed = {column.name: name for name, column in moving.items() if column.name != name}
    left_behind = [
        column.name
        for column in table.schema().fields
        if column not in known.values() and _in_the_way(column, wanted, {*renamed.values()}, noted=bool(standing.ids))
    ]
    if not renamed and not left_behind:
        return False
    _require_free(table, {name: moving[name].field_id for name in renamed.values()})
    with table.update_schema() as update:
        for name in left_behind:
            update.delete_column(name)
        for was, name in renamed.items():
            update.rename_column(was, name)
    return True


def _tag(table: Table, tags: str | None) -> bool:
    """Commit the tags; whether they were others, or another writer came first."""
    if table.properties.get(TAGS) == tags:
        return False
    try:
        with table.transaction() as change:
            if tags:
                change.set_properties({TAGS: tags})
            else:
                change.remove_properties(TAGS)
    except CommitFailedException:
        return True
    return True


def _in_the_way(column: NestedField, wanted: Sequence[NestedField], renamed: set[str], *, noted: bool) -> bool:
    """Whether a column that no contract in force has, so that it was never written, stands where another has to be."""
    asked = next((other.field_type for other in wanted if other.name == column.name), None)
    if asked is None:
        return False
    fits = _promotes(column.field_type, asked) or _promotes(asked, column.field_type)
    return column.name in renamed or (noted and not fits)


def _add_and_widen(table: Table, wanted: Sequence[NestedField]) -> bool:
    schema = table.schema()
    known = {column.name: column for column in schema.fields}
    changes = [column for column in wanted if _differs(known.get(column.name), column)]
    if not changes:
        return False
    _require_free(table, {column.name: None for column in changes if column.name not in known})
    with table.update_schema() as update:
        for column in changes:
            if column.name not in known:
                update.add_column(column.name, column.field_type, column.doc)
                continue
            kind = column.field_type if _grown(known[column.name], column.field_type) else None
            update.update_column(column.name, field_type=kind, doc=column.doc)
    return True


def _require_free(table: Table, names: Mapping[str, int | None]) -> None:
    """Raise ValidationError where a column would be called like a partition field, of older files perhaps.

    `names`: the field ids of the columns that get a name, None for new ones. Iceberg's readers refuse a table with
    such a pair, unless the field is the column itself; and a field keeps its name when its column's changes.
    """
    parts = {part.name: part for spec in table.specs().values() for part in spec.fields}
    for name, field_id in names.items():
        part = parts.get(name)
        if part and not (part.source_id == field_id and part.transform == IdentityTransform()):
            raise ValidationError(f"rows of the table are partitioned by a field `{name}`, which no column can be")


def _differs(known: NestedField | None, wanted: NestedField) -> bool:
    if known is None:
        return True
    return _grown(known, wanted.field_type) or (wanted.doc is not None and known.doc != wanted.doc)


def _grown(known: NestedField, wanted: IcebergType) -> bool:
    """Whether the column's type has to change; one that holds the wanted type already stays as wide as it is."""
    return isinstance(known.field_type, PrimitiveType) and not _promotes(wanted, known.field_type)


def _promotes(old: IcebergType, new: IcebergType) -> bool:
    """Whether Iceberg reads every old value as the new type."""
    try:
        return old == new or bool(promote(old, new))
    except ResolveError:
        return False
