"""The contract's own JSON Schema: for editors and other tools; `load` checks more than a schema can say."""

from importlib import resources
from typing import Any, Final

from ledgerlake.contracts.model import Contract

RESOURCE: Final = "contract.schema.json"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def generated() -> dict[str, Any]:
    """The schema as the model says it."""
    schema = Contract.model_json_schema(by_alias=True)
    return {"$schema": _DIALECT, "title": "ledgerlake contract", **_without_titles(schema)}


def shipped() -> str:
    """The schema's text as the package carries it."""
    return resources.files("ledgerlake.schema").joinpath(RESOURCE).read_text("utf-8")


def _without_titles(schema: Any) -> Any:
    """Pydantic titles every field after its name, and gives `source` a default that none could write."""
    if isinstance(schema, list):
        return [_without_titles(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _without_titles(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))
    }
    if kept.get("default") == [] and kept.get("type") != "array":
        del kept["default"]
    return kept
