"""A proposed contract beside another one, as a reviewer reads it: each change with what was and what would be."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from ledgerlake.contracts.diff import Change, diff
from ledgerlake.contracts.model import Contract
from ledgerlake.records.paths import segments

Impact = Literal["safe", "guarded", "breaking"]
IMPACTS: Final[tuple[Impact, ...]] = ("safe", "guarded", "breaking")
_LISTS: Final = ("envelope_columns", "payload_columns", "rules")


class Reviewed(BaseModel):
    """One change: `before` and `after` as a contract writes them (None: not there), and whether it would be refused.

    `reason` says what changes and why it matters, `remedy` what to write to get a refused one accepted.
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
    """Every change from the old contract to the new one, the safe ones first."""
    found = [_reviewed(change, old, new) for change in diff(old, new)]
    return tuple(sorted(found, key=lambda one: IMPACTS.index(one.impact)))


def _reviewed(change: Change, old: Contract, new: Contract) -> Reviewed:
    before, after = _values(change, old, new)
    return Reviewed(
        id=f"{change.kind}:{change.column}" if change.column else change.kind,
        kind=change.kind,
        pointer=change.pointer,
        column=change.column,
        impact="safe" if change.allowed else "breaking",
        before=before,
        after=after,
        reason=change.reason,
        remedy=change.remedy,
        refused=not change.allowed,
    )


def _values(change: Change, old: Contract, new: Contract) -> tuple[str | None, str | None]:
    """What stands at the change's place in each contract: one field where it names one, else the whole part."""
    place, *rest = segments(change.pointer)
    if place not in _LISTS:
        return tuple(_text(_whole(contract)[place]) for contract in (old, new))
    return tuple(_text(_there(contract, place, change, rest[1:])) for contract in (old, new))


def _there(contract: Contract, place: str, change: Change, field: Sequence[str]) -> object:
    """The column or rule that changes, or a field of it, in one contract."""
    parts = contract.rules if place == "rules" else (*contract.envelope_columns, *contract.payload_columns)
    name = change.id.partition(":")[2]
    found = next((part for part in parts if part.name == name), None)
    if found is None:
        return None
    if field:
        return _whole(found)[field[0]]
    return found.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"name"})


def _whole(part: BaseModel) -> Mapping[str, object]:
    return part.model_dump(mode="json", by_alias=True)


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
