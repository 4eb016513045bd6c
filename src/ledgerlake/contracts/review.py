"""A proposed contract beside another one, as a reviewer reads it: each change with what was and what would be."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from ledgerlake.contracts.diff import Change, Impact, diff, refused
from ledgerlake.contracts.model import Contract
from ledgerlake.contracts.renames import renames
from ledgerlake.records.paths import segments

IMPACTS: Final[tuple[Impact, ...]] = ("safe", "guarded", "breaking")
_LISTS: Final = ("envelope_columns", "payload_columns", "rules")


class Reviewed(BaseModel):
    """One change: `before` and `after` as a contract writes them (None: not there), and whether it would be refused.

    `reason` says what changes and why it matters, `remedy` what to write where it is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: str
    pointer: str
    column: str | None
    impact: Impact
    before: str | None
    after: str | None
    reason: str
    remedy: str
    refused: bool


def review(old: Contract, new: Contract) -> tuple[Reviewed, ...]:
    """Every change from the old contract to the new one, the safe ones first.

    Raises ContractError where `renamed_from` says what cannot be.
    """
    changes, names = diff(old, new), renames(old, new)
    remedies = {(problem.pointer, problem.message): problem.remedy for problem in refused(changes, old, new)}
    found = [_reviewed(change, _values(change, old, new, names), remedies) for change in changes]
    return tuple(sorted(found, key=lambda one: IMPACTS.index(one.impact)))


def _reviewed(change: Change, values: Sequence[str | None], remedies: Mapping[tuple[str, str], str]) -> Reviewed:
    remedy = remedies.get((change.pointer, change.reason))
    before, after = values
    return Reviewed(
        id=change.id,
        kind=change.kind,
        pointer=change.pointer,
        column=change.column,
        impact=change.impact,
        before=before,
        after=after,
        reason=change.reason,
        remedy=remedy or "",
        refused=remedy is not None,
    )


def _values(change: Change, old: Contract, new: Contract, names: Mapping[str, str]) -> list[str | None]:
    """What stands at the change's place in each contract: one field where it names one, else the whole part."""
    place, *rest = segments(change.pointer)
    if place not in _LISTS:
        return [_text(_whole(contract).get(place)) for contract in (old, new)]
    name = change.id.partition(":")[2]
    if change.kind == "column_renamed":
        return [names[name], name]
    return [
        _text(_there(contract, place, of, rest[1:])) for contract, of in ((old, names.get(name, name)), (new, name))
    ]


def _there(contract: Contract, place: str, name: str, field: Sequence[str]) -> object:
    """A column or rule of one contract, or a field of it."""
    parts = contract.rules if place == "rules" else (*contract.envelope_columns, *contract.payload_columns)
    found = next((part for part in parts if part.name == name), None)
    if found is None:
        return None
    if field:
        return _whole(found).get(field[0])
    return found.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"name"})


def _whole(part: BaseModel) -> Mapping[str, object]:
    return part.model_dump(mode="json", by_alias=True)


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
