"""A contract's table follows it: names by field id, types as wide as they must be, nothing written is lost."""

import copy
import json

import pytest
from pyiceberg.exceptions import ValidationError

from ledgerlake.contracts import load
from ledgerlake.records import paths
from ledgerlake.records.layout import Owned
from ledgerlake.tables.append import append
from ledgerlake.tables.ensure import Standing, add_payload_columns, ensure_contract

OLD = {
    "table_name": "orders",
    "envelope_columns": [],
    "payload_columns": [
        {"name": "at", "type": "timestamp"},
        {"name": "amount", "type": "decimal(12,2)"},
        {"name": "pieces", "type": "int"},
    ],
    "partition_by": ["day(at)"],
}


def contract(**columns):
    """The old contract, its columns changed: by name what differs, or None for one that is added to the end."""
    document = copy.deepcopy(OLD)
    for column in document["payload_columns"]:
        column.update(columns.pop(column["name"], {}))
    document["payload_columns"] += [{"name": name, **fields} for name, fields in columns.items()]
    document["partition_by"] = [f"day({document['payload_columns'][0]['name']})"]
    return load(json.dumps(document), "orders")


def ids(lake):
    return {field.name: field.field_id for field in lake.load("curated", "orders").schema().fields}


def types(lake):
    return {field.name: str(field.field_type) for field in lake.load("curated", "orders").schema().fields}


def standing(noted, **renamed):
    names = {name: name for name in ("at", "amount", "pieces")}
    return Standing(True, names | renamed, {name: noted[name] for name in names})


@pytest.fixture
def noted(lake):
    """The field ids of the contract in force, whose table holds a row."""
    ensure_contract(lake, contract(), Standing())
    append(lake.load("curated", "orders"), [{"message_id": "m1", "pieces": 5}])
    return ids(lake)


def test_a_rename_keeps_the_id_the_values_and_the_partition(lake, noted):
    new = contract(pieces={"name": "count", "type": "bigint"}, at={"name": "ordered_at"})
    ensure_contract(lake, new, standing(noted, pieces="count", at="ordered_at"))
    assert (ids(lake)["count"], ids(lake)["ordered_at"]) == (noted["pieces"], noted["at"])
    table = lake.load("curated", "orders")
    assert table.scan().to_arrow()["count"].to_pylist() == [5]
    assert types(lake)["count"] == "long"
    assert [part.source_id for part in table.spec().fields] == [noted["at"]]


def test_a_rename_without_noted_ids_goes_by_the_name(lake, noted):
    ensure_contract(lake, contract(pieces={"name": "count"}), Standing(True, {"pieces": "count"}))
    assert ids(lake)["count"] == noted["pieces"]


def test_the_same_again_commits_nothing(lake, noted):
    new, again = contract(pieces={"name": "count"}), standing(noted, pieces="count")
    ensure_contract(lake, new, again)
    before = lake.load("curated", "orders").metadata_location
    ensure_contract(lake, new, again)
    assert lake.load("curated", "orders").metadata_location == before


def test_a_rename_that_was_given_up_is_undone_by_what_comes_next(lake, noted):
    ensure_contract(lake, contract(pieces={"name": "count", "type": "bigint"}), standing(noted, pieces="count"))
    ensure_contract(lake, contract(count={"type": "string"}), standing(noted))
    assert ids(lake)["pieces"] == noted["pieces"]
    assert types(lake) | {"pieces": "long", "count": "string"} == types(lake)  # it stays as wide as it became


def test_a_column_that_was_given_up_makes_way(lake, noted):
    ensure_contract(lake, contract(kind={"type": "string"}, count={"type": "string"}), standing(noted))
    left = ids(lake)
    ensure_contract(lake, contract(pieces={"name": "count"}, kind={"type": "date"}), standing(noted, pieces="count"))
    assert ids(lake)["count"] == noted["pieces"]
    assert ids(lake)["kind"] not in left.values()
    assert types(lake)["kind"] == "date"


def test_names_move_on_in_a_chain(lake, noted):
    new = contract(amount={"name": "pieces", "type": "decimal(12,2)"}, pieces={"name": "count"})
    ensure_contract(lake, new, standing(noted, amount="pieces", pieces="count"))
    assert (ids(lake)["pieces"], ids(lake)["count"]) == (noted["amount"], noted["pieces"])


def test_a_table_that_no_contract_in_force_has_is_made_anew_unless_it_was_written(lake):
    ensure_contract(lake, contract(amount={"type": "string"}), Standing())
    ensure_contract(lake, contract(), Standing())
    assert types(lake)["amount"] == "decimal(12, 2)"
    append(lake.load("curated", "orders"), [{"message_id": "m1"}])
    ensure_contract(lake, contract(kind={"type": "string"}), Standing())
    assert lake.load("curated", "orders").scan().to_arrow()["message_id"].to_pylist() == ["m1"]


def test_a_column_that_partitions_the_rows_itself_is_renamed_and_back(lake):
    document = copy.deepcopy(OLD) | {"partition_by": ["pieces"]}
    ensure_contract(lake, load(json.dumps(document), "orders"), Standing())
    noted = ids(lake)
    document["payload_columns"][2]["name"], document["partition_by"] = "count", ["count"]
    ensure_contract(lake, load(json.dumps(document), "orders"), standing(noted, pieces="count"))
    assert ids(lake)["count"] == noted["pieces"]
    document["payload_columns"][2]["name"], document["partition_by"] = "pieces", ["pieces"]
    ensure_contract(lake, load(json.dumps(document), "orders"), standing(noted))
    assert ids(lake) == noted


@pytest.mark.parametrize("columns", [{"at_day": {"type": "string"}}, {"pieces": {"name": "at_day"}}])
def test_no_column_is_called_like_what_partitions_the_rows(lake, noted, columns):
    """The partition field of a renamed column keeps its name, which the contract does not tell any more."""
    names = {"at": "happened"} | {was: column["name"] for was, column in columns.items() if "name" in column}
    renamed = {"at": {"name": "happened"}}
    with pytest.raises(ValidationError, match="partitioned by a field `at_day`"):
        ensure_contract(lake, contract(**renamed, **columns), standing(noted, **names))
    assert "at_day" not in ids(lake)


def test_a_path_is_never_given_the_name_of_what_partitions_standardized(lake, noted):
    spec = lake.load("standardized", "orders").spec()
    assert {part.name for part in spec.fields} <= paths.RESERVED_COLUMNS
    for part in spec.fields:
        add_payload_columns(lake, "orders", [Owned(paths.column_name((part.name,)), paths.pointer((part.name,)))])
        assert f"payload_{part.name}" in lake.load("standardized", "orders").schema().column_names
