"""The full reconciliation over tables with known holes: it names each of them, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from lakehouse import Lakehouse, message

from ledgerlake.jobs.reconcile import reconcile_all
from ledgerlake.ops import accepted
from ledgerlake.ops.accepted import Accepted
from ledgerlake.ops.dead_letters import ORIGINAL_ID
from ledgerlake.ops.ledger import ARRIVAL, CURATE, STANDARDIZE
from ledgerlake.tables import append, snapshots

CONTRACT = {
    "table_name": "orders",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "key"}],
    "payload_columns": [{"name": "amount", "type": "string", "source": "amount"}],
}
NOW = datetime.now(UTC)
YESTERDAY = NOW - timedelta(hours=20)


def row(message_id, key=None, minutes=0):
    found = message(message_id, {}, minutes, key=key or message_id)
    return {k: found[k] for k in ("message_id", "idempotency_key", "publish_time", "ingestion_ts")}


class Books:
    """A topic's tables, committed to as the jobs do."""

    def __init__(self, house: Lakehouse) -> None:
        self.house = house
        house.publish(CONTRACT)

    def commit(self, layer, rows, batch_id, source):
        """Rows of a batch, under the snapshot of the table before."""
        table = self.house.lake.load(*source).current_snapshot()
        properties = {snapshots.BATCH_ID: batch_id, snapshots.SOURCE_SNAPSHOT_ID: str(table.snapshot_id)}
        named = {"topic_name": "orders"} if layer == "standardized" else {}
        target = self.house.lake.load(layer, "orders")
        append.append(target, [one | named | {"batch_id": batch_id} for one in rows], properties)

    def standardize(self, *rows, batch_id="b1"):
        self.commit("standardized", rows, batch_id, ("raw", "orders_staging"))

    def curate(self, *rows, batch_id="b1"):
        self.commit("curated", rows, batch_id, ("standardized", "orders"))

    def fail(self, layer, table, *ids, **more):
        rows = [{"message_id": i, "topic_name": "orders", "batch_id": "b1", "failed_at": NOW} | more for i in ids]
        append.append(self.house.lake.load(layer, table), rows)

    def run(self, *topics):
        """What a reconciliation of the topics finds and logs, by formula."""
        totals = reconcile_all(self.house.context("reconcile-x"), "run-1", topics or None, NOW, lambda _: None)
        found = {(r["finding"], r["message_id"], r["place"]) for r in self.house.rows("ops", "reconciliation_findings")}
        return {total.formula: (total.expected, total.missing, total.doubled) for total in totals}, found


@pytest.fixture
def books(lakehouse: Lakehouse) -> Books:
    return Books(lakehouse)


def test_books_that_balance_leave_no_finding(books):
    books.house.land("orders", *(message(i, {}) for i in ("old", "new", "bad", "broken", "old")))
    books.fail("standardized", "parse_errors", "broken", publish_time=NOW)
    books.standardize(row("old", "k"), row("new", "k", 5), row("bad"))
    books.fail("curated", "errors", "bad", reported_by="b1")
    books.curate(row("new", "k", 5))
    books.house.land("orders", message("waits", {}))
    totals, found = books.run("orders")
    assert found == set()
    assert totals == {STANDARDIZE: (5, 0, 0), CURATE: (3, 0, 0)}


def test_every_hole_and_every_double_is_named(books):
    books.house.land("orders", *(message(i, {}) for i in ("a", "gone", "twice", "lost", "both", "k1", "k2")))
    books.standardize(
        *(row(i) for i in ("a", "twice", "twice", "lost", "both", "ghost")), row("k1", "k"), row("k2", "k", 1)
    )
    books.fail("curated", "errors", "both", reported_by="b1")
    books.curate(row("a"), row("twice"), row("both"), row("ghost"), row("k1", "k"), row("k2", "k", 1))
    totals, found = books.run("orders")
    assert found == {
        ("missing", "gone", "raw.orders_staging"),
        ("doubled", "twice", "standardized.orders"),
        ("unknown", "ghost", "standardized.orders"),
        ("missing", "lost", "standardized.orders"),
        ("doubled", "both", "curated.orders"),
        ("doubled", "k1", "curated.orders"),
        ("doubled", "k2", "curated.orders"),
    }
    assert totals == {STANDARDIZE: (7, 1, 2), CURATE: (8, 1, 3)}
    log = books.house.rows("ops", "reconciliation_log", ["cycle_id", "formula", "missing", "doubled", "balanced"])
    assert {(r["cycle_id"], r["formula"], r["missing"], r["doubled"], r["balanced"]) for r in log} == {
        ("run-1", STANDARDIZE, 1, 2, False),
        ("run-1", CURATE, 1, 3, False),
    }


def test_what_was_accepted_yesterday_and_is_nowhere_is_named(books):
    log = [Accepted("orders", i, f"sqs-{i}", "firehose") for i in ("landed", "undelivered", "vanished")]
    log += [Accepted("orders", None, sqs_id, "dlq") for sqs_id in ("s-drained", "s-gone")]
    house = books.house
    accepted.record(house.state.s3, house.lake.settings.buckets.ops, log, YESTERDAY)
    late = [Accepted("orders", "on-its-way", "s", "firehose")]
    accepted.record(house.state.s3, house.lake.settings.buckets.ops, late, NOW)
    house.land("orders", message("landed", {}) | {"ingestion_ts": YESTERDAY})
    undelivered = {"message_id": "undelivered", "topic_name": "orders", "failed_at": NOW}
    append.append(house.lake.load("raw", "firehose_errors"), [undelivered])
    drained = {"topic_name": "orders", "drained_at": NOW, "attributes": f'{{"{ORIGINAL_ID}": "s-drained"}}'}
    append.append(house.lake.load("raw", "dlq_errors"), [drained])
    totals, found = books.run()
    assert found == {("missing", "vanished", "accepted/"), ("missing", "s-gone", "accepted/")}
    assert totals == {ARRIVAL: (5, 2, 0)}
