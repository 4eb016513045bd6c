"""What a drift policy rejects (ADR 0016); docs/contract.md's examples show it in a row's violations."""

import json

import pyarrow as pa
import pytest

from ledgerlake.contracts import ContractError, load
from ledgerlake.records import kinds
from ledgerlake.records.casts import VIOLATIONS, cast
from ledgerlake.records.flatten import flatten
from ledgerlake.records.layout import Owned, Strict
from ledgerlake.records.refused import MOST_NAMED
from ledgerlake.tables.layout import layout_of


def contract(*columns, **head):
    whole = {"table_name": "t", "envelope_columns": [], "payload_columns": list(columns), **head}
    return load(json.dumps(whole), "t")


def judged(payload, agreed, *owned):
    """The values and violations of a payload, flattened into the columns of these paths."""
    layout = layout_of(tuple(Owned(path[1:].replace("/", "_"), path) for path in owned), agreed)
    rows = flatten(pa.array([json.dumps(payload)]), layout).append_column("idempotency_key", pa.array(["k"]))
    (row,) = cast(rows, agreed, layout).to_pylist()
    told = [(one["column"], one["rule"], one["value"]) for one in row.pop(VIOLATIONS) or []]
    return row, told


def column(name, kind="int", **options):
    return {"name": name, "type": kind, **options}


def test_a_value_that_its_column_does_not_take_is_read_all_the_same():
    assert judged({"a": "5"}, contract(column("a", drift="reject")), "/a") == ({"a": 5}, [("a", "drift", "5")])
    assert judged({"a": "x"}, contract(column("a", drift="reject")), "/a")[1] == [
        ("a", "int", "x"),
        ("a", "drift", "x"),
    ]


def test_a_source_without_a_column_has_no_kind():
    assert judged({"a": "5"}, contract(column("a", drift="reject"))) == ({"a": 5}, [])


def test_a_row_from_before_its_path_had_a_column_is_read_from_rescued():
    agreed = contract(column("a"))
    rows = flatten(pa.array(['{"a": 1}']), layout_of((), agreed)).append_column("a", pa.nulls(1, pa.string()))
    rows = rows.append_column("idempotency_key", pa.array(["k"]))
    assert cast(rows, agreed, layout_of((Owned("a", "/a"),), agreed)).column("a").to_pylist() == [1]


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"a": {"b": 1}}, []),
        ({"a": {"b": 1}, "old": 2}, []),  # it has a column already
        ({"a": {}}, []),  # an object that the contract looks into
        ({"a": 1}, ["/a"]),
        ({"a": {"b": {"c": 1}}}, ["/a/b/c"]),
        ({"x": 1, "y/z": [2]}, ["/x", "/y~1z"]),
        ({f"k{number:03}": 1 for number in range(30)}, [f"/k{number:03}" for number in range(20)] + ["and 10 more"]),
    ],
)
def test_a_field_that_the_contract_does_not_name_is_named(payload, told):
    agreed = contract(column("b", source="a.b"), drift="reject")
    assert judged(payload, agreed, "/a/b", "/old")[1] == [(None, "drift", path) for path in told]
    assert len(told) <= MOST_NAMED + 1
    assert judged(payload, agreed.model_copy(update={"drift": "freeze"}), "/a/b", "/old")[1] == []


def test_which_kinds_a_column_takes_follows_from_its_type():
    agreed = contract(
        column("n", "decimal(9,2)", drift="reject"),
        column("s", "string", drift="reject", source=["s", "old.s"]),
        column("d", "timestamp", drift="reject"),
        column("e", "timestamp", drift="reject", format="epoch_ms"),
        column("b", "boolean", drift="reject"),
        column("w", "boolean", drift="reject", true_values=["yes"]),
        column("free", drift="freeze"),
    )
    assert layout_of((), agreed).strict == {
        Strict("/n", kinds.NUMBER),
        Strict("/s", kinds.STRING),
        Strict("/old/s", kinds.STRING),
        Strict("/d", kinds.STRING),
        Strict("/e", kinds.NUMBER),
        Strict("/b", kinds.BOOLEAN),
        Strict("/w", kinds.BOOLEAN | kinds.STRING),
    }


@pytest.mark.parametrize(
    ("head", "place"),
    [
        ({"payload_columns": [column("j", "json", drift="reject")]}, "/payload_columns/0/drift"),
        (
            {"envelope_columns": [column("r", "string", source="attributes.r", drift="reject")]},
            "/envelope_columns/0/drift",
        ),
        (
            {"envelope_columns": [column("idempotency_key", "string", source="id", drift="reject")]},
            "/envelope_columns/0/drift",
        ),
        ({"drift": "ignore"}, "/drift"),
        ({"payload_columns": [column("a", drift="rejct")]}, "/payload_columns/0/drift"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(head, place):
    whole = {"table_name": "t", "envelope_columns": [], "payload_columns": [column("a")], **head}
    with pytest.raises(ContractError) as refused:
        load(json.dumps(whole), "t")
    assert [problem.pointer for problem in refused.value.problems] == [place]
