"""What `ledgerlake query` reads and answers, over a local pyiceberg catalogue."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyiceberg.expressions import AlwaysTrue

from ledgerlake.ops.query import QueryError, parse, plan_scans, query, tables_of


def make(lake, layer, name, rows):
    rows = pa.Table.from_pylist(rows, schema=SCHEMA)
    table = lake.catalog.create_table(lake.identifier(layer, name), rows.schema)
    table.append(rows)
    return table


SCHEMA = pa.schema(
    [
        ("message_id", pa.string()),
        ("size", pa.int64()),
        ("publish_time", pa.timestamp("us", tz="UTC")),
        ("note", pa.string()),
    ]
)
ROWS = [
    {"message_id": "a", "size": 1, "publish_time": datetime(2026, 1, 1, tzinfo=UTC), "note": None},
    {"message_id": "b", "size": 2, "publish_time": datetime(2026, 1, 2, tzinfo=UTC), "note": "x"},
    {"message_id": "c", "size": 3, "publish_time": datetime(2026, 1, 3, tzinfo=UTC), "note": "y"},
]


def test_a_layer_and_a_table_name_one_table(lake):
    make(lake, "curated", "events", ROWS)
    answer = query("SELECT message_id FROM curated.events WHERE size > 1 ORDER BY 1", lake)
    assert answer.to_pydict() == {"message_id": ["b", "c"]}


def test_deleted_rows_are_not_read(lake):
    make(lake, "curated", "events", ROWS).delete("message_id = 'b'")
    assert query("SELECT count(*) AS n FROM curated.events", lake).to_pydict() == {"n": [2]}


def test_tables_of_several_layers_join(lake):
    make(lake, "curated", "events", ROWS)
    make(lake, "raw", "events_staging", ROWS[:2])
    sql = """WITH landed AS (SELECT message_id FROM raw.events_staging)
             SELECT c.message_id FROM curated.events c LEFT JOIN landed l USING (message_id)
             WHERE l.message_id IS NULL"""
    assert query(sql, lake).to_pydict() == {"message_id": ["c"]}


def test_a_time_is_read_in_utc(lake):
    make(lake, "curated", "events", ROWS)
    sql = "SELECT message_id, CAST(publish_time AS VARCHAR) t FROM curated.events WHERE publish_time >= '2026-01-03'"
    assert query(sql, lake).to_pydict() == {"message_id": ["c"], "t": ["2026-01-03 00:00:00+00"]}


def test_names_of_tables_and_columns_may_be_in_capitals(lake):
    make(lake, "curated", "events", ROWS)
    answer = query("SELECT MESSAGE_ID FROM CURATED.EVENTS WHERE Size = 2", lake)
    assert answer.column(0).to_pylist() == ["b"]


def test_a_table_named_twice_is_filtered_in_neither_place(lake):
    make(lake, "curated", "events", ROWS)
    sql = """SELECT (SELECT count(*) FROM curated.events WHERE size = 1) AS one,
                    (SELECT count(*) FROM curated.events) AS all_"""
    assert query(sql, lake).to_pydict() == {"one": [1], "all_": [3]}


def test_a_filter_on_the_outer_side_keeps_its_meaning(lake):
    make(lake, "curated", "events", ROWS)
    make(lake, "raw", "events_staging", ROWS)
    sql = """SELECT c.message_id FROM curated.events c LEFT JOIN raw.events_staging r ON c.message_id = r.message_id
             WHERE r.size IS NULL OR r.size = 3"""
    assert query(sql, lake).to_pydict() == {"message_id": ["c"]}


def fields(lake, layer, name):
    return {field.name: field.field_type for field in lake.load(layer, name).schema().fields}


def test_only_the_needed_columns_and_rows_are_scanned(lake):
    make(lake, "curated", "events", ROWS)
    statement = parse("SELECT message_id FROM curated.events WHERE size >= 2 AND note = 'x' AND lower(note) = 'x'")
    scan = plan_scans(statement, {("curated", "events"): fields(lake, "curated", "events")})[("curated", "events")]
    assert scan.columns == {"message_id", "size", "note"}
    assert "GreaterThanOrEqual" in repr(scan.rows)
    assert "EqualTo" in repr(scan.rows)


def test_a_condition_that_null_may_meet_is_left_to_the_engine(lake):
    make(lake, "curated", "events", ROWS)
    statement = parse("SELECT message_id FROM curated.events WHERE note IS NULL OR size = 2")
    scan = plan_scans(statement, {("curated", "events"): fields(lake, "curated", "events")})[("curated", "events")]
    assert scan.rows == AlwaysTrue()


def test_an_unknown_table_is_answered_with_near_ones(lake):
    make(lake, "raw", "events_staging", ROWS)
    make(lake, "curated", "events", ROWS)
    with pytest.raises(QueryError, match=r"no table raw\.events; did you mean raw\.events_staging, curated\.events"):
        query("SELECT * FROM raw.events", lake)


def test_an_unknown_layer_is_answered_with_the_layers(lake):
    with pytest.raises(QueryError, match="there is no layer 'bronze'"):
        query("SELECT * FROM bronze.events", lake)


def test_a_table_without_its_layer_is_refused():
    with pytest.raises(QueryError, match="'events' has no layer"):
        tables_of(parse("SELECT * FROM events"))


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM curated.events",
        "DROP TABLE curated.events",
        "COPY (SELECT 1) TO '/tmp/x'",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_anything_but_one_select_is_refused(sql, lake):
    with pytest.raises(QueryError):
        query(sql, lake)


def test_what_does_not_parse_is_quoted_without_terminal_codes(lake):
    with pytest.raises(QueryError, match="does not parse") as refused:
        query("SELEC 1", lake)
    assert "\x1b" not in str(refused.value)


def test_the_machines_files_are_out_of_reach(lake):
    with pytest.raises(QueryError):
        query("SELECT * FROM read_csv('/etc/passwd')", lake)


def test_an_unknown_column_is_named(lake):
    make(lake, "curated", "events", ROWS)
    with pytest.raises(QueryError, match="sizes"):
        query("SELECT sizes FROM curated.events", lake)
