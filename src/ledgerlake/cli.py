"""The command line: each command reads its options, calls one function and prints what it says."""

import sys
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError
from rich.markup import escape
from typer.core import TyperGroup

from ledgerlake import __version__
from ledgerlake.commands import breaker, topic, versions
from ledgerlake.commands.chaos import chaos
from ledgerlake.commands.drift import drift
from ledgerlake.commands.errors import errors
from ledgerlake.commands.reconcile import reconcile
from ledgerlake.commands.repair import redrive, replay_app
from ledgerlake.commands.reprocess import replay_raw, reprocess
from ledgerlake.commands.review import diff, rehearse
from ledgerlake.commands.scaffold import expect, scaffold
from ledgerlake.commands.schema import schema_app
from ledgerlake.commands.shared import JSON, Topics, counting, environment_of, err, gate_of, out
from ledgerlake.commands.trace import trace
from ledgerlake.errors import LedgerlakeError
from ledgerlake.ops import cycle as cycles
from ledgerlake.ops import demo as demos
from ledgerlake.ops import query, reports, verify
from ledgerlake.ops import status as statuses
from ledgerlake.ops.environment import Environment
from ledgerlake.tables.lake import Lake


class KnownErrors(TyperGroup):
    """Ends a command that fails for a known reason with that reason, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (LedgerlakeError, BotoCoreError, ClientError, FileNotFoundError) as error:
            err.print(f"[bold red]error:[/] {escape(explain(error))}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error


def explain(error: Exception) -> str:
    """What a known error means to the user, and what to do about it."""
    if isinstance(error, NoCredentialsError):
        return f'{error}. For the local environment run: eval "$(make env)"'
    if isinstance(error, EndpointConnectionError):
        return f'{error}. Is the environment up (make up), and its address set (eval "$(make env)")?'
    if isinstance(error, FileNotFoundError):
        return f'a file is gone: {error}. If it is a table\'s, bring it back: docs/runbook.md, "A cycle failed"'
    return str(error)


app = typer.Typer(cls=KnownErrors, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
cycle_app = typer.Typer(no_args_is_help=True, help="Start cycles and follow them.")
app.add_typer(cycle_app, name="cycle")
app.add_typer(schema_app, name="schema")
app.add_typer(breaker.app, name="breaker")
app.add_typer(topic.app, name="topic")
schema_app.command("diff")(diff)
schema_app.command("rehearse")(rehearse)
schema_app.command("history")(versions.history)
schema_app.command("show")(versions.show)
schema_app.command("rollback")(versions.rollback)
app.command()(chaos)
app.add_typer(replay_app, name="replay")
app.command()(trace)
app.command()(reprocess)
replay_app.command("raw")(replay_raw)
app.command()(errors)
app.command()(drift)
app.command()(redrive)
app.command()(reconcile)
app.command()(scaffold)
schema_app.command("expect")(expect)


def _version(shown: bool) -> None:
    if shown:
        out.print(f"ledgerlake {__version__}")
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    env: Annotated[str, typer.Option("--env", envvar="ENV", help="The environment: a folder of envs/.")] = "local",
    _shown: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Account for every record of an Iceberg lakehouse."""
    ctx.obj = env


@app.command()
def status(ctx: typer.Context, topic: Topics = None, as_json: JSON = False) -> None:
    """Show each topic's gate, breaker, ledger by identity, and last cycle; ends 1 when one does not balance."""
    environment = environment_of(ctx)
    lake, breakers = Lake.connect(environment.settings), breaker.breakers_of(environment)
    found = statuses.status(lake, gate_of(environment), breakers, topic or ())
    if as_json:
        typer.echo(reports.status_json(found))
    else:
        out.print(reports.status_table(found))
    if not all(topic.ledger.balanced for topic in found):
        raise typer.Exit(1)


@app.command("query")
def query_command(
    ctx: typer.Context,
    sql: Annotated[str, typer.Argument(help="One SELECT; tables are <layer>.<table>, e.g. curated.events.")],
    form: Annotated[str, typer.Option("--format", "-f", help="table, csv or json.")] = "table",
) -> None:
    """Answer SQL from the tables as they are now, deletes applied."""
    if form not in {"table", "csv", "json"}:
        raise typer.BadParameter("choose table, csv or json", param_hint="--format")
    rows = query.query(sql, Lake.connect(environment_of(ctx).settings))
    if form == "table":
        out.print(reports.rows_table(rows))
    else:
        typer.echo(reports.rows_text(rows, "csv" if form == "csv" else "json"))


@cycle_app.command("start")
def cycle_start(
    ctx: typer.Context,
    topic: Topics = None,
    name: Annotated[str, typer.Option(help="Start the cycle of this name once: again, it is found.")] = "",
    wait: Annotated[bool, typer.Option(help="Follow it to its end; ends 1 when it fails.")] = False,
) -> None:
    """Start a cycle now. Topics that another cycle works on are skipped."""
    environment = environment_of(ctx)
    arn = cycles.start(environment.state_machines, environment.outputs.state_machine_arn, topic or (), name)
    if wait:
        _follow(environment, arn)
    else:
        out.print(f"started cycle {arn.rsplit(':', 1)[-1]}; follow it with: ledgerlake cycle wait")


@cycle_app.command("wait")
def cycle_wait(
    ctx: typer.Context, cycle_id: Annotated[str | None, typer.Argument(help="The latest unless given.")] = None
) -> None:
    """Follow a cycle to its end; ends 1 when it fails."""
    environment = environment_of(ctx)
    _follow(environment, _cycle_arn(environment, cycle_id))


@cycle_app.command("status")
def cycle_status(
    ctx: typer.Context, cycle_id: Annotated[str | None, typer.Argument(help="The latest unless given.")] = None
) -> None:
    """Show how a cycle stands, its states and its failures."""
    environment = environment_of(ctx)
    found = cycles.describe(environment.state_machines, _cycle_arn(environment, cycle_id))
    out.print(reports.steps_table(found))
    _explain(environment, found)


@cycle_app.command("history")
def cycle_history(ctx: typer.Context, limit: Annotated[int, typer.Option(min=1, max=1000)] = 20) -> None:
    """List the latest cycles."""
    environment = environment_of(ctx)
    machine = environment.outputs.state_machine_arn
    out.print(reports.cycles_table(cycles.recent(environment.state_machines, machine, limit)))


def _cycle_arn(environment: Environment, cycle_id: str | None) -> str:
    machine = environment.outputs.state_machine_arn
    if cycle_id:
        return cycles.execution_arn(machine, cycle_id)
    latest = cycles.recent(environment.state_machines, machine, 1)
    if not latest:
        raise cycles.NoCycle("no cycle has run yet; start one with: ledgerlake cycle start")
    return latest[0].arn


def _follow(environment: Environment, arn: str) -> None:
    with reports.following(out) as seen:
        ended = cycles.wait(environment.state_machines, arn, seen=seen)
    _explain(environment, ended)
    if not ended.succeeded:
        raise typer.Exit(1)


def _explain(environment: Environment, found: cycles.Cycle) -> None:
    """Print how a cycle ended; the history knows which topics failed."""
    failed = not (found.succeeded or found.running)
    reasons = statuses.failed_topics(Lake.connect(environment.settings), found.cycle_id) if failed else []
    out.print(reports.cycle_report(found, reasons))


@app.command("seed")
def seed_command(
    ctx: typer.Context,
    day: Annotated[int, typer.Option(min=1, max=2, help="Which of the demo's two days.")] = 1,
    fresh: Annotated[bool, typer.Option(help="Give the generated events new ids; else they are sent again.")] = False,
) -> None:
    """Send one day of the demo's data: real earthquakes and generated events."""
    environment = environment_of(ctx)
    with counting("sending") as sent:
        total = demos.send_day(environment, day, demos.fresh_run() if fresh else demos.RUN, sent)
    out.print(f"sent day {day}: " + ", ".join(f"{count:,} {topic}" for topic, count in total.items()))


@app.command()
def demo(ctx: typer.Context) -> None:
    """Send two days of events through the whole pipeline and print the ledger; ends 1 when it does not balance."""
    if not demos.run(environment_of(ctx), out):
        raise typer.Exit(1)


@app.command("verify")
def verify_command(
    ctx: typer.Context,
    step: Annotated[list[str] | None, typer.Option(help=f"Only this step: {', '.join(verify.STEPS)}.")] = None,
) -> None:
    """Prove the deployed pipeline, record by record; ends 1 with what differs."""
    unknown = sorted(set(step or ()) - set(verify.STEPS))
    if unknown:
        raise typer.BadParameter(f"no step {', '.join(unknown)}; steps are {', '.join(verify.STEPS)}")
    if not verify.run(environment_of(ctx), out, step or list(verify.STEPS)):
        raise typer.Exit(1)


if __name__ == "__main__":
    sys.exit(app())
