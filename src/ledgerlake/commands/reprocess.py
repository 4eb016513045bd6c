"""`ledgerlake reprocess` and `ledgerlake replay raw`: rebuild a topic's tables beside main, then publish or discard."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from ledgerlake.commands.shared import JSON, Since, Until, environment_of, out, run_job
from ledgerlake.jobs.comparison import Action, ReprocessReport, ReprocessRequest
from ledgerlake.ops import job_runs, reprocess_report
from ledgerlake.ops.reprocess import standings
from ledgerlake.tables.lake import Lake

KIND = "reprocess"


class Rebuilt(StrEnum):
    """Which tables are rebuilt: what STANDARDIZED gets anew, CURATED has to follow."""

    CURATED = "curated"
    BOTH = "both"


Apply = Annotated[bool, typer.Option("--apply", help="Publish it too, with no cycle in between.")]


def reprocess(
    ctx: typer.Context,
    topic: Annotated[str, typer.Argument(help="The topic.")],
    layer: Annotated[Rebuilt, typer.Option(help="What to rebuild.")] = Rebuilt.BOTH,
    since: Since = None,
    until: Until = None,
    apply: Apply = False,
    publish: Annotated[str | None, typer.Option(metavar="ID", help="Make this reprocess the tables' state.")] = None,
    discard: Annotated[str | None, typer.Option(metavar="ID", help="Take this reprocess away.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show what waits and what was published.")] = False,
    as_json: JSON = False,
) -> None:
    """Rebuild a topic's tables from RAW beside the standing ones and show what would change; they stay as they are.

    The payloads are flattened and typed as they would be today: a column that a contract got later is filled backwards,
    errors that pass now are taken in, what was lost comes back. Then --publish it or --discard it, by its id.
    """
    if sum((apply, publish is not None, discard is not None, list_)) > 1:
        raise typer.BadParameter("choose one of --apply, --publish, --discard and --list")
    if list_:
        _require_topic(ctx, topic)
        out.print(reprocess_report.standings_table(standings(Lake.connect(environment_of(ctx).settings), topic)))
    elif publish is not None:
        _run(ctx, "publish", topic, publish, as_json)
    elif discard is not None:
        _run(ctx, "discard", topic, discard, as_json)
    else:
        _build(ctx, topic, layer, since, until, apply, as_json)


def replay_raw(
    ctx: typer.Context,
    topic: Annotated[str, typer.Option("--topic", "-t", help="The topic.")],
    since: Since = None,
    until: Until = None,
    apply: Apply = False,
    as_json: JSON = False,
) -> None:
    """Process a time range of RAW anew: see what would change, or --apply it.

    It is `ledgerlake reprocess` for the rows that were published from --since until before --until; the others stay.
    """
    if since is None and until is None:
        raise typer.BadParameter("give --since, --until or both; for all of RAW: ledgerlake reprocess TOPIC")
    _build(ctx, topic, Rebuilt.BOTH, since, until, apply, as_json)


def _build(
    ctx: typer.Context,
    topic: str,
    layer: Rebuilt,
    since: datetime | None,
    until: datetime | None,
    apply: bool,
    as_json: bool,
) -> None:
    _require_topic(ctx, topic)
    if since and until and since >= until:
        raise typer.BadParameter("--since must lie before --until")
    action: Action = "apply" if apply else "build"
    _run(
        ctx, action, topic, job_runs.new_id(), as_json, curated_only=layer is Rebuilt.CURATED, since=since, until=until
    )


def _run(ctx: typer.Context, action: Action, topic: str, reprocess_id: str, as_json: bool, **wanted: object) -> None:
    request = ReprocessRequest.model_validate({"action": action, "topic": topic, "id": reprocess_id, **wanted})
    # Publishing is a request of its own, so that what was built stays on record.
    request_id = reprocess_id if action in ("build", "apply") else f"{reprocess_id}-{action}"
    told = run_job(environment_of(ctx), KIND, request.model_dump(mode="json"), request_id)
    found = ReprocessReport.model_validate(told)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        out.print(reprocess_report.report(found))


def _require_topic(ctx: typer.Context, topic: str) -> None:
    Lake.connect(environment_of(ctx).settings).require_topics([topic])
