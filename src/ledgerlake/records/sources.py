"""Read a contract's source out of flattened rows: from the column its path owns, else from `rescued` (design 4.1)."""

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.contracts.model import Attribute, Path
from ledgerlake.records.layout import Layout
from ledgerlake.records.paths import pointer

_attributes = msgspec.json.Decoder(dict[str, str]).decode


def texts(rows: pa.RecordBatch, source: Path | Attribute, layout: Layout) -> pa.StringArray:
    """The text of a source in each row, NULL where it is absent: never that of another path.

    `rows` holds the layout's columns and `rescued`; for an Attribute also `attributes` (the message's, as JSON text).
    """
    if isinstance(source, Attribute):
        return _attribute(rows, source.name)
    path = pointer(source)
    column = layout.owners.get(path)
    if column is not None and column in rows.schema.names:
        return rows.column(column)
    if "rescued" not in rows.schema.names:
        return pa.nulls(rows.num_rows, pa.string())
    return pc.map_lookup(rows.column("rescued"), pa.scalar(path), "first")


def _attribute(rows: pa.RecordBatch, name: str) -> pa.StringArray:
    if "attributes" not in rows.schema.names:
        return pa.nulls(rows.num_rows, pa.string())
    held: list[Any] = rows.column("attributes").to_pylist()
    return pa.array([_attributes(text).get(name) if text else None for text in held], pa.string())
