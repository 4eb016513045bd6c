"""A table whose columns and partitions change together with its rows, in the commit that publishes them (ADR 0015).

A column of another type is another column: it gets a new field id, and a name of its own until main moves. What main
held before is read under its tag by the schema of its own snapshot.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.update import (
    AddPartitionSpecUpdate,
    AddSchemaUpdate,
    AssertCurrentSchemaId,
    RemovePartitionSpecsUpdate,
    SetCurrentSchemaUpdate,
    SetDefaultSpecUpdate,
    TableRequirement,
    TableUpdate,
)
from pyiceberg.types import NestedField

from ledgerlake.tables.definitions import Definition, Layer
from ledgerlake.tables.ensure import ATTEMPTS, TableBusy
from ledgerlake.tables.lake import Lake

TEMPORARY: Final = "_rebuild_"
"""How columns and partition fields are called until they are published; no contract's name begins so."""
WAS: Final = "_was_"
"""How columns are called that no contract has any more, and that a partition spec of older files still needs."""


@dataclass(frozen=True)
class Shape:
    """What a table is to become. `held` is what each column is called until then, `schema_id` the schema meanwhile."""

    schema: Schema
    spec: PartitionSpec
    held: Mapping[str, str]
    schema_id: int

    @property
    def requirement(self) -> TableRequirement:
        """What the table must still be when it is published."""
        return AssertCurrentSchemaId(current_schema_id=self.schema_id)

    def updates(self, table: Table) -> tuple[TableUpdate, ...]:
        """What makes the table of this shape, in one commit with the rows that were written for it."""
        names = _field_names(table, self.schema, self.spec)
        given = {spec.spec_id: _named(spec, names) for spec in table.specs().values()}
        default = table.metadata.default_spec_id
        changed = [spec for spec in given.values() if spec != table.specs()[spec.spec_id]]
        # A spec that is the default cannot be replaced: the new one is put right before it becomes that.
        first = [spec for spec in changed if spec.spec_id != default]
        last = [spec for spec in changed if spec.spec_id == default != self.spec.spec_id]
        return (
            AddSchemaUpdate(schema_=self.schema),
            SetCurrentSchemaUpdate(schema_id=-1),
            *_replace(first),
            SetDefaultSpecUpdate(spec_id=self.spec.spec_id),
            *_replace(last),
        )


def begin(lake: Lake, definition: Definition, renamed: Mapping[str, str]) -> Shape:
    """Give a table the columns and the partition spec in which its rows can be written as the definition has them.

    `renamed` says what a column is called in the table so far; one that keeps its type keeps its field id. Nothing
    that is there changes: the new columns are NULL in every row, and the spec is not the default. Raises TableBusy.
    """
    shapes: list[Shape] = []

    def change(table: Table) -> tuple[TableUpdate, ...]:
        shape, added = _shape(table, definition, renamed)
        shapes.append(shape)
        return added

    _commit(lake, definition.layer, definition.name, change)
    return shapes[-1]


def clear(lake: Lake, layer: Layer, name: str) -> None:
    """Take away what `begin` gave a table and nothing was published in. Raises TableBusy."""

    def change(table: Table) -> tuple[TableUpdate, ...]:
        fields = table.schema().fields
        kept = [column for column in fields if not column.name.startswith(TEMPORARY)]
        specs = [
            spec.spec_id
            for spec in table.specs().values()
            if any(field.name.startswith(TEMPORARY) for field in spec.fields)
        ]
        updates: list[TableUpdate] = [RemovePartitionSpecsUpdate(spec_ids=specs)] if specs else []
        if len(kept) < len(fields):
            schema = Schema(*kept, schema_id=_next_schema_id(table))
            updates += [AddSchemaUpdate(schema_=schema), SetCurrentSchemaUpdate(schema_id=-1)]
        return tuple(updates)

    _commit(lake, layer, name, change)


def _shape(table: Table, definition: Definition, renamed: Mapping[str, str]) -> tuple[Shape, tuple[TableUpdate, ...]]:
    """The shape, and what the table lacks of it."""
    known = {column.name: column for column in table.schema().fields}
    ids = itertools.count(table.metadata.last_column_id + 1)
    fields: list[NestedField] = []
    held: dict[str, str] = {}
    added: list[NestedField] = []
    for number, wanted in enumerate(definition.schema.fields):
        was = renamed.get(wanted.name) or (None if wanted.name in renamed.values() else wanted.name)
        same = known.get(was) if was else None
        if same is None or same.field_type != wanted.field_type:
            same = _column(next(ids), f"{TEMPORARY}{number}", wanted)
            added.append(same)
        fields.append(_column(same.field_id, wanted.name, wanted))
        held[wanted.name] = same.name
    kept = {column.field_id for column in fields}
    sources = {field.source_id for spec in table.specs().values() for field in spec.fields}
    left = [column for column in table.schema().fields if column.field_id in sources - kept]
    meanwhile = Schema(*table.schema().fields, *added, schema_id=_next_schema_id(table)) if added else table.schema()
    schema = Schema(*fields, *map(_put_aside, left), schema_id=_next_schema_id(table) + bool(added))
    spec = _spec(table, definition, schema)
    updates: list[TableUpdate] = []
    if added:
        updates += [AddSchemaUpdate(schema_=meanwhile), SetCurrentSchemaUpdate(schema_id=-1)]
    if spec.spec_id not in table.specs():
        updates.append(AddPartitionSpecUpdate(spec=spec))
    # The default spec keeps its names: it cannot be replaced.
    named = spec if spec.spec_id == table.metadata.default_spec_id else _called(spec, definition)
    return Shape(schema, named, held, meanwhile.schema_id), tuple(updates)


def _column(field_id: int, name: str, wanted: NestedField) -> NestedField:
    return NestedField(field_id, name, wanted.field_type, required=False, doc=wanted.doc)


def _put_aside(column: NestedField) -> NestedField:
    """A column whose values partition older files: Iceberg needs it to read and to rewrite them."""
    name = _aside(column.name, column.field_id)
    doc = column.doc if name == column.name else f"Was {column.name}; the partitions of older rows are made from it."
    return NestedField(column.field_id, name, column.field_type, required=False, doc=doc)


def _spec(table: Table, definition: Definition, schema: Schema) -> PartitionSpec:
    """The table's spec of these partitions; else a new one, its fields under temporary names where they are new."""
    wanted = [(_source(definition, schema, field), field.transform) for field in definition.spec.fields]
    for spec in (table.spec(), *table.specs().values()):
        same = list(map(_meaning, spec.fields)) == [(source, str(transform)) for source, transform in wanted]
        if same and not (spec == table.spec() and _collides(spec, schema)):
            return spec
    known = {_meaning(field): field for spec in table.specs().values() for field in spec.fields}
    ids = itertools.count((table.metadata.last_partition_id or PARTITION_FIELD_ID_START - 1) + 1)
    fields = []
    for source, transform in wanted:
        field = known.get((source, str(transform)))
        if field is None:
            number = next(ids)
            field = PartitionField(source, number, transform, f"{TEMPORARY}{number}")
        fields.append(field)
    return PartitionSpec(*fields, spec_id=max(table.specs()) + 1)


def _source(definition: Definition, schema: Schema, field: PartitionField) -> int:
    return schema.find_field(definition.schema.find_field(field.source_id).name).field_id


def _collides(spec: PartitionSpec, schema: Schema) -> bool:
    """Whether a field of the spec is called like a column that is not its source."""
    columns = {column.name: column.field_id for column in schema.fields}
    return any(columns.get(field.name, field.source_id) != field.source_id for field in spec.fields)


def _called(spec: PartitionSpec, definition: Definition) -> PartitionSpec:
    """The spec with its fields called as the definition calls them."""
    named = zip(spec.fields, definition.spec.fields, strict=True)
    return _named(spec, {field.field_id: wanted.name for field, wanted in named})


def _meaning(field: PartitionField) -> tuple[int, str]:
    return field.source_id, str(field.transform)


def _field_names(table: Table, schema: Schema, spec: PartitionSpec) -> dict[int, str]:
    """Every partition field's name by its id, so that none is another's, or a column's that is not its source.

    Iceberg's readers refuse a table in which a partition field is called like another column.
    """
    columns = {column.field_id: column.name for column in schema.fields}
    names = {field.field_id: field.name for field in spec.fields}
    taken = {*names.values(), *columns.values()}
    for field in (field for each in table.specs().values() for field in each.fields):
        if field.field_id not in names:
            stays = field.name not in taken and not columns[field.source_id].startswith(WAS)
            names[field.field_id] = field.name if stays else _aside(field.name, field.field_id)
    return names


def _aside(name: str, field_id: int) -> str:
    return name if name.startswith(WAS) else f"{WAS}{name}_{field_id}"


def _named(spec: PartitionSpec, names: Mapping[int, str]) -> PartitionSpec:
    fields = [field.model_copy(update={"name": names[field.field_id]}) for field in spec.fields]
    return PartitionSpec(*fields, spec_id=spec.spec_id)


def _replace(specs: Sequence[PartitionSpec]) -> Iterator[TableUpdate]:
    """The same specs with other names: their ids, and so their files, stay."""
    if specs:
        yield RemovePartitionSpecsUpdate(spec_ids=[spec.spec_id for spec in specs])
        yield from (AddPartitionSpecUpdate(spec=spec) for spec in specs)


def _next_schema_id(table: Table) -> int:
    return max(schema.schema_id for schema in table.metadata.schemas) + 1


def _commit(lake: Lake, layer: Layer, name: str, change: Callable[[Table], tuple[TableUpdate, ...]]) -> None:
    for _ in range(ATTEMPTS):
        table = lake.load(layer, name)
        updates = change(table)
        if not updates:
            return
        unchanged = AssertCurrentSchemaId(current_schema_id=table.metadata.current_schema_id)
        try:
            table.catalog.commit_table(table, (unchanged,), updates)
        except CommitFailedException:
            continue
        return
    raise TableBusy(f"{layer}.{name} changes faster than its columns can be")
