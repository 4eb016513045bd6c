"""From a contract's text to a Contract, or to everything that is wrong with it."""

import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ledgerlake.contracts.checks import check
from ledgerlake.contracts.document import read_document
from ledgerlake.contracts.model import Column, Contract, EnvelopeColumn, Rebuild, Rule
from ledgerlake.contracts.problems import ContractError, Problem, Wrong, did_you_mean, json_kind, one_of
from ledgerlake.records import paths

_PARTS: Final[dict[str, type[BaseModel]]] = {
    "envelope_columns": EnvelopeColumn,
    "payload_columns": Column,
    "rules": Rule,
    "rebuild": Rebuild,
}
_EXAMPLES: Final = {
    "table_name": '"table_name": "events"',
    "envelope_columns": '"envelope_columns": []',
    "payload_columns": '"payload_columns": []',
    "name": '"name": "amount"',
    "type": '"type": "decimal(12,2)"',
    "expression": '"expression": "amount >= 0"',
    "action": '"action": "quarantine"',
    "reason": '"reason": "amounts are whole cents now"',
}
_KINDS: Final = {
    "string_type": ("a text is needed here", 'write it in quotes, e.g. "0.00"'),
    "string_unicode": ("a text that UTF-8 can hold is needed here", "take the lone surrogate away"),
    "string_too_short": ("an empty text says nothing", "write at least one character, or take it away"),
    "bool_type": ("true or false is needed here", "write true or false, without quotes"),
    "int_type": ("a whole number is needed here", "write e.g. 7, without quotes"),
    "tuple_type": ("a list is needed here", "write [ … ]"),
    "model_type": ("an object is needed here", 'write e.g. {"name": …}'),
}


def load(text: bytes | str, topic: str) -> Contract:
    """The contract of a topic, from the bytes of its schema.json.

    Raises ContractError with every problem found: JSON's, each value's, and those between the parts.
    """
    document, problems = read_document(text)
    contract: Contract | None = None
    try:
        contract = Contract.model_validate(document)
    except ValidationError as error:
        problems += [_problem(detail) for detail in error.errors(include_url=False)]
    problems += check(document, topic)
    if contract is None or problems:
        raise ContractError(list(_once(problems)))
    return contract


def _once(problems: list[Problem]) -> Iterator[Problem]:
    yield from dict.fromkeys(problems)


def _problem(detail: ErrorDetails) -> Problem:
    place = paths.pointer(map(str, detail["loc"]))
    return Problem(place, *_words(detail, str(detail["loc"][-1]) if detail["loc"] else "", detail.get("ctx", {})))


def _words(detail: ErrorDetails, field: str, context: dict[str, Any]) -> tuple[str, str]:
    """The message and the remedy of one of pydantic's findings."""
    kind, value = detail["type"], detail["input"]
    if isinstance(wrong := context.get("error"), Wrong):
        return wrong.message, wrong.remedy
    if kind in _KINDS:
        message, remedy = _KINDS[kind]
        return f"{message}, not {json_kind(value)}" if kind.endswith("_type") else message, remedy
    if kind == "missing":
        return f"`{field}` is missing", f"add it, e.g. {_EXAMPLES.get(field, field)}"
    if kind == "extra_forbidden":
        known = list(_part(detail["loc"]).model_json_schema()["properties"])
        return f"there is no field `{field[:100]}`", did_you_mean(field, known, f"the fields are {one_of(known)}")
    if kind == "string_pattern_mismatch":
        return f"{value[:100]!r} is no {'name of a table' if field == 'table_name' else 'name'}", better_name(value)
    if kind == "literal_error":
        known = re.findall("'([^']+)'", context["expected"])
        return f"there is no {field} {str(value)[:100]!r}", did_you_mean(str(value), known, f"write {one_of(known)}")
    return f"this {field} is not allowed: {detail['msg']}", "see docs/contract.md for what is"


def _part(place: tuple[int | str, ...]) -> type[BaseModel]:
    return _PARTS.get(str(place[0]), Contract) if len(place) > 1 else Contract


def better_name(written: str) -> str:
    """A remedy for a name that is none: the rule, and the nearest name that keeps it."""
    rule = "a name begins with a to z, followed by a to z, 0 to 9 and _"
    better = re.sub("[^a-z0-9_]", "_", written.lower()).lstrip("_0123456789")[:60]
    return f"write `{better}`: {rule}" if better else rule
