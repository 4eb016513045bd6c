"""Rows that Firehose takes, column type by column type."""

import json
from decimal import Decimal

import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
)

from ledgerlake.local.firehose_rows import Refused, Rows

STRUCT = StructType(NestedField(20, "x", LongType(), required=True), NestedField(21, "y", StringType()))
TYPES = {
    "string": StringType(),
    "boolean": BooleanType(),
    "int": IntegerType(),
    "long": LongType(),
    "double": DoubleType(),
    "decimal": DecimalType(5, 2),
    "date": DateType(),
    "timestamp": TimestamptzType(),
    "list": ListType(30, LongType(), element_required=False),
    "map": MapType(40, StringType(), 41, LongType(), value_required=False),
    "struct": STRUCT,
}


def read(kind, text):
    reader = Rows(Schema(NestedField(1, "c", TYPES[kind])))
    return reader.read(f'{{"c": {text}}}'.encode())["c"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", '"1.10"', "1.10"),
        ("string", "null", None),
        ("boolean", "true", True),
        ("int", "-2147483648", -(2**31)),
        ("long", "9223372036854775807", 2**63 - 1),
        ("double", "1", 1.0),
        ("double", "1.5e3", 1500.0),
        ("decimal", "1.1", Decimal("1.10")),
        ("decimal", '"999.99"', Decimal("999.99")),
        ("date", "20000", 20000),
        ("timestamp", "1768730400123456", 1768730400123456),
        ("list", "[1, null]", [1, None]),
        ("map", '{"a": 1, "b": null}', [("a", 1), ("b", None)]),
        ("struct", '{"x": 1}', {"x": 1}),
    ],
)
def test_a_fitting_value_is_taken_exactly(kind, text, value):
    assert read(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("string", "1"),
        ("string", '{"a": 1}'),
        ("boolean", '"true"'),
        ("boolean", "1"),
        ("int", "2147483648"),
        ("int", "1.0"),
        ("int", "true"),
        ("long", '"1"'),
        ("double", '"1.5"'),
        ("decimal", "1.105"),
        ("decimal", "1000"),
        ("decimal", '"NaN"'),
        ("timestamp", '"2026-01-18T10:00:00Z"'),
        ("timestamp", "1768730400.5"),
        ("list", "1"),
        ("map", "[1]"),
        ("struct", '{"x": "1"}'),
    ],
)
def test_any_other_value_is_a_mismatch(kind, text):
    with pytest.raises(Refused) as refused:
        read(kind, text)
    assert refused.value.code == "Iceberg.SchemaTypeMismatch"
    assert refused.value.message.startswith("Column c: ")


@pytest.mark.parametrize("text", ['{"x": 1, "z": 1}', '{"y": "a"}', '{"x": null}'])
def test_columns_too_many_or_too_few_are_refused_also_inside_a_struct(text):
    with pytest.raises(Refused) as refused:
        read("struct", text)
    assert refused.value.code == "Iceberg.MissingColumnWithinRecord"


@pytest.mark.parametrize("record", [b"", b"not json", b"[]", b'"text"', b'{"c": 1}{"c": 2}', b"\xff"])
def test_a_record_is_exactly_one_json_object(record):
    with pytest.raises(Refused) as refused:
        Rows(Schema(NestedField(1, "c", LongType()))).read(record)
    assert refused.value.code == "Iceberg.InvalidJson"


def test_column_names_are_case_sensitive():
    with pytest.raises(Refused):
        Rows(Schema(NestedField(1, "c", LongType()))).read(json.dumps({"C": 1}).encode())
