"""Read a contract's source out of flattened rows: from the column its path owns, else from `rescued` (design 4.1).

A path that owns a column has values in `rescued` too: of a kind that this does not take, and from before it had one.
"""

from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.contracts.model import Column, EnvelopeColumn
from ledgerlake.contracts.sources import Attribute, Path
from ledgerlake.records.layout import Layout
from ledgerlake.records.paths import pointer

WHITE_SPACE: Final = " \t\n\r\x0b\x0c"
"""ASCII's: what a blank text holds nothing else of, and what `trim` takes away."""

_attributes = msgspec.json.Decoder(dict[str, str]).decode


def column_texts(rows: pa.RecordBatch, column: Column | EnvelopeColumn, layout: Layout) -> pa.StringArray:
    """The text of a column in each row, after trim and empty_as_null: its first source that then has one counts."""
    read = [_trimmed(texts(rows, source, layout), column) for source in column.sources]
    return read[0] if len(read) == 1 else pc.coalesce(*read)


def _trimmed(values: pa.StringArray, column: Column | EnvelopeColumn) -> pa.StringArray:
    if column.trim:
        values = pc.utf8_trim(values, WHITE_SPACE)
    if column.empty_as_null:
        values = null_where(values, pc.equal(values, ""))
    return values


def null_where(values: pa.StringArray, where: pa.BooleanArray) -> pa.StringArray:
    """The texts, with NULL for those of which `where` is true.

    Not `pc.if_else`: with a NULL it gives other texts than it was given when the array is a slice (pyarrow 20).
    """
    return pc.replace_with_mask(values, pc.fill_null(where, False), pa.scalar(None, pa.string()))


def texts(rows: pa.RecordBatch, source: Path | Attribute, layout: Layout) -> pa.StringArray:
    """The text of a source in each row, NULL where it is absent: never that of another path.

    `rows` holds the layout's columns and `rescued`; for an Attribute also `attributes` (the message's, as JSON text).
    """
    if isinstance(source, Attribute):
        return _attribute(rows, source.name)
    path, names = pointer(source), rows.schema.names
    column = layout.owners.get(path)
    own = rows.column(column) if column in names else pa.nulls(rows.num_rows, pa.string())
    if "rescued" not in names or rows.column("rescued").null_count == rows.num_rows:
        return own
    return pc.coalesce(own, pc.map_lookup(rows.column("rescued"), pa.scalar(path), "first"))


def _attribute(rows: pa.RecordBatch, name: str) -> pa.StringArray:
    if "attributes" not in rows.schema.names:
        return pa.nulls(rows.num_rows, pa.string())
    held: list[Any] = rows.column("attributes").to_pylist()
    return pa.array([_attributes(text).get(name) if text else None for text in held], pa.string())
