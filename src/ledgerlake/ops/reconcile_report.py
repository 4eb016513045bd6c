"""What `ledgerlake reconcile` prints: the rows of ops.reconciliation_log as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ledgerlake.ops.reports import BALANCED, UNBALANCED

Row = Mapping[str, Any]
"""A row of ops.reconciliation_log, by column."""


def reconciliation_table(rows: Sequence[Row]) -> RenderableType:
    """Topic by topic and formula by formula: both sides, what is missing, what stands too often, and their details."""
    if not rows:
        return Text("Nothing came in the window: there is nothing to compare.")
    table = Table(title="Reconciliation", title_justify="left", header_style="bold")
    for name in ("topic", "formula"):
        table.add_column(name, no_wrap=name == "topic")
    for name in ("expected", "actual", "missing", "doubled", "variance"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        counts = (f"{row[name]:,}" for name in ("expected", "actual", "missing", "doubled"))
        percent = f"{row['variance_percent']:.2f} %"
        mark = BALANCED if row["balanced"] else UNBALANCED
        table.add_row(escape(row["topic_name"]), row["formula"], *counts, percent, mark)
    wrong = [row for row in rows if not row["balanced"]]
    return Group(table, *(Text(f"{row['topic_name']}: {row['details']}", style="red") for row in wrong))
