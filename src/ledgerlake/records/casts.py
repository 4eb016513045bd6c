"""Casts: a contract's columns from text to their types, exactly or with a violation (design 4.0, 4.3)."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.contracts.model import IDEMPOTENCY_KEY, Column, Contract, EnvelopeColumn
from ledgerlake.contracts.types import ColumnType
from ledgerlake.records import constraints, numbers, privacy, refused, times
from ledgerlake.records.layout import Layout
from ledgerlake.records.sources import column_texts, null_where

VIOLATIONS: Final = "$violations"
"""The column of violations; a contract's column cannot have this name."""
VIOLATION: Final = pa.struct(
    [("kind", pa.string()), ("column", pa.string()), ("rule", pa.string()), ("value", pa.string())]
)
DRIFT: Final = "drift"
"""The rule of what a drift policy rejects."""
TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

_ARROW: Final = {
    "string": pa.string(),
    "json": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
}
_BLANK: Final = r"^[ \t\n\r\x0b\x0c]*$"

# What Arrow itself reads exactly; every other text is looked at on its own. Days past the 28th may not exist.
_PLAIN_INTEGER: Final = r"^-?[0-9]{1,9}$"
_PLAIN_BIGINT: Final = r"^-?[0-9]{1,18}$"
_PLAIN_DOUBLE: Final = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"
_PLAIN_DATE: Final = r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$"
_PLAIN_TIMESTAMP: Final = (
    r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])[T ]"
    r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z?$"
)


def arrow_type(kind: ColumnType) -> pa.DataType:
    """The Arrow type of a contract's type: timestamps in microseconds UTC, json as text."""
    if kind.kind == "decimal":
        return pa.decimal128(kind.precision or 0, kind.scale or 0)
    return _ARROW[kind.kind]


def schema(contract: Contract) -> pa.Schema:
    """The columns that `cast` returns for a contract."""
    typed = [(column.name, arrow_type(column.type)) for column in contract.columns]
    return pa.schema([*typed, (VIOLATIONS, pa.list_(VIOLATION))])


def cast(rows: pa.RecordBatch, contract: Contract, layout: Layout, salt: str | None = None) -> pa.RecordBatch:
    """One typed row for each standardized row, in order, with all its violations.

    `rows`: STANDARDIZED's columns (string; `rescued` a map). Columns: the contract's, typed, NULL where a cast failed;
    VIOLATIONS, list<struct<kind, column, rule, value>> in the contract's order, NULL for a good row: kind `cde` with
    rule `required`, kind `cast` with the type as rule, kind `check` with the option as rule; value is the whole text.
    What the contract's drift policy rejects is a check with the rule `drift`; of a field that it does not name there is
    no column, and the value is the field's JSON Pointer.
    Of a personal column neither holds a text: see `privacy`. Raises NoSalt.
    """
    found = _Violations(rows.num_rows)
    if contract.key is None:
        _require_key(rows, found)
    typed: dict[str, pa.Array] = {}
    for column in _in_order(contract):
        if column is contract.key:
            _require_key(rows, found)
        else:
            values = column_texts(rows, column, layout)
            typed[column.name] = _cast_column(values, column, found)
            if column.drift == "reject":
                wrong = refused.wrong_kind(rows, column, layout)
                found.add(wrong, _shown(values, column), "check", column.name, DRIFT)
            if column.pii:
                typed[column.name] = privacy.protected(typed[column.name], column.pii, salt)
    if contract.drift == "reject":
        for row, field in refused.unknown_fields(rows, contract, layout):
            found.tell(row, "check", None, DRIFT, field)
    return pa.RecordBatch.from_arrays(
        [*(typed[column.name] for column in contract.columns), found.column()], schema=schema(contract)
    )


def _in_order(contract: Contract) -> Iterator[Column | EnvelopeColumn]:
    yield from contract.envelope_columns
    yield from contract.payload_columns


def cast_text(text: str, kind: ColumnType, written: str | None = None) -> object:
    """One text as a value of a type (`written` is the contract's format), None when it cannot be one."""
    values, _ = cast_texts(pa.array([text], pa.string()), kind, written)
    return values[0].as_py()


def is_blank(values: pa.StringArray) -> pa.BooleanArray:
    """Whether a text is empty or nothing but ASCII white space; NULL for NULL."""
    return pc.match_substring_regex(values, _BLANK)


class _Violations:
    """The violations of a batch's rows, listed in the order in which they are added."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._by_row: dict[int, list[dict[str, str | None]]] = {}

    def add(self, broken: pa.BooleanArray, values: pa.StringArray, kind: str, column: str, rule: str) -> None:
        """Add one violation, with the row's value, to each row of which `broken` is true."""
        for row in pc.indices_nonzero(broken).to_pylist():
            self.tell(row, kind, column, rule, values[row].as_py())

    def tell(self, row: int, kind: str, column: str | None, rule: str, value: str | None) -> None:
        """Add one violation to a row."""
        entry = {"kind": kind, "column": column, "rule": rule, "value": value}
        self._by_row.setdefault(row, []).append(entry)

    def column(self) -> pa.ListArray:
        if not self._by_row:
            return pa.nulls(self._rows, pa.list_(VIOLATION))
        return pa.array([self._by_row.get(row) for row in range(self._rows)], pa.list_(VIOLATION))


def _require_key(rows: pa.RecordBatch, found: _Violations) -> None:
    values = rows.column(IDEMPOTENCY_KEY)
    found.add(_missing(values, blank_counts=True), values, "cde", IDEMPOTENCY_KEY, "required")


def _missing(values: pa.StringArray, *, blank_counts: bool) -> pa.BooleanArray:
    return pc.fill_null(is_blank(values), True) if blank_counts else pc.is_null(values)


def _cast_column(values: pa.StringArray, column: Column | EnvelopeColumn, found: _Violations) -> pa.Array:
    if column.cde:
        blank_counts = column.type.kind == "string" and not column.allow_empty
        missing = _missing(values, blank_counts=blank_counts)
        found.add(missing, _shown(values, column), "cde", column.name, "required")
    elif column.default is not None:
        values = pc.fill_null(values, column.default)
    typed, failed = cast_values(values, column)
    if failed is not None:
        found.add(failed, _shown(values, column), "cast", column.name, str(column.type))
    for rule, broken in constraints.broken(values, typed, column, lambda texts: cast_values(texts, column)[0]):
        found.add(broken, _shown(values, column), "check", column.name, rule)
    return typed


def _shown(values: pa.StringArray, column: Column | EnvelopeColumn) -> pa.StringArray:
    return privacy.masked(values) if column.pii else values


def cast_values(values: pa.StringArray, column: Column | EnvelopeColumn) -> tuple[pa.Array, pa.BooleanArray | None]:
    """A column's texts as its values, read as its options say, and which of them failed (None: not one)."""
    if column.true_values or column.false_values:
        values = _spelled(values, column)
    return cast_texts(values, column.type, column.format)


def _spelled(values: pa.StringArray, column: Column | EnvelopeColumn) -> pa.StringArray:
    """The contract's own words for true and false as those two words; other texts stay as they are."""
    lowered = pc.utf8_lower(values)
    for words, meaning in ((column.true_values, "true"), (column.false_values, "false")):
        known = pc.utf8_lower(pa.array(words, pa.string()))
        values = pc.if_else(pc.is_in(lowered, known), meaning, values)
    return values


def cast_texts(
    values: pa.StringArray, kind: ColumnType, written: str | None = None
) -> tuple[pa.Array, pa.BooleanArray | None]:
    """The texts as values of a type (`written` is the contract's format), and which of them failed (None: not one).

    NULL stays NULL. A cast succeeds when the type holds the value exactly.
    """
    target = arrow_type(kind)
    if kind.kind == "string":
        return values, None
    plain = _plain(values, kind, written)
    one = _one(kind, written)
    if plain is None:
        odd = pc.is_valid(values)
        typed: pa.Array = pa.nulls(len(values), target)
    else:
        odd = pc.and_kleene(pc.is_valid(values), pc.invert(plain))
        held = values if odd.true_count == 0 else null_where(values, odd)
        typed = _arrow_cast(held, kind, written)
    if odd.true_count == 0:
        return typed, None
    read = [one(text) for text in values.filter(odd).to_pylist()]
    typed = pc.replace_with_mask(typed, odd, _array(read, target))
    failed = pc.and_(odd, pc.is_null(typed))
    return typed, failed if failed.true_count else None


def _array(values: list[Any], target: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(target):
        return pa.array(values, pa.int64()).cast(target)
    if pa.types.is_date32(target):
        return pa.array(values, pa.int32()).cast(target)
    return pa.array(values, target)


def _plain(values: pa.StringArray, kind: ColumnType, written: str | None) -> pa.BooleanArray | None:
    """Which texts Arrow itself reads exactly; None when it can read none."""
    name = kind.kind
    if written is not None and written in times.EPOCH_PLACES and name == "timestamp":
        return pc.match_substring_regex(values, rf"^[0-9]{{1,{17 - times.EPOCH_PLACES[written]}}}$")
    if written is not None or name == "json":
        return None
    if name == "boolean":
        return pc.is_in(pc.ascii_lower(values), pa.array(["true", "false"]))
    if name == "decimal":
        whole, scale = (kind.precision or 0) - (kind.scale or 0), kind.scale or 0
        fraction = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
        return pc.match_substring_regex(values, rf"^-?[0-9]{{1,{whole}}}{fraction}$") if whole else None
    return pc.match_substring_regex(values, _PLAIN[name])


_PLAIN: Final = {
    "int": _PLAIN_INTEGER,
    "bigint": _PLAIN_BIGINT,
    "double": _PLAIN_DOUBLE,
    "date": _PLAIN_DATE,
    "timestamp": _PLAIN_TIMESTAMP,
}


def _arrow_cast(values: pa.StringArray, kind: ColumnType, written: str | None) -> pa.Array:
    if kind.kind == "boolean":
        return pc.equal(pc.ascii_lower(values), "true")
    if kind.kind == "timestamp":
        if written is not None:
            scaled = pc.multiply(pc.cast(values, pa.int64()), 10 ** times.EPOCH_PLACES[written])
            return scaled.cast(TIMESTAMP)
        moments = pc.cast(pc.utf8_rtrim(values, "Z"), pa.timestamp("us"))
        return pc.assume_timezone(moments, "UTC")
    return pc.cast(values, arrow_type(kind))


def _one(kind: ColumnType, written: str | None) -> Callable[[str], Any]:
    """What reads one text as a value of a type, or None: the definition that the plain texts are a part of."""
    name = kind.kind
    if written is not None:
        read = times.reader(written)
        return _midnight(read) if name == "date" else read
    if name == "decimal":
        precision, scale = kind.precision or 0, kind.scale or 0
        return lambda text: numbers.decimal(text, precision, scale)
    return _ONE[name]


def _midnight(read: Callable[[str], int | None]) -> Callable[[str], int | None]:
    """A date does not hold a time of day: only midnight is one."""

    def day(text: str) -> int | None:
        value = read(text)
        return None if value is None or value % times.DAY_US else value // times.DAY_US

    return day


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _double(text: str) -> float | None:
    if numbers.parse(text) is None:
        return None
    value = float(text)
    return value if abs(value) != float("inf") else None


def _json(text: str) -> str | None:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return text if _is_json(text) else None
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=len, parse_float=len, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_ONE: Final[dict[str, Callable[[str], Any]]] = {
    "boolean": _boolean,
    "int": lambda text: numbers.integer(text, 32),
    "bigint": lambda text: numbers.integer(text, 64),
    "double": _double,
    "date": times.days,
    "timestamp": times.microseconds,
    "json": _json,
}
