"""Whether a type takes values: asked of the casts that the pipeline uses."""

from collections.abc import Sequence

import pyarrow as pa

from ledgerlake.contracts.types import ColumnType
from ledgerlake.records.casts import cast_texts


def fits(values: Sequence[str], kind: ColumnType, written: str | None = None) -> bool:
    """Whether a column of this type and `format` holds each of the texts."""
    _, failed = cast_texts(pa.array(values, pa.string()), kind, written)
    return failed is None
