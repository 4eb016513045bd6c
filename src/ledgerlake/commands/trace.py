"""`ledgerlake trace`: where is my message?"""

from typing import Annotated

import typer
from rich.markup import escape

from ledgerlake.commands.shared import JSON, environment_of, err, out
from ledgerlake.ops import trace as traces
from ledgerlake.ops import trace_report
from ledgerlake.state.store import State
from ledgerlake.tables.lake import Lake


def trace(
    ctx: typer.Context,
    message_id: Annotated[str | None, typer.Argument(help="The message's id, as its sender gave it.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", "-t", help="Only this topic; faster with many.")] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", help="All records of this idempotency key.")] = None,
    as_json: JSON = False,
) -> None:
    """Show every place a message has been and where it ended; ends 1 when it is nowhere.

    With --key and --topic: every record of an idempotency key, which one is current, and what superseded the others.
    """
    if (message_id is None) == (key is None):
        raise typer.BadParameter("give a message_id, or --key with --topic")
    if key is not None and topic is None:
        raise typer.BadParameter("a key belongs to a topic: add --topic", param_hint="--key")
    chosen = environment_of(ctx)
    lake = Lake.connect(chosen.settings)
    state = State.connect(chosen.settings, chosen.dynamodb, chosen.s3)
    if key is not None and topic is not None:
        _versions(lake, state, key, topic, as_json)
    elif message_id is not None:
        _message(lake, state, message_id, topic, as_json)


def _message(lake: Lake, state: State, message_id: str, topic: str | None, as_json: bool) -> None:
    found = traces.trace(lake, state, message_id, topic)
    if as_json:
        typer.echo(trace_report.traces_json(found))
    for one in () if as_json else found:
        out.print(trace_report.timeline(one))
    if not found:
        _nowhere(f"no message {message_id}", traces.searched(lake, topic))


def _versions(lake: Lake, state: State, key: str, topic: str, as_json: bool) -> None:
    found = traces.versions(lake, state, key, topic)
    if as_json:
        typer.echo(trace_report.versions_json(found))
    elif found:
        out.print(trace_report.versions_table(key, topic, found))
    if not found:
        _nowhere(f"no record of the key {key}", f"standardized.{topic}")


def _nowhere(what: str, where: str) -> None:
    err.print(f"[bold red]{escape(what)}[/] in {escape(where)}.", highlight=False, soft_wrap=True)
    err.print(NOWHERE, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


NOWHERE = """It may still be on its topic's queue (the processor takes it within seconds), or have been refused by SQS.
A dead letter whose message_id could not be read is known by its body only: ledgerlake errors --kind dlq
The id is compared exactly, upper and lower case and white space included."""
