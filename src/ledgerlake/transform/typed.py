"""STANDARDIZED's rows typed by their contract, each with everything that is wrong with it (design 4.3)."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.pandas.types import from_arrow_schema

from ledgerlake.contracts.model import Contract, Rule
from ledgerlake.contracts.sources import Attribute
from ledgerlake.records.casts import TIMESTAMP, VIOLATIONS, cast, schema
from ledgerlake.records.flatten import RESCUED
from ledgerlake.records.layout import Layout
from ledgerlake.records.paths import pointer
from ledgerlake.records.privacy import require_salt

ENVELOPE: Final = ("message_id", "idempotency_key", "publish_time", "ingestion_ts", "batch_id")
WARNED: Final = "$warned"
"""The names of the warn rules that a row breaks; no contract column can begin with a dollar sign."""
FAILING: Final = "$failing"
"""The names of the fail rules that a row breaks."""

_TEXTS: Final = "array<string>"
_VIOLATIONS_TYPE: Final = "array<struct<kind:string,column:string,rule:string,value:string>>"


def typed(standardized: DataFrame, contract: Contract, layout: Layout, salt: str | None = None) -> DataFrame:
    """One typed row for each standardized row.

    Columns out: message_id, idempotency_key, publish_time, ingestion_ts, batch_id, the contract's (typed; NULL where a
    cast failed; personal data as CURATED holds it, hashed with the salt), $violations (NULL for a good row), $warned
    and $failing (names of rules). Raises NoSalt.
    """
    require_salt(contract, salt)
    read = [*ENVELOPE, *_needed(contract, layout, standardized.columns)]
    target = pa.schema(
        [*((name, TIMESTAMP if name in _TIMES else pa.string()) for name in ENVELOPE), *schema(contract)]
    )
    function = partial(_cast_batches, contract=contract, layout=layout, salt=salt)
    cast_rows = standardized.select(*read).mapInArrow(function, from_arrow_schema(target))
    return _judged(cast_rows, contract)


_TIMES: Final = frozenset({"publish_time", "ingestion_ts"})


def _needed(contract: Contract, layout: Layout, present: Iterable[str]) -> list[str]:
    """The columns that the contract's sources are read from: no other has to reach Python."""
    owners = layout.owners
    sources = [source for column in contract.columns for source in column.sources]
    columns = {owners.get(pointer(source)) for source in sources if not isinstance(source, Attribute)}
    extra = {"attributes"} if any(isinstance(source, Attribute) for source in sources) else set()
    wanted = {column for column in columns if column} | {RESCUED} | extra
    return [name for name in present if name in wanted]


def _cast_batches(
    batches: Iterable[pa.RecordBatch], contract: Contract, layout: Layout, salt: str | None
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        values = cast(batch, contract, layout, salt)
        envelope = [batch.column(name) for name in ENVELOPE]
        yield pa.RecordBatch.from_arrays([*envelope, *values.columns], names=[*ENVELOPE, *values.schema.names])


def _judged(rows: DataFrame, contract: Contract) -> DataFrame:
    """Add what the contract's rules say: a quarantine rule's violation joins those of casts and missing elements."""
    empty = F.array().cast(_VIOLATIONS_TYPE)
    broken = [F.when(_breaks(rule), _violation(rule)) for rule in _of(contract, "quarantine")]
    ruled = F.array_compact(F.array(*broken)).cast(_VIOLATIONS_TYPE) if broken else empty
    every = F.concat(F.coalesce(F.col(VIOLATIONS), empty), ruled)
    return rows.withColumns(
        {
            VIOLATIONS: F.when(F.size(every) > 0, every),
            WARNED: _names(_of(contract, "warn")),
            FAILING: _names(_of(contract, "fail")),
        }
    )


def _of(contract: Contract, action: str) -> list[Rule]:
    return [rule for rule in contract.rules if rule.action == action]


def _names(rules: list[Rule]) -> Column:
    """The names of those rules that a row breaks."""
    if not rules:
        return F.array().cast(_TEXTS)
    return F.array_compact(F.array(*(F.when(_breaks(rule), F.lit(rule.name)) for rule in rules)))


def _violation(rule: Rule) -> Column:
    nothing = F.lit(None).cast("string")
    values = {"kind": F.lit("rule"), "column": nothing, "rule": F.lit(rule.name), "value": nothing}
    return F.struct(*(value.alias(name) for name, value in values.items()))


def _breaks(rule: Rule) -> Column:
    """Whether the rule is FALSE: NULL breaks nothing, and a column whose cast failed is not asked about."""
    failed = F.transform(
        F.filter(F.coalesce(F.col(VIOLATIONS), F.array().cast(_VIOLATIONS_TYPE)), lambda one: one["kind"] == "cast"),
        lambda one: one["column"],
    )
    askable = ~F.arrays_overlap(failed, F.array(*(F.lit(column) for column in sorted(rule.columns))))
    return askable & (F.expr(rule.expression) == F.lit(False))
