"""Write the contract's JSON Schema and its reference page from the model; with --check, only say which are stale."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledgerlake.contracts.json_schema import generated
from ledgerlake.contracts.problems import one_of

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = (ROOT / "src/ledgerlake/schema/contract.schema.json", ROOT / "docs/contract.schema.json")
REFERENCE = ROOT / "docs/contract-reference.md"
HEAD = """# The contract's fields

Every field that a `schema.json` may hold; what they mean together, with examples, is in [contract.md](contract.md). `make docs` writes
this page from [the JSON Schema](contract.schema.json), by which an editor completes and checks a contract that names it:
`"$schema": "../../docs/contract.schema.json"`.
"""  # noqa: E501  prose of a page
KINDS = {"string": "text", "boolean": "true or false", "integer": "whole number"}
LONGEST_PATTERN = 60

Schema = dict[str, Any]


def kind(field: Schema) -> str:
    """What values a field takes, in words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(kind(part) for part in field["anyOf"] if part.get("type") != "null"))
    if "enum" in field:
        return one_of(field["enum"])
    if field.get("type") == "array":
        return f"list of {kind(field['items'])}"
    return KINDS.get(field["type"], field["type"]) + limits(field)


def limits(field: Schema) -> str:
    """The limits of a number or text, in words."""
    unit = " characters" if field["type"] == "string" else ""
    least, most = field.get("minimum", field.get("minLength")), field.get("maximum", field.get("maxLength"))
    if least is not None and most is not None:
        return f", {least} to {most}{unit}"
    if most is not None:
        return f", at most {most}{unit}"
    pattern = field.get("pattern", "")
    return f", `{pattern}`" if 0 < len(pattern) <= LONGEST_PATTERN else ""


def row(name: str, field: Schema, *, required: bool) -> str:
    """A field's line of the table."""
    default = field.get("default")
    given = "*required*" if required else "" if default is None else f"`{json.dumps(default)}`"
    examples = field.get("examples") or field.get("items", {}).get("examples", [])
    shown = ", ".join(f"`{json.dumps(example, ensure_ascii=False)}`" for example in examples)
    says = " ".join(filter(None, [field.get("description", ""), f"E.g. {shown}." if shown else ""]))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{name}`", kind(field), given, says)) + " |"


def section(title: str, part: Schema, other: Schema | None = None) -> Iterator[str]:
    """An object's table; only the fields that differ from those of an `other` object, where it has the same ones."""
    fields = part["properties"]
    yield f"\n## {title}\n\n{part['description']}\n"
    if other is not None:
        fields = {name: field for name, field in fields.items() if other["properties"].get(name) != field}
        yield "The fields of [Column](#column), but for these:\n" if fields else "The fields of [Column](#column).\n"
    if fields:
        required = set(part.get("required", ()))
        ordered = sorted(fields, key=lambda name: (name not in required, name.startswith("$")))
        yield "| field | value | default | what it says |\n|---|---|---|---|"
        yield from (row(name, fields[name], required=name in required) for name in ordered)


def reference(schema: Schema) -> str:
    """The page."""
    parts = schema["$defs"]
    column = parts["Column"]
    lines = [*section("Contract", schema), *section("Column", column)]
    lines += section("EnvelopeColumn", parts["EnvelopeColumn"], column)
    for name in sorted(parts.keys() - {"Column", "EnvelopeColumn"}):
        lines += section(name, parts[name])
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something would change")
    check = parser.parse_args().check
    schema = generated()
    files = dict.fromkeys(SCHEMAS, json.dumps(schema, indent=2) + "\n") | {REFERENCE: reference(schema)}
    stale = [file for file, text in files.items() if not file.exists() or file.read_text("utf-8") != text]
    for file in stale:
        if check:
            sys.stderr.write(f"{file.relative_to(ROOT)} is out of date; run: make docs\n")
        else:
            file.write_text(files[file], "utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
