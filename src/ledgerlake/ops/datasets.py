"""A dataset's files under schemas/<dataset>/: how they are written, and what its sample becomes by its contract."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ledgerlake.contracts import load
from ledgerlake.errors import TerminalError
from ledgerlake.records.outcomes import outcomes

CONTRACT: Final = "schema.json"
SAMPLE: Final = "sample.jsonl"
EXPECTATIONS: Final = "expectations.json"
README: Final = "README.md"

Document = dict[str, Any]

_ABOUT: Final = (
    "What each line of sample.jsonl becomes by schema.json; the test suite checks it. Rules are Spark's and not asked "
    "here. Change it by hand, or write it anew: ledgerlake schema expect schemas/{dataset}/schema.json"
)


class BrokenDataset(TerminalError):
    """A dataset's folder lacks a file, or holds one that cannot be read; the message says which, and what to do."""


def expectations(dataset: str, contract: bytes | str, payloads: Sequence[str], shown: Sequence[int] = (1,)) -> Document:
    """What a sample becomes by its contract, as expectations.json says it; typed rows of the lines `shown`.

    Raises ContractError.
    """
    found = outcomes(load(contract, dataset), payloads, shown)
    return {"$comment": _ABOUT.format(dataset=dataset), **found}


def expected(folder: Path) -> Document:
    """The dataset's expectations.json. Raises BrokenDataset."""
    try:
        document: Document = json.loads(_read(folder / EXPECTATIONS))
        shown = [int(line) for line in document["rows"]]
    except (ValueError, KeyError, TypeError) as error:
        remedy = f"remove it and run: ledgerlake schema expect schemas/{folder.name}/{CONTRACT}"
        raise BrokenDataset(f"{folder / EXPECTATIONS} holds no expectations ({error!r}): {remedy}") from error
    return document | {"rows": {str(line): document["rows"][str(line)] for line in shown}}


def found(folder: Path, expected: Document | None = None) -> Document:
    """What the dataset's sample becomes now, with the typed rows that were `expected`, else the first.

    Raises ContractError and BrokenDataset.
    """
    lines = _read(folder / SAMPLE).removesuffix("\n").split("\n")
    shown = [1] if expected is None else [int(line) for line in expected["rows"]]
    return expectations(folder.name, _read(folder / CONTRACT), lines, shown)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenDataset(f"{file} cannot be read: {error}; each dataset with a sample has one") from error


def expect(folder: Path) -> Document:
    """Write a dataset's expectations anew, with the typed rows of the same lines as before; returns them.

    Raises ContractError and BrokenDataset.
    """
    anew = found(folder, expected(folder) if (folder / EXPECTATIONS).exists() else None)
    (folder / EXPECTATIONS).write_text(expectations_text(anew), encoding="utf-8")
    return anew


def contract_text(contract: Mapping[str, Any]) -> str:
    """A contract as JSON with a line for each column and rule."""
    fields = [f"  {_json(name)}: {_lines(value)}" for name, value in contract.items()]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def expectations_text(document: Mapping[str, Any]) -> str:
    """Expectations as JSON with a line for each error, and the typed rows spread out to be read."""
    fields = [f"  {_json(name)}: {_lines(value)}" for name, value in document.items() if name != "rows"]
    rows = json.dumps(document["rows"], ensure_ascii=False, indent=2).replace("\n", "\n  ")
    return "{\n" + ",\n".join([*fields, f'  "rows": {rows}']) + "\n}\n"


def _lines(value: object) -> str:
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return _json(value)
    return "[\n    " + ",\n    ".join(map(_json, value)) + "\n  ]"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
