"""`ledgerlake reconcile`: whether every message stands where it must, for a window of time or for all there is."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from ledgerlake.commands.shared import JSON, Since, Topics, Until, environment_of, err, out, run_job
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.job_runs import new_id
from ledgerlake.ops.reconcile import Reconciler
from ledgerlake.ops.reconcile import reconcile as check
from ledgerlake.ops.reconcile_report import Row, reconciliation_table
from ledgerlake.ops.window import Window
from ledgerlake.tables.lake import Lake


def reconcile(
    ctx: typer.Context,
    topic: Topics = None,
    since: Since = None,
    until: Until = None,
    full: Annotated[bool, typer.Option("--full", help="All there is, by a Glue job that names every id.")] = False,
    as_json: JSON = False,
) -> None:
    """Check the ledger by identity; ends 1 when an id is missing or stands too often.

    Without --full that of a window of ingestion times: of the last hours unless --since and --until say otherwise. What
    was found is written to ops.reconciliation_log and published as a metric, as by the cycle.
    """
    if full and (since or until):
        raise typer.BadParameter("a full reconciliation has no window", param_hint="--full")
    environment = environment_of(ctx)
    rows = _full(environment, topic) if full else _window(environment, topic, since, until)
    if as_json:
        typer.echo(json.dumps(rows, indent=1, default=str))
    else:
        out.print(reconciliation_table(rows))
    if not all(row["balanced"] for row in rows):
        raise typer.Exit(1)


def _full(environment: Environment, topics: list[str] | None) -> list[Row]:
    report = run_job(environment, "reconcile", {"topics": topics} if topics else {})
    rows: list[Row] = report["rows"]
    return rows


def _window(
    environment: Environment, topics: list[str] | None, since: datetime | None, until: datetime | None
) -> list[Row]:
    lake = Lake.connect(environment.settings)
    if topics:
        lake.require_topics(topics)
    reconciler = Reconciler.of(lake, environment.s3)
    now = datetime.now(UTC)
    recent = reconciler.recent(now)
    window = Window(since or recent.since, until or recent.until)
    if window.since >= window.until:
        raise typer.BadParameter("the window ends before it begins", param_hint="--until")
    run_id = f"window-{new_id()}"
    with err.status(f"comparing what came from {window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} (UTC)"):
        found = check(reconciler, environment.cloudwatch, run_id, window, topics)
    return [checked.row(run_id, now) for checked in found]
