"""Which path owns which column, as STANDARDIZED's own column docs say it (design 4.1)."""

from pyiceberg.table import Table

from ledgerlake.records.layout import Owned
from ledgerlake.records.paths import STANDARDIZED_COLUMNS


def owned_columns(table: Table) -> tuple[Owned, ...]:
    """The payload columns of a STANDARDIZED table in its order, with the JSON Pointer that each one's doc holds."""
    return tuple(
        Owned(column.name, column.doc or "")
        for column in table.schema().fields
        if column.name not in STANDARDIZED_COLUMNS
    )
