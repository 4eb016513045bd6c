import json
from pathlib import Path

import jsonschema
import pytest

from ledgerlake.contracts import load
from ledgerlake.contracts.json_schema import generated, shipped

SCHEMAS = Path(__file__).parents[3] / "schemas"


def contract(dataset: str) -> dict:
    return json.loads((SCHEMAS / dataset / "schema.json").read_bytes())


def test_the_shipped_schema_is_the_models_own():
    assert json.loads(shipped()) == generated(), (
        "write it anew: python -c 'import json; from ledgerlake.contracts.json_schema import generated; "
        "print(json.dumps(generated(), indent=2))' > src/ledgerlake/schema/contract.schema.json"
    )


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
