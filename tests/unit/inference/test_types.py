"""Which type a field's values propose."""

import json

import pytest

from ledgerlake.inference.profile import profile
from ledgerlake.inference.types import typed


def proposed(name, *values, untyped=False):
    (field,) = profile([json.dumps({name: value}) for value in values]).fields
    return typed(field, untyped=untyped)


def as_text(found):
    return " ".join([str(found.type), *(f"{key}={value}" for key, value in found.options.items())])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("n", (1, 5000), "int"),
        ("n", ("1", "-5"), "int"),
        ("n", (1, 2_000_000_000), "bigint"),
        ("n", (10**18,), "bigint"),
        ("n", (10**30,), "decimal(38,0)"),
        ("n", (10**40,), "string"),
        ("n", (1, 2.5), "double"),
        ("n", (1.0, 5.0), "double"),
        ("n", ("1234567890.12345678901",), "decimal(38,11)"),
        ("unit_price", (1, 2.5), "decimal(18,2)"),
        ("amount", ("12.505",), "decimal(18,3)"),
        ("amount", (12, 13), "decimal(18,2)"),
        ("total", (12, 13), "int"),
        ("total", (12, 13.5), "decimal(18,2)"),
        ("net", (12, 13), "int"),
        ("n", ("007", "12"), "string"),
        ("zip", (12345, 99999), "string"),
        ("user_id", (12, 13), "string"),
        ("customerId", ("12", "13"), "string"),
        ("status_code", (200, 404), "int"),
        ("status_code", ("200", "404"), "string"),
        ("phone", ("004912345", "49123"), "string"),
        ("version", ("1.10", "1.2"), "string"),
        ("flag", (True, False), "boolean"),
        ("flag", ("TRUE", "false"), "boolean"),
        ("flag", ("Yes", "no"), "boolean true_values=['Yes'] false_values=['no']"),
        ("flag", ("yes", "yes"), "string"),
        ("flag", (0, 1), "int"),
        ("tags", ([1], []), "json"),
        ("a", ([1], 7), "json"),
        ("a", ({}, {}), "json"),
        ("on", ("2026-01-18",), "date"),
        ("at", ("2026-01-18T10:00:00Z", "2026-01-18 10:00"), "timestamp"),
        ("n", ("2026/01/18",), "date format=%Y/%m/%d"),
        ("n", ("18.01.2026",), "date format=%d.%m.%Y"),
        ("n", ("13/01/2026", "01/02/2026"), "date format=%d/%m/%Y"),
        ("n", ("01/13/2026 08:30 PM",), "timestamp format=%m/%d/%Y %I:%M %p"),
        ("n", ("01/02/2026", "03/04/2026"), "string"),
        ("n", ("Jan 1 2026",), "date format=%b %d %Y"),
        ("n", ("Sun, 18 Jan 2026 10:00:00 GMT",), "timestamp format=%a, %d %b %Y %H:%M:%S GMT"),
        ("n", ("2026-01-18T10:00:00+0100",), "timestamp format=%Y-%m-%dT%H:%M:%S%z"),
        ("n", ("2026-02-30",), "string"),
        ("date", (20260118, 20251231), "date format=%Y%m%d"),
        ("count", (20260118, 20251231), "int"),
        ("time", (1517966773840,), "timestamp format=epoch_ms"),
        ("createdAt", ("1517966773",), "timestamp format=epoch_s"),
        ("ts", (1517966773.25,), "timestamp format=epoch_s"),
        ("event_ts", (1517966773840123,), "timestamp format=epoch_us"),
        ("time", (12, 13), "int"),
        ("size", (1517966773840,), "bigint"),
        ("n", ("12,50", "1.000"), "string"),
        ("n", ("a", 1), "string"),
        ("n", (" 5 ", "6"), "int trim=True"),
        ("n", ("5", ""), "int empty_as_null=True"),
        ("n", ("5", "  "), "int trim=True empty_as_null=True"),
        ("n", ("text", ""), "string"),
        ("n", ("", " "), "string"),
    ],
)
def test_a_fields_values_propose_its_type(name, values, expected):
    assert as_text(proposed(name, *values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("text", ""), "string empty_as_null=True"),
        ((" text",), "string trim=True"),
        (("5", ""), "int empty_as_null=True"),
    ],
)
def test_where_there_are_only_texts_an_empty_one_is_missing(values, expected):
    assert as_text(proposed("n", *values, untyped=True)) == expected


def test_days_and_months_that_cannot_be_told_apart_are_left_to_a_person():
    found = proposed("n", "01/02/2026", "03/04/2026")
    assert found.open
    assert "`%d/%m/%Y` or `%m/%d/%Y`" in found.why


def test_a_word_among_numbers_is_asked_about():
    found = proposed("n", *range(20), "N/A")
    assert (str(found.type), found.open) == ("string", True)
    assert "but for `N/A`" in found.why
    assert not proposed("n", *range(20), "x", "y").open
    assert not proposed("n", 1, 2, "x").open


def test_a_day_that_reads_the_same_both_ways_is_no_question():
    assert not proposed("n", "02/02/2026", "03/03/2026").open
