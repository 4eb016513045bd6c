import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgerlake.contracts.model import Contract
from ledgerlake.contracts.types import parse_type
from ledgerlake.records.casts import VIOLATIONS, arrow_type, cast, cast_text, cast_texts, schema
from ledgerlake.records.idempotency import idempotency_keys
from ledgerlake.records.layout import Layout, Owned
from ledgerlake.records.paths import column_name, segments


def value(text, kind, written=None):
    return cast_text(text, parse_type(kind), written)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("int", "5", 5),
        ("int", "+5", 5),
        ("int", "-005", -5),
        ("int", "5.0", 5),
        ("int", "1e3", 1000),
        ("int", "-0", 0),
        ("int", "2147483647", 2**31 - 1),
        ("int", "-2147483648", -(2**31)),
        ("int", "1000e-3", 1),
        ("bigint", "9223372036854775807", 2**63 - 1),
        ("bigint", "1e18", 10**18),
        ("decimal(12,2)", "1.100", Decimal("1.10")),
        ("decimal(12,2)", "9999999999.99", Decimal("9999999999.99")),
        ("decimal(12,2)", "1e3", Decimal(1000)),
        ("decimal(12,2)", "-.0", None),
        ("decimal(2,2)", "0.12", Decimal("0.12")),
        ("decimal(38,0)", "123456789012345678901234567890", Decimal("123456789012345678901234567890")),
        ("double", "1.1", 1.1),
        ("double", "1e-400", 0.0),
        ("double", "0.1000000000000000055511151231257827", 0.1),
        ("double", "123456789012345678901234567890", 1.2345678901234568e29),
        ("double", "+1.5e3", 1500.0),
        ("boolean", "true", True),
        ("boolean", "FALSE", False),
        ("boolean", "tRue", True),
        ("date", "2024-02-29", date(2024, 2, 29)),
        ("date", "0001-01-01", date(1, 1, 1)),
        ("date", "9999-12-31", date.max),
        ("json", '{"a": 1.10}', '{"a": 1.10}'),
        ("json", '"s"', '"s"'),
        ("json", "-0", "-0"),
        ("json", "9" * 5000, "9" * 5000),
        ("string", "", ""),
        ("string", " x ", " x "),
    ],
)
def test_a_text_becomes_the_value_it_is(kind, text, expected):
    assert value(text, kind) == expected


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (
            "int",
            ["12.5", "2147483648", "-2147483649", " 5 ", "1,5", ".5", "5.", "", "true", "0x1", "5\n", "1e-1", "NaN"],
        ),
        ("bigint", ["9223372036854775808", "1e19", "1e999999999999"]),
        ("decimal(12,2)", ["1.105", "10000000000", "1e10", "1e-3", ""]),
        ("decimal(2,2)", ["1", "1.0", ".5"]),
        ("decimal(38,0)", ["1" * 39, "1e38", "0.1"]),
        ("double", ["1e400", "-1e400", "NaN", "inf", "Infinity", "-Infinity", "1_0", "1" * 400, ""]),
        ("boolean", ["1", "0", "yes", "t", "", " true", "true\n"]),
        (
            "date",
            ["2026-02-29", "2026-13-01", "0000-01-01", "2026-1-1", "20260101", "2026-01-01T00:00", "2026-01-01\n", ""],
        ),
        ("json", ["s", "NaN", "", "{", "'a'", "\ufeff1", "[1,]", "[" * 100_000]),
    ],
)
def test_what_a_type_cannot_hold_exactly_fails(kind, texts):
    for text in texts:
        assert value(text, kind) is None, text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-18T10:00:00Z", datetime(2026, 1, 18, 10, tzinfo=UTC)),
        ("2026-01-18 10:00", datetime(2026, 1, 18, 10, tzinfo=UTC)),
        ("2026-01-31T10:00:00.123456789+02:00", datetime(2026, 1, 31, 8, 0, 0, 123456, UTC)),
        ("2026-01-18T10:00:00.1-23:59", datetime(2026, 1, 19, 9, 59, 0, 100_000, UTC)),
        ("2024-02-29T23:59:59.999999999", datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC)),
        ("1969-12-31T23:59:59.9999999Z", datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)),
        ("0001-01-01T00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_timestamp_is_iso_8601_in_utc_cut_to_microseconds(text, expected):
    assert value(text, "timestamp") == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-18",
        "2026-02-30T10:00Z",
        "2026-01-18T24:00Z",
        "2026-01-18T10:00:60Z",
        "2026-01-18T10:60Z",
        "2026-01-18t10:00Z",
        "2026-01-18T10:00z",
        "2026-01-18T10Z",
        "2026-01-18T10:00:00.Z",
        "2026-01-18T10:00:00.1234567890Z",
        "2026-01-18T10:00+0200",
        "2026-01-18T10:00+24:00",
        "2026-01-18T10:00 Z",
        "2026-01-18T10:00.5Z",
        "2026-01-18T10:00:00ZZ",
        "0001-01-01T00:00+01:00",
        "9999-12-31T23:59-01:00",
        "1768730400",
        "",
        " 2026-01-18T10:00Z",
    ],
)
def test_what_is_no_timestamp_fails(text):
    assert value(text, "timestamp") is None


@pytest.mark.parametrize(
    ("kind", "written", "text", "expected"),
    [
        ("timestamp", "%d/%m/%Y %H:%M", "18/01/2026 10:00", datetime(2026, 1, 18, 10, tzinfo=UTC)),
        ("timestamp", "%Y-%m-%dT%H:%M:%S%z", "2026-01-18T10:00:00+0200", datetime(2026, 1, 18, 8, tzinfo=UTC)),
        ("timestamp", "%d/%m/%Y", "2026-01-18", None),
        ("timestamp", "epoch_s", "1768730400", datetime(2026, 1, 18, 10, tzinfo=UTC)),
        ("timestamp", "epoch_s", "1768730400.1234567", datetime(2026, 1, 18, 10, 0, 0, 123456, UTC)),
        ("timestamp", "epoch_s", "1.7687304e9", datetime(2026, 1, 18, 10, tzinfo=UTC)),
        ("timestamp", "epoch_s", "-1", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("timestamp", "epoch_ms", "1768730400123.9", datetime(2026, 1, 18, 10, 0, 0, 123900, UTC)),
        ("timestamp", "epoch_us", "1768730400123456.7", datetime(2026, 1, 18, 10, 0, 0, 123456, UTC)),
        ("timestamp", "epoch_s", "253402300800", None),
        ("timestamp", "epoch_s", "9" * 400, None),
        ("timestamp", "epoch_s", "2026-01-18T10:00Z", None),
        ("timestamp", "epoch_ms", "", None),
        ("date", "%d.%m.%Y", "29.02.2024", date(2024, 2, 29)),
        ("date", "%d.%m.%Y", "\u0662\u0669.02.2024", None),
        ("date", "%Y年%m月%d日", "2024年02月29日", date(2024, 2, 29)),
        ("date", "%d.%m.%Y", "29.02.2026", None),
        ("date", "%d.%m.%Y %H", "29.02.2024 01", None),
        ("date", "epoch_s", "86400", date(1970, 1, 2)),
        ("date", "epoch_s", "86401", None),
    ],
)
def test_a_format_replaces_the_usual_reading(kind, written, text, expected):
    assert value(text, kind, written) == expected


@given(st.datetimes(timezones=st.integers(-1439, 1439).map(lambda offset: timezone(timedelta(minutes=offset)))))
def test_every_moment_is_read_back(moment):
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        expected = None
    assert value(moment.isoformat(), "timestamp") == expected
    assert value(moment.replace(tzinfo=None).isoformat(sep=" "), "timestamp") == moment.replace(tzinfo=UTC)


KINDS = [
    "int",
    "bigint",
    "double",
    "boolean",
    "date",
    "timestamp",
    "json",
    "decimal(12,2)",
    "decimal(38,38)",
    "decimal(1,0)",
]
likely = st.sampled_from(
    [
        "0",
        "-0",
        "1",
        "12.50",
        "1e3",
        "1e400",
        "true",
        "False",
        "2026-01-18",
        "2026-02-30",
        "2026-01-18T10:00:00Z",
        "[1]",
        "2026-01-18 10:00:00.123",
        "2026-02-30T10:00:00Z",
        "99999999999",
        "9999999999999999999",
        "",
        " ",
        "0000-01-01",
        "-5",
    ]
)
texts = st.lists(st.none() | likely | st.text(max_size=6), max_size=8)


@given(texts, st.sampled_from(KINDS), st.sampled_from([None, None, "epoch_s", "epoch_ms", "epoch_us", "%Y-%m-%d"]))
def test_every_text_is_a_value_or_fails_and_depends_on_no_other(held, kind, written):
    parsed = parse_type(kind)
    written = written if kind in ("date", "timestamp") else None
    typed, failed = cast_texts(pa.array(held, pa.string()), parsed, written)
    assert typed.type == arrow_type(parsed)
    broken = [False] * len(held) if failed is None else failed.to_pylist()
    for text, found, is_broken in zip(held, typed.to_pylist(), broken, strict=True):
        assert is_broken == (text is not None and found is None)
        assert text is None or found == cast_text(text, parsed, written)


def contract(*columns, envelope=()):
    return Contract.model_validate(
        {"table_name": "t", "envelope_columns": list(envelope), "payload_columns": list(columns)}
    )


def column(name, kind="string", **more):
    return {"name": name, "type": kind, **more}


def rows(*records, owned=(), keys=None, attributes=None):
    """Standardized rows of records (column to text; JSON Pointers go to rescued) and the layout of the owned paths."""
    layout = Layout(tuple(Owned(column_name(segments(path)), path) for path in owned))
    held = {
        each.name: pa.array([record.get(each.pointer) for record in records], pa.string()) for each in layout.columns
    }
    rescued = [[(path, text) for path, text in record.items() if path not in owned] or None for record in records]
    return pa.RecordBatch.from_pydict(
        {
            "idempotency_key": pa.array(keys or ["k"] * len(records), pa.string()),
            "attributes": pa.array(attributes or [None] * len(records), pa.string()),
            **held,
            "rescued": pa.array(rescued, pa.map_(pa.string(), pa.string())),
        }
    ), layout


def violation(kind, name, rule, text):
    return {"kind": kind, "column": name, "rule": rule, "value": text}


def test_a_good_row_is_typed_and_has_no_violations():
    agreed = contract(
        column("amount", "decimal(12,2)", source="event.amount"), column("at", "timestamp"), column("j", "json")
    )
    batch, layout = rows(
        {"/event/amount": "1.10", "/at": "2026-01-18T10:00:00Z", "/j": "[1]"}, {}, owned=["/event/amount", "/at", "/j"]
    )
    found = cast(batch, agreed, layout)
    assert found.schema == schema(agreed)
    assert found.to_pylist() == [
        {"amount": Decimal("1.10"), "at": datetime(2026, 1, 18, 10, tzinfo=UTC), "j": "[1]", VIOLATIONS: None},
        {"amount": None, "at": None, "j": None, VIOLATIONS: None},
    ]


def test_all_violations_are_listed_in_the_contracts_order():
    agreed = contract(
        column("a", "int"), column("b", cde=True), column("c", "decimal(12, 2)"), column("d", "date", cde=True),
        envelope=[column("region", cde=True), column("idempotency_key")],
    )  # fmt: skip
    batch, layout = rows({"/a": "x" * 5000, "/c": "1.105", "/d": ""}, {"/a": "1"}, owned=["/a", "/b"], keys=[None, " "])
    found = cast(batch, agreed, layout).to_pylist()
    assert found[0] == {
        "region": None, "a": None, "b": None, "c": None, "d": None,
        VIOLATIONS: [
            violation("cde", "region", "required", None),
            violation("cde", "idempotency_key", "required", None),
            violation("cast", "a", "int", "x" * 5000),
            violation("cde", "b", "required", None),
            violation("cast", "c", "decimal(12,2)", "1.105"),
            violation("cast", "d", "date", ""),
        ],
    }  # fmt: skip
    assert [each["column"] for each in found[1][VIOLATIONS]] == ["region", "idempotency_key", "b", "d"]
    assert found[1][VIOLATIONS][1]["value"] == " "


def test_the_idempotency_key_is_required_whatever_the_contract_names():
    batch, layout = rows({}, {}, keys=["k", None])
    found = cast(batch, contract(column("a")), layout).column(VIOLATIONS).to_pylist()
    assert found == [None, [violation("cde", "idempotency_key", "required", None)]]


@pytest.mark.parametrize("text", ["", " ", "\t\n\r\x0b\x0c"])
def test_a_blank_string_is_missing_unless_it_may_be_empty(text):
    batch, layout = rows({"/a": text}, owned=["/a"])
    missing = cast(batch, contract(column("a", cde=True)), layout).to_pylist()[0]
    assert missing == {"a": text, VIOLATIONS: [violation("cde", "a", "required", text)]}
    kept = cast(batch, contract(column("a", cde=True, allow_empty=True)), layout).to_pylist()[0]
    assert kept == {"a": text, VIOLATIONS: None}


def test_white_space_beyond_ascii_is_a_text():
    batch, layout = rows({"/a": "\u00a0"}, owned=["/a"])
    assert cast(batch, contract(column("a", cde=True)), layout).to_pylist()[0][VIOLATIONS] is None


def test_a_default_fills_what_is_absent_but_not_what_is_empty():
    batch, layout = rows({}, {"/a": "", "/n": ""}, {"/a": "x", "/n": "2"}, owned=["/a"])
    found = cast(batch, contract(column("a", default="d"), column("n", "int", default="7")), layout).to_pylist()
    assert [(row["a"], row["n"]) for row in found] == [("d", 7), ("", None), ("x", 2)]
    assert found[1][VIOLATIONS] == [violation("cast", "n", "int", "")]


def test_a_source_is_read_from_its_own_column_or_rescued_and_never_from_anothers():
    batch, layout = rows({"/a/b": "owner", "/a_b": "collided"}, {"/a/b": "owner"}, owned=["/a/b"])
    agreed = contract(column("x", source="a.b"), column("y", source="a_b"), column("z", source="/a~1b"))
    found = cast(batch, agreed, layout).to_pylist()
    assert [(row["x"], row["y"], row["z"]) for row in found] == [("owner", "collided", None), ("owner", None, None)]


def test_an_envelope_column_comes_from_attributes_or_payload():
    batch, layout = rows({"/v": "2"}, {}, attributes=[json.dumps({"region.name": "eu", "n": "5.0"}), None])
    agreed = contract(
        column("a"),
        envelope=[
            column("region", source="attributes.region.name"),
            column("n", "int", source="attributes.n"),
            column("version", "int", source="v"),
        ],
    )
    found = cast(batch, agreed, layout).to_pylist()
    assert found[0] == {"region": "eu", "n": 5, "version": 2, "a": None, VIOLATIONS: None}
    assert found[1] == {"region": None, "n": None, "version": None, "a": None, VIOLATIONS: None}


def test_no_rows_are_cast_to_no_rows():
    batch, layout = rows({"/a": "1"}, owned=["/a"])
    agreed = contract(column("a", "timestamp"), column("b", "boolean", cde=True))
    assert cast(batch.slice(0, 0), agreed, layout).schema == schema(agreed)


def test_a_slice_is_cast_as_such():
    batch, layout = rows({"/a": "1"}, {"/a": "x"}, {"/b": "3"}, owned=["/a"])
    agreed = contract(column("a", "int"), column("b", "int"))
    assert cast(batch.slice(1), agreed, layout).to_pylist() == cast(batch, agreed, layout).to_pylist()[1:]


def keys(batch, layout, sources, given=None):
    agreed = contract(envelope=[column("idempotency_key", source=sources)])
    given = pa.array(given or [None] * batch.num_rows, pa.string())
    return idempotency_keys(batch, agreed.key_sources, layout, given).to_pylist()


def test_the_messages_own_key_goes_before_the_contracts_source():
    batch, layout = rows({"/id": "p"}, {"/id": "p"}, {"/id": "p"}, {}, owned=["/id"])
    assert keys(batch, layout, "id", ["m", None, " ", ""]) == ["m", "p", "p", None]


def test_a_key_keeps_its_text_and_blank_is_missing():
    batch, layout = rows({"/id": "1.10"}, {"/id": ""}, {"/id": "\t"}, {"/id": " x "}, {"/id": "\u00a0"})
    assert keys(batch, layout, "id") == ["1.10", None, None, " x ", "\u00a0"]


def test_a_composite_key_is_a_compact_array_of_texts_and_needs_all_of_them():
    batch, layout = rows(
        {"/a": "1.10", "/b/c": 'é"'}, {"/a": "1"}, {"/a": "1", "/b/c": " "}, owned=["/b/c"],
        attributes=['{"r":"eu"}'] * 3,
    )  # fmt: skip
    assert keys(batch, layout, ["a", "b.c", "attributes.r"]) == ['["1.10","é\\"","eu"]', None, None]


def test_without_a_source_only_the_message_brings_a_key():
    batch, layout = rows({}, {})
    assert idempotency_keys(batch, (), layout, pa.array([" ", "k"])).to_pylist() == [None, "k"]


def test_texts_that_only_python_reads_are_right_in_any_slice():
    held = pa.array([f"0.{number:017d}" if number % 3 else "0.5" for number in range(1000)])
    for start, length in ((1, 999), (497, 63), (8, 64), (990, 10)):
        typed, failed = cast_texts(held.slice(start, length), parse_type("double"))
        assert failed is None
        assert typed.to_pylist() == [float(text) for text in held.slice(start, length).to_pylist()]
    keys = pa.array([" " if number % 3 else str(number) for number in range(1000)])
    found = idempotency_keys(rows({})[0], (), Layout(), keys.slice(497, 63)).to_pylist()
    assert found == [None if text == " " else text for text in keys.slice(497, 63).to_pylist()]
