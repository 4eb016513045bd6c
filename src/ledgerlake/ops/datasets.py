"""A dataset's files under schemas/<dataset>/: how they are written, and what its sample becomes by its contract."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ledgerlake.contracts import load
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


def expectations(dataset: str, contract: bytes | str, payloads: Sequence[str], shown: Sequence[int] = (1,)) -> Document:
    """What a sample becomes by its contract, as expectations.json says it; typed rows of the lines `shown`.

    Raises ContractError.
    """
    found = outcomes(load(contract, dataset), payloads, shown)
    return {"$comment": _ABOUT.format(dataset=dataset), **found}


def expected(folder: Path) -> Document:
    """The dataset's expectations.json. Raises FileNotFoundError, and ValueError where it is no JSON."""
    document: Document = json.loads((folder / EXPECTATIONS).read_text(encoding="utf-8"))
    return document


def found(folder: Path, shown: Sequence[int]) -> Document:
    """What the dataset's sample becomes now, in the form of its expectations. Raises ContractError."""
    lines = (folder / SAMPLE).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return expectations(folder.name, (folder / CONTRACT).read_bytes(), lines, shown)


def expect(folder: Path) -> Document:
    """Write a dataset's expectations anew, with the typed rows of the same lines as before; returns them.

    Raises ContractError, and FileNotFoundError where contract or sample is missing.
    """
    shown = [int(line) for line in expected(folder)["rows"]] if (folder / EXPECTATIONS).exists() else [1]
    anew = found(folder, shown)
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
