"""`ledgerlake chaos`: does the ledger still balance when everything fails?"""

import time
from typing import Annotated

import typer
from rich.markup import escape

from ledgerlake.commands.shared import environment_of, out
from ledgerlake.ops import chaos as chaoses
from ledgerlake.ops.chaos_report import report


def chaos(
    ctx: typer.Context,
    messages: Annotated[int, typer.Option(min=1, help="Send at least so many.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Chooses messages and failures; the same chooses the same.")] = 7,
) -> None:
    """Send messages while Firehose, functions and jobs fail, then recover; ends 1 unless every id is in its place.

    It never runs in prod. What it arms it disarms, and so does the next apply.
    """
    began = time.monotonic()

    def say(text: str) -> None:
        out.print(f"[dim]{time.monotonic() - began:6.0f} s  {escape(text)}[/]", highlight=False, soft_wrap=True)

    result = chaoses.run(environment_of(ctx), messages, seed, say)
    out.print(report(result))
    if not result.balanced:
        raise typer.Exit(1)
