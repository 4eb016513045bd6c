"""What the command line prints of circuit breakers."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ledgerlake.state.breakers import Breaker


def breakers_table(found: Iterable[Breaker]) -> RenderableType:
    """How breakers stand, one row each."""
    table = Table(title="Circuit breakers", title_justify="left", header_style="bold")
    for name in ("topic", "breaker", "since (UTC)", "why", "next probe (UTC)"):
        table.add_column(name, no_wrap=name == "topic")
    for breaker in found:
        since = breaker.opened_at if breaker.shut else breaker.closed_at
        table.add_row(
            breaker.topic,
            stand(breaker),
            f"{since:%Y-%m-%d %H:%M:%S}" if since else "",
            Text(breaker.reason if breaker.shut else ""),
            next_probe(breaker),
        )
    return table


def breakers_json(found: Iterable[Breaker]) -> str:
    """Breakers for another program: their items, times in ISO 8601."""
    return json.dumps([asdict(breaker) for breaker in found], default=datetime.isoformat, indent=1)


def stand(breaker: Breaker) -> Text:
    """How a breaker stands."""
    return Text(breaker.stand.replace("_", " "), style="bold red" if breaker.shut else "green")


def next_probe(breaker: Breaker) -> str:
    """When a breaker may close by itself."""
    if not breaker.shut:
        return ""
    return f"{breaker.probe_at:%Y-%m-%d %H:%M:%S}" if breaker.probe_at else "none: it was opened by hand"


def warnings(found: Iterable[Breaker]) -> list[Text]:
    """One line for each breaker that is not closed."""
    return [
        Text(
            f"{b.topic}: messages stay on the queue since {b.opened_at:%Y-%m-%d %H:%M:%S} UTC: {b.reason};"
            f" next probe: {next_probe(b)}",
            style="red",
        )
        for b in found
        if b.shut
    ]
