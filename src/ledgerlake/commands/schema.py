"""`ledgerlake schema`: check contracts and give them to the environment."""

from pathlib import Path
from typing import Annotated

import typer

from ledgerlake.commands.shared import contracts_of, environment_of, err, out, print_problems
from ledgerlake.commands.versions import tell_changes
from ledgerlake.contracts import ContractError, load

schema_app = typer.Typer(no_args_is_help=True, help="Check and publish contracts.")

Files = Annotated[list[Path], typer.Argument(help="schema.json files; the folder's name is the topic.")]


@schema_app.command("validate")
def validate(
    files: Files,
) -> None:
    """Check contracts without any environment; prints every problem and ends 1 when there is one."""
    wrong = [file for file in files if not _valid(file)]
    if wrong:
        raise typer.Exit(1)


def _valid(file: Path) -> bool:
    try:
        contract = load(_read(file), file.resolve().parent.name)
    except ContractError as error:
        print_problems(str(file), error)
        return False
    out.print(f"[green]✓[/] {file}: {len(contract.payload_columns)} columns, {len(contract.rules)} rules")
    return True


@schema_app.command("publish")
def publish(
    ctx: typer.Context,
    files: Files,
) -> None:
    """Give contracts to the environment and wait until they are active, or print why not."""
    texts = {file: _read(file) for file in files}
    environment = environment_of(ctx)
    contracts = contracts_of(environment)
    failed = False
    for file, text in texts.items():
        try:
            published = contracts.publish(file.resolve().parent.name, text)
        except ContractError as error:
            print_problems(str(file), error)
            failed = True
            continue
        word = "is active as" if published.changed else "was active already as"
        out.print(f"[green]✓[/] {published.topic} {word} version {published.version}")
        if published.changed:
            tell_changes(environment, published.topic, published.version)
        if environment.topics and published.topic not in environment.topics:
            add = "keep the file under schemas/ and apply the environment again"
            err.print(f"  [yellow]{published.topic} has no queue yet[/]: {add}", highlight=False)
    if failed:
        raise typer.Exit(1)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error
