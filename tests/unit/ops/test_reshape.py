"""What a table becomes when its contract asks for other columns and partitions than it can evolve to."""

import json
from decimal import Decimal

import pytest
from pyiceberg.types import StringType

from ledgerlake.contracts import load
from ledgerlake.tables import append, reshape, snapshots
from ledgerlake.tables.branches import BASE, Branch
from ledgerlake.tables.definitions import curated
from ledgerlake.tables.ensure import evolve
from ledgerlake.tables.publish import MainMoved

TOPIC = "orders"
SAYS = {snapshots.BATCH_ID: "b", snapshots.SOURCE_SNAPSHOT_ID: "1"}


def contract(columns, partition_by=()):
    document = {
        "table_name": TOPIC,
        "envelope_columns": [],
        "payload_columns": [{"name": name, "type": kind} for name, kind in columns.items()],
        "partition_by": list(partition_by),
    }
    return curated(load(json.dumps(document).encode(), TOPIC))


@pytest.fixture
def table(lake):
    columns = {"region": "string", "amount": "decimal(12,2)", "at": "timestamp", "note": "string"}
    return evolve(lake, contract(columns, ["region", "day(at)"]))


def become(lake, definition, renamed=None):
    """What a rebuild does to a table's columns, without its rows."""
    shape = reshape.begin(lake, definition, renamed or {})
    table = lake.load("curated", TOPIC)
    lake.catalog.commit_table(table, (shape.requirement,), shape.updates(table))
    return lake.load("curated", TOPIC)


def ids(table):
    return {field.name: field.field_id for field in table.schema().fields}


def partitions(table, spec=None):
    columns = {number: name for name, number in ids(table).items()}
    return [(field.name, columns[field.source_id]) for field in (spec or table.spec()).fields]


def test_columns_of_another_type_are_new_ones_beside_the_old_until_they_are_published(lake, table):
    before = ids(table)
    shape = reshape.begin(lake, contract({"amount": "int", "note": "string"}), {})

    meanwhile = lake.load("curated", TOPIC)
    assert before.items() <= ids(meanwhile).items()
    (new,) = set(ids(meanwhile)) - set(before)
    assert (shape.held["amount"], shape.held["note"]) == (new, "note")
    assert meanwhile.spec() == table.spec()

    lake.catalog.commit_table(meanwhile, (shape.requirement,), shape.updates(meanwhile))
    after = lake.load("curated", TOPIC)
    assert ids(after)["amount"] == ids(meanwhile)[new]
    assert ids(after)["note"] == before["note"]
    assert partitions(after) == []


def test_what_is_begun_is_taken_away_again(lake, table):
    reshape.begin(lake, contract({"amount": "int"}, ["bucket(4, amount)"]), {})
    reshape.clear(lake, "curated", TOPIC)
    after = lake.load("curated", TOPIC)
    assert ids(after) == ids(table)
    assert after.specs() == table.specs()


def test_begun_twice_it_is_as_begun_once(lake, table):
    wanted = contract({"amount": "int"}, ["bucket(4, amount)"])
    reshape.begin(lake, wanted, {})
    reshape.clear(lake, "curated", TOPIC)
    after = become(lake, wanted)
    assert partitions(after) == [("amount_bucket", "amount")]
    assert not [name for name in ids(after) if name.startswith(reshape.TEMPORARY)]


def test_a_renamed_column_keeps_its_id_and_frees_its_name(lake, table):
    columns = {"area": "string", "region": "string", "at": "timestamp"}
    after = become(lake, contract(columns, ["area", "day(at)"]), {"area": "region"})
    assert ids(after)["area"] == ids(table)["region"]
    assert ids(after)["region"] not in ids(table).values()
    assert partitions(after) == [("area", "area"), ("at_day", "at")]
    assert partitions(after, after.specs()[0]) == [("area", "area"), ("at_day", "at")]


def test_what_partitions_older_files_stays_under_another_name_for_ever(lake, table):
    after = become(lake, contract({"region": "int", "at": "date"}, ["region", "day(at)"]))
    aside = {f"{reshape.WAS}{name}_{ids(table)[name]}": ids(table)[name] for name in ("region", "at")}
    assert aside.items() <= ids(after).items()
    assert partitions(after) == [("region", "region"), ("at_day", "at")]
    old = after.specs()[table.spec().spec_id]
    assert [(field.field_id, field.source_id) for field in old.fields] == [
        (field.field_id, field.source_id) for field in table.spec().fields
    ]
    assert {field.name for field in old.fields}.isdisjoint(ids(after))

    again = become(lake, contract({"region": "string"}, []))
    assert aside.items() <= ids(again).items()
    names = [field.name for spec in again.specs().values() for field in spec.fields]
    assert set(names).isdisjoint({"region"} | set(ids(again)))


def test_a_spec_that_was_there_before_is_the_tables_again(lake, table):
    become(lake, contract({"region": "string", "at": "timestamp"}))
    after = become(lake, contract({"region": "string", "at": "timestamp"}, ["region", "day(at)"]))
    assert after.spec().spec_id == table.spec().spec_id
    assert partitions(after) == [("region", "region"), ("at_day", "at")]


def test_rows_and_columns_change_in_one_commit_and_the_old_ones_stay_readable(lake):
    table = evolve(lake, contract({"amount": "decimal(12,2)", "note": "string"}))
    append.append(table, [{"message_id": "m1", "amount": Decimal("1.00"), "note": "n"}])
    base = table.metadata.current_snapshot_id
    shape = reshape.begin(lake, contract({"amount": "int"}), {})
    table = lake.load("curated", TOPIC)
    table.manage_snapshots().create_branch(base, "reprocess-r1").commit()
    rows = append.to_arrow(table, [{"message_id": "m1", shape.held["amount"]: 1}])
    table.overwrite(rows, snapshot_properties={BASE: str(base)}, branch="reprocess-r1")

    Branch.find(lake.load("curated", TOPIC), "r1").publish(SAYS, shape)

    after = lake.load("curated", TOPIC)
    assert [(row["amount"], row.get("note")) for row in after.scan().to_arrow().to_pylist()] == [(1, None)]
    (entry,) = snapshots.entries(after)
    assert entry.batch_id == "b"
    assert after.snapshot_by_id(entry.snapshot_id).schema_id == after.schema().schema_id
    assert snapshots.current_rows(after) == 1
    assert set(after.metadata.refs) == {"main", "before-r1"}
    (old,) = after.scan(snapshot_id=after.metadata.refs["before-r1"].snapshot_id).to_arrow().to_pylist()
    assert (old["amount"], old["note"]) == (Decimal("1.00"), "n")


def test_a_table_whose_columns_changed_meanwhile_is_not_published(lake):
    table = evolve(lake, contract({"amount": "decimal(12,2)"}))
    append.append(table, [{"message_id": "m1", "amount": Decimal("1.00")}])
    shape = reshape.begin(lake, contract({"amount": "int"}), {})
    table = lake.load("curated", TOPIC)
    table.manage_snapshots().create_branch(table.metadata.current_snapshot_id, "reprocess-r1").commit()
    rows = append.to_arrow(table, [{"message_id": "m1", shape.held["amount"]: 1}])
    table.overwrite(rows, snapshot_properties={BASE: str(table.metadata.current_snapshot_id)}, branch="reprocess-r1")
    with lake.load("curated", TOPIC).update_schema() as update:
        update.add_column("other", StringType())

    with pytest.raises(MainMoved):
        Branch.find(lake.load("curated", TOPIC), "r1").publish(SAYS, shape)
    assert "other" in ids(lake.load("curated", TOPIC))
