"""`ledgerlake topic`: stop a topic's processing by hand, and let it go on."""

from typing import Annotated

import typer

from ledgerlake.commands.shared import environment_of, gate_of, out

app = typer.Typer(no_args_is_help=True, help="Stop a topic's processing by hand, and let it go on.")
Topic = Annotated[str, typer.Argument(help="The topic.")]


@app.command()
def disable(
    ctx: typer.Context,
    topic: Topic,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Shown by status, and to whoever asks why.")],
) -> None:
    """Leave a topic's records in RAW until it is enabled; they keep landing. Publishing a contract changes nothing."""
    gate_of(environment_of(ctx)).set_enabled(topic, enabled=False, reason=reason)
    out.print(f"{topic} is processed no more; its records wait in RAW until: ledgerlake topic enable {topic}")


@app.command()
def enable(ctx: typer.Context, topic: Topic) -> None:
    """Process a topic again, from the next cycle on."""
    gate_of(environment_of(ctx)).set_enabled(topic, enabled=True)
    out.print(f"{topic} is processed again from the next cycle on")
