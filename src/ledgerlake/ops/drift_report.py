"""Drift as a person reads it."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ledgerlake.ops.drift_view import REMEDIES
from ledgerlake.ops.reports import short


def drift_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The changes, the newest first, and under them what to do about each kind that is among them."""
    if not rows:
        return Text("Nothing has drifted.", style="green")
    table = Table(title="What payloads brought that was not known", title_justify="left", header_style="bold")
    for name in ("topic", "change", "path and column", "first message and sample"):
        table.add_column(name, overflow="fold", no_wrap=name == "change")
    table.add_column("count", justify="right")
    table.add_column("seen, batch", overflow="fold")
    for row in rows:
        table.add_row(
            Text(row["topic_name"]),
            row["change"],
            Text.assemble(short(row["path"]) or "others", *_below(row["column_name"], row["detail"])),
            Text.assemble(short(row["message_id"]), *_below(short(row["sample"], 60))),
            "" if row["count"] is None else f"{row['count']:,}",
            Text.assemble(f"{row['seen_at'].astimezone(UTC):%Y-%m-%d %H:%M}", *_below(row["batch_id"])),
        )
    among = {row["change"] for row in rows}
    remedies = [f"{change}: {remedy}" for change, remedy in REMEDIES.items() if change in among]
    return Group(table, Text("\n".join(remedies), style="dim"))


def _below(*lines: str | None) -> list[tuple[str, str]]:
    return [(f"\n{line}", "dim") for line in lines if line]
