"""Reconcile a window of time by identity: the three formulas for every topic with anything in it (design 2).

Its cost is that of the window's files, whatever else the tables hold; a topic that took nothing costs one table load.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from pyiceberg.table import Table

from ledgerlake.ops import accepted, ledger, variance
from ledgerlake.ops.accepted import Accepted, microseconds
from ledgerlake.ops.window import Checked, Tables, Window, check, check_arrival
from ledgerlake.tables.definitions import DLQ_ERRORS, ERRORS, FIREHOSE_ERRORS, PARSE_ERRORS
from ledgerlake.tables.lake import Lake, staging

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_s3 import S3Client

READERS = 8
# What takes several commits, such as publishing a rebuilt table with its failures, is over by then.
PAUSE_SECONDS = 10.0
# So many rows are compared at a time: a larger window is looked at in parts, for memory does not grow with it.
ROWS_AT_ONCE = 250_000


@dataclass(frozen=True)
class Reconciler:
    """What a reconciliation reads; `in_flight` is how long an accepted message may be on its way."""

    lake: Lake
    s3: "S3Client"
    in_flight: timedelta
    wait: Callable[[float], object] = time.sleep

    @classmethod
    def of(cls, lake: Lake, s3: "S3Client") -> "Reconciler":
        """The reconciler of an environment, by its settings."""
        return cls(lake, s3, timedelta(minutes=lake.settings.reconciliation.in_flight_minutes))

    def recent(self, now: datetime) -> Window:
        """The window that is looked at unless another is asked for."""
        return Window(now - timedelta(minutes=self.lake.settings.reconciliation.window_minutes), now)

    def check(self, window: Window, topics: Iterable[str] | None = None, now: datetime | None = None) -> list[Checked]:
        """Check these topics, or all; those that took nothing in the window have no checks."""
        in_flight_since = (now or datetime.now(UTC)) - self.in_flight
        chosen = self.lake.topics() if topics is None else sorted(set(topics))
        took: dict[str, list[Accepted]] = defaultdict(list)
        bucket = self.lake.settings.buckets.ops
        wanted = None if topics is None else chosen
        for message in accepted.read(self.s3, bucket, window.since, window.until, wanted):
            took[message.topic].append(message)
        failures = {name: self.lake.find("raw", name) for name in (FIREHOSE_ERRORS, DLQ_ERRORS)}

        def of(topic: str) -> list[Checked]:
            return self._settled(lambda: self._check(topic, window, took.get(topic, []), failures, in_flight_since))

        with ThreadPoolExecutor(READERS) as pool:
            return [checked for of_topic in pool.map(of, chosen) for checked in of_topic]

    def _settled(self, look: Callable[[], list[Checked]]) -> list[Checked]:
        """What a second look finds where the first one found a variance: a commit may have come between its tables."""
        found = look()
        if all(checked.balanced for checked in found):
            return found
        self.wait(PAUSE_SECONDS)
        return look()

    def _check(
        self,
        topic: str,
        window: Window,
        took: Sequence[Accepted],
        failures: Mapping[str, Table | None],
        in_flight_since: datetime,
    ) -> list[Checked]:
        raw = self.lake.find("raw", staging(topic))
        rows = _rows(raw, window)
        if not took and not rows:
            return []
        tables = self._tables(topic) if rows else Tables(None, None, None, None, raw)
        found: dict[str, list[Checked]] = defaultdict(list)
        for part in window.parts(math.ceil(max(rows, len(took)) / ROWS_AT_ONCE)):
            first, last = microseconds(part.since), microseconds(part.until)
            messages = [message for message in took if first <= message.accepted_at < last]
            arrival = check_arrival(
                topic, part, messages, tables.raw, failures[FIREHOSE_ERRORS], failures[DLQ_ERRORS], in_flight_since
            )
            for checked in [arrival, *(check(topic, tables, part) if rows else [])]:
                found[checked.formula].append(checked)
        sums = [reduce(add, parts) for parts in found.values()]
        return [checked for checked in sums if checked.expected or checked.trouble or checked.variance]

    def _tables(self, topic: str) -> Tables:
        """Open a topic's tables in the order in which the ledger may be read while jobs commit to them."""
        return Tables(
            curated=self.lake.find("curated", topic),
            errors=self.lake.find("curated", ERRORS),
            standardized=self.lake.find("standardized", topic),
            parse_errors=self.lake.find("standardized", PARSE_ERRORS),
            raw=self.lake.find("raw", staging(topic)),
        )


def reconcile(
    reconciler: Reconciler,
    cloudwatch: "CloudWatchClient",
    run_id: str,
    window: Window,
    topics: Iterable[str] | None = None,
) -> list[Checked]:
    """Check a window, write what was found to ops.reconciliation_log under `run_id`, and publish the variance."""
    now = datetime.now(UTC)
    checks = reconciler.check(window, topics, now)
    ledger.record(reconciler.lake, run_id, checks, now)
    variance.publish(cloudwatch, reconciler.lake.settings.prefix, checks)
    return checks


def _rows(raw: Table | None, window: Window) -> int:
    """At most so many rows of RAW lie in the window, as its files' statistics tell; 0 without a look where none can."""
    current = raw.current_snapshot() if raw is not None else None
    if raw is None or current is None or current.timestamp_ms < window.since.timestamp() * 1000:
        return 0
    return sum(task.file.record_count for task in raw.scan(row_filter=window.rows).plan_files())
