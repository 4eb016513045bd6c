import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from ledgerlake.contracts import load
from ledgerlake.contracts.json_schema import generated, shipped
from ledgerlake.contracts.types import SIMPLE_TYPES

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "schemas"


def contract(dataset: str) -> dict:
    return json.loads((SCHEMAS / dataset / "schema.json").read_bytes())


def test_the_shipped_schema_is_the_models_own():
    assert json.loads(shipped()) == generated(), "write it anew: make docs"


def test_the_schema_and_the_reference_under_docs_are_up_to_date():
    subprocess.run([sys.executable, ROOT / "scripts/contract_docs.py", "--check"], check=True)
    assert (ROOT / "docs/contract.schema.json").read_text() == shipped()


def test_every_field_says_what_it_is():
    parts = {"Contract": generated(), **generated()["$defs"]}
    fields = {(part, name): field for part in parts for name, field in parts[part].get("properties", {}).items()}
    assert [place for place, field in fields.items() if not field.get("description")] == []


def test_an_editor_can_complete_the_types():
    offered = generated()["$defs"]["Column"]["properties"]["type"]["anyOf"][0]["enum"]
    assert offered == list(SIMPLE_TYPES)


@pytest.mark.parametrize("dataset", sorted(path.parent.name for path in SCHEMAS.glob("*/schema.json")))
def test_every_dataset_of_the_repository_has_a_good_contract(dataset):
    assert load((SCHEMAS / dataset / "schema.json").read_bytes(), dataset).table_name == dataset
    jsonschema.Draft202012Validator.check_schema(generated())
    jsonschema.Draft202012Validator(generated()).validate(contract(dataset))


@pytest.mark.parametrize(
    ("field", "value"), [("type", "blob"), ("name", "Amount"), ("cde", "yes"), ("sources", "a"), ("source", 1)]
)
def test_a_wrong_column_fails_the_schema(field, value):
    document = contract("events")
    document["payload_columns"][0][field] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(generated()).validate(document)
