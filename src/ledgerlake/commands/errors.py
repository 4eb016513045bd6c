"""`ledgerlake errors`: what failed, and why."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ledgerlake.commands.shared import JSON, Since, Until, counting, environment_of, err, out
from ledgerlake.ops import errors_report, errors_view
from ledgerlake.ops.errors_export import export
from ledgerlake.ops.errors_view import KINDS, Kind, Selection
from ledgerlake.state.file_registry import FileRegistry
from ledgerlake.tables.lake import Lake


def errors(
    ctx: typer.Context,
    topic: Annotated[str | None, typer.Option("--topic", "-t", help="Only this topic.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", "-k", help=f"Only this kind: {', '.join(KINDS)}; may be repeated.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Only violations of this column.")] = None,
    rule: Annotated[
        str | None, typer.Option(help="Only violations of this rule (or type, where a cast failed).")
    ] = None,
    since: Since = None,
    until: Until = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Those that were put right, instead of open ones.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Open ones and those that were put right.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="How many samples per reason.")] = 3,
    file: Annotated[
        Path | None, typer.Option("--export", help="Write the single records to a .csv or .jsonl file.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Show the records that failed and are still open, wherever they are kept: reasons, counts, samples, since when."""
    selection = Selection(
        topic=topic,
        kinds=_kinds(kind or []),
        column=column,
        rule=rule,
        since=since,
        until=until,
        answered="all" if everything else "resolved" if resolved else "open",
    )
    environment = environment_of(ctx)
    lake = Lake.connect(environment.settings)
    if file is not None:
        _export(lake, selection, file)
        return
    registry = FileRegistry(environment.dynamodb.Table(environment.settings.dynamodb_tables.file_registry))
    found = errors_view.failures(lake, selection, limit) + errors_view.refused_files(registry, selection, limit)
    if topic is not None and not found:
        lake.require_topics([topic])
    if as_json:
        typer.echo(json.dumps([failure.as_dict() for failure in found], ensure_ascii=False, indent=1))
    else:
        out.print(errors_report.failures_table(found))


def _kinds(given: list[str]) -> list[Kind]:
    if unknown := sorted(set(given) - set(KINDS)):
        raise typer.BadParameter(f"no kind {', '.join(unknown)}; kinds are {', '.join(KINDS)}", param_hint="--kind")
    return [kind for kind in KINDS if kind in given]


def _export(lake: Lake, selection: Selection, file: Path) -> None:
    if not file.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {file.parent}", param_hint="--export")
    with counting("writing") as seen:
        done = export(lake, selection, file, seen)
    out.print(f"wrote {done.records:,} records to {file}", highlight=False, markup=False)
    if done.cut_cells:
        what = f"{done.cut_cells:,} cells are longer than a spreadsheet's may be and were cut"
        err.print(f"[yellow]{what}[/]; a .jsonl export holds them whole", highlight=False)
