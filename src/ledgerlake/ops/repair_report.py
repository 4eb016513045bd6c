"""What the commands print that put records right: what they would do, and what they did."""

from collections.abc import Sequence

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ledgerlake.jobs.selection import ReplayReport
from ledgerlake.ops import edits, redrive
from ledgerlake.ops.replay_landing import Object

APPLY = Text("Nothing was changed. Add --apply to do it.", style="yellow")


def redrive_report(report: redrive.Report, *, applied: bool) -> RenderableType:
    """Records by topic, table and reason, and what becomes of each kind."""
    table = _table("topic", "kept in", "code", "records", "what becomes of them", "e.g.", numbers={"records"})
    for group, count in sorted(report.records.items(), key=lambda item: (item[0].topic, item[0].place, -item[1])):
        fate = Text(group.fate, style="green" if group.passes else "red")
        samples = escape(", ".join(report.samples[group]))
        table.add_row(group.topic, group.place, escape(group.code), f"{count:,}", fate, samples)
    if not report.records:
        return Text("No dead letter and no undelivered record is open.", style="green")
    said = f"sent {report.sent:,}" if applied else f"would send {report.would_pass:,}"
    lines: list[RenderableType] = [table, Text(f"{said} messages; {report.stay:,} would only come back and stay.")]
    if report.stay:
        lines.append(Text("Correct those with: ledgerlake replay export, your editor, ledgerlake replay import"))
    return Lines(*lines, *([] if applied else [APPLY]))


def replay_report(report: ReplayReport) -> RenderableType:
    """What became of the errors of a topic, or would."""
    if not report.judged:
        return Text(f"No open error of {report.topic} is selected.", style="green")
    table = _table("errors", "records", numbers={"records"})
    table.add_row("become current", f"{report.curated:,}")
    table.add_row("… and replace an older record", f"{report.replaced:,}")
    table.add_row("are superseded by a later record", f"{report.superseded:,}")
    table.add_row("still fail", f"{report.failing:,}")
    table.add_row("judged by contract version " + str(report.contract_version), f"{report.judged:,}", style="bold")
    lines: list[RenderableType] = [table]
    if report.reasons:
        why = _table("still failing", "column", "rule", "records", "e.g.", numbers={"records"})
        for reason in report.reasons:
            samples = escape(", ".join(reason.samples))
            why.add_row(reason.kind, reason.column or "", reason.rule or "", f"{reason.records:,}", samples)
        lines.append(why)
    if report.dry_run:
        return Lines(*lines, APPLY)
    return Lines(*lines, Text(f"Resolved by {report.batch_id}: {report.resolved:,} errors.", style="green"))


def edits_report(plan: edits.Plan, *, applied: bool) -> RenderableType:
    """What an edited file came to, or would."""
    said = "sent" if applied else "would send"
    lines = [
        Text(f"{said} {len(plan.replacements):,} edited records and {len(plan.corrected):,} corrected messages."),
        Text(f"{plan.unchanged:,} lines are unchanged, {plan.answered:,} were put right before.", style="dim"),
    ]
    if not applied:
        return Lines(*lines, APPLY)
    if plan.replacements:
        lines.append(Text("Their errors are resolved at the end of the cycle that takes them in.", style="dim"))
    return Lines(*lines)


def landing_report(objects: Sequence[Object], *, applied: bool) -> RenderableType:
    """The landing bucket's objects, with what became of each, or would."""
    if not objects:
        return Text("No object of the landing bucket is selected.", style="yellow")
    table = _table("object", "modified (UTC)", "records", "what becomes of it", numbers={"records"})
    for one in objects:
        records = "" if one.records is None else f"{one.records:,}"
        fate = f"{one.fate} ({one.code})" if one.code else str(one.fate)
        table.add_row(escape(one.landed.key), f"{one.modified:%Y-%m-%d %H:%M:%S}", records, fate)
    return table if applied else Lines(table, APPLY)


def _table(*columns: str, numbers: set[str]) -> Table:
    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    return table
