"""`ledgerlake scaffold` and `ledgerlake schema expect`: a new dataset, and what a dataset's sample becomes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ledgerlake.commands.shared import err, out
from ledgerlake.ops import datasets, sample_file
from ledgerlake.ops import scaffold as scaffolds


def scaffold(
    name: Annotated[str, typer.Argument(help="The dataset's name, which is its topic's.")],
    sample: Annotated[
        Path | None, typer.Option(help=f"Sample records: {', '.join(sample_file.SUFFIXES)}, each also as .gz.")
    ] = None,
    schemas: Annotated[Path, typer.Option(help="The folder of the datasets.")] = Path("schemas"),
) -> None:
    """Add a dataset: write schemas/NAME/, its contract proposed from sample records, or an example to fill in."""
    done = scaffolds.scaffold(name, schemas, sample)
    if done.more:
        what = f"only the first {done.read:,} records of {sample} were looked at"
        err.print(f"[yellow]{escape(what)}[/]", highlight=False)
    out.print(f"[green]✓[/] {escape(str(done.folder))}/: {_counts(done.expected)}", highlight=False)
    out.print("  to decide (the README there lists it too):")
    for point in done.to_decide:
        out.print(f"  - {escape(point)}", highlight=False)


def expect(
    files: Annotated[list[Path], typer.Argument(help="schema.json files with a sample.jsonl beside them.")],
) -> None:
    """Write anew what the samples of datasets become by their contracts: expectations.json, which the tests check."""
    for file in files:
        expected = datasets.expect(file.resolve().parent)
        out.print(
            f"[green]✓[/] {escape(str(file.with_name(datasets.EXPECTATIONS)))}: {_counts(expected)}", highlight=False
        )


def _counts(expected: datasets.Document) -> str:
    errors = len({error["line"] for error in expected["errors"]}) + len(expected["parse_errors"])
    counts = {"curated": expected["curated"], "superseded": expected["superseded"], "with errors": errors}
    return f"of {expected['records']:,} sample records " + ", ".join(f"{n:,} {what}" for what, n in counts.items())
