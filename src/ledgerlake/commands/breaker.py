"""`ledgerlake breaker`: which topics' messages are taken, and the same by hand."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from ledgerlake.commands.shared import JSON, Topics, environment_of, out
from ledgerlake.ops import breaker_report
from ledgerlake.ops.breaker import Alerts, CircuitBreaker
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.mappings import Mappings
from ledgerlake.state.breakers import Breakers

app = typer.Typer(no_args_is_help=True, help="See which topics' messages are taken off their queues; stop one by hand.")
Topic = Annotated[str, typer.Argument(help="The topic.")]


def breakers_of(environment: Environment) -> Breakers:
    """The environment's circuit breakers."""
    return Breakers(environment.dynamodb.Table(environment.settings.dynamodb_tables.circuit_breakers))


@app.command()
def show(ctx: typer.Context, topic: Topics = None, as_json: JSON = False) -> None:
    """Show how breakers stand, since when, why, and when an open one is probed next."""
    environment = environment_of(ctx)
    breakers = breakers_of(environment)
    names = topic or sorted({*breakers.all(), *environment.topics})
    found = [breakers.get(name) for name in names]
    if as_json:
        typer.echo(breaker_report.breakers_json(found))
    else:
        out.print(breaker_report.breakers_table(found))


@app.command("open")
def open_(
    ctx: typer.Context,
    topic: Topic,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Shown to whoever asks why.")] = "opened by hand",
) -> None:
    """Leave a topic's messages on its queue until its breaker is closed by hand."""
    breaker = _breaker(environment_of(ctx), topic)
    breaker.open_by_hand(topic, reason, datetime.now(UTC))
    out.print(f"{topic} is no longer taken; its messages stay on the queue until: ledgerlake breaker close {topic}")


@app.command()
def close(ctx: typer.Context, topic: Topic) -> None:
    """Take a topic's messages again, whatever opened its breaker."""
    _breaker(environment_of(ctx), topic).close_by_hand(topic)
    out.print(f"{topic} is taken again")


def _breaker(environment: Environment, topic: str) -> CircuitBreaker:
    """The circuit breaker, for a topic that exists. Raises EnvironmentNotReady, naming those there are."""
    breakers, settings = breakers_of(environment), environment.settings
    if topic not in breakers.all():
        environment.queue_url(topic)
    return CircuitBreaker(
        limits=settings.circuit_breaker,
        breakers=breakers,
        mappings=Mappings(environment.functions, environment.sqs, settings.queue_prefix),
        alerts=Alerts(environment.sns, settings.alerts_topic_arn),
    )
