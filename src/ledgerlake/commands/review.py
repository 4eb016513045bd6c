"""`ledgerlake schema diff` and `rehearse`: what a proposed contract would change, and what it would do with records."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ledgerlake.commands.schema import read_file
from ledgerlake.commands.shared import JSON, environment_of, gate_of, out, print_problems, run_job
from ledgerlake.contracts import Contract, ContractError, load
from ledgerlake.contracts.review import review
from ledgerlake.jobs.rehearsal import MAX_DAYS, RehearsalReport, RehearsalRequest
from ledgerlake.ops import contract_review, rehearsal_report
from ledgerlake.ops.schema_history import History
from ledgerlake.state.contracts import in_force
from ledgerlake.tables.lake import Lake

File = Annotated[Path, typer.Argument(help="A schema.json; the folder's name is the topic.")]
Against = Annotated[
    str | None, typer.Option("--against", metavar="N|FILE", help="Another version, or a file, than the one in force.")
]


def diff(ctx: typer.Context, file: File, against: Against = None, as_json: JSON = False) -> None:
    """Review a proposed contract against the one in force; ends 1 when a change would be refused.

    With another file no environment is asked.
    """
    topic = file.resolve().parent.name
    with _problems_of(file):
        new = load(read_file(file), topic)
    label, old = _other(ctx, topic, against)
    with _problems_of(file):
        changes = review(old, new) if old else ()
    if as_json:
        document = {"topic": topic, "against": label, "changes": [change.model_dump() for change in changes]}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=1))
    elif old:
        out.print(contract_review.review_report(topic, label, changes))
    else:
        out.print(f"{topic} is a new dataset: {label}")
    if any(change.refused for change in changes):
        raise typer.Exit(1)


def _other(ctx: typer.Context, topic: str, against: str | None) -> tuple[str, Contract | None]:
    """What a proposal is held against, in words and as a contract."""
    if against and not against.isdecimal():
        with _problems_of(Path(against)):
            return against, load(read_file(Path(against)), topic)
    environment = environment_of(ctx)
    if against:
        history = History.of(Lake.connect(environment.settings), topic)
        return f"version {against}", history.contract(int(against))
    found = in_force(environment.s3, environment.settings.buckets.contracts, gate_of(environment), topic)
    if found is None:
        return "no contract of it is in force", None
    return f"version {found[0]}", load(found[1], topic)


def rehearse(
    ctx: typer.Context,
    file: File,
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="How far back from RAW's newest record.")] = 7,
    sample: Annotated[int, typer.Option(min=1, metavar="ROWS", help="About how many rows are looked at.")] = 100_000,
    all_: Annotated[bool, typer.Option("--all", help="Look at all of them.")] = False,
    allow_rejected: Annotated[
        float, typer.Option(min=0, max=100, metavar="PERCENT", help="So many rows may be newly rejected.")
    ] = 0,
    as_json: JSON = False,
) -> None:
    """Try a proposed contract on the last days of RAW, beside the one in force; no table is touched.

    It shows what would be newly rejected, newly accepted and changed, and ends 1 when rows would be newly rejected, a
    fail rule would stop the topic, or a change would be refused.
    """
    topic, text = file.resolve().parent.name, read_file(file)
    with _problems_of(file):
        load(text, topic)
    environment = environment_of(ctx)
    Lake.connect(environment.settings).require_topics([topic])
    request = RehearsalRequest(topic=topic, contract=text.decode(), days=days, sample=None if all_ else sample)
    found = RehearsalReport.model_validate(run_job(environment, "rehearse", request.model_dump(mode="json")))
    failures = found.failures(allow_rejected)
    if as_json:
        document = found.model_dump(mode="json") | {"failures": failures}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        out.print(rehearsal_report.report(found, failures))
    if failures:
        raise typer.Exit(1)


@contextmanager
def _problems_of(file: Path) -> Iterator[None]:
    """Prints the problems of a contract that cannot be used, and ends the command."""
    try:
        yield
    except ContractError as error:
        print_problems(str(file), error)
        raise typer.Exit(1) from error
