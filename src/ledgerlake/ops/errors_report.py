"""The failures as a person reads them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ledgerlake.ops.errors_view import Failure
from ledgerlake.ops.reports import short

FOLLOW = "Follow one: ledgerlake trace <message_id>   all, one by one: ledgerlake errors --export errors.csv"


def failures_table(found: Sequence[Failure]) -> RenderableType:
    """Failed records by topic, kind and reason; where they are kept, how many, since when, and some of them."""
    if not found:
        return Text("No record has failed.", style="green")
    table = Table(title="Records that failed, and why", title_justify="left", header_style="bold")
    for name in ("topic", "kind", "reason"):
        table.add_column(name, overflow="fold", no_wrap=name == "kind")
    table.add_column("records", justify="right")
    table.add_column("first and last seen", no_wrap=True)
    table.add_column("e.g.", overflow="fold")
    for failure in found:
        samples = ", ".join(short(sample, 40) for sample in failure.samples)
        table.add_row(
            Text(failure.topic),
            failure.kind,
            Text.assemble(short(failure.reason), "\n", (failure.place, "dim")),
            f"{failure.records:,}",
            _seen(failure.earliest, failure.latest),
            Text(samples),
        )
    return Group(table, Text(FOLLOW, style="dim"))


def _seen(earliest: datetime | None, latest: datetime | None) -> str:
    told = [f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" for at in (earliest, latest) if at is not None]
    return "\n".join(dict.fromkeys(told))
