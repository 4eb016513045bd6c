"""What commands have in common: where they print, their options, the environment, and how one waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ledgerlake.ops import reports
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.job_runs import JobRuns, Look
from ledgerlake.state.requests import Document

out = reports.console()
err = reports.console(stderr=True)

JSON = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", "-t", help="Only this topic; may be repeated.")]


def environment_of(ctx: typer.Context) -> Environment:
    """The environment that the command was told to work on."""
    return Environment.load(str(ctx.obj))


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
