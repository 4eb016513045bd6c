"""Rehearse: a proposed contract tried on a topic's last days of RAW, beside the one in force (ADR 0018).

No table is written. The rows go the way they always go (first by message_id, flattened, typed, judged), once under each
contract, and what differs is told.
"""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.contracts import Contract, load
from ledgerlake.contracts.diff import AnyColumn
from ledgerlake.contracts.renames import renames
from ledgerlake.contracts.review import review
from ledgerlake.contracts.types import ColumnType
from ledgerlake.errors import TerminalError
from ledgerlake.jobs.commit import require_conserved
from ledgerlake.jobs.comparison import Sample
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.entry import Tell, serve
from ledgerlake.jobs.rebuild import between, column_changes, counts
from ledgerlake.jobs.rehearsal import BrokenRule, Ends, NewColumn, Offence, RehearsalReport, RehearsalRequest
from ledgerlake.records.flatten import ERROR_CODE, Layout, claim
from ledgerlake.records.paths import pointer
from ledgerlake.state.contracts import in_force
from ledgerlake.state.requests import Document
from ledgerlake.tables.lake import staging
from ledgerlake.tables.layout import layout_of, owned_columns
from ledgerlake.transform.compared import SAMPLE_CHARACTERS, compared
from ledgerlake.transform.flattened import flattened
from ledgerlake.transform.identity import MESSAGE_ID, Identity, aggregates
from ledgerlake.transform.occurrences import later_copies, without
from ledgerlake.transform.reasons import reasons
from ledgerlake.transform.typed import FAILING, WARNED, typed
from ledgerlake.transform.verdicts import KEY, VERDICT, Verdict, judged

SAMPLES: Final = 3
# A sample takes whole messages, by the hash of their id: all copies of one are in it, or none.
_BUCKETS: Final = 1 << 20
_NUMBERS: Final = frozenset({"int", "bigint", "decimal", "double"})


class NothingToRehearse(TerminalError):
    """RAW has no record to try a contract on, or the contract says nothing that could be tried."""


@dataclass(frozen=True)
class _Window:
    """The rows of RAW that are looked at. `kept` are those that are no duplicates."""

    since: datetime
    in_window: int
    whole: Identity
    duplicates: Identity
    kept: DataFrame


@dataclass(frozen=True)
class _Side:
    """The window's rows under one contract."""

    contract: Contract
    rows: DataFrame
    ends: Ends

    @property
    def accepted(self) -> DataFrame:
        """The rows that pass."""
        return self.rows.where(F.col(VERDICT) != Verdict.ERROR.value)

    @property
    def rejected(self) -> DataFrame:
        """The rows that do not."""
        return self.rows.where(F.col(VERDICT) == Verdict.ERROR.value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the run's request says."""
    serve(work, arguments)


def work(context: Context, document: Document, tell: Tell = lambda _: None) -> Document:
    """Rehearse a contract; returns its RehearsalReport."""
    return rehearse(context, RehearsalRequest.model_validate(document), tell).model_dump(mode="json")


def rehearse(context: Context, request: RehearsalRequest, tell: Tell = lambda _: None) -> RehearsalReport:
    """What the proposed contract would do with the last days of RAW. Nothing is written but the report.

    Raises ContractError, NothingToRehearse, ConservationError, NoSalt.
    """
    proposed = load(request.contract, request.topic)
    if not proposed.curated:
        raise NothingToRehearse(f"the proposed contract of {request.topic} has no payload_columns: nothing is curated")
    version, standing = _in_force(context, request.topic)
    tell(f"looking at the last {request.days} days of RAW {request.topic}")
    window = _window(context, request, proposed.dedup_window_days)
    with ExitStack() as stack:
        tell(f"judging {window.whole.rows:,} rows by the proposed contract")
        new = _side(context, proposed, window, stack)
        old = None
        if standing is not None and standing.curated:
            tell(f"judging them by version {version}")
            old = _side(context, standing, window, stack)
        tell("comparing")
        changes = review(standing, proposed) if standing is not None else ()
        return _report(request, version, window, old, new).model_copy(update={"changes": changes})


def _in_force(context: Context, topic: str) -> tuple[int, Contract | None]:
    """The contract in force, also of a topic that is switched off; version 0 without one."""
    state = context.state
    found = in_force(state.s3, state.contracts_bucket, state.gate, topic)
    return (found[0], load(found[1], topic)) if found else (0, None)


def _window(context: Context, request: RehearsalRequest, dedup_window_days: int) -> _Window:
    """The last days of RAW. Raises NothingToRehearse."""
    table = context.lake.find("raw", staging(request.topic))
    snapshot = table.current_snapshot() if table is not None else None
    raw = context.range("raw", staging(request.topic), 0, snapshot.snapshot_id) if snapshot else None
    newest = raw.agg(F.unix_micros(F.max("publish_time"))).collect()[0][0] if raw is not None else None
    if raw is None or newest is None:
        raise NothingToRehearse(f"RAW of {request.topic} holds no record yet: there is nothing to rehearse on")
    since = request.since(datetime.fromtimestamp(newest / 1e6, UTC), datetime.now(UTC))
    published = raw.where(between(since, None))
    in_window = published.count()
    chosen = published.where(_sampled(request.sample, in_window))
    earlier = raw.where(between(since - timedelta(days=dedup_window_days), since))
    late = later_copies(chosen, earlier.select(MESSAGE_ID))
    whole = Identity.read(chosen.agg(*aggregates("whole")).collect()[0], "whole")
    duplicates = Identity.read(late.agg(*aggregates("late")).collect()[0], "late")
    return _Window(since, in_window, whole, duplicates, without(chosen, late))


def _sampled(sample: int | None, rows: int) -> Column:
    """Whether a row is in a sample of about so many of the rows; the same rows are in it each time."""
    if sample is None or sample >= rows:
        return F.lit(True)
    return F.pmod(F.xxhash64(MESSAGE_ID), F.lit(_BUCKETS)) < -(-sample * _BUCKETS // rows)


def _side(context: Context, contract: Contract, window: _Window, stack: ExitStack) -> _Side:
    """The window's rows flattened, typed and judged by one contract. Raises ConservationError and NoSalt."""
    layout, bad = _layout(context, contract), F.col(ERROR_CODE).isNotNull()
    flat = flattened(window.kept, layout, contract.key_sources).persist(StorageLevel.DISK_ONLY)
    stack.callback(flat.unpersist)
    cast = typed(flat.where(~bad).withColumn("batch_id", F.lit("")), contract, layout, context.salt_of(contract))
    # Among themselves: who stands in CURATED is another question than what a contract lets in.
    rows = judged(cast, cast.limit(0)).persist(StorageLevel.DISK_ONLY)
    stack.callback(rows.unpersist)
    facts = [column for verdict in Verdict for column in aggregates(verdict.value, F.col(VERDICT) == verdict.value)]
    told = rows.agg(*facts, F.count_if(F.size(WARNED) > 0).alias("$warned_rows")).collect()[0]
    parts = {verdict.value: Identity.read(told, verdict.value) for verdict in Verdict}
    unread = Identity.read(flat.agg(*aggregates("bad", bad)).collect()[0], "bad")
    everything = parts | {"parse errors": unread, "duplicates": window.duplicates}
    require_conserved(contract.table_name, window.whole, everything)
    ends = Ends(
        curated=parts[Verdict.NEW].rows,
        superseded=parts[Verdict.SUPERSEDED].rows,
        rejected=parts[Verdict.ERROR].rows,
        parse_errors=unread.rows,
        warned=told["$warned_rows"],
    )
    return _Side(contract, rows, ends)


def _layout(context: Context, contract: Contract) -> Layout:
    """The columns that paths own, and those that the contract's paths would get."""
    table = context.lake.find("standardized", contract.table_name)
    owned = layout_of(owned_columns(table) if table is not None else (), contract)
    named = [pointer(path) for path in contract.paths]
    added, _ = claim(owned, named, named, context.settings.max_payload_columns)
    return layout_of((*owned.columns, *added), contract)


def _report(request: RehearsalRequest, version: int, window: _Window, old: _Side | None, new: _Side) -> RehearsalReport:
    rejected, answered = new.rejected, None
    if old is not None:
        rejected = rejected.join(old.accepted.select(MESSAGE_ID), MESSAGE_ID, "left_semi")
        answered = old.rejected.join(new.accepted.select(MESSAGE_ID), MESSAGE_ID, "left_semi")
    differs = compared(*_comparable(old, new), (MESSAGE_ID,)) if old is not None else {}
    of_rows, hidden = counts(differs), _hidden(old, new)
    return RehearsalReport(
        topic=request.topic,
        contract_version=version,
        days=request.days,
        since=window.since,
        in_window=window.in_window,
        looked_at=window.whole.rows,
        duplicates=window.duplicates.rows,
        before=old.ends if old is not None else None,
        after=new.ends,
        newly_rejected=of_rows["removed"] if old is not None else new.ends.rejected,
        offences=_offences(rejected, hidden),
        newly_accepted=of_rows["added"],
        answered=_offences(answered, hidden) if answered is not None else (),
        changed=of_rows["changed"],
        columns=column_changes(differs, hidden),
        new_columns=_new_columns(old, new),
        rules=_rules(new),
    )


def _pairs(old: Contract, new: Contract) -> list[tuple[AnyColumn, AnyColumn]]:
    """The columns that both contracts have, as the old one and the new one have them."""
    before, names = {column.name: column for column in old.columns}, renames(old, new)
    found = [(before.get(names.get(column.name, column.name)), column) for column in new.columns]
    return [(was, column) for was, column in found if was is not None]


def _comparable(old: _Side, new: _Side) -> tuple[DataFrame, DataFrame]:
    """The rows that pass, old and new, with the columns that both contracts have, under their new names."""
    befores, afters = [F.col(KEY)], [F.col(KEY)]
    for was, column in _pairs(old.contract, new.contract):
        values = [F.col(was.name), F.col(column.name)]
        if not _alike(was.type, column.type):
            values = [value.cast("string") for value in values]
        befores.append(values[0].alias(column.name))
        afters.append(values[1].alias(column.name))
    return old.accepted.select(MESSAGE_ID, *befores), new.accepted.select(MESSAGE_ID, *afters)


def _alike(old: ColumnType, new: ColumnType) -> bool:
    """Whether Spark compares values of the two types by what they are worth, without turning one into the other."""
    return old.kind == new.kind or {old.kind, new.kind} <= _NUMBERS


def _hidden(old: _Side | None, new: _Side) -> frozenset[str]:
    """The columns whose values no report tells: personal data by one of the contracts is so by both."""
    sides = [side.contract for side in (old, new) if side is not None]
    renamed = [column.name for was, column in _pairs(sides[0], new.contract) if was.pii]
    return frozenset([*renamed, *(column.name for contract in sides for column in contract.columns if column.pii)])


def _offences(rows: DataFrame, hidden: Collection[str]) -> tuple[Offence, ...]:
    found = [Offence.model_validate(row.asDict(recursive=True)) for row in reasons(rows, SAMPLES).collect()]
    return tuple(one.without_values() if one.column in hidden else one for one in found)


def _new_columns(old: _Side | None, new: _Side) -> tuple[NewColumn, ...]:
    """The columns that only the proposed contract has, with how many rows have a value and the least and the greatest
    of them by message_id.
    """
    known = {column.name for _, column in _pairs(old.contract, new.contract)} if old is not None else set()
    added = [column for column in new.contract.columns if column.name not in known]
    if not added:
        return ()
    facts = []
    for number, column in enumerate(added):
        value = F.substring(F.col(column.name).cast("string"), 1, SAMPLE_CHARACTERS).alias("after")
        one = F.when(F.col(column.name).isNotNull(), F.struct(F.col(MESSAGE_ID).alias("id"), value))
        several = F.array_distinct(F.array_compact(F.array(F.min(one), F.max(one))))
        facts.append(F.struct(F.count(one).alias("records"), several.alias("samples")).alias(f"${number}"))
    told = new.accepted.agg(*facts).collect()[0]
    return tuple(
        NewColumn(
            column=column.name,
            type=str(column.type),
            records=told[number]["records"],
            samples=tuple(Sample(**sample.asDict()) for sample in told[number]["samples"]),
        )
        for number, column in enumerate(added)
    )


def _rules(new: _Side) -> tuple[BrokenRule, ...]:
    """The warn and fail rules that rows break, the gravest and most broken first."""
    broken = F.concat(_told(WARNED, "warn"), _told(FAILING, "fail"))
    each = new.rows.select(MESSAGE_ID, F.explode(broken).alias("one")).select(MESSAGE_ID, "one.*")
    found = each.groupBy("rule", "action").agg(F.count(F.lit(1)).alias("records"), F.min(MESSAGE_ID).alias("sample"))
    return tuple(BrokenRule(**row.asDict()) for row in found.orderBy("action", F.desc("records"), "rule").collect())


def _told(names: str, action: str) -> Column:
    return F.transform(names, lambda name: F.struct(name.alias("rule"), F.lit(action).alias("action")))
