"""The full reconciliation: by anti-joins over whole tables, every id that is missing or stands too often, by name.

It reads each topic's tables at snapshots pinned in one order, those that follow before those they are made from, so
that jobs may commit meanwhile. What it finds goes to ops.reconciliation_findings, an id a row, and to the log.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import boto3
from pydantic import BaseModel, ConfigDict
from pyiceberg.table import Table
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.jobs.arrival import Arrived, arrivals, lost
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.entry import Tell, serve
from ledgerlake.jobs.session import read_at
from ledgerlake.ops import ledger, variance
from ledgerlake.ops.ledger import ARRIVAL, CURATE, STANDARDIZE, batches_after
from ledgerlake.ops.window import Committed
from ledgerlake.state.requests import Document
from ledgerlake.tables import snapshots
from ledgerlake.tables.definitions import ERRORS, PARSE_ERRORS, RECONCILIATION_FINDINGS, Layer
from ledgerlake.tables.lake import staging
from ledgerlake.transform.verdicts import RECENCY

Kind = Literal["missing", "doubled", "unknown"]
"""Stands nowhere; stands more often than it may; never came."""

# The accept log is read as far back as yesterday's run began, with a day to spare.
ACCEPTED = timedelta(days=2)

logger = logging.getLogger(__name__)


class FullRequest(BaseModel):
    """What to reconcile: these topics, or all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topics: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Total:
    """One formula over all of a topic: rows on its left side, and ids by what is wrong with them."""

    topic: str
    formula: str
    expected: int
    found: dict[str, int]

    @property
    def missing(self) -> int:
        """Ids that stand nowhere."""
        return self.found.get("missing", 0)

    @property
    def doubled(self) -> int:
        """Ids that stand more often than they came."""
        return self.found.get("doubled", 0) + self.found.get("unknown", 0)

    @property
    def variance_percent(self) -> float:
        """Both in percent of the left side."""
        return 100.0 * (self.missing + self.doubled) / max(self.expected, 1)

    def row(self, run_id: str, checked_at: datetime) -> dict[str, Any]:
        """Return the total as a row of ops.reconciliation_log."""
        return {
            "cycle_id": run_id,
            "topic_name": self.topic,
            "formula": self.formula,
            "expected": self.expected,
            "actual": self.expected - self.missing + self.doubled,
            "balanced": not self.missing and not self.doubled,
            "details": f"see ops.reconciliation_findings, run_id {run_id}" if self.found else "{}",
            "checked_at": checked_at,
            "missing": self.missing,
            "doubled": self.doubled,
            "variance_percent": self.variance_percent,
        }


@dataclass(frozen=True)
class _Topic:
    """A topic's tables as pinned; None where there is none."""

    context: Context
    name: str
    curated: Table | None
    errors: Table | None
    standardized: Table | None
    parse_errors: Table | None
    raw: Table | None

    @classmethod
    def open(cls, context: Context, name: str) -> "_Topic":
        find = context.lake.find
        return cls(
            context,
            name,
            curated=find("curated", name),
            errors=find("curated", ERRORS),
            standardized=find("standardized", name),
            parse_errors=find("standardized", PARSE_ERRORS),
            raw=find("raw", staging(name)),
        )

    def rows(self, layer: Layer, table: Table, snapshot_id: int | None = None) -> DataFrame | None:
        """A table's rows at its pinned snapshot, or at another; None where it has none."""
        current = table.current_snapshot()
        if current is None:
            return None
        name = self.context.lake.spark_name(layer, table.name()[-1])
        return read_at(self.context.spark, name, snapshot_id or current.snapshot_id)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the run's request says; a schedule's has none, and means all topics."""
    serve(_serve, arguments, absent={})


def _serve(context: Context, document: Document, tell: Tell) -> Document:
    request = FullRequest.model_validate(document)
    now = datetime.now(UTC)
    totals = reconcile_all(context, f"{context.cycle_id}-{now:%Y%m%dt%H%M%S}", request.topics, now, tell)
    settings = context.settings
    cloudwatch = boto3.client("cloudwatch", region_name=settings.region, endpoint_url=settings.endpoint_url)
    variance.publish(cloudwatch, settings.prefix, totals)
    wrong = [total for total in totals if total.missing or total.doubled]
    return {"checked": len(totals), "rows": [total.row(context.cycle_id, now) for total in totals], "wrong": len(wrong)}


def reconcile_all(
    context: Context, run_id: str, topics: Sequence[str] | None, now: datetime, tell: Tell
) -> list[Total]:
    """Check topics, or all, several at a time; write what was found. Raises UnknownTopics."""
    if topics is not None:
        context.lake.require_topics(topics)
    chosen = sorted(topics) if topics is not None else context.lake.topics()
    until = now - timedelta(minutes=context.settings.reconciliation.in_flight_minutes)
    log = arrivals(context, until - ACCEPTED, until)

    def check(own: Context, topic: str) -> list[Total]:
        tell(f"checking {topic}")
        return _check(own, topic, log.get(topic), run_id, now)

    totals = [total for of_topic in context.each(check, chosen) for total in of_topic]
    ledger.record(context.lake, run_id, totals, now)
    return totals


def _check(context: Context, name: str, arrived: Arrived | None, run_id: str, now: datetime) -> list[Total]:
    """All formulas of a topic; its findings are written."""
    topic = _Topic.open(context, name)
    parts = [_standardize(topic), _curate(topic)]
    if arrived is not None:
        parts.append((ARRIVAL, *lost(context, name, arrived, topic.raw)))
    totals = []
    for formula, expected, found in parts:
        if found is None:
            continue
        kept = found.persist()
        counts = {row["finding"]: row["count"] for row in kept.groupBy("finding").count().collect()}
        if counts:
            _write(context, kept, name, run_id, now)
            logger.error("%s: %s: %s", name, formula, counts)
        kept.unpersist()
        totals.append(Total(name, formula, expected, counts))
    return totals


def _write(context: Context, found: DataFrame, topic: str, run_id: str, now: datetime) -> None:
    rows = found.select(
        F.lit(now.isoformat()).cast("timestamp").alias("checked_at"),
        F.lit(run_id).alias("run_id"),
        F.lit(topic).alias("topic_name"),
        *("finding", "message_id", "place"),
    )
    rows.coalesce(1).writeTo(context.lake.spark_name("ops", RECONCILIATION_FINDINGS)).append()


def _found(ids: DataFrame, finding: Kind, place: str) -> DataFrame:
    return ids.select("message_id", F.lit(finding).alias("finding"), F.lit(place).alias("place")).distinct()


def _standardize(topic: _Topic) -> tuple[str, int, DataFrame | None]:
    entry = snapshots.last_entry(topic.standardized) if topic.standardized else None
    if topic.raw is None or topic.standardized is None or entry is None:
        return STANDARDIZE, 0, None
    raw, done = topic.rows("raw", topic.raw), topic.rows("raw", topic.raw, entry.source_snapshot_id)
    standardized = topic.rows("standardized", topic.standardized)
    if raw is None or done is None or standardized is None:
        return STANDARDIZE, 0, None
    day = F.to_date("publish_time").alias("day")
    stood = standardized.select("message_id", day)
    every = stood.select("message_id")
    failed = topic.rows("standardized", topic.parse_errors) if topic.parse_errors else None
    if failed is not None:
        failed = failed.where(F.col("topic_name") == topic.name)
        every = every.unionByName(failed.select("message_id"))
        stood = stood.unionByName(
            failed.where(_final() & _committed(topic.standardized, "batch_id")).select("message_id", day)
        )
    name = topic.name
    twice = stood.groupBy("message_id", "day").count().where("count > 1")
    found = _found(done.join(every, "message_id", "left_anti"), "missing", f"raw.{staging(name)}")
    found = found.unionByName(_found(twice, "doubled", f"standardized.{name}"))
    found = found.unionByName(_found(stood.join(raw, "message_id", "left_anti"), "unknown", f"standardized.{name}"))
    return STANDARDIZE, done.count(), found


def _curate(topic: _Topic) -> tuple[str, int, DataFrame | None]:
    entry = snapshots.last_entry(topic.curated) if topic.curated else None
    if topic.standardized is None or topic.curated is None or entry is None:
        return CURATE, 0, None
    standardized = topic.rows("standardized", topic.standardized)
    curated = topic.rows("curated", topic.curated)
    errors = topic.rows("curated", topic.errors) if topic.errors else None
    if standardized is None or curated is None:
        return CURATE, 0, None
    waiting = sorted(batches_after(topic.standardized, entry.source_snapshot_id))
    done = standardized.where(~F.col("batch_id").isin(waiting)).select(*RECENCY, "idempotency_key", "batch_id")
    current = curated.select(*RECENCY, "idempotency_key", "batch_id")
    left = done.join(current.select("message_id"), "message_id", "left_anti")
    twice = current.groupBy("message_id").count().where("count > 1").select("message_id")
    if errors is not None:
        errors = errors.where((F.col("topic_name") == topic.name) & ~F.col("batch_id").isin(waiting))
        left = left.join(errors.select("message_id"), "message_id", "left_anti")
        reported = F.col("reported_by").isNull() | _committed(topic.curated, "reported_by")
        final = errors.where(_final() & reported).select("message_id", "batch_id")
        both = final.join(current, ["message_id", "batch_id"], "left_semi")
        again = final.groupBy("message_id", "batch_id").count().where("count > 1")
        twice = twice.unionByName(both.select("message_id")).unionByName(again.select("message_id"))
    keys = current.groupBy("idempotency_key").count().where("count > 1")
    twice = twice.unionByName(current.join(keys, "idempotency_key", "left_semi").select("message_id"))
    found = _found(_without_later(left, current), "missing", f"standardized.{topic.name}")
    return CURATE, done.count(), found.unionByName(_found(twice, "doubled", f"curated.{topic.name}"))


def _without_later(rows: DataFrame, current: DataFrame) -> DataFrame:
    """Those rows whose key has no later current record: nothing supersedes them."""
    later = current.select(F.col("idempotency_key").alias("key"), F.struct(*RECENCY).alias("recency"))
    superseded = (F.col("key") == F.col("idempotency_key")) & (F.col("recency") > F.struct(*RECENCY))
    return rows.join(later, superseded, "left_anti")


def _final() -> Column:
    """Whether a row of failures is its message's terminal place: open, or answered by another message."""
    return F.col("resolved_by").isNull() | F.col("replaced_by").isNotNull()


def _committed(table: Table, column: str) -> Column:
    """Whether the batch that wrote a row is committed to the table."""
    committed = Committed(table)
    known = F.col(column).isin(sorted(committed.batches))
    if committed.lost_before_ms is None:
        return known
    return known | (F.unix_millis("failed_at") <= committed.lost_before_ms)
