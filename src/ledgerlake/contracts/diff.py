"""What a new version of a contract changes, and what each change asks of its author (design 3.2).

safe: it is published. guarded: rows before and after are judged or filled differently, so its id has to stand in the
contract's `accept`. breaking: the table cannot follow in place, so `rebuild` has to say why it is rebuilt.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Final, Literal

from pydantic import BaseModel

from ledgerlake.contracts.model import IDEMPOTENCY_KEY, Column, Contract, EnvelopeColumn, Rule
from ledgerlake.contracts.partitions import Partition
from ledgerlake.contracts.problems import Problem, did_you_mean
from ledgerlake.contracts.renames import renames
from ledgerlake.contracts.rules import with_names
from ledgerlake.contracts.sources import written_source
from ledgerlake.contracts.types import ColumnType

AnyColumn = Column | EnvelopeColumn
Impact = Literal["safe", "guarded", "breaking"]
Judge = Impact | Callable[[Any, Any], Impact]

SAYS_NO_CHANGE: Final = frozenset({"accept", "rebuild", "renamed_from", "$schema", "$comment"})
"""Fields that say how a version is meant, or nothing; they change no row."""

COMPARED_APART: Final = frozenset(
    {"envelope_columns", "payload_columns", "partition_by", "rules", "name", "type", "expression", "action"}
)
"""Fields that have a comparison of their own below."""

CONTRACT_FIELDS: Final[Mapping[str, Judge]] = {
    "table_name": "breaking",
    "description": "safe",
    "owner": "safe",
    "tags": "safe",
    "dedup_window_days": "guarded",
    "drift": "guarded",
}


def _when_on(_old: Any, new: Any) -> Impact:
    return "guarded" if new else "safe"


def _when_off(_old: Any, new: Any) -> Impact:
    return "safe" if new else "guarded"


CHECKS: Final = ("allowed_values", "min", "max", "pattern", "min_length", "max_length")
"""Options that make a record an error by its value."""

COLUMN_FIELDS: Final[Mapping[str, Judge]] = {
    "source": "guarded",
    "cde": _when_on,
    "allow_empty": _when_off,
    "default": "guarded",
    "format": "guarded",
    "pii": "guarded",
    "trim": "guarded",
    "empty_as_null": "guarded",
    "true_values": "guarded",
    "false_values": "guarded",
    **dict.fromkeys(CHECKS, "guarded"),
    "drift": "guarded",
    "description": "safe",
    "unit": "safe",
    "tags": "safe",
}
"""What a change of each field of a column is; of the idempotency key, another source is breaking."""

_STRICTNESS: Final = ("warn", "quarantine", "fail")
_REBUILD: Final = 'say why in the contract: "rebuild": {"reason": "…"}; CURATED is then rebuilt from STANDARDIZED'


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: what kind, where in the new contract, of which column, and what it asks of its author.

    `id` is `<kind>:<column or rule>`, or the kind alone where it is the contract's own. `reason` says what changes;
    `remedy`, for a change that is not safe, what to do instead of making it.
    """

    kind: str
    id: str
    pointer: str
    column: str | None
    impact: Impact
    reason: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str | None]:
        """The change as it stands in ops.schema_versions."""
        return asdict(self)


def diff(old: Contract, new: Contract) -> list[Change]:
    """Every difference between two versions of one contract; none where they mean the same.

    Raises ContractError where `renamed_from` says what cannot be.
    """
    names = renames(old, new)
    found = list(
        chain(_head(old, new), _columns(old, new, names), _partitions(old, new, names), _rules(old, new, names))
    )
    return [*found, *_unmatched(old, new, {change.id for change in found})]


def refused(changes: Sequence[Change], old: Contract, new: Contract) -> list[Problem]:
    """The problems of those changes that the new contract does not consent to.

    A `rebuild` that the old contract has too consented to that one's changes, not to these.
    """
    guarded = [change for change in changes if change.impact == "guarded" and change.id not in new.accept]
    rebuilt = new.rebuild is not None and new.rebuild != old.rebuild
    breaking = [change for change in changes if change.impact == "breaking" and not rebuilt]
    problems = [Problem(change.pointer, change.reason, _consent(change)) for change in (*breaking, *guarded)]
    if guarded:
        ids = ", ".join(f'"{name}"' for name in (*new.accept, *(change.id for change in guarded)))
        problems.append(Problem("/accept", "guarded changes are made on purpose only", f'write "accept": [{ids}]'))
    if breaking and new.rebuild is not None:
        message = "the reason to rebuild is that of the version in force"
        problems.append(Problem("/rebuild/reason", message, "say why these changes are made"))
    return problems


def _consent(change: Change) -> str:
    consent = _REBUILD if change.impact == "breaking" else f'accept it: "{change.id}"'
    return f"{change.remedy}; or {consent}" if change.remedy else consent


def widens(old: ColumnType, new: ColumnType) -> bool:
    """Whether Iceberg reads every old value as the new type: int → bigint, or a decimal with more digits and the same
    scale.
    """
    if old.kind == new.kind == "decimal":
        return old.scale == new.scale and (old.precision or 0) < (new.precision or 0)
    return (old.kind, new.kind) == ("int", "bigint")


def _of_column(kind: str, pointer: str, column: str, impact: Impact, reason: str, remedy: str = "") -> Change:
    return Change(kind, f"{kind}:{column}", pointer, column, impact, reason, remedy)


def _of_contract(kind: str, pointer: str, impact: Impact, reason: str, remedy: str = "") -> Change:
    return Change(kind, kind, pointer, None, impact, reason, remedy)


def written(model: type[BaseModel]) -> dict[str, str]:
    """The attribute that holds each field, by the field's name as a contract writes it."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def _changed(old: Any, new: Any, judges: Mapping[str, Judge]) -> Iterator[tuple[str, Any, Any, Impact]]:
    """The judged fields in which two contracts or columns differ, each with its two values and its impact."""
    before = written(type(old))
    for field, attribute in written(type(new)).items():
        if field not in judges or field not in before:
            continue
        was, value = getattr(old, before[field]), getattr(new, attribute)
        if field == "source":  # a payload column's is one path, an envelope column's are many
            was, value = old.sources, new.sources
        if was != value:
            judge = judges[field]
            yield field, was, value, judge(was, value) if callable(judge) else judge


def _head(old: Contract, new: Contract) -> Iterator[Change]:
    for field, was, value, impact in _changed(old, new, CONTRACT_FIELDS):
        kind, pointer = f"{field.removesuffix('_days')}_changed", f"/{field}"
        if impact == "safe":
            yield _of_contract(kind, pointer, impact, f"the contract's {field} changes")
            continue
        reason = f"`{field}` was {_said(was)} and becomes {_said(value)}: old and new rows are judged differently"
        yield _of_contract(kind, pointer, impact, reason, f"write {_said(was)} again")


def _placed(contract: Contract) -> dict[str, tuple[str, AnyColumn]]:
    """Each column by name, with its place in the contract."""
    placed: dict[str, tuple[str, AnyColumn]] = {}
    for index, envelope in enumerate(contract.envelope_columns):
        placed[envelope.name] = (f"/envelope_columns/{index}", envelope)
    for index, column in enumerate(contract.payload_columns):
        placed[column.name] = (f"/payload_columns/{index}", column)
    return placed


def _columns(old: Contract, new: Contract, names: Mapping[str, str]) -> Iterator[Change]:
    before, after = _placed(old), _placed(new)
    gone = before.keys() - after.keys() - set(names.values())
    for name, (pointer, column) in before.items():
        if name in gone:
            reason = f"the column `{name}` is gone, and its table holds values of it"
            remedy = f"add `{name}` again, as {column.type}"
            yield _of_column("column_removed", pointer.rpartition("/")[0], name, _held(old, name), reason, remedy)
    for name, (pointer, column) in after.items():
        was = names.get(name, name)
        if was in before:
            yield from _column(pointer, before[was][1], column, old)
        else:
            yield _added(pointer, column, old)


def _held(old: Contract, name: str) -> Impact:
    """The impact of what a table cannot follow: without CURATED only STANDARDIZED's resolved key is held already."""
    return "breaking" if old.curated or name == IDEMPOTENCY_KEY else "safe"


def _added(pointer: str, column: AnyColumn, old: Contract) -> Change:
    name = column.name
    if not old.curated and name != IDEMPOTENCY_KEY:
        return _of_column("column_added", pointer, name, "safe", f"the column `{name}` ({column.type}) is added")
    fields = written(type(column))
    demanding = [field for field in ("cde", *CHECKS) if field in fields and getattr(column, fields[field])]
    if not demanding and name != IDEMPOTENCY_KEY:
        reason = f"the column `{name}` ({column.type}) is added; rows curated before have none"
        return _of_column("column_added", pointer, name, "safe", reason)
    by = ", ".join(f"`{field}`" for field in demanding) or "its key"
    reason = f"the column `{name}` ({column.type}) is added, and records may now be errors by {by}"
    return _of_column("column_added", pointer, name, "guarded", reason)


def _column(pointer: str, old: AnyColumn, new: AnyColumn, contract: Contract) -> Iterator[Change]:
    name, free = new.name, not contract.curated and new.name != IDEMPOTENCY_KEY
    if old.name != name:
        reason = f"`{old.name}` becomes `{name}` and keeps its values; queries have to name it anew"
        yield _of_column("column_renamed", f"{pointer}/renamed_from", name, "safe" if free else "guarded", reason)
    if type(old) is not type(new):
        reason = f"`{name}` moves between envelope_columns and payload_columns"
        yield _of_column("column_moved", pointer, name, "safe" if free else "breaking", reason, "leave it where it was")
    if old.type != new.type:
        yield _type(pointer, old, new, free=free)
    for field, was, value, impact in _changed(old, new, COLUMN_FIELDS):
        if field == "source" and name == IDEMPOTENCY_KEY:
            impact = "breaking"
        yield _field(pointer, name, field, "safe" if free else impact, was, value)


def _field(pointer: str, name: str, field: str, impact: Impact, was: Any, value: Any) -> Change:
    kind, place = f"{field}_changed", f"{pointer}/{field}"
    if impact == "safe":
        return _of_column(kind, place, name, impact, f"the {field} of `{name}` changes")
    reason = f"the {field} of `{name}` was {_said(was)} and becomes {_said(value)}: rows before and after differ by it"
    remedy = "add a column of another name" if field == "source" else f"leave `{field}` as it was"
    return _of_column(kind, place, name, impact, reason, remedy)


def _said(value: Any) -> str:
    """A field's value in words."""
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(f"`{part if isinstance(part, str) else written_source(part)}`" for part in value)
    return f"`{value}`"


def _type(pointer: str, old: AnyColumn, new: AnyColumn, *, free: bool) -> Change:
    name, place = new.name, f"{pointer}/type"
    if free or widens(old.type, new.type):
        kind = "type_widened" if widens(old.type, new.type) else "type_changed"
        return _of_column(kind, place, name, "safe", f"`{name}` goes from {old.type} to {new.type}")
    reason = f"`{name}` is {old.type}, and its table cannot read every {old.type} as {new.type}"
    remedy = f"keep {old.type}, or add a column of another name; int may become bigint, a decimal may get more digits"
    return _of_column("type_changed", place, name, "breaking", reason, remedy)


def _partitions(old: Contract, new: Contract, names: Mapping[str, str]) -> Iterator[Change]:
    """A dataset that was standardized only has no CURATED table yet: its partitions are still free."""
    renamed = {was: name for name, was in names.items()}
    before = [Partition(part.transform, renamed.get(part.column, part.column), part.size) for part in old.partition_by]
    if before == list(new.partition_by):
        return
    was = ", ".join(map(str, old.partition_by)) or "none"
    if not old.curated:
        yield _of_contract("partition_changed", "/partition_by", "safe", f"partition_by was {was}, with no table yet")
        return
    reason = f"partition_by was {was}: the table is written that way"
    yield _of_contract("partition_changed", "/partition_by", "breaking", reason, "leave partition_by as it was")


def _rules(old: Contract, new: Contract, names: Mapping[str, str]) -> Iterator[Change]:
    before = {rule.name: rule for rule in old.rules}
    for index, rule in enumerate(new.rules):
        if change := _rule(f"/rules/{index}", before.pop(rule.name, None), rule, names):
            yield change if old.curated else _safe(change)
    for name in before:
        yield Change("rule_removed", f"rule_removed:{name}", "/rules", None, "safe", f"the rule `{name}` is removed")


def _safe(change: Change) -> Change:
    return Change(change.kind, change.id, change.pointer, change.column, "safe", change.reason)


def _rule(pointer: str, old: Rule | None, new: Rule, names: Mapping[str, str]) -> Change | None:
    """What became of one rule. One that only warns rejects no record, whatever it says."""
    if old is None:
        what, tighter, kind = "is added", True, "rule_added"
    elif not _same_condition(old.expression, new.expression, names):
        what, tighter, kind = "has another expression", True, "rule_changed"
    elif old.action != new.action:
        tighter = _STRICTNESS.index(new.action) > _STRICTNESS.index(old.action)
        what, kind = f"goes from {old.action} to {new.action}", "rule_tightened" if tighter else "rule_loosened"
    else:
        return None
    impact: Impact = "guarded" if tighter and new.action != "warn" else "safe"
    reason = f"the rule `{new.name}` ({new.action}) {what}"
    return Change(kind, f"{kind}:{new.name}", pointer, None, impact, reason)


def _same_condition(old: str, new: str, names: Mapping[str, str]) -> bool:
    if old == new:
        return True
    return bool(names) and with_names(old, {was: name for name, was in names.items()}) == with_names(new, {})


def _unmatched(old: Contract, new: Contract, ids: set[str]) -> Iterator[Change]:
    """An id to be accepted that no change has: told, since it may be a mistyped one; not refused, since the change may
    be in force already.
    """
    for index, name in enumerate(new.accept):
        if name not in ids and name not in old.accept:
            hint = did_you_mean(name, ids, "where it is in force already, take it away")
            reason = f"`{name}` is accepted, and no change of this version has that id; {hint}"
            yield Change("accept_unmatched", f"accept_unmatched:{name}", f"/accept/{index}", None, "safe", reason)
