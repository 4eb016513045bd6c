"""The fast half of flatten: msgspec structs generated from a layout, read column by column (design 4.1, section 5).

A struct keeps a document only where that is exact and complete. Every row of which it cannot be sure (an unknown field,
another shape, -0, a limit that may be broken, whatever is not JSON) is left to records.document, which defines the
result; a property test holds the two against each other.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import attrgetter, or_
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.records import kinds
from ledgerlake.records.document import MAX_LEVELS, MAX_NUMBER, Buffer, Defect, Node, holds_minus_zero, leaf_text, tree
from ledgerlake.records.layout import Layout
from ledgerlake.records.numbers import NUMBER

_NO_FIELD_NAME: Final = frozenset('"\\').union(map(chr, range(0x20)))
"""Characters that msgspec takes in no field's name; such a path is left to records.document."""

# An array without objects, arrays, escapes, or white space within its texts: only the white space between has to go.
_plain_array: Final = re.compile(rb'\[(?:[^"\\{\[]|"[^"\\\s{\[]*")*\]').fullmatch
_WHITE_SPACE: Final = b" \t\n\r"

_number_kept = msgspec.json.Decoder(float_hook=msgspec.Raw).decode


# A number with a fraction or exponent is read as bytes, a string as str. What is unsure here, the definition tells.
_KIND_OF: Final = {**kinds.OF_TYPE, bytes: kinds.NUMBER, list: 0, dict: 0}


@dataclass(frozen=True)
class _Leaf:
    """A struct's field that holds a column: as msgspec reads it, or, when `raw`, as the text it came in.

    One that holds `strings` has rows with strings or nothing only; `takes` are the kinds that its column takes.
    """

    field: str
    column: int
    level: int
    raw: bool
    json: bool
    strings: bool
    takes: int


@dataclass(frozen=True)
class Shape:
    """An object of the layout as a struct: its leaves, and the objects in it by field."""

    struct: type[msgspec.Struct]
    nothing: msgspec.Struct
    leaves: tuple[_Leaf, ...]
    objects: "tuple[tuple[str, Shape], ...]"

    def columns(self) -> Iterable[int]:
        """Every column at or below this object."""
        return itertools.chain((leaf.column for leaf in self.leaves), *(shape.columns() for _, shape in self.objects))


@lru_cache(maxsize=64)
def shape(layout: Layout, raw: frozenset[str], strings: frozenset[str]) -> Shape | None:
    """The structs of a layout, None when they would have no field.

    `raw` are the JSON Pointers that hold arrays, `strings` those with a field for strings alone: a row with another
    value there is unsure.
    """
    return _shape(tree(layout), raw, strings, 1)


def _shape(node: Node, raw: frozenset[str], strings: frozenset[str], level: int) -> Shape | None:
    leaves: list[_Leaf] = []
    objects: list[tuple[str, Shape]] = []
    names: dict[str, str] = {}
    fields: list[tuple[str, Any, Any]] = []
    for key, child in node.children.items():
        if level >= MAX_LEVELS or not _NO_FIELD_NAME.isdisjoint(key):
            continue
        field = f"f{len(fields)}"
        if child.children and not child.json:
            inner = _shape(child, raw, strings, level + 1)
            if inner is None:
                continue
            objects.append((field, inner))
            fields.append((field, inner.struct | None, inner.nothing))
        elif child.column >= 0:
            whole = child.json or child.pointer in raw
            text = not whole and child.pointer in strings
            leaves.append(_Leaf(field, child.column, level, whole, child.json, text, child.takes))
            fields.append((field, msgspec.Raw if whole else str | None if text else Any, None))
        else:
            continue
        names[field] = key
    if not fields:
        return None
    struct = msgspec.defstruct(
        "Document", fields, rename=names, forbid_unknown_fields=True, frozen=True, eq=False, gc=False
    )
    return Shape(struct, struct(), tuple(leaves), tuple(objects))


class Columns:
    """The columns of a batch while they are read, and the rows that turned out to be unsure.

    `kinds` has those of each column's values; one of an unsure row may stand there too much.
    """

    def __init__(self, payloads: Sequence[Buffer | None], width: int) -> None:
        self.payloads = payloads
        self.unsure: set[int] = set()
        self.texts: list[pa.StringArray] = [None] * width
        self.kinds = [0] * width
        self._zeros: set[int] = set()

    def read(self, root: Shape) -> None:
        """Read every payload by its structs; what is in `unsure` afterwards stands in no column that counts."""
        decode = msgspec.json.Decoder(root.struct, float_hook=str.encode).decode
        documents: list[Any] = []
        add = documents.append
        for row, payload in enumerate(self.payloads):
            try:
                add(decode(payload))  # type: ignore[arg-type]  # None raises as well
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
                add(root.nothing)
                self.unsure.add(row)
        self._read_object(root, documents)
        self.unsure.update(row for row in self._zeros if holds_minus_zero(self.payloads[row]))

    def _read_object(self, at: Shape, documents: list[Any]) -> None:
        for leaf in at.leaves:
            values = list(map(attrgetter(leaf.field), documents))
            self.texts[leaf.column] = self._raw(values, leaf) if leaf.raw else self._any(values, leaf)
        for field, inner in at.objects:
            nothing = inner.nothing
            held = [nothing if value is None else value for value in map(attrgetter(field), documents)]
            self._read_object(inner, held)
            self._suspect_empty(inner, held)

    def _suspect_empty(self, at: Shape, held: list[Any]) -> None:
        """An object of which nothing came into a column may have been `{}`, which is a leaf itself."""
        filled = None
        for column in at.columns():
            texts = self.texts[column]
            if texts.null_count == 0:
                return
            valid = texts.is_valid()
            filled = valid if filled is None else pc.or_(filled, valid)
        self.unsure.update(
            row for row in pc.indices_nonzero(pc.invert(filled)).to_pylist() if held[row] is not at.nothing
        )

    def _any(self, values: list[Any], leaf: _Leaf) -> pa.StringArray:
        try:
            texts = pa.array(values, pa.string())
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            texts = None
        if texts is not None and texts.null_count == len(texts):
            return texts
        types: set[type] = {str} if leaf.strings else set(map(type, values))
        types.discard(type(None))
        self._saw(leaf, (_KIND_OF[one] for one in types), (_KIND_OF[type(value)] for value in values))
        if texts is None:
            return self._converted(values, types)
        self._suspect_long(texts)
        return texts

    def _saw(self, leaf: _Leaf, held: Iterable[int], by_row: Iterable[int]) -> None:
        """Note the kinds that a column holds; rows with one that it does not take are unsure."""
        found = reduce(or_, held, 0)
        self.kinds[leaf.column] = found
        if found & ~leaf.takes:
            self.unsure.update(row for row, kind in enumerate(by_row) if kind & ~leaf.takes)

    def _converted(self, values: list[Any], types: set[type]) -> pa.StringArray:
        if types == {bool}:
            return pa.array(values, pa.bool_()).cast(pa.string())
        if types == {int}:
            try:
                whole = pa.array(values, pa.int64())
            except (OverflowError, pa.ArrowInvalid):
                pass
            else:
                self._zeros.update(pc.indices_nonzero(pc.equal(whole, 0)).to_pylist())
                return whole.cast(pa.string())
        texts = pa.array([self._one(row, value) for row, value in enumerate(values)], pa.string())
        self._suspect_long(texts)
        return texts

    def _one(self, row: int, value: Any) -> str | None:
        if value is None or type(value) is str:
            return value
        if type(value) is bytes:
            return value.decode()
        if type(value) is bool:
            return "true" if value else "false"
        if type(value) is int:
            if value == 0:
                self._zeros.add(row)
            return str(value)
        self.unsure.add(row)
        return None

    def _suspect_long(self, texts: pa.StringArray) -> None:
        """A text here is a string or a number with a fraction or exponent, and only the latter has a limit."""
        longest = pc.max(pc.binary_length(texts)).as_py()
        if longest is not None and longest > MAX_NUMBER:
            long = pc.greater(pc.binary_length(texts), MAX_NUMBER)
            rows = pc.indices_nonzero(long)
            numbers = pc.match_substring_regex(texts.take(rows), f"^{NUMBER}$")
            self.unsure.update(rows.filter(numbers).to_pylist())

    def _raw(self, values: list[Any], leaf: _Leaf) -> pa.StringArray:
        texts = [None if value is None else bytes(value) for value in values]
        if leaf.json:
            held = [0 if text is None or text == b"null" else kinds.JSON for text in texts]
        else:  # a row with an object is unsure
            held = [kinds.OF_FIRST[text[:1]] & ~kinds.OBJECT if text else 0 for text in texts]
        self._saw(leaf, set(held), held)
        rows = enumerate(texts)
        return pa.array([None if text is None else self._one_raw(row, text, leaf) for row, text in rows], pa.string())

    def _one_raw(self, row: int, text: bytes, leaf: _Leaf) -> str | None:
        try:
            if len(text) <= MAX_NUMBER and _plain_array(text):
                return text.translate(None, _WHITE_SPACE).decode()
            if text == b"-0" or holds_minus_zero(text):
                self.unsure.add(row)
                return None
            value = _number_kept(text)
            if value is None:
                return None
            if leaf.json or type(value) is not dict:
                return leaf_text(value, leaf.level, leaf.json)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Defect):
            pass
        self.unsure.add(row)
        return None
