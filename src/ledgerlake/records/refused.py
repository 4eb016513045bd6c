"""What a contract's drift policy makes an error although every cast succeeds (design 4.3, ADR 0016).

Flatten leaves in `rescued` what a strict column does not take, and, unless the policy is evolve, every field that the
contract does not name: so a standardized row tells on its own what is wrong with it.
"""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.contracts.model import Column, Contract, EnvelopeColumn
from ledgerlake.contracts.sources import Attribute
from ledgerlake.records.flatten import RESCUED
from ledgerlake.records.layout import Layout
from ledgerlake.records.paths import pointer

MOST_NAMED = 20
"""Unknown fields of one record that are named one by one."""


def wrong_kind(rows: pa.RecordBatch, column: Column | EnvelopeColumn, layout: Layout) -> pa.BooleanArray:
    """The rows in which a source holds a value of a kind that its column of STANDARDIZED does not take."""
    rescued = rows.column(RESCUED)
    wrong = pa.repeat(False, rows.num_rows)
    if rescued.null_count == rows.num_rows:
        return wrong
    for source in column.sources:
        path = None if isinstance(source, Attribute) else pointer(source)
        if path in layout.owners:
            wrong = pc.or_(wrong, pc.is_valid(pc.map_lookup(rescued, pa.scalar(path), "first")))
    return wrong


def unknown_fields(rows: pa.RecordBatch, contract: Contract, layout: Layout) -> Iterator[tuple[int, str]]:
    """The fields of each row that have no column and that the contract does not name: the row, and a JSON Pointer.

    An object with nothing in it is no field, where the contract names some in it. Past MOST_NAMED of them a row's last
    text says how many more there are.
    """
    named = {pointer(path) for path in contract.paths}
    outer = {path[:end] for path in named for end in range(1, len(path)) if path[end] == "/"}
    known = named | layout.owners.keys()
    rescued: Sequence[Mapping[str, str] | None] = rows.column(RESCUED).to_pylist(maps_as_pydicts="strict")
    for row, held in enumerate(rescued):
        unknown = [at for at, text in (held or {}).items() if at not in known and not (at in outer and text == "{}")]
        yield from ((row, at) for at in unknown[:MOST_NAMED])
        if len(unknown) > MOST_NAMED:
            yield row, f"and {len(unknown) - MOST_NAMED} more"
