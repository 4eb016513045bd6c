"""What a new version of a contract changes, and which of it may change (design 3.2)."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain

from ledgerlake.contracts.model import Column, Contract, EnvelopeColumn, Rule, written_source
from ledgerlake.contracts.problems import Problem
from ledgerlake.contracts.types import ColumnType

AnyColumn = Column | EnvelopeColumn


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: what kind, where in the new contract, of which column or rule, and whether it may be made.

    `reason` says what changes; for a change that is not allowed, also why not. `remedy` is then what to do instead.
    """

    kind: str
    pointer: str
    column: str | None
    allowed: bool
    reason: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str | bool | None]:
        """The change as it stands in ops.schema_versions."""
        return asdict(self)

    def problem(self) -> Problem:
        """The change as a reason to refuse the new version."""
        return Problem(self.pointer, self.reason, self.remedy)


def diff(old: Contract, new: Contract) -> list[Change]:
    """Every difference between two versions of one contract; none where they mean the same."""
    return list(chain(_head(old, new), _columns(old, new), _partitions(old, new), _rules(old, new)))


def refused(changes: list[Change]) -> list[Problem]:
    """The problems of those changes that may not be made."""
    return [change.problem() for change in changes if not change.allowed]


def widens(old: ColumnType, new: ColumnType) -> bool:
    """Whether Iceberg reads every old value as the new type: int → bigint, or a decimal with more digits and the same
    scale.
    """
    if old.kind == new.kind == "decimal":
        return old.scale == new.scale and (old.precision or 0) < (new.precision or 0)
    return (old.kind, new.kind) == ("int", "bigint")


def _allowed(kind: str, pointer: str, column: str | None, reason: str) -> Change:
    return Change(kind, pointer, column, allowed=True, reason=reason)


def _refused(kind: str, pointer: str, column: str | None, reason: str, remedy: str) -> Change:
    return Change(kind, pointer, column, allowed=False, reason=reason, remedy=remedy)


def _head(old: Contract, new: Contract) -> Iterator[Change]:
    if old.table_name != new.table_name:
        reason = f"the table is `{old.table_name}`"
        yield _refused("table_renamed", "/table_name", None, reason, f"write `{old.table_name}`")
    for field in ("description", "owner"):
        if getattr(old, field) != getattr(new, field):
            yield _allowed(f"{field}_changed", f"/{field}", None, f"the contract's {field} changes")
    if old.dedup_window_days != new.dedup_window_days:
        reason = f"dedup_window_days was {old.dedup_window_days}: another window would judge old copies differently"
        yield _refused(
            "dedup_window_changed", "/dedup_window_days", None, reason, f"write {old.dedup_window_days} again"
        )


def _placed(contract: Contract) -> dict[str, tuple[str, AnyColumn]]:
    """Each column by name, with its place in the contract."""
    placed: dict[str, tuple[str, AnyColumn]] = {}
    for index, envelope in enumerate(contract.envelope_columns):
        placed[envelope.name] = (f"/envelope_columns/{index}", envelope)
    for index, column in enumerate(contract.payload_columns):
        placed[column.name] = (f"/payload_columns/{index}", column)
    return placed


def _columns(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = _placed(old), _placed(new)
    for name, (pointer, column) in before.items():
        if name not in after:
            place = pointer.rpartition("/")[0]
            reason = f"the column `{name}` is gone, and its table holds values of it"
            yield _refused("column_removed", place, name, reason, f"add `{name}` again, as {column.type}")
    for name, (pointer, column) in after.items():
        if name not in before:
            reason = f"the column `{name}` ({column.type}) is added; rows curated before have none"
            yield _allowed("column_added", pointer, name, reason)
            continue
        yield from _column(pointer, before[name][1], column)


def _column(pointer: str, old: AnyColumn, new: AnyColumn) -> Iterator[Change]:
    name = new.name
    if type(old) is not type(new):
        reason = f"`{name}` moves between envelope_columns and payload_columns"
        yield _refused("column_moved", pointer, name, reason, "leave it where it was")
    yield from _type(pointer, old, new)
    if old.sources != new.sources:
        was = ", ".join(map(written_source, old.sources))
        reason = f"the source of `{name}` was `{was}`: its rows would mix two meanings"
        yield _refused("source_changed", f"{pointer}/source", name, reason, "add a column of another name")
    for field in ("cde", "allow_empty", "format"):
        if (was_value := getattr(old, field)) != getattr(new, field):
            reason = f"`{field}` of `{name}` was {_json(was_value)}: old and new rows would be judged differently"
            yield _refused(f"{field}_changed", f"{pointer}/{field}", name, reason, f"leave `{field}` as it was")
    for field in ("default", "description"):
        if getattr(old, field) != getattr(new, field):
            yield _allowed(f"{field}_changed", f"{pointer}/{field}", name, f"the {field} of `{name}` changes")


def _json(value: str | bool | None) -> str:
    return "not set" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(pointer: str, old: AnyColumn, new: AnyColumn) -> Iterator[Change]:
    if old.type == new.type:
        return
    if widens(old.type, new.type):
        yield _allowed(
            "type_widened", f"{pointer}/type", new.name, f"`{new.name}` widens from {old.type} to {new.type}"
        )
        return
    reason = f"`{new.name}` is {old.type}, and not every {old.type} fits {new.type}"
    remedy = f"keep {old.type}, or add a column of another name; int may become bigint, a decimal may get more digits"
    yield _refused("type_changed", f"{pointer}/type", new.name, reason, remedy)


def _partitions(old: Contract, new: Contract) -> Iterator[Change]:
    """A dataset that was standardized only has no CURATED table yet: its partitions are still free."""
    if old.partition_by == new.partition_by:
        return
    was = ", ".join(map(str, old.partition_by)) or "none"
    if not old.curated:
        yield _allowed("partition_changed", "/partition_by", None, f"partition_by was {was}, with no table yet")
        return
    reason = f"partition_by was {was}: the table is written that way"
    yield _refused("partition_changed", "/partition_by", None, reason, "leave partition_by as it was")


def _rules(old: Contract, new: Contract) -> Iterator[Change]:
    before: dict[str, Rule] = {rule.name: rule for rule in old.rules}
    after: dict[str, Rule] = {rule.name: rule for rule in new.rules}
    places = {rule.name: f"/rules/{index}" for index, rule in enumerate(new.rules)}
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) == after.get(name):
            continue
        kind = "added" if name not in before else "removed" if name not in after else "changed"
        yield _allowed(f"rule_{kind}", places.get(name, "/rules"), None, f"the rule `{name}` is {kind}")
