"""Which path owns which column, as STANDARDIZED's own column docs say it, and how it is to be read (design 4.1)."""

from typing import Final

from pyiceberg.table import Table

from ledgerlake.contracts.model import Column, Contract, EnvelopeColumn
from ledgerlake.contracts.sources import Attribute
from ledgerlake.records import kinds
from ledgerlake.records.layout import Layout, Owned, Strict
from ledgerlake.records.paths import STANDARDIZED_COLUMNS, pointer
from ledgerlake.records.times import EPOCH_PLACES

_KIND_OF: Final = {
    "string": kinds.STRING,
    "boolean": kinds.BOOLEAN,
    "int": kinds.NUMBER,
    "bigint": kinds.NUMBER,
    "double": kinds.NUMBER,
    "decimal": kinds.NUMBER,
    "date": kinds.STRING,
    "timestamp": kinds.STRING,
}


def owned_columns(table: Table) -> tuple[Owned, ...]:
    """The payload columns of a STANDARDIZED table in its order, with the JSON Pointer that each one's doc holds."""
    return tuple(
        Owned(column.name, column.doc or "")
        for column in table.schema().fields
        if column.name not in STANDARDIZED_COLUMNS
    )


def layout_of(columns: tuple[Owned, ...], contract: Contract) -> Layout:
    """These columns as the contract wants them read: which values whole, which columns strict about their kind."""
    whole = frozenset(pointer(path) for path in contract.json_paths)
    return Layout(columns, whole, _strict(contract))


def _strict(contract: Contract) -> frozenset[Strict]:
    taken: dict[str, int] = {}
    for column in contract.columns:
        for source in column.sources if column.drift == "reject" else ():
            if not isinstance(source, Attribute):
                taken[pointer(source)] = taken.get(pointer(source), kinds.EVERY) & _taken(column)
    return frozenset(Strict(*each) for each in taken.items())


def _taken(column: Column | EnvelopeColumn) -> int:
    """The kinds in which a value of the column's type is written in JSON."""
    if column.true_values or column.false_values:
        return kinds.BOOLEAN | kinds.STRING
    return kinds.NUMBER if column.format in EPOCH_PLACES else _KIND_OF[column.type.kind]
