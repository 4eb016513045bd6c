"""Write the tables of inputs and outputs into the modules' READMEs; with --check, only say which are out of date.

The tables come from variables.tf and outputs.tf as `terraform fmt` leaves them: a block opens at the margin, and its
arguments stand two spaces in.
"""

import argparse
import re
import sys
from pathlib import Path

MODULES = Path(__file__).resolve().parent.parent / "modules"
BEGIN, END = "<!-- inputs and outputs: scripts/module_readme.py -->", "<!-- end -->"
REQUIRED = "*required*"


def blocks(text: str, kind: str) -> dict[str, dict[str, str]]:
    """The arguments of each block of a kind, by the block's name; an argument's value is its source text."""
    found = re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', text, flags=re.MULTILINE | re.DOTALL)
    return {name: arguments(body) for name, body in found}


def arguments(body: str) -> dict[str, str]:
    """A block's own arguments; an argument ends where the next thing stands two spaces in."""
    parts = re.split(r"^  (?=[a-z])", body, flags=re.MULTILINE)
    pairs = (re.match(r"(\w+)\s+=\s+(.*)", part, flags=re.DOTALL) for part in parts)
    return {pair[1]: pair[2].strip() for pair in pairs if pair}


def code(source: str) -> str:
    """Source text as one line of code that stands in a table's cell."""
    line = re.sub(r"\s+", " ", source).replace("|", "\\|")
    return f"`{line}`"


def tables(module: Path) -> str:
    """The two tables of a module."""
    inputs = blocks((module / "variables.tf").read_text(), "variable")
    outputs = blocks((module / "outputs.tf").read_text(), "output")
    lines = ["## Inputs", "", "| Name | Description | Type | Default |", "|---|---|---|---|"]
    for name, given in sorted(inputs.items()):
        default = code(given["default"]) if "default" in given else REQUIRED
        lines.append(f"| `{name}` | {given['description'].strip(chr(34))} | {code(given['type'])} | {default} |")
    lines += ["", "## Outputs", "", "| Name | Description |", "|---|---|"]
    lines += [f"| `{name}` | {given['description'].strip(chr(34))} |" for name, given in sorted(outputs.items())]
    return "\n".join(lines)


def renewed(module: Path) -> str:
    """A module's README with its tables as they should be. Raises ValueError when it has no place for them."""
    text = (module / "README.md").read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{module / 'README.md'} lacks the lines {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{tables(module)}\n{END}{tail}"


def main() -> int:
    """Renew the READMEs, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something would change")
    check = parser.parse_args().check
    stale = [
        m
        for m in sorted(MODULES.iterdir())
        if (m / "variables.tf").exists() and renewed(m) != (m / "README.md").read_text()
    ]
    for module in stale:
        if check:
            sys.stderr.write(f"{module.name}/README.md is out of date; run: python scripts/module_readme.py\n")
        else:
            (module / "README.md").write_text(renewed(module))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
