"""The figures as tables, for the terminal and for a document."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

LANES = ("ledgerlake", "naive")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Figures:
    """One table: what it is of, its columns and rows, and what else is to be said."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def show(figures: dict[str, Any]) -> None:
    """Print what was measured: medians over the rounds, and how the lanes compare."""
    console = Console()
    for table in _tables(figures):
        drawn = Table(title=table.title, title_justify="left")
        for number, column in enumerate(table.columns):
            drawn.add_column(column, justify="right" if number else "left")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
        console.print(f"{table.note}\n")


def update(page: Path, figures: dict[str, Any]) -> None:
    """Write the tables into the page, between its marks for this kind of figures. Raises ValueError without marks."""
    kind = figures["kind"]
    marks = re.compile(rf"(<!-- bench {kind} -->\n).*?(<!-- /bench {kind} -->)", re.DOTALL)
    machine = figures["machine"]
    written = f"Measured by `make bench` on {machine['cores']} cores, Python {machine['python']}.\n\n"
    written += "".join(_markdown(table) for table in _tables(figures))
    text, count = marks.subn(lambda found: found[1] + written + found[2], page.read_text())
    if not count:
        raise ValueError(f"{page} has no part marked <!-- bench {kind} -->")
    page.write_text(text)


def _markdown(table: Figures) -> str:
    lines = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)], *table.rows]
    drawn = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table.title}:\n\n{drawn}\n\n{table.note}\n\n"


def _tables(figures: dict[str, Any]) -> Iterator[Figures]:
    for result in figures["results"]:
        if figures["kind"] == "topics":
            yield _of_topics(result)
        else:
            yield from (_of_batch(result, batch, count) for batch, count in result["batches"].items())


def _of_batch(result: dict[str, Any], batch: str, count: int) -> Figures:
    rounds = result["rounds"]

    def medians(*path: str) -> list[float]:
        found = []
        for lane in LANES:
            values = [each[batch][lane] for each in rounds]
            for name in path:
                values = [value[name] for value in values]
            found.append(float(median(values)))
        return found

    rows = []
    for stage in ("standardize", "curate"):
        seconds = medians("seconds", stage)
        rows.append([f"{stage}, s", *(f"{value:.2f}" for value in seconds), _ratio(*seconds)])
        speed = [count / value for value in seconds]
        rows.append([f"{stage}, rows/s", *(f"{value:,.0f}" for value in speed), _ratio(*speed)])
    computed, written, peak = medians("cpu"), medians("bytes_written"), medians("peak_memory")
    rows.append(["CPU of the whole process, s", *(f"{value:.0f}" for value in computed), _ratio(*computed)])
    rows.append(["bytes written, MiB", *(f"{value / MIB:.2f}" for value in written), _ratio(*written)])
    rows.append(["peak memory, MiB", *(f"{value / MIB:,.0f}" for value in peak), _ratio(*peak)])
    agreed = rounds[-1][batch]["agreement"]
    what = f"{count:,} rows into empty tables" if batch == "first" else f"{count:,} corrections into those tables"
    return Figures(
        f"{what}, median of {len(rounds)}",
        ("", *LANES, "ledgerlake / naive"),
        rows,
        f"Both then hold the same {agreed['standardized']:,} standardized and {agreed['curated']:,} curated rows; "
        f"the naive job changed the text of {agreed['rewritten']:,} values.",
    )


def _of_topics(result: dict[str, Any]) -> Figures:
    rows = []
    for cycle in result["cycles"]:
        seconds = cycle["seconds"]
        whole, active = sum(seconds.values()), cycle["active"]
        steps = [f"{seconds[step]:.2f}" for step in ("plan", "standardize", "plan_curate", "curate")]
        rows.append([str(active), *steps, f"{whole:.2f}", f"{whole / active:.3f}" if active else "-"])
    naive = result["naive"]
    each = sum(naive["seconds"].values()) / naive["topics"]
    return Figures(
        f"Cycles over {result['topics']} topics, {result['rows_per_topic']} rows in each that is active",
        ("active", "plan, s", "standardize, s", "plan curate, s", "curate, s", "all, s", "per active topic, s"),
        rows,
        f"The naive job takes {each:.2f} s a topic, idle or not (measured on {naive['topics']}). "
        f"Spark started in {result['start']:.1f} s; peak memory {result['peak_memory'] / MIB:,.0f} MiB.",
    )


def _ratio(ours: float, naive: float) -> str:
    return f"{ours / naive:.2f}" if naive else "-"
