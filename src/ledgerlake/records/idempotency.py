"""The idempotency key: the message's own, else what the contract's sources give (design 3.2)."""

from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.contracts.sources import Attribute, Path
from ledgerlake.records.casts import is_blank
from ledgerlake.records.layout import Layout
from ledgerlake.records.sources import null_where, texts


def idempotency_keys(
    rows: pa.RecordBatch, sources: Sequence[Path | Attribute], layout: Layout, given: pa.StringArray
) -> pa.StringArray:
    """The key of each row, NULL when it has none.

    `given` holds the messages' own keys, `rows` the flattened payloads (for an Attribute source also `attributes`). A
    blank text (empty, or nothing but ASCII white space) is missing. Of several sources the key is a compact JSON array
    of their texts, missing when one of them is.
    """
    own = _present(given)
    if not sources or own.null_count == 0:
        return own
    parts = [_present(texts(rows, source, layout)) for source in sources]
    keys: pa.StringArray = pc.coalesce(own, parts[0] if len(parts) == 1 else _composite(parts))
    return keys


def _present(values: pa.StringArray) -> pa.StringArray:
    return null_where(values, is_blank(values))


def _composite(parts: Sequence[pa.StringArray]) -> pa.StringArray:
    rows = zip(*(part.to_pylist() for part in parts), strict=True)
    return pa.array([None if None in row else msgspec.json.encode(row).decode() for row in rows], pa.string())
