"""Tables made, evolved and written without Spark (design 3.3)."""

from datetime import UTC, datetime

from lakehouse import Lakehouse, message

from ledgerlake.records.layout import Owned
from ledgerlake.tables import append, definitions, history
from ledgerlake.tables.ensure import add_payload_columns, ensure_ops
from ledgerlake.tables.history import Outcome, Result
from ledgerlake.tables.lake import staging
from ledgerlake.tables.layout import owned_columns

NOW = datetime(2026, 1, 18, tzinfo=UTC)


def contract(kind: str, description: str) -> dict[str, object]:
    column = {"name": "n", "type": kind, "description": description}
    return {
        "table_name": "t",
        "envelope_columns": [],
        "payload_columns": [column],
        "partition_by": ["day(publish_time)"],
    }


def test_making_tables_again_changes_nothing(bare: Lakehouse) -> None:
    before = bare.lake.metadata_locations("ops")
    assert set(before) == {made.name for made in definitions.fixed_tables() if made.layer == "ops"}
    assert ensure_ops(bare.lake) == []
    assert bare.lake.metadata_locations("ops") == before


def test_a_contract_makes_its_tables_and_a_wider_one_evolves_them(bare: Lakehouse) -> None:
    bare.publish(contract("int", "first"))
    bare.publish(contract("bigint", "then"))
    field = bare.lake.load("curated", "t").schema().find_field("n")
    assert (str(field.field_type), field.doc) == ("long", "then")
    assert bare.lake.load("curated", "t").spec().fields[0].name == "publish_time_day"
    assert bare.lake.topics() == ["t"]


def test_payload_columns_know_their_path_and_are_added_once(bare: Lakehouse) -> None:
    bare.publish(contract("int", "n"))
    columns = [Owned("a_b", "/a/b"), Owned("n", "/n")]
    add_payload_columns(bare.lake, "t", columns)
    add_payload_columns(bare.lake, "t", columns)
    assert owned_columns(bare.lake.load("standardized", "t")) == tuple(columns)


def test_rows_are_appended_with_what_they_lack_as_null(bare: Lakehouse) -> None:
    bare.land("t", message("m1", {"v": 1}), message("m2", {"v": 2}, 2000))
    table = bare.lake.load("raw", staging("t"))
    assert table.scan().to_arrow().sort_by("message_id")["idempotency_key"].to_pylist() == [None, None]
    assert append.append(table, []) == 0
    assert len(table.snapshots()) == 1


def test_the_history_has_one_row_per_cycle_topic_and_stage_however_often_it_is_written(bare: Lakehouse) -> None:
    def outcome(cycle: str, result: Result) -> Outcome:
        return Outcome(
            cycle_id=cycle, topic_name="t", stage="curate", outcome=result, rows_in=1, started_at=NOW, ended_at=NOW
        )

    history.record(bare.lake, [outcome("c1", Result.FAILED), outcome("c2", Result.FAILED)])
    history.record(bare.lake, [outcome("c1", Result.CURATED)])
    rows = bare.lake.load("ops", "job_run_history").scan().to_arrow().sort_by("cycle_id")
    assert rows["outcome"].to_pylist() == ["CURATED", "FAILED"]
