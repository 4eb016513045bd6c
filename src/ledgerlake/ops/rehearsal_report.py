"""A rehearsal as a person reads it: what the proposed contract does with the rows, beside the one in force."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ledgerlake.jobs.rehearsal import NewColumn, Offence, RehearsalReport
from ledgerlake.ops.contract_review import review_report
from ledgerlake.ops.reports import short
from ledgerlake.ops.reprocess_report import columns_table

_ENDS = ("curated", "superseded", "rejected", "parse_errors", "warned")


def report(found: RehearsalReport, failures: Sequence[str]) -> RenderableType:
    """What was looked at, where the rows end, every difference, and why it failed or that it did not."""
    parts: list[RenderableType] = [_head(found), _ends(found), *_differences(found)]
    if found.changes:
        parts.append(review_report(found.topic, f"version {found.contract_version}", found.changes))
    if failures:
        return Group(*parts, *(Text(f"✗ {failure}", style="red") for failure in failures))
    publish = f"publish it with: ledgerlake schema publish schemas/{found.topic}/schema.json"
    return Group(*parts, Text(f"✓ nothing speaks against it; {publish}", style="green"))


def _head(found: RehearsalReport) -> Text:
    whole = found.looked_at == found.in_window
    rows = f"all {found.in_window:,} rows" if whole else f"{found.looked_at:,} of {found.in_window:,} rows"
    beside = f"beside version {found.contract_version}" if found.before else "with nothing in force beside it"
    said = (
        f"  {rows} of RAW published since {found.since:%Y-%m-%d %H:%M} UTC, {found.duplicates:,} duplicates; {beside}"
    )
    return Text.assemble((found.topic, "bold"), said)


def _ends(found: RehearsalReport) -> Table:
    table = _table("rows", "in force", "proposed", numbers={"in force", "proposed"})
    for name in _ENDS:
        before = f"{getattr(found.before, name):,}" if found.before else "-"
        table.add_row(name.replace("_", " "), before, f"{getattr(found.after, name):,}")
    return table


def _differences(found: RehearsalReport) -> Iterator[RenderableType]:
    if found.newly_rejected:
        share = f"newly rejected: {found.newly_rejected:,} ({found.percent_rejected:.2f} %)"
        yield Text(share, style="bold red")
        yield _offences(found.offences)
    if found.newly_accepted:
        yield Text(f"newly accepted: {found.newly_accepted:,}; until now they broke", style="bold")
        yield _offences(found.answered)
    if found.columns:
        yield Text(f"changed values: in {found.changed:,} rows", style="bold")
        yield columns_table(found.columns)
    if found.new_columns:
        yield Text("new columns", style="bold")
        yield _new_columns(found.new_columns)
    for rule in found.rules:
        end = "it would stop the topic" if rule.action == "fail" else "they are counted"
        told = f"{rule.action} rule {rule.rule}: {rule.records:,} rows break it, e.g. {short(rule.sample)}; {end}"
        yield Text(told, style="red" if rule.action == "fail" else "yellow")


def _offences(offences: Sequence[Offence]) -> Table:
    table = _table("kind", "column", "rule", "rows", "for example", "value", numbers={"rows"})
    for one in offences:
        for number, row in enumerate(one.samples):
            reason = (one.kind, one.column or "", one.rule or "", f"{one.records:,}") if not number else ("",) * 4
            table.add_row(*reason, short(row.message_id), Text(short(row.value)))
    return table


def _new_columns(columns: Sequence[NewColumn]) -> Table:
    table = _table("column", "type", "rows with a value", "for example", "value", numbers={"rows with a value"})
    for one in columns:
        first = one.samples[0] if one.samples else None
        example = (Text(short(first.id)), Text(short(first.after))) if first else ("", "")
        table.add_row(one.column, one.type, f"{one.records:,}", *example)
    return table


def _table(*columns: str, numbers: set[str]) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2))
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return table
