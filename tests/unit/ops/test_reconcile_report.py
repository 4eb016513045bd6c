"""What the reconciliation prints."""

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from ledgerlake.ops.ledger import ARRIVAL, CURATE
from ledgerlake.ops.reconcile_report import reconciliation_table
from ledgerlake.ops.window import Checked, Ids, Window

NOW = datetime(2026, 1, 18, 12, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(hours=1), NOW)


def printed(*checks):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(reconciliation_table([checked.row("run", NOW) for checked in checks]))
    return console.export_text()


def test_each_topic_and_formula_has_a_line_with_both_sides():
    text = printed(Checked("events", CURATE, WINDOW, 1200, {"curated": 1000, "superseded": 200}))
    [line] = [line for line in text.splitlines() if "events" in line]
    assert CURATE in line
    assert line.count("1,200") == 2
    assert "0.00 %" in line
    assert "✓ balanced" in line


def test_what_is_missing_is_named():
    text = printed(Checked("events", ARRIVAL, WINDOW, 50, {"raw": 49}, missing=Ids.of({"m7"})))
    assert "2.00 %" in text
    assert "✗ NOT balanced" in text
    assert '"missing": ["m7"]' in text


def test_an_empty_window_says_so():
    assert "Nothing came" in printed()
