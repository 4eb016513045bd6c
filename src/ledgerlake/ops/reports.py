"""What the command line prints, as rich tables."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from unicodedata import category

import pyarrow as pa
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ledgerlake.ops import breaker_report
from ledgerlake.ops.cycle import Cycle, failures
from ledgerlake.ops.status import TopicStatus
from ledgerlake.state.breakers import Breaker

Format = Literal["table", "csv", "json"]

BALANCED = Text("✓ balanced", style="green")
UNBALANCED = Text("✗ NOT balanced", style="bold red")
# Control and format characters, lone surrogates, what has no meaning, line and paragraph separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
OUTCOME_STYLES = {"FAILED": "red", "CURATED": "green", "STANDARDIZED": "green"}


def status_table(topics: Sequence[TopicStatus]) -> RenderableType:
    """Gate, circuit breaker, ledger and last run of each topic, one row each."""
    table = Table(title="Topics", title_justify="left", header_style="bold")
    for name in ("topic", "contract", "gate", "breaker"):
        table.add_column(name, no_wrap=name == "topic")
    for name in (
        "RAW",
        "waiting",
        "dupl.",
        "parse err.",
        "STAND.",
        "waiting",
        "supers.",
        "errors",
        "CURATED",
        "pre-RAW",
    ):
        table.add_column(name, justify="right")
    table.add_column("ledger", no_wrap=True)
    table.add_column("last run")
    for topic in topics:
        books = topic.ledger
        numbers = (
            books.raw,
            books.raw_waiting,
            books.duplicates,
            books.parse_errors,
            books.standardized,
            books.standardized_waiting,
            books.superseded,
            books.errors,
            books.curated,
            topic.dlq_errors + topic.firehose_errors,
        )
        version = f"v{topic.admission.contract_version}" if topic.admission else "none"
        mark = BALANCED if books.balanced else UNBALANCED
        stand = breaker_report.stand(topic.breaker or Breaker(topic.topic))
        table.add_row(topic.topic, version, topic.gate, stand, *(f"{n:,}" for n in numbers), mark, _last(topic))
    breakers = [topic.breaker for topic in topics if topic.breaker]
    return Group(table, *_variances(topics), *breaker_report.warnings(breakers))


def status_json(topics: Sequence[TopicStatus]) -> str:
    """The same for another program: an object a topic, times in ISO 8601."""
    told = [asdict(topic) | {"gate": topic.gate, "balanced": topic.ledger.balanced} for topic in topics]
    return json.dumps(told, default=datetime.isoformat, ensure_ascii=False, indent=1)


def ledger_table(topics: Sequence[TopicStatus]) -> RenderableType:
    """The ledger as an account: per topic each layer with where its rows went, and whether the sums hold."""
    table = Table(title="Ledger", title_justify="left", header_style="bold")
    table.add_column("topic", no_wrap=True)
    table.add_column("layer")
    table.add_column("rows", justify="right")
    table.add_column("went to")
    table.add_column("")
    for topic in topics:
        books = topic.ledger
        mark = BALANCED if books.balanced else UNBALANCED
        table.add_row(
            f"[bold]{escape(topic.topic)}[/]", "before RAW", f"{topic.dlq_errors + topic.firehose_errors:,}",
            _parts(dlq_errors=topic.dlq_errors, firehose_errors=topic.firehose_errors), "",
        )  # fmt: skip
        table.add_row(
            "", "RAW", f"{books.raw:,}",
            _parts(standardized=books.standardized, duplicates=books.duplicates, parse_errors=books.parse_errors,
                   waiting=books.raw_waiting), mark,
        )  # fmt: skip
        table.add_row(
            "", "STANDARDIZED", f"{books.standardized:,}",
            _parts(curated=books.curated, superseded=books.superseded, errors=books.errors,
                   waiting=books.standardized_waiting), mark, end_section=True,
        )  # fmt: skip
    return Group(table, *_variances(topics))


def _parts(**numbers: int) -> str:
    return " + ".join(f"{number:,} {name}" for name, number in numbers.items() if number) or "-"


def _variances(topics: Sequence[TopicStatus]) -> list[Text]:
    return [Text(f"{t.topic}: {variance}", style="red") for t in topics for variance in t.ledger.variances]


def _last(topic: TopicStatus) -> Text:
    if topic.last is None:
        return Text("none yet", style="dim")
    last = topic.last
    text = Text(last.outcome, style=OUTCOME_STYLES.get(last.outcome, "yellow"))
    text.append(f" {last.ended_at:%Y-%m-%d %H:%M}", style="dim")
    return text.append(f" {short(last.error)}") if last.error else text


def cycle_report(cycle: Cycle, reasons: Sequence[str] = ()) -> RenderableType:
    """How a cycle ended, and why when it failed; `reasons` are the history's, which may know more."""
    style = "green" if cycle.succeeded else "yellow" if cycle.running else "bold red"
    seconds = f" after {(cycle.stopped - cycle.started).total_seconds():.0f} s" if cycle.stopped else ""
    line = Text(f"Cycle {cycle.cycle_id}: {cycle.status}", style=style)
    line.append(f" in {cycle.end}{seconds}", style="dim")
    return Group(line, *(Text(f"  {short(reason, 1000)}", style="red") for reason in reasons or failures(cycle)))


def steps_table(cycle: Cycle) -> RenderableType:
    """The states a cycle went through."""
    table = Table(title="States", title_justify="left", header_style="bold")
    table.add_column("state")
    table.add_column("seconds", justify="right")
    for step in cycle.steps:
        ended = step.ended or cycle.stopped
        seconds = f"{(ended - step.began).total_seconds():.1f}" if ended else "…"
        table.add_row(step.name, seconds)
    return table


@contextmanager
def following(out: Console) -> Iterator[Callable[[Cycle], None]]:
    """Show a cycle's states as it enters them; each once, with a spinner where there is a terminal."""
    told: list[str] = []
    with out.status("starting") as spinner:

        def seen(cycle: Cycle) -> None:
            for step in cycle.steps[len(told) :]:
                told.append(step.name)
                out.print(Text(f"  {(step.began - cycle.started).total_seconds():5.1f} s  {step.name}", style="dim"))
            spinner.update(cycle.end or "starting")

        yield seen


def cycles_table(cycles: Sequence[Cycle]) -> RenderableType:
    """Cycles, one row each."""
    table = Table(title="Cycles", title_justify="left", header_style="bold")
    for name in ("started (UTC)", "cycle", "status"):
        table.add_column(name)
    table.add_column("seconds", justify="right")
    for cycle in cycles:
        seconds = f"{(cycle.stopped - cycle.started).total_seconds():.0f}" if cycle.stopped else ""
        style = {"SUCCEEDED": "green", "RUNNING": "yellow"}.get(cycle.status, "red")
        table.add_row(f"{cycle.started:%Y-%m-%d %H:%M:%S}", cycle.cycle_id, Text(cycle.status, style=style), seconds)
    return table


def rows_table(rows: pa.Table, title: str = "", limit: int | None = None) -> RenderableType:
    """Rows of a query."""
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for field in rows.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        table.add_column(escape(field.name), justify="right" if number else "left")
    shown = rows if limit is None else rows.slice(0, limit)
    for row in zip(*(column.to_pylist() for column in shown.columns), strict=True):
        table.add_row(*(Text("NULL", style="dim") if value is None else Text(_cell(value)) for value in row))
    left = len(rows) - len(shown)
    return Group(table, Text(f"… {left:,} more rows", style="dim")) if left else table


def rows_text(rows: pa.Table, form: Literal["csv", "json"]) -> str:
    """Rows of a query for another program: CSV with a header, or a JSON array of objects."""
    found = rows.to_pylist()
    if form == "json":
        return json.dumps([{k: _plain(v) for k, v in row.items()} for row in found], ensure_ascii=False, indent=1)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows.column_names)
    writer.writerows(["" if value is None else _cell(value) for value in row.values()] for row in found)
    return out.getvalue().rstrip("\n")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A value as JSON has it: times in ISO 8601, decimals as their text, a map as an object."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return {key: _plain(item) for key, item in value}
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def printable(text: str) -> str:
    """Text as a terminal may be given it: what a record brings must not move its cursor or hide anything."""
    return "".join(c.encode("unicode_escape").decode() if category(c) in _UNSEEN else c for c in text)


def short(text: str | None, length: int = 120) -> str:
    """A text on one line, cut when it is long."""
    line = printable(" ".join((text or "").split()))
    return line if len(line) <= length else line[: length - 1] + "…"


def console(stderr: bool = False) -> Console:
    """Where reports go; wide enough for a ledger where the output is no terminal."""
    out = Console(stderr=stderr)
    return out if out.is_terminal else Console(stderr=stderr, width=200)
