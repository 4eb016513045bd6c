"""Flatten: JSON text to columns of text, one definition for every engine (design 4.0, 4.1)."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, reduce
from operator import or_
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.records import kinds
from ledgerlake.records.document import Buffer, Defect, parse, tree, walk
from ledgerlake.records.layout import Layout, Owned, claim
from ledgerlake.records.structs import Columns, Shape, shape

__all__ = ["ERROR_CODE", "ERROR_MESSAGE", "RESCUED", "Layout", "Owned", "claim", "discover", "flatten", "schema"]

RESCUED = "rescued"
# A payload may well have an error_code of its own; no payload column can begin with a dollar sign.
ERROR_CODE = "$error_code"
ERROR_MESSAGE = "$error_message"

SAMPLE = 32
"""Rows looked at to choose how to read a batch: only speed depends on it."""
OFTEN = 4
"""A path without a column gets a field of the structs when at least one row of so many in the sample has it."""


_tree = lru_cache(maxsize=64)(tree)


def schema(layout: Layout) -> pa.Schema:
    """The columns that `flatten` returns for a layout."""
    return pa.schema(
        [
            *((owned.name, pa.string()) for owned in layout.columns),
            (RESCUED, pa.map_(pa.string(), pa.string())),
            (ERROR_CODE, pa.string()),
            (ERROR_MESSAGE, pa.string()),
        ]
    )


def flatten(payloads: pa.StringArray, layout: Layout) -> pa.RecordBatch:
    """One row a payload, in the payloads' order: its leaves as text, or why it has none.

    Columns: the layout's (string); RESCUED, map<string,string> from JSON Pointer to text, in the pointers' order, for
    every non-null leaf without a column (NULL when there is none); ERROR_CODE and ERROR_MESSAGE, NULL for a good
    payload. A bad payload's other columns are NULL. No row depends on another, and no payload raises.
    """
    return flatten_and_tell(payloads, layout)[0]


def flatten_and_tell(payloads: pa.StringArray, layout: Layout) -> tuple[pa.RecordBatch, list[int]]:
    """As `flatten`; and the JSON kinds (records.kinds) of each of the layout's columns' values.

    None of a good payload is left out; those of a bad one may be among them.
    """
    held = buffers(payloads)
    seen = [0] * len(layout.columns)
    chosen = _worthwhile(held[:: max(1, len(held) // SAMPLE)], layout) if len(held) > SAMPLE else None
    if chosen is None:
        return flatten_exactly(held, layout, seen), seen
    return flatten_by_structs(held, layout, chosen, seen), seen


class Reading(NamedTuple):
    """How a batch is read by structs: their shape, and the paths without a column that have a field of their own."""

    shape: Shape
    rescued: tuple[str, ...]


def reading(
    layout: Layout, arrays: Iterable[str] = (), rescued: Iterable[str] = (), strings: Iterable[str] = ()
) -> Reading | None:
    """The structs of a layout; `arrays` and `strings` are JSON Pointers that hold those, `rescued` some that have no
    column.
    """
    beside = tuple(sorted(set(rescued) - layout.owners.keys()))
    wider = replace(layout, columns=(*layout.columns, *(Owned("", pointer) for pointer in beside)))
    found = shape(wider, frozenset(arrays), frozenset(strings))
    return None if found is None else Reading(found, beside)


def _worthwhile(sample: Sequence[Buffer | None], layout: Layout) -> Reading | None:
    """The structs that suit a batch like this sample; None when most of its rows would not fit them."""
    root = _tree(layout)
    pointers = [owned.pointer for owned in layout.columns]
    found: Counter[str] = Counter()
    arrays: set[str] = set()
    seen = [0] * len(pointers)
    for payload in sample:
        row: list[str | None] = [None] * len(pointers)
        rescued: list[tuple[str, str]] = []
        with contextlib.suppress(Defect):
            walk(parse(payload), root, row, rescued, seen)
            leaves = [*zip(pointers, row, strict=True), *rescued]
            arrays.update(pointer for pointer, text in leaves if text and text.startswith("["))
            found.update(pointer for pointer, text in leaves if text is not None)
    often = {pointer for pointer, rows in found.items() if rows * OFTEN >= len(sample)}
    strings = {pointer for pointer, kind in zip(pointers, seen, strict=True) if kind == kinds.STRING} & often
    chosen = reading(layout, arrays, often, strings)
    if chosen is None:
        return None
    columns = Columns(sample, len(layout.columns) + len(chosen.rescued))
    columns.read(chosen.shape)
    return None if len(columns.unsure) * 2 > len(sample) else chosen


def flatten_by_structs(
    payloads: Sequence[Buffer | None], layout: Layout, chosen: Reading, seen: list[int]
) -> pa.RecordBatch:
    """As `flatten_exactly`, by the layout's structs, and by it where they are not sure."""
    width = len(layout.columns)
    columns = Columns(payloads, width + len(chosen.rescued))
    columns.read(chosen.shape)
    seen[:] = map(or_, seen, columns.kinds)
    target = schema(layout)
    nothing = lru_cache(lambda kind: pa.nulls(len(payloads), kind))
    texts = [nothing(pa.string()) if column is None else column for column in columns.texts]
    rescued = _maps(chosen.rescued, texts[width:]) if chosen.rescued else nothing(target.field(RESCUED).type)
    batch = pa.RecordBatch.from_arrays(
        [*texts[:width], rescued, nothing(pa.string()), nothing(pa.string())], schema=target
    )
    if not columns.unsure:
        return batch
    unsure = sorted(columns.unsure)
    return _replaced(batch, unsure, flatten_exactly([payloads[row] for row in unsure], layout, seen))


def _maps(pointers: Sequence[str], texts: Sequence[pa.StringArray]) -> pa.MapArray:
    """One map a row of the texts that are not NULL, NULL where all are."""
    rows, width = len(texts[0]), len(texts)
    valid = [each.is_valid() for each in texts]
    counts = reduce(pc.add, (each.cast(pa.int32()) for each in valid))
    ends = [0, *pc.cumulative_sum(counts).to_pylist()]
    starts = [None if start == end else start for start, end in itertools.pairwise(ends)]
    by_row = pa.array([column * rows + row for row in range(rows) for column in range(width)], pa.int64())
    items = pa.concat_arrays(texts).take(by_row)
    keys = pa.array(pointers, pa.string()).take(pa.array(list(range(width)) * rows, pa.int64()))
    held = items.is_valid()
    return pa.MapArray.from_arrays(pa.array([*starts, ends[-1]], pa.int32()), keys.filter(held), items.filter(held))


def _replaced(batch: pa.RecordBatch, rows: Sequence[int], by: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with these rows (ascending) replaced by those of `by`."""
    if len(rows) * 20 > batch.num_rows:
        places = list(range(batch.num_rows))
        for position, row in enumerate(rows):
            places[row] = batch.num_rows + position
        return pa.concat_batches([batch, by]).take(pa.array(places, pa.int64()))
    pieces: list[pa.RecordBatch] = []
    start = 0
    for position, row in enumerate(rows):
        pieces += [batch.slice(start, row - start), by.slice(position, 1)]
        start = row + 1
    return pa.concat_batches([*pieces, batch.slice(start)])


def flatten_exactly(payloads: Sequence[Buffer | None], layout: Layout, seen: list[int]) -> pa.RecordBatch:
    """As `flatten`, document by document, from UTF-8: the definition that the faster path is held against.

    `seen` gathers the kinds of each column's values.
    """
    root = _tree(layout)
    rows: list[list[str | None]] = []
    rescued: list[list[tuple[str, str]] | None] = []
    codes: list[str | None] = []
    messages: list[str | None] = []
    for payload in payloads:
        row: list[str | None] = [None] * len(layout.columns)
        left: list[tuple[str, str]] = []
        code = message = None
        try:
            walk(parse(payload), root, row, left, seen)
        except Defect as defect:
            row, left = [None] * len(layout.columns), []
            code, message = defect.code, defect.message
        rows.append(row)
        rescued.append(sorted(left) or None)
        codes.append(code)
        messages.append(message)
    target = schema(layout)
    columns = [*([*column] for column in zip(*rows, strict=True)), rescued, codes, messages]
    if not rows:
        columns = [[] for _ in target]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, kind.type) for column, kind in zip(columns, target, strict=True)], schema=target
    )


def buffers(payloads: pa.StringArray) -> list[Buffer | None]:
    """The UTF-8 of each string, without a copy."""
    if payloads.type != pa.large_string():
        payloads = payloads.cast(pa.large_string())
    data = payloads.buffers()[2]
    view = memoryview(data) if data is not None else memoryview(b"")
    offsets = memoryview(payloads.buffers()[1] or bytes(8)).cast("b").cast("q")
    ends = offsets[payloads.offset : payloads.offset + len(payloads) + 1].tolist()
    found: list[Buffer | None] = [view[start:end] for start, end in itertools.pairwise(ends)]
    if payloads.null_count:
        found = [held if valid else None for held, valid in zip(found, payloads.is_valid().to_pylist(), strict=True)]
    return found


def discover(payloads: pa.StringArray, json_pointers: frozenset[str] = frozenset()) -> list[str]:
    """The JSON Pointers of all non-null leaves in the payloads, each once, by first occurrence (none of bad ones)."""
    root = _tree(Layout((), json_pointers))
    found: dict[str, None] = {}
    for payload in buffers(payloads):
        leaves: list[tuple[str, str]] = []
        with contextlib.suppress(Defect):
            walk(parse(payload), root, [], leaves, [])
            found.update(dict.fromkeys(pointer for pointer, _ in leaves))
    return list(found)


def with_kinds(payloads: pa.StringArray, layout: Layout, wanted: Mapping[str, int]) -> Iterator[tuple[int, str, str]]:
    """The values of these JSON Pointers that are of the kinds wanted of each: row, JSON Pointer and text."""
    root = _tree(Layout(tuple(Owned("", pointer) for pointer in wanted), layout.json_pointers))
    for row, payload in enumerate(buffers(payloads)):
        texts: list[str | None] = [None] * len(wanted)
        seen = [0] * len(wanted)
        with contextlib.suppress(Defect):
            walk(parse(payload), root, texts, [], seen)
            for (pointer, asked), text, kind in zip(wanted.items(), texts, seen, strict=True):
                if text is not None and kind & asked:
                    yield row, pointer, text
