"""Make tables that are missing and evolve those that are there; nothing here removes anything."""

from collections.abc import Iterable

from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import NestedField, PrimitiveType, StringType

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


def ensure_contract(lake: Lake, contract: Contract) -> None:
    """Make or evolve what a contract needs: RAW, STANDARDIZED, and CURATED when it has payload columns."""
    ensure_topic(lake, contract.table_name)
    _make_missing(lake, definitions.standardized(contract.table_name))
    if contract.curated:
        evolve(lake, definitions.curated(contract))


def evolve(lake: Lake, definition: Definition) -> Table:
    """Make the table, or add the columns it lacks, widen the types that grew, and renew the columns' docs and tags."""
    _make_missing(lake, definition)
    for _ in range(ATTEMPTS):
        table = lake.load(definition.layer, definition.name)
        if not _apply(table, definition.schema.fields) and not _tag(table, definition.properties.get(TAGS)):
            return table
    raise TableBusy(f"{definition.layer}.{definition.name} changes faster than it can be evolved")


def add_payload_columns(lake: Lake, topic: str, columns: Iterable[Owned]) -> Table:
    """Add text columns to STANDARDIZED `<topic>`, each with its path's JSON Pointer as doc; known ones stay."""
    wanted = [NestedField(0, column.name, StringType(), required=False, doc=column.pointer) for column in columns]
    for _ in range(ATTEMPTS):
        table = lake.load("standardized", topic)
        known = table.schema().column_names
        if not _apply(table, [column for column in wanted if column.name not in known]):
            return table
    raise TableBusy(f"standardized.{topic} changes faster than columns can be added")


def _make_missing(lake: Lake, definition: Definition) -> str | None:
    identifier = lake.identifier(definition.layer, definition.name)
    try:
        lake.catalog.load_table(identifier)
    except NoSuchTableError:
        return _create(lake, definition, identifier)
    return None


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


def _apply(table: Table, wanted: Iterable[NestedField]) -> bool:
    """Commit what the table lacks of these columns; whether there was anything, or another writer came first."""
    changes = [column for column in wanted if _differs(table.schema(), column)]
    if not changes:
        return False
    try:
        with table.update_schema() as update:
            for column in changes:
                if column.name not in table.schema().column_names:
                    update.add_column(column.name, column.field_type, column.doc)
                    continue
                kind = column.field_type if isinstance(column.field_type, PrimitiveType) else None
                update.update_column(column.name, field_type=kind, doc=column.doc)
    except CommitFailedException:
        return True
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


def _differs(schema: Schema, wanted: NestedField) -> bool:
    if wanted.name not in schema.column_names:
        return True
    known = schema.find_field(wanted.name)
    grown = isinstance(known.field_type, PrimitiveType) and known.field_type != wanted.field_type
    return grown or (wanted.doc is not None and known.doc != wanted.doc)
