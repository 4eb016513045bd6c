"""The demo: two days of real and generated events through the deployed pipeline, then the ledger."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ledgerlake.ops import cycle as cycles
from ledgerlake.ops import errors_report, errors_view, landing, query, reports, seed
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.events import TOPIC as EVENTS
from ledgerlake.ops.events import Story, story
from ledgerlake.ops.seed import EARTHQUAKES
from ledgerlake.ops.status import TopicStatus, failed_topics, status
from ledgerlake.ops.upload_contract import Contracts
from ledgerlake.state.breakers import Breakers
from ledgerlake.state.gate import Gate
from ledgerlake.tables.lake import Lake

RUN = "demo"
"""The demo's own run: a second demo sends the same ids again, and every one of them is a duplicate."""

ORDERS = 400
TOPICS = (EARTHQUAKES, EVENTS)
# A cycle works on one batch per topic; records that land while it plans wait for the next.
MOST_CYCLES = 4
LANDING_SECONDS = 180

CURATED_LOOK = {
    EARTHQUAKES: """SELECT idempotency_key, event_time, magnitude, place, status, coordinates
                    FROM curated.earthquakes ORDER BY magnitude DESC NULLS LAST, idempotency_key LIMIT 5""",
    EVENTS: """SELECT idempotency_key, event_time, user_id, kind, amount, exact_number
               FROM curated.events ORDER BY exact_number NULLS LAST, event_time, idempotency_key LIMIT 5""",
}


@dataclass(frozen=True)
class Shipment:
    """What one topic gets on one day: bodies for its queue, lines for a file, and how many RAW rows these become."""

    topic: str
    bodies: list[str]
    lines: list[str]
    lands: int


def fresh_run() -> str:
    """A run whose ids were never sent."""
    return f"run-{datetime.now(UTC):%Y%m%d%H%M%S}"


def shipments(environment: Environment, day: int, told: Story) -> list[Shipment]:
    """What the demo sends on that day."""
    quakes = seed.earthquakes(seed.read_lines(environment.dataset(EARTHQUAKES, "sample.jsonl")))[day - 1]
    orders = told.of_day(day)
    return [
        Shipment(EARTHQUAKES, list(quakes.bodies), list(quakes.lines), len(quakes.bodies) + len(quakes.lines)),
        Shipment(EVENTS, [order.body for order in orders], [], sum(order.lands for order in orders)),
    ]


def send_day(
    environment: Environment, day: int, run: str = RUN, sent: Callable[[int], None] = lambda _: None
) -> dict[str, int]:
    """Send one day of both topics; returns how many RAW rows each will become."""
    ready = shipments(environment, day, story(run, ORDERS))
    for shipment in ready:
        seed.send(environment.sqs, environment.queue_url(shipment.topic), shipment.bodies, sent)
        if shipment.lines:
            # A name of its own each time: the same name and bytes would be the same object, which is ingested once.
            name = f"day-{day}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
            seed.drop(environment.s3, environment.settings.buckets.landing, shipment.topic, name, shipment.lines)
            sent(len(shipment.lines))
    return {shipment.topic: shipment.lands for shipment in ready}


def run(environment: Environment, out: Console) -> bool:
    """Do the whole demo; returns whether all went well and every topic balances."""
    lake = Lake.connect(environment.settings)
    tables = environment.settings.dynamodb_tables
    gate = Gate(environment.dynamodb.Table(tables.processing_enabled))
    began = time.monotonic()
    _publish(environment, gate, out)
    green = all(_day(environment, lake, day, out) for day in (1, 2))
    environment.functions.invoke(FunctionName=environment.function("drain_dlq"), Payload=b"{}")
    _title(out, "What became of every record")
    found = status(lake, gate, Breakers(environment.dynamodb.Table(tables.circuit_breakers)))
    out.print(reports.ledger_table(found))
    for topic in TOPICS:
        out.print(reports.rows_table(query.query(CURATED_LOOK[topic], lake), title=f"curated.{topic}"))
    out.print(errors_report.failures_table(errors_view.failures(lake)))
    _what_next(out, environment.name)
    faults = _faults(green, found)
    seconds = f"{time.monotonic() - began:.0f} s"
    verdict = f"[bold green]Every topic is balanced[/], {seconds} after the first contract." if not faults else ""
    out.print(verdict or "\n".join(f"[bold red]✗[/] {fault}" for fault in faults), highlight=False)
    return not faults


def _faults(green: bool, found: Sequence[TopicStatus]) -> list[str]:
    """What of the demo did not go well."""
    faults = [] if green else ["a cycle failed: see its reasons above, and `ledgerlake cycle status`"]
    faults += [f"{topic.topic} is not balanced: see the ledger above" for topic in found if not topic.ledger.balanced]
    return faults + [
        f"{topic.topic} has {topic.ledger.waiting} records that still wait: run another cycle"
        for topic in found
        if topic.topic in TOPICS and topic.ledger.waiting
    ]


def _publish(environment: Environment, gate: Gate, out: Console) -> None:
    _title(out, "Contracts")
    contracts = Contracts(environment.s3, environment.settings.buckets.contracts, gate)
    for topic in TOPICS:
        with out.status(f"publishing the contract of {topic}"):
            published = contracts.publish(topic, environment.dataset(topic, "schema.json").read_bytes())
        word = "published as" if published.changed else "active already as"
        out.print(f"  [green]✓[/] {topic}: {word} version {published.version}", highlight=False)


def _day(environment: Environment, lake: Lake, day: int, out: Console) -> bool:
    """Send a day, wait until RAW has it, and run cycles until none of it waits; returns whether they ended well."""
    _title(out, f"Day {day}")
    before = {topic: landing.rows(lake, topic) for topic in TOPICS}
    with _progress(out) as progress:
        ready = shipments(environment, day, story(RUN, ORDERS))
        total = sum(len(shipment.bodies) + len(shipment.lines) for shipment in ready)
        sending = progress.add_task("sent by queue and file", total=total)
        lands = send_day(environment, day, sent=lambda count: progress.advance(sending, count))
        arriving = progress.add_task("landed in RAW", total=sum(lands.values()))

        def seen(rows: Mapping[str, int]) -> None:
            progress.update(arriving, completed=sum(rows[topic] - before[topic] for topic in TOPICS))

        landing.wait(lake, {topic: before[topic] + lands[topic] for topic in TOPICS}, LANDING_SECONDS, seen=seen)
    return _cycles(environment, lake, out)


def _cycles(environment: Environment, lake: Lake, out: Console) -> bool:
    """Run cycles until one finds nothing to do for the demo's topics; returns whether all ended well."""
    for _ in range(MOST_CYCLES):
        client = environment.state_machines
        with reports.following(out) as seen:
            arn = cycles.start(client, environment.outputs.state_machine_arn, TOPICS)
            ended = cycles.wait(client, arn, seen=seen)
        reasons = [] if ended.succeeded else failed_topics(lake, ended.cycle_id)
        out.print(reports.cycle_report(ended, reasons))
        if not ended.succeeded or cycles.did_nothing(ended):
            return ended.succeeded
    return True


@contextmanager
def _progress(out: Console) -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out) as progress:
        yield progress


def _title(out: Console, text: str) -> None:
    out.print(f"\n[bold]{text}[/]")


def _what_next(out: Console, environment: str) -> None:
    _title(out, "What to try next")
    option = "" if environment == "local" else f"--env {environment} "
    ledgerlake = f".venv/bin/ledgerlake {option}"
    ask = f"{ledgerlake}query"
    lines = (
        ('eval "$(make env)"', "let this shell's tools reach the local AWS") if environment == "local" else None,
        (f"{ledgerlake}status", "gate, ledger and last run of every topic"),
        (f"{ledgerlake}errors --topic events", "what failed, and why"),
        (f"{ask} 'SELECT kind, sum(amount) FROM curated.events GROUP BY 1'", "SQL over any table"),  # noqa: S608
        (f"{ask} 'SELECT * FROM ops.drift_log'", "columns nobody announced"),  # noqa: S608
        ("make demo", "send it all again: every record is a duplicate, and nothing else changes"),
        ("make verify-e2e", "prove it record by record"),
        ("make down", "stop the local AWS") if environment == "local" else None,
    )
    for line in lines:
        if line is not None:
            out.print(Text(f"  {line[0]:<96}", style="cyan"), Text(line[1], style="dim"), sep="", soft_wrap=True)
    out.print()
