"""What Firehose accepts as a row of an Iceberg table, and what it refuses.

Source: Amazon Data Firehose developer guide, "Deliver data to Apache Iceberg Tables": one JSON object a record, columns
by their exact name, timestamps as microseconds since the epoch; error codes as they stand in delivered error records.
"""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
)

from ledgerlake.errors import TerminalError

Check = Callable[[Any], Any]


class Refused(TerminalError):
    """A record that Firehose hands to the error prefix, with the code and message it would get there."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Rows:
    """Reads records as rows of one table."""

    def __init__(self, schema: Schema) -> None:
        self._read = _struct(schema.fields)

    def read(self, record: bytes) -> dict[str, Any]:
        """One record as a row. Raises Refused when it is not one of this table."""
        try:
            parsed = json.loads(record, parse_float=Decimal)
        except ValueError as broken:
            raise Refused("Iceberg.InvalidJson", f"The record is not valid JSON: {broken}") from broken
        if not isinstance(parsed, dict):
            raise Refused("Iceberg.InvalidJson", "The record is not a single JSON object")
        row: dict[str, Any] = self._read(parsed)
        return row


def _struct(fields: tuple[NestedField, ...]) -> Check:
    checks = {field.name: _checked(field.name, field.field_type) for field in fields}
    required = {field.name for field in fields if field.required}

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _mismatch("a JSON object", value)
        unknown = value.keys() - checks.keys()
        if unknown:
            raise Refused("Iceberg.MissingColumnWithinRecord", f"The table has no column {', '.join(sorted(unknown))}")
        for name in required:
            if value.get(name) is None:
                raise Refused(
                    "Iceberg.MissingColumnWithinRecord", f"The record has no value for the required column {name}"
                )
        return {name: None if each is None else checks[name](each) for name, each in value.items()}

    return read


def _checked(name: str, kind: IcebergType) -> Check:
    check = _check(kind)

    def named(value: Any) -> Any:
        try:
            return check(value)
        except Refused as refused:
            raise Refused(refused.code, f"Column {name}: {refused.message}") from refused

    return named


def _check(kind: IcebergType) -> Check:
    match kind:
        case StringType():
            return _instance(str, "a string")
        case BooleanType():
            return _instance(bool, "a boolean")
        case IntegerType():
            return _integer(-(2**31), 2**31 - 1, "a 32-bit integer")
        case LongType():
            return _integer(-(2**63), 2**63 - 1, "a 64-bit integer")
        case TimestampType() | TimestamptzType():
            return _integer(-(2**63), 2**63 - 1, "microseconds since the epoch")
        case DateType():
            return _integer(-(2**31), 2**31 - 1, "days since the epoch")
        case FloatType() | DoubleType():
            return _double
        case DecimalType():
            return _decimal(kind.precision, kind.scale)
        case ListType():
            item = _check(kind.element_type)
            return lambda value: [None if each is None else item(each) for each in _instance(list, "an array")(value)]
        case MapType():
            item = _check(kind.value_type)
            entries = _instance(dict, "a JSON object")
            return lambda value: [(k, None if v is None else item(v)) for k, v in entries(value).items()]
        case StructType():
            return _struct(kind.fields)
        case _:
            raise Refused("Iceberg.SchemaTypeMismatch", f"Columns of type {kind} cannot be delivered here")


def _instance(wanted: type, called: str) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, wanted):
            raise _mismatch(called, value)
        return value

    return check


def _integer(low: int, high: int, called: str) -> Check:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _mismatch(called, value)
        return value

    return check


def _double(value: Any) -> float:
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        raise _mismatch("a number", value)
    return float(value)


def _decimal(precision: int, scale: int) -> Check:
    called = f"a decimal({precision},{scale})"

    def check(value: Any) -> Decimal:
        if not isinstance(value, int | Decimal | str) or isinstance(value, bool):
            raise _mismatch(called, value)
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise _mismatch(called, value) from None
        if not number.is_finite() or abs(number) >= Decimal(10) ** (precision - scale):
            raise _mismatch(called, value)
        rounded = number.quantize(Decimal(1).scaleb(-scale))
        if rounded != number:
            raise _mismatch(called, value)
        return rounded

    return check


def _mismatch(wanted: str, value: Any) -> Refused:
    return Refused("Iceberg.SchemaTypeMismatch", f"expected {wanted}, not {type(value).__name__} {str(value)[:100]!r}")
