"""`ledgerlake drift`: what payloads brought that the tables did not know."""

import json
from typing import Annotated

import typer

from ledgerlake.commands.shared import JSON, Since, environment_of, out
from ledgerlake.ops import drift_report, drift_view
from ledgerlake.ops.drift_view import REMEDIES, Selection
from ledgerlake.tables.lake import Lake


def drift(
    ctx: typer.Context,
    topic: Annotated[str | None, typer.Option("--topic", "-t", help="Only this topic.")] = None,
    since: Since = None,
    change: Annotated[
        list[str] | None, typer.Option(help=f"Only this change: {', '.join(REMEDIES)}; may be repeated.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Show new columns, collisions, other kinds of values, columns that stopped: where first, how many, what to do."""
    if unknown := sorted(set(change or ()) - REMEDIES.keys()):
        raise typer.BadParameter(
            f"no change {', '.join(unknown)}; changes are {', '.join(REMEDIES)}", param_hint="--change"
        )
    lake = Lake.connect(environment_of(ctx).settings)
    found = drift_view.drift(lake, Selection(topic, change or (), since))
    if topic is not None and not found:
        lake.require_topics([topic])
    if as_json:
        typer.echo(json.dumps(found, default=str, ensure_ascii=False, indent=1))
    else:
        out.print(drift_report.drift_table(found))
