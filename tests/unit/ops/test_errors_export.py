"""Failed records in a file: CSV that does nothing when it is opened, JSON lines that lose nothing."""

import csv
import json
import re
from datetime import UTC, datetime

import pytest

from ledgerlake.ops import errors_export
from ledgerlake.ops.errors_export import CELL_CHARACTERS, UnknownFormat, export
from ledgerlake.ops.errors_view import Selection
from ledgerlake.tables import append, definitions

AT = datetime(2026, 1, 18, 10, 0, 0, 123456, tzinfo=UTC)
NASTY = 'a\r\nb,"c"\t\x00\u2028 \U0001f600 ='


@pytest.fixture
def dead_letters(lake):
    """Writes dead letters with these bodies."""
    table = lake.catalog.create_table(("ledgerlake_test_raw", "dlq_errors"), definitions.dlq_errors().schema)

    def write(*bodies, **more):
        row = {"topic_name": "events", "drained_at": AT, "receive_count": 5, **more}
        append.append(table, [row | {"message_id": f"m{n}", "body": body} for n, body in enumerate(bodies)])

    return write


def written(lake, file):
    return export(lake, Selection(), file)


def rows(file):
    with file.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


@pytest.mark.parametrize("first", [*"=+-@\t\r\n'", "\uff1d", "\uff20"])
def test_a_cell_that_a_spreadsheet_would_run_is_text_and_its_value_can_be_had_back(lake, dead_letters, tmp_path, first):
    body = first + 'cmd|"/c calc"!A0'
    dead_letters(body)
    written(lake, tmp_path / "errors.csv")
    (row,) = rows(tmp_path / "errors.csv")
    assert row["record"] == "'" + body


@pytest.mark.parametrize("inner", ["a;=1+1", 'a;"=1+1', "a\n=1+1", "a\t @SUM(1)", "x\r\n-1"])
def test_nor_is_there_a_formula_where_another_separator_would_begin_a_cell(lake, dead_letters, tmp_path, inner):
    dead_letters(inner, "a=1;b")
    written(lake, tmp_path / "errors.csv")
    first, second = (row["record"] for row in rows(tmp_path / "errors.csv"))
    assert first.replace("'", "", 1) == inner
    assert re.search("['][=@-]", first)
    assert second == "a=1;b"
    assert '"a=1;b"' in (tmp_path / "errors.csv").read_text()


def test_cells_keep_line_ends_quotes_and_every_character(lake, dead_letters, tmp_path):
    dead_letters(NASTY, "plain", None)
    written(lake, tmp_path / "errors.csv")
    assert [row["record"] for row in rows(tmp_path / "errors.csv")] == [NASTY, "plain", ""]
    assert (tmp_path / "errors.csv").read_bytes().startswith(b'\xef\xbb\xbf"topic_name",')


def test_times_are_iso_8601_in_utc(lake, dead_letters, tmp_path):
    dead_letters("x")
    written(lake, tmp_path / "errors.csv")
    (row,) = rows(tmp_path / "errors.csv")
    assert (row["failed_at"], row["receive_count"]) == ("2026-01-18T10:00:00.123456Z", "5")


@pytest.mark.parametrize("body", ["x" * (CELL_CHARACTERS + 1), "\U0001f600" * 20_000, "=" * CELL_CHARACTERS])
def test_a_cell_too_long_for_a_spreadsheet_is_cut_and_says_so(lake, dead_letters, tmp_path, body):
    dead_letters(body, "short")
    done = written(lake, tmp_path / "errors.csv")
    cell = rows(tmp_path / "errors.csv")[0]["record"]
    assert len(cell.encode("utf-16-le")) // 2 <= CELL_CHARACTERS
    assert "[cut: " in cell
    assert (done.records, done.cut_cells) == (2, 1)
    written(lake, tmp_path / "errors.jsonl")
    assert json.loads((tmp_path / "errors.jsonl").read_text().splitlines()[0])["body"] == body


def test_json_lines_hold_every_column_exactly(lake, dead_letters, tmp_path):
    dead_letters(NASTY, "\u0085\u2029", attributes='{"a": "1.10"}')
    done = written(lake, tmp_path / "errors.jsonl")
    lines = (tmp_path / "errors.jsonl").read_text(encoding="utf-8").splitlines()
    assert done.records == len(lines) == 2
    first = json.loads(lines[0])
    assert set(first) == {"place", "kind", *(column.name for column in definitions.dlq_errors().schema.fields)}
    assert (first["place"], first["kind"], first["body"]) == ("raw.dlq_errors", "dlq", NASTY)
    assert (first["drained_at"], first["attributes"], first["sent_at"]) == (
        "2026-01-18T10:00:00.123456Z",
        '{"a": "1.10"}',
        None,
    )


def test_a_record_with_several_violations_is_one_row_that_names_them_all(lake, tmp_path):
    table = lake.catalog.create_table(("ledgerlake_test_curated", "errors"), definitions.errors().schema)
    cast = {"kind": "cast", "column": "amount", "rule": "int", "value": "=1"}
    missing = {"kind": "cde", "column": "at", "rule": "required", "value": None}
    append.append(table, [{"message_id": "a", "topic_name": "events", "violations": [cast, missing], "failed_at": AT}])
    assert export(lake, Selection(column="at"), tmp_path / "e.csv").records == 1
    (row,) = rows(tmp_path / "e.csv")
    assert (row["kind"], row["reason"]) == ("cde, cast", "amount is no int: '=1'; at is missing")
    assert json.loads(row["violations"]) == [cast, missing]


def test_only_known_formats_are_written(lake, tmp_path):
    with pytest.raises(UnknownFormat, match="jsonl"):
        written(lake, tmp_path / "errors.xlsx")


def test_an_export_that_fails_leaves_the_file_that_was_there(lake, dead_letters, tmp_path, monkeypatch):
    dead_letters("x")
    file = tmp_path / "errors.jsonl"
    file.write_text("before")

    def fails(_):
        raise OSError("disk full")

    monkeypatch.setattr(errors_export, "line", fails)
    with pytest.raises(OSError, match="disk full"):
        written(lake, file)
    assert [one.name for one in tmp_path.iterdir() if one.is_file() and "errors" in one.name] == ["errors.jsonl"]
    assert file.read_text() == "before"
