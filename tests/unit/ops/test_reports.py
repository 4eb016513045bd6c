"""What reports print."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from rich.console import Console

from ledgerlake.ops import reports
from ledgerlake.ops.identities import Ledger, Variance
from ledgerlake.ops.status import LastRun, TopicStatus
from ledgerlake.state.breakers import Breaker, Stand


def printed(renderable):
    out = Console(width=200, file=io.StringIO())
    out.print(renderable)
    return out.file.getvalue()


def topic(**numbers):
    return TopicStatus("events", None, Ledger("events", **numbers), 2, 0, None)


def test_a_ledger_that_adds_up_is_marked_balanced():
    text = printed(reports.ledger_table([topic(raw=5, standardized=3, duplicates=2, curated=2, errors=1)]))
    assert "3 standardized + 2 duplicates" in text
    assert "2 curated + 1 errors" in text
    assert "✓ balanced" in text
    assert "NOT" not in text


def test_a_ledger_that_does_not_is_marked_with_what_differs():
    books = Ledger("events", raw=5, standardized=5, curated=5, variances=[Variance("ids lost", 1, ["m7"])])
    text = printed(reports.status_table([TopicStatus("events", None, books, 0, 0, None)]))
    assert "NOT balanced" in text
    assert "1 ids lost (e.g. m7)" in text


def test_a_failed_run_is_told_with_its_error():
    last = LastRun("c1", "curate", "FAILED", datetime(2026, 1, 18, tzinfo=UTC), "the file is\ngone")
    text = printed(reports.status_table([TopicStatus("events", None, Ledger("events"), 0, 0, last)]))
    assert "FAILED 2026-01-18 00:00 the file is gone" in text


def test_a_topic_that_is_no_longer_taken_is_told_with_why_and_until_when():
    opened = Breaker(
        "events",
        Stand.OPEN,
        reason="20 of 40 messages had a broken envelope",
        opened_at=datetime(2026, 1, 18, 10, tzinfo=UTC),
        probe_at=datetime(2026, 1, 18, 10, 5, tzinfo=UTC),
    )
    text = printed(reports.status_table([TopicStatus("events", None, Ledger("events"), 0, 0, None, opened)]))
    assert "since 2026-01-18 10:00:00 UTC: 20 of 40 messages had a broken envelope" in text
    assert "next probe: 2026-01-18 10:05:00" in text


def test_a_status_for_another_program_holds_ledger_gate_and_breaker():
    opened = Breaker("events", Stand.OPEN, opened_at=datetime(2026, 1, 18, 10, tzinfo=UTC))
    (told,) = json.loads(
        reports.status_json([TopicStatus("events", None, Ledger("events", raw=5), 0, 0, None, opened)])
    )
    assert (told["topic"], told["gate"], told["ledger"]["raw"]) == ("events", "no contract", 5)
    assert (told["breaker"]["stand"], told["breaker"]["opened_at"]) == ("open", "2026-01-18T10:00:00+00:00")
    assert told["balanced"] is False


def test_a_topic_that_is_taken_is_told_without_more():
    text = printed(reports.status_table([topic()]))
    assert "closed" in text
    assert "since" not in text


ROWS = pa.table(
    {
        "id": ["a", "[b]"],
        "at": pa.array([datetime(2026, 1, 18, 10, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
        "amount": pa.array([Decimal("1.10"), None], pa.decimal128(12, 2)),
        "rest": pa.array([[("/x", "1")], None], pa.map_(pa.string(), pa.string())),
        "ok": [True, None],
    }
)


def test_rows_as_json_keep_exact_numbers_and_times():
    assert json.loads(reports.rows_text(ROWS, "json")) == [
        {"id": "a", "at": "2026-01-18T10:00:00Z", "amount": "1.10", "rest": {"/x": "1"}, "ok": True},
        {"id": "[b]", "at": None, "amount": None, "rest": None, "ok": None},
    ]


def test_rows_as_csv_have_a_header_and_nothing_for_null():
    assert list(csv.reader(io.StringIO(reports.rows_text(ROWS, "csv")))) == [
        ["id", "at", "amount", "rest", "ok"],
        ["a", "2026-01-18T10:00:00Z", "1.10", '{"/x": "1"}', "true"],
        ["[b]", "", "", "", ""],
    ]


def test_what_looks_like_markup_is_printed_as_it_is():
    assert "[b]" in printed(reports.rows_table(ROWS))


@pytest.mark.parametrize(("limit", "left"), [(1, True), (2, False)])
def test_rows_left_out_are_counted(limit, left):
    assert ("1 more rows" in printed(reports.rows_table(ROWS, limit=limit))) is left
