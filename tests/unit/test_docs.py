"""What the documents tell people to run exists, and the examples in them hold."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import sqlglot
import typer

from ledgerlake.cli import app
from ledgerlake.contracts import load

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("modules/*/README.md")])
CODE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4,7}(\S.*)$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")


def commands(page: Path) -> Iterator[str]:
    """Every command line of a page: in code spans, in indented blocks, in shell fences; comments cut off."""
    text = page.read_text()
    fenced = [
        line.strip() for kind, block in CODE.findall(text) if kind in {"", "sh", "bash"} for line in block.splitlines()
    ]
    prose = CODE.sub("", text)
    for line in [*fenced, *INDENTED.findall(prose), *INLINE.findall(prose)]:
        command = re.split(r"\s{2,}#|\s#\s", line)[0].strip()
        yield from re.findall(r'"\$\(([^)]+)\)"', command)
        yield command


def told(program: str) -> list[tuple[str, str]]:
    """Each command line of a program in the documents, with its page."""
    start = re.compile(rf"^(?:\w+=\S+ |\w+='[^']*' )*(?:\.venv/bin/)?{program} (.+)$")
    return [
        (str(page.relative_to(ROOT)), found.group(1))
        for page in PAGES
        for command in commands(page)
        if (found := start.match(command))
    ]


def targets() -> set[str]:
    database = subprocess.run(["make", "-pnq", "-C", ROOT, "help"], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"^([a-z][a-z0-9-]*):", database, re.MULTILINE))


def described() -> set[str]:
    shown = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  ([a-z][a-z0-9-]*) +\S", shown, re.MULTILINE))


def test_every_make_target_in_the_documents_exists():
    asked = [(page, line) for page, line in told("make")]
    assert len(asked) > 10
    known = targets()
    missing = [
        (page, word)
        for page, line in asked
        for word in shlex.split(line)
        if not word.startswith("-") and "=" not in word and word != "…" and word not in known
    ]
    assert missing == []


def test_make_help_describes_every_target():
    known = {name for name in targets() if name != "help"} - {"Makefile"}
    assert known - described() == set()


def test_every_ledgerlake_command_in_the_documents_parses():
    asked = told("ledgerlake")
    assert len(asked) > 5
    refused = [(page, line, reason) for page, line in asked if (reason := refusal(shlex.split(line)))]
    assert refused == []


def refusal(words: list[str]) -> str:
    """Why the command line would not be understood; nothing is run."""
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command)
    words = [word if not re.fullmatch(r"<[\w-]+>|…", word) else "earthquakes" for word in words]
    while isinstance(command, click.Group):
        if not words:
            return ""
        name, found, words = (
            command.resolve_command(context, words) if words[0] in command.commands else ("", None, words)
        )
        if found is None:
            return f"no command {words[0]}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    try:
        command.parse_args(context, words)
    except click.UsageError as error:
        return error.format_message()
    return ""


def test_sql_in_the_documents_is_sql():
    queries = [shlex.split(line)[1] for _, line in told("ledgerlake") if line.startswith("query ")]
    assert queries
    assert all(sqlglot.parse_one(sql, dialect="duckdb") for sql in queries)


def test_contracts_in_the_documents_are_valid():
    blocks = [
        (page, json.loads(block))
        for page in PAGES
        for kind, block in CODE.findall(re.sub(r"^ {3}", "", page.read_text(), flags=re.MULTILINE))
        if kind == "json"
    ]
    contracts = [(page, block) for page, block in blocks if "payload_columns" in block]
    assert contracts
    for _, block in contracts:
        contract = load(json.dumps(block).encode(), block["table_name"])
        assert len(contract.payload_columns) == len(block["payload_columns"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_files_named_in_the_documents_exist():
    named = {
        (str(page.relative_to(ROOT)), path)
        for page in PAGES
        for path in INLINE.findall(page.read_text())
        if re.fullmatch(r"(?:src|docs|tests|scripts|modules|envs|requirements|bench|glue_scripts)/[\w./-]*", path)
    }
    assert named
    assert [(page, path) for page, path in named if not (ROOT / path).exists()] == []
