"""Every worked example of docs/contract.md gives what the page says."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from ledgerlake.contracts import Contract, load
from ledgerlake.records.casts import VIOLATIONS, cast
from ledgerlake.records.flatten import discover, flatten
from ledgerlake.records.idempotency import idempotency_keys
from ledgerlake.records.layout import Layout, claim
from ledgerlake.records.paths import pointer
from ledgerlake.tables.layout import layout_of

PAGE = (Path(__file__).parents[3] / "docs" / "contract.md").read_text()
SALT = "0123456789abcdef"
OPTIONS = {
    *("source", "cde", "default", "allow_empty", "format", "trim", "empty_as_null", "true_values", "false_values"),
    *("allowed_values", "min", "max", "pattern", "min_length", "max_length", "pii", "description", "unit", "tags"),
    "drift",
}


class Example(msgspec.Struct):
    """A column, and what payloads become of it: a value, or a list of violations; or its comment in the catalogue."""

    column: dict[str, Any] | None = None
    envelope_column: dict[str, Any] | None = None
    payloads: list[msgspec.Raw] = msgspec.field(default_factory=list, name="in")
    out: list[Any] = []
    comment: str | None = None
    drift: str = "evolve"

    @property
    def options(self) -> dict[str, Any]:
        return self.column or self.envelope_column or {}

    @property
    def contract(self) -> Contract:
        columns = {"envelope_columns": self.envelope_column, "payload_columns": self.column}
        lists = {name: [each] if each else [] for name, each in columns.items()}
        return load(json.dumps({"table_name": "t", "drift": self.drift, **lists}), "t")


EXAMPLES = [
    msgspec.json.decode(text, type=Example) for text in re.findall(r"```json example\n(.*?)```", PAGE, re.DOTALL)
]


def judged(agreed: Contract, payloads: list[str]) -> list[dict[str, Any]]:
    """The payloads flattened and typed, with their keys; a payload whose contract names no key has one."""
    held = pa.array(payloads, pa.string())
    json_pointers = frozenset(map(pointer, agreed.json_paths))
    paths = discover(held, json_pointers)
    columns, _ = claim(Layout(), map(pointer, agreed.paths), paths, policy=agreed.drift)
    layout = layout_of(columns, agreed)
    rows = flatten(held, layout)
    given = pa.nulls(len(held), pa.string()) if agreed.key else pa.repeat("k", len(held))
    keys = idempotency_keys(rows, agreed.key_sources, layout, given)
    typed = cast(rows.append_column("idempotency_key", keys), agreed, layout, SALT)
    return typed.append_column("idempotency_key", keys).to_pylist()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.options)[:60])
def test_a_worked_example_gives_what_it_says(example):
    agreed = example.contract
    if example.comment:
        assert agreed.columns[0].doc == example.comment
    for payload, expected in zip(example.payloads, example.out, strict=True):
        (row,) = judged(agreed, [bytes(payload).decode()])
        value = row[example.options["name"]]
        if isinstance(expected, list):
            assert row[VIOLATIONS] == expected
        else:
            assert (row[VIOLATIONS], value if type(value) is type(expected) else str(value)) == (None, expected)


def test_every_option_has_an_example():
    assert {option for example in EXAMPLES for option in example.options} >= OPTIONS
