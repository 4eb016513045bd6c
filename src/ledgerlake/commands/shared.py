"""What commands have in common: where they print, their options, the environment, and how one waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ledgerlake.contracts import ContractError
from ledgerlake.ops import reports
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.job_runs import JobRuns, Look
from ledgerlake.ops.upload_contract import Contracts
from ledgerlake.state.gate import Gate
from ledgerlake.state.requests import Document

out = reports.console()
err = reports.console(stderr=True)

JSON = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", "-t", help="Only this topic; may be repeated.")]

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str) -> datetime:
    """A time in ISO 8601 (UTC where it names no zone), or how long ago it was: 90m, 24h, 7d."""
    number, unit = text[:-1], text[-1:]
    try:
        if number.isdecimal() and unit in _UNITS:
            return datetime.now(UTC) - timedelta(**{_UNITS[unit]: int(number)})
        given = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is neither a time such as 2026-01-18T10:00 nor an age such as 24h"
        ) from None
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


_TIME = "a time in ISO 8601 (UTC), or an age: 90m, 24h, 7d"
Since = Annotated[
    datetime | None, typer.Option("--since", parser=moment, metavar="TIME", help=f"From then on: {_TIME}.")
]
Until = Annotated[
    datetime | None, typer.Option("--until", parser=moment, metavar="TIME", help=f"Before then: {_TIME}.")
]


def environment_of(ctx: typer.Context) -> Environment:
    """The environment that the command was told to work on."""
    return Environment.load(str(ctx.obj))


def gate_of(environment: Environment) -> Gate:
    """Which topics may be processed, and by which contract."""
    return Gate(environment.dynamodb.Table(environment.settings.dynamodb_tables.processing_enabled))


def contracts_of(environment: Environment) -> Contracts:
    """The contracts bucket, as whoever runs the command."""
    uploader = environment.sts.get_caller_identity()["Arn"]
    return Contracts(environment.s3, environment.settings.buckets.contracts, gate_of(environment), uploader)


def print_problems(what: str, error: ContractError) -> None:
    """Print everything that is wrong with a contract, each with its place and its remedy."""
    err.print(f"[bold red]✗[/] {escape(what)}: {len(error.problems)} problem(s)")
    for problem in error.problems:
        err.print(f"  [bold]{escape(problem.pointer or '/')}[/] {escape(problem.message)}", highlight=False)
        err.print(f"    [dim]→ {escape(problem.remedy)}[/]", highlight=False)


@contextmanager
def counting(what: str) -> Iterator[Callable[[float], None]]:
    """Show a count that grows by what the yielded function is given."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.advance(task, count)


def run_job(environment: Environment, kind: str, request: Document, request_id: str | None = None) -> Document:
    """Run a Glue job while its steps are shown, each once; returns its report. Raises JobFailed, JobBusy."""
    told: list[str] = []
    with err.status(f"starting {kind}") as spinner:

        def seen(look: Look) -> None:
            if look.step and look.step not in told:
                told.append(look.step)
                err.print(Text(f"  {look.seconds:5.1f} s  {look.step}", style="dim"))
            spinner.update(f"{look.job} {look.state.lower()}, {look.seconds:.0f} s")

        return JobRuns.of(environment).run(kind, request, request_id, seen)
