"""`ledgerlake schema`: check contracts and give them to the environment."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ledgerlake.commands.shared import JSON, contracts_of, environment_of, err, out, print_problems
from ledgerlake.commands.versions import tell_changes
from ledgerlake.contracts import Contract, ContractError, load

schema_app = typer.Typer(no_args_is_help=True, help="Check and publish contracts.")

Files = Annotated[list[Path], typer.Argument(help="schema.json files; the folder's name is the topic.")]


@schema_app.command("validate")
def validate(files: Files, as_json: JSON = False) -> None:
    """Check contracts without any environment; prints every problem and ends 1 when there is one."""
    found = {file: _checked(file) for file in files}
    if as_json:
        documents = [
            {
                "file": str(file),
                "problems": [p.as_dict() for p in one.problems] if isinstance(one, ContractError) else [],
            }
            for file, one in found.items()
        ]
        typer.echo(json.dumps(documents, ensure_ascii=False, indent=1))
    else:
        for file, one in found.items():
            if isinstance(one, ContractError):
                print_problems(str(file), one)
            else:
                out.print(f"[green]✓[/] {file}: {len(one.payload_columns)} columns, {len(one.rules)} rules")
    if any(isinstance(one, ContractError) for one in found.values()):
        raise typer.Exit(1)


def _checked(file: Path) -> Contract | ContractError:
    try:
        return load(read_file(file), file.resolve().parent.name)
    except ContractError as error:
        return error


@schema_app.command("publish")
def publish(
    ctx: typer.Context,
    files: Files,
) -> None:
    """Give contracts to the environment and wait until they are active, or print why not."""
    texts = {file: read_file(file) for file in files}
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


def read_file(file: Path) -> bytes:
    """The bytes of a contract's file."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error
