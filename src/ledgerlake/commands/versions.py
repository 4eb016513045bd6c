"""`ledgerlake schema history`, `show` and `rollback`: a topic's contracts as they were, and the way back."""

from typing import Annotated

import typer

from ledgerlake.commands.shared import JSON, contracts_of, environment_of, gate_of, out, print_problems
from ledgerlake.contracts import ContractError
from ledgerlake.contracts.diff import refused
from ledgerlake.ops import schema_report
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.schema_history import History, NoSuchVersion, going_back
from ledgerlake.tables.lake import Lake

Topic = Annotated[str, typer.Argument(help="The topic.")]


def history(ctx: typer.Context, topic: Topic, as_json: JSON = False) -> None:
    """List every contract that a topic was given: version, when, who, outcome, and what it changed or why it failed."""
    found = History.of(Lake.connect(environment_of(ctx).settings), topic)
    if as_json:
        typer.echo(schema_report.history_json(found))
    else:
        out.print(schema_report.history_table(found))


def show(
    ctx: typer.Context,
    topic: Topic,
    version: Annotated[int | None, typer.Option(help="The one in force unless given.")] = None,
) -> None:
    """Print a version's contract, byte for byte."""
    environment = environment_of(ctx)
    found = History.of(Lake.connect(environment.settings), topic)
    admission = gate_of(environment).get(topic)
    if version is None and admission is None:
        raise NoSuchVersion(f"{topic} has no contract in force; name one of the versions {list(found.versions)}")
    number = version or (admission.contract_version if admission else 0)
    typer.echo(found.version(number).text, nl=False)


def rollback(
    ctx: typer.Context,
    topic: Topic,
    to: Annotated[int, typer.Option("--to", help="The version that is to be in force again.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Kept in the history.")] = "",
    accept_all: Annotated[
        bool, typer.Option("--accept-all", help="Accept every change that going back makes, a rebuild too.")
    ] = False,
) -> None:
    """Publish an earlier version's contract again, as a new version; ends 1 with what that takes where it may not."""
    environment = environment_of(ctx)
    found = History.of(Lake.connect(environment.settings), topic)
    admission = gate_of(environment).get(topic)
    if admission is None:
        raise NoSuchVersion(f"{topic} has no contract in force; publish one: ledgerlake schema publish")
    why = f"rollback from version {admission.contract_version} to {to}" + (f": {reason}" if reason else "")
    back = going_back(found, admission.contract_version, to, why if accept_all else None)
    out.print(schema_report.changes_text([change.as_dict() for change in back.changes]))
    try:
        if problems := refused(back.changes, found.contract(admission.contract_version), back.contract):
            raise ContractError(problems)
        published = contracts_of(environment).publish(topic, back.text, reason=why)
    except ContractError as error:
        print_problems(f"going back to version {to}", error)
        if not accept_all:
            out.print("to make these changes all the same: [bold]--accept-all[/]")
        raise typer.Exit(1) from error
    out.print(f"[green]✓[/] {topic}: what version {to} said is in force as version {published.version}")


def tell_changes(environment: Environment, topic: str, version: int) -> None:
    """Print what a version that was just published changes."""
    if changes := History.of(Lake.connect(environment.settings), topic).version(version).changes:
        out.print(schema_report.changes_text(changes))
