"""A reprocess as a person reads it."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ledgerlake.jobs.comparison import ColumnChange, LayerReport, ReprocessReport
from ledgerlake.ops.reports import printable
from ledgerlake.ops.reprocess import Standing

SHOWN = 40


def report(found: ReprocessReport) -> RenderableType:
    """What a rebuilt table would change, layer by layer, and what to do next."""
    return Group(*(part for layer in found.layers for part in _layer(layer)), _next(found))


def standings_table(found: Sequence[Standing]) -> RenderableType:
    """A topic's reprocesses, the latest first."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("id", "layer", "state", "made"):
        table.add_column(name, no_wrap=True)
    for one in found:
        table.add_row(one.id, one.layer.upper(), one.state, f"{one.at:%Y-%m-%d %H:%M:%S}" if one.at else "")
    return table if found else Text("nothing waits, and no state before a reprocess is kept", style="dim")


def columns_table(changes: Sequence[ColumnChange]) -> RenderableType:
    """The columns whose values change, each with its examples."""
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2))
    for name in ("column", "rows", "for example", "now", "then"):
        table.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    for change in changes[:SHOWN]:
        if not change.samples:
            table.add_row(change.column, f"{change.rows:,}", Text("personal data", "dim"))
        for number, sample in enumerate(change.samples):
            head = (change.column, f"{change.rows:,}") if not number else ("", "")
            values = (sample.id, sample.before, sample.after)
            table.add_row(*head, *(printable(value) if value is not None else Text("NULL", "dim") for value in values))
    if len(changes) > SHOWN:
        table.add_row(f"… and {len(changes) - SHOWN} more")
    return table


def _layer(layer: LayerReport) -> list[RenderableType]:
    title = Text(layer.layer.upper(), style="bold")
    numbers = (
        ("as it is", layer.equal),
        ("changed", layer.changed),
        ("added", layer.added),
        ("removed", layer.removed),
        ("errors answered", layer.failed_no_longer),
        ("errors new", layer.fails_now),
        ("lost, found again", layer.lost),
        ("no longer in RAW, kept", layer.without_raw),
    )
    told = [f"{count:,} {name}" for name, count in numbers if count or name == "as it is"]
    parts: list[RenderableType] = [title.append("  " + ", ".join(told), style="not bold")]
    named = (("added", layer.added_samples), ("removed", layer.removed_samples), ("lost", layer.lost_samples))
    parts += [Text(f"  {name}: {', '.join(printable(one) for one in ids)}", style="dim") for name, ids in named if ids]
    return [*parts, columns_table(layer.columns)] if layer.columns else parts


def _next(found: ReprocessReport) -> RenderableType:
    if found.action == "discard":
        kept = f"; what was published stays: {', '.join(found.published)}" if found.published else ""
        return Text(f"reprocess {found.id} is discarded{kept}")
    if found.published:
        before = f"their state before stays reachable for 90 days under the tag before-{found.id}"
        return Text(f"published {', '.join(found.published)} of {found.topic}; {before}", style="green")
    command = f"ledgerlake reprocess {found.topic}"
    if found.outdated:
        again = f"  {command} --discard {found.id}\n  {command}    (with --apply no cycle can come in between)"
        return Text(f"{found.topic} went on while it was compared; discard this and build it again:\n{again}", "yellow")
    if found.same:
        return Text(f"nothing would change; take the branches away with: {command} --discard {found.id}")
    ends = f"  publish it: {command} --publish {found.id}\n  or not:     {command} --discard {found.id}"
    return Text(f"The tables are as they were; this lies beside them as reprocess {found.id}.\n{ends}")
