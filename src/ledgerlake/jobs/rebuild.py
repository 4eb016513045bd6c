"""A reprocess at work: its names, its range, and the branches that it writes to (ADR 0010)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.contracts import Contract
from ledgerlake.errors import TerminalError
from ledgerlake.jobs.comparison import ColumnChange, ReprocessRequest, Sample
from ledgerlake.jobs.context import Context
from ledgerlake.records.flatten import Layout
from ledgerlake.tables import snapshots
from ledgerlake.tables.branches import BASE, BRANCH, Branch
from ledgerlake.tables.definitions import Layer
from ledgerlake.tables.layout import layout_of, owned_columns
from ledgerlake.tables.reshape import Shape
from ledgerlake.tables.sql import identifier
from ledgerlake.transform.compared import ADDED, CHANGED, EQUAL, REMOVED, Difference, Example


class NothingToRebuild(TerminalError):
    """A topic's tables hold no batch yet: there is nothing that a rebuild could be compared with."""


@dataclass(frozen=True)
class Rebuild:
    """One reprocess of one topic, under the contract in force or one that is to follow it.

    `shape` is what CURATED becomes by it; None when it stays as it is.
    """

    context: Context
    request: ReprocessRequest
    contract: Contract
    contract_version: int
    contract_sha256: str
    now: datetime
    shape: Shape | None = None

    @property
    def topic(self) -> str:
        """The topic."""
        return self.request.topic

    @property
    def batch_id(self) -> str:
        """The batch under which it is published, and which its new rows carry."""
        return batch_id(self.request)

    @property
    def ranged(self) -> bool:
        """Whether only a range of publish_times is rebuilt."""
        return self.request.since is not None or self.request.until is not None

    @property
    def within(self) -> Column:
        """Whether a row's publish_time lies in the range."""
        return between(self.request.since, self.request.until)

    @property
    def within_days(self) -> Column:
        """Whether it lies in one of the days (UTC) that the range touches: partitions are replaced whole."""
        since, until = self.request.since, self.request.until
        first = datetime.combine(since.astimezone(UTC), time(), UTC) if since else None
        last = datetime.combine(until.astimezone(UTC), time(), UTC) if until else None
        if until and last and last < until:
            last += timedelta(days=1)
        return between(first, last)

    @property
    def at(self) -> Column:
        """When it runs: what it writes down as the time of its marks."""
        return F.lit(self.now.isoformat()).cast("timestamp")

    def layout(self) -> Layout:
        """The columns that paths own now; a rebuild adds none, what has none is rescued."""
        columns = owned_columns(self.context.lake.load("standardized", self.topic))
        return layout_of(columns, self.contract)

    def branch(self, layer: Layer, table: str) -> Branch | None:
        """A table's branch of this reprocess."""
        return Branch.find(self.context.lake.load(layer, table), self.request.id)

    def on_branch(self, layer: Layer, table: str) -> DataFrame:
        """A table's rows on this reprocess's branch."""
        return self.context.spark.table(branch_name(self.context, layer, table, self.request.id))

    def write(
        self,
        layer: Layer,
        table: str,
        base: int | None,
        rows: DataFrame,
        where: Column,
        properties: Mapping[str, str] | None = None,
    ) -> Branch:
        """Put rows in the place of those that meet `where`, on a branch made anew from main's snapshot `base`."""
        context, name = self.context, BRANCH + self.request.id
        at = f" AS OF VERSION {base}" if base else ""
        context.spark.sql(
            f"ALTER TABLE {context.lake.spark_name(layer, table)} CREATE OR REPLACE BRANCH {identifier(name)}{at}"
        )
        writer = rows.writeTo(branch_name(context, layer, table, self.request.id))
        # A rebuilt table is written by partition, whatever its batches do: its files are those of years.
        writer = writer.option("distribution-mode", "hash")
        if self.shape is not None and (layer, table) == ("curated", self.topic):
            writer = writer.option("output-spec-id", str(self.shape.spec.spec_id))
        for key, value in ({BASE: str(base or "")} | dict(properties or {})).items():
            writer = writer.option(f"snapshot-property.{key}", value)
        writer.overwrite(where)
        made = self.branch(layer, table)
        if made is None:
            raise NothingToRebuild(f"{layer}.{table}: the branch {name} went away while it was written")
        return made

    def as_held(self, rows: DataFrame) -> DataFrame:
        """CURATED's rows in the columns that the table has now; those that it loses are NULL."""
        if self.shape is None:
            return rows
        held = {was: name for name, was in self.shape.held.items()}
        table = self.context.table("curated", self.topic)
        nothing = F.lit(None)
        values = {c.name: F.col(held[c.name]) if c.name in held else nothing.cast(c.dataType) for c in table.schema}
        return rows.select(*(value.alias(name) for name, value in values.items()))

    def told(self, rows: Mapping[str, int], totals: Mapping[str, int], source_snapshot_id: int) -> dict[str, str]:
        """What the branch keeps for the commit that publishes it: the ledger's properties but for batch and token."""
        return {
            snapshots.SOURCE_SNAPSHOT_ID: str(source_snapshot_id),
            snapshots.CONTRACT_VERSION: str(self.contract_version),
            snapshots.CONTRACT_SHA256: self.contract_sha256,
            **{snapshots.ROWS + name: str(count) for name, count in rows.items()},
            **{snapshots.TOTAL + name: str(count) for name, count in totals.items()},
        }


def batch_id(request: ReprocessRequest) -> str:
    """The batch under which a reprocess is published."""
    return f"{request.topic}-reprocess-{request.id}"


def branch_name(context: Context, layer: Layer, table: str, reprocess_id: str) -> str:
    """A table's branch as Spark names it."""
    return f"{context.lake.spark_name(layer, table)}.{identifier(f'branch_{BRANCH}{reprocess_id}')}"


def counts(found: Mapping[str, Difference]) -> dict[str, int]:
    """The rows of a comparison by what becomes of them, as a LayerReport has them."""
    names = {"equal": EQUAL, "changed": CHANGED, "added": ADDED, "removed": REMOVED}
    return {name: found[what].rows if what in found else 0 for name, what in names.items()}


def column_changes(found: Mapping[str, Difference], hidden: Collection[str] = ()) -> tuple[ColumnChange, ...]:
    """The columns of a comparison that change, the most changed first, with samples but of `hidden` ones."""
    columns = [one for one in found.values() if not one.what.startswith("$")]
    return tuple(
        ColumnChange(
            column=one.what,
            rows=one.rows,
            samples=tuple(Sample(id=e.id, before=e.before, after=e.after) for e in _shown(one, hidden)),
        )
        for one in sorted(columns, key=lambda one: (-one.rows, one.what))
    )


def _shown(one: Difference, hidden: Collection[str]) -> tuple[Example, ...]:
    return () if one.what in hidden else one.examples


def samples(found: Mapping[str, Difference], what: str) -> tuple[str, ...]:
    """Some of the rows of which this is true."""
    return tuple(example.id for example in found[what].examples) if what in found else ()


def between(since: datetime | None, until: datetime | None) -> Column:
    """Whether a row's publish_time is at or after `since` and before `until`."""
    condition = F.lit(True)
    if since:
        condition = condition & (F.col("publish_time") >= _moment(since))
    if until:
        condition = condition & (F.col("publish_time") < _moment(until))
    return condition


def _moment(moment: datetime) -> Column:
    return F.lit(moment.astimezone(UTC).isoformat()).cast("timestamp")
