"""`ledgerlake redrive` and `ledgerlake replay`: put right what failed; each shows first what it would do."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ledgerlake.commands.shared import JSON, Since, Topics, Until, counting, environment_of, err, out, run_job
from ledgerlake.jobs.selection import ReplayReport, ReplayRequest
from ledgerlake.jobs.selection import Selection as ErrorSelection
from ledgerlake.ops import edit_lines, edits, repair_report, replay_landing
from ledgerlake.ops import redrive as redriving
from ledgerlake.ops.dead_letters import DeadLetters
from ledgerlake.ops.enqueue import QueueSender
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.ingest import Ingest
from ledgerlake.ops.job_runs import new_id
from ledgerlake.ops.redrive import Pace
from ledgerlake.state.file_registry import FileRegistry
from ledgerlake.tables.lake import Lake

replay_app = typer.Typer(no_args_is_help=True, help="Take records in that failed, or that come again.")

Apply = Annotated[bool, typer.Option("--apply", help="Do it; else it is only shown.")]
Topic = Annotated[str, typer.Option("--topic", "-t", help="The topic.")]
MessageIds = Annotated[list[str] | None, typer.Option("--message-id", "-m", help="Only this message; may be repeated.")]
Rate = Annotated[float, typer.Option(min=0.1, help="Messages a second, at most.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many, the oldest first.")]


class Kind(StrEnum):
    """What a record broke."""

    CDE = "cde"
    CAST = "cast"
    CHECK = "check"
    RULE = "rule"


def redrive(
    ctx: typer.Context,
    topic: Topics = None,
    code: Annotated[list[str] | None, typer.Option(help="Only this error code; may be repeated.")] = None,
    message_id: MessageIds = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    rate: Rate = 100,
    apply: Apply = False,
) -> None:
    """Send dead letters and what Firehose could not deliver to their queues again, at a limited rate.

    A message that would only come back stays where it is. Broken off, the same command goes on.
    """
    environment = environment_of(ctx)
    lake = Lake.connect(environment.settings)
    if topic:
        lake.require_topics(topic)
    selection = redriving.Selection(
        topics=topic or (), codes=code or (), message_ids=message_id or (), since=since, until=until, limit=limit
    )
    if not apply:
        with counting("looking") as counted:
            found = redriving.look(lake, selection, counted)
        out.print(repair_report.redrive_report(found, applied=False))
        return
    prefix = environment.settings.queue_prefix
    with err.status("draining the dead-letter queues"):
        redriving.drain_first(environment.sqs, prefix, lake)
    redrive_id = new_id()
    with counting("sending") as counted:
        done = redriving.redrive(lake, _queues(environment), selection, redrive_id, Pace(rate), counted)
    out.print(repair_report.redrive_report(done, applied=True))
    if done.sent:
        out.print(f"resolved by redrive-{redrive_id}")


@replay_app.command("errors")
def replay_errors(
    ctx: typer.Context,
    topic: Topic,
    message_id: MessageIds = None,
    kind: Annotated[Kind | None, typer.Option(help="Only those with a violation of this kind.")] = None,
    rule: Annotated[str | None, typer.Option(help="… of this rule, or of this type where a cast failed.")] = None,
    column: Annotated[str | None, typer.Option(help="… of this column.")] = None,
    since: Since = None,
    until: Until = None,
    apply: Apply = False,
    as_json: JSON = False,
) -> None:
    """Judge a topic's errors by the contract in force, and take those in that pass now."""
    environment = environment_of(ctx)
    Lake.connect(environment.settings).require_topics([topic])
    selection = ErrorSelection(
        message_ids=tuple(message_id or ()),
        kind=kind.value if kind else None,
        rule=rule,
        column=column,
        since=since,
        until=until,
    )
    request = ReplayRequest(topic=topic, selection=selection, dry_run=not apply)
    report = ReplayReport.model_validate(run_job(environment, "replay", request.model_dump(mode="json")))
    if as_json:
        typer.echo(report.model_dump_json(indent=1))
    else:
        out.print(repair_report.replay_report(report))


@replay_app.command("export")
def replay_export(
    ctx: typer.Context,
    topic: Topic,
    to: Annotated[Path, typer.Option(help="The file to write: JSON lines, `payload` or `body` is for editing.")],
    place: Annotated[
        list[str] | None, typer.Option(help="Only this table, e.g. standardized.parse_errors; may be repeated.")
    ] = None,
    message_id: MessageIds = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
) -> None:
    """Write a topic's open errors to a file, with the payloads as they were sent, to be corrected and imported."""
    unknown = sorted(set(place or ()) - set(edit_lines.NAMES))
    if unknown:
        raise typer.BadParameter(f"no place {', '.join(unknown)}; there are {', '.join(edit_lines.NAMES)}")
    lake = Lake.connect(environment_of(ctx).settings)
    lake.require_topics([topic])
    selection = edit_lines.Selection(topic, place or (), message_id or (), since, until, limit)
    written = 0
    with to.open("w") as file, counting("writing") as counted:
        for line in edit_lines.export(lake, selection):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            written += 1
            counted(1)
    out.print(f"{written:,} records in {to}; edit them, then: ledgerlake replay import {to}", highlight=False)


@replay_app.command("import")
def replay_import(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An export that was edited.", exists=True, dir_okay=False)],
    rate: Rate = 100,
    apply: Apply = False,
) -> None:
    """Send an export's changed records as messages that replace theirs; the same file again changes nothing."""
    environment = environment_of(ctx)
    lake, queues = Lake.connect(environment.settings), _queues(environment)
    with file.open() as lines, counting("checking") as counted:
        planned = edits.plan(lake, queues, lines, counted)
    if apply:
        with counting("sending") as counted:
            edits.send(lake, queues, planned, new_id(), Pace(rate), counted)
    out.print(repair_report.edits_report(planned, applied=apply))


@replay_app.command("landing")
def replay_landing_objects(
    ctx: typer.Context,
    topic: Topic,
    key: Annotated[list[str] | None, typer.Option(help="Only keys like this, with * and ?; may be repeated.")] = None,
    since: Since = None,
    until: Until = None,
    again: Annotated[bool, typer.Option("--again", help="Those too that are in RAW: as duplicates.")] = False,
    apply: Apply = False,
) -> None:
    """Ingest objects of the landing bucket that were refused, broke off or were never taken; --again: all of them."""
    environment = environment_of(ctx)
    Lake.connect(environment.settings).require_topics([topic])
    ingest = _ingest(environment)
    bucket = environment.settings.buckets.landing
    selection = replay_landing.Selection(topic, since, until, key or ())
    done = []
    with counting("ingesting" if apply else "reading") as counted:
        for one in replay_landing.find(environment.s3, ingest.registry, bucket, selection, again=again):
            done.append(replay_landing.replay(ingest, one, _now) if apply else replay_landing.look(ingest, one))
            counted(1)
    out.print(repair_report.landing_report(done, applied=apply))
    if apply and any(one.fate in (replay_landing.Fate.REFUSED, replay_landing.Fate.BUSY) for one in done):
        raise typer.Exit(1)


def _queues(environment: Environment) -> QueueSender:
    return QueueSender(environment.sqs, environment.settings.queue_prefix)


def _ingest(environment: Environment) -> Ingest:
    settings = environment.settings
    return Ingest(
        s3=environment.s3,
        queues=_queues(environment),
        dead_letters=DeadLetters(environment.sqs, settings.queue_prefix),
        registry=FileRegistry(environment.dynamodb.Table(settings.dynamodb_tables.file_registry)),
        owner=f"replay-{new_id()}",
        remaining=lambda: 24 * 3600 * 1000,  # nobody ends this process but the one who started it
    )


def _now() -> datetime:
    return datetime.now(UTC)
