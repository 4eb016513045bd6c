"""The ledger by identity: it balances when every id stands in one place, and says which ids do not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledgerlake.ops.identities import ledger
from ledgerlake.tables import append, definitions
from ledgerlake.tables.definitions import ERRORS, PARSE_ERRORS
from ledgerlake.tables.lake import staging

TIME = datetime(2026, 1, 18, tzinfo=UTC)


def row(message_id, key=None, minute=0, topic="events"):
    moment = TIME + timedelta(minutes=minute)
    return {
        "message_id": message_id,
        "topic_name": topic,
        "idempotency_key": key or message_id,
        "publish_time": moment,
        "ingestion_ts": moment,
    }


class Tables:
    """The tables of one topic, written as the jobs write them."""

    def __init__(self, lake):
        self.lake = lake
        self.raw = self.make(definitions.raw("events"))
        self.standardized = self.make(definitions.standardized("events"))
        self.parse_errors = self.make(definitions.parse_errors())
        self.errors = self.make(definitions.errors())
        # STANDARDIZED's own columns are all the identities need of CURATED.
        self.curated = lake.catalog.create_table(
            lake.identifier("curated", "events"), definitions.standardized("events").schema
        )

    def make(self, definition):
        return self.lake.catalog.create_table(
            self.lake.identifier(definition.layer, definition.name), definition.schema, partition_spec=definition.spec
        )

    def land(self, *rows):
        append.append(self.raw, [{"source": "sqs", "attributes": None, "json_payload": "{}"} | r for r in rows])

    def standardize(self, *rows, bad=()):
        append.append(self.parse_errors, [{k: v for k, v in r.items() if k != "idempotency_key"} for r in bad])
        append.append(self.standardized, rows, batch(self.raw))

    def curate(self, *rows, bad=()):
        append.append(self.errors, [{k: v for k, v in r.items() if k != "ingestion_ts"} for r in bad])
        append.append(self.curated, rows, batch(self.standardized))


def batch(source):
    current = source.refresh().current_snapshot().snapshot_id
    return {"ledgerlake.batch-id": f"events-0-{current}", "ledgerlake.source-snapshot-id": str(current)}


@pytest.fixture
def tables(lake):
    return Tables(lake)


def test_a_topic_without_tables_is_empty_and_balanced(lake):
    found = ledger(lake, "events")
    assert found.balanced
    assert found.raw == 0


def test_what_only_landed_waits(tables):
    tables.land(row("a"), row("b"))
    found = ledger(tables.lake, "events")
    assert found.balanced
    assert found.raw_waiting == found.waiting == 2


def test_every_record_in_its_place_balances(tables):
    tables.land(row("old", "k"), row("new", "k", 5), row("new", "k", 5), row("bad"), row("broken"))
    tables.standardize(row("old", "k"), row("new", "k", 5), row("bad"), bad=[row("broken")])
    tables.curate(row("new", "k", 5), bad=[row("bad")])
    tables.land(row("waits"))
    found = ledger(tables.lake, "events")
    assert found.variances == []
    assert found.balanced
    assert found.counts() == {
        "raw": 6,
        "raw_waiting": 1,
        "standardized": 3,
        "duplicates": 1,
        "parse_errors": 1,
        "standardized_waiting": 0,
        "curated": 1,
        "superseded": 1,
        "errors": 1,
    }


def test_other_topics_errors_are_not_counted(tables):
    tables.land(row("a"))
    tables.standardize(row("a"), bad=[row("x", topic="other")])
    tables.curate(row("a"), bad=[row("y", topic="other")])
    found = ledger(tables.lake, "events")
    assert found.balanced
    assert found.errors == found.parse_errors == 0


def variances(tables):
    found = ledger(tables.lake, "events")
    assert not found.balanced
    return {v.what: list(v.samples) for v in found.variances}


def test_a_lost_id_is_named(tables):
    tables.land(row("a"), row("b"))
    tables.standardize(row("a"))
    tables.curate(row("a"))
    assert variances(tables) == {"message_ids of RAW that stand nowhere": ["b"]}


def test_an_id_in_two_places_is_named(tables):
    tables.land(row("a"), row("a"))
    tables.standardize(row("a"), bad=[row("a")])
    tables.curate(row("a"), bad=[row("a")])
    assert variances(tables) == {
        "message_ids that stand more than once within a week": ["a"],
        "message_ids that are both curated and in errors": ["a"],
    }


def test_an_id_from_nowhere_is_named(tables):
    tables.land(row("a"), row("a"))
    tables.standardize(row("a"), row("ghost"))
    tables.curate(row("a"), row("ghost"))
    assert variances(tables) == {"message_ids that never came to RAW": ["ghost"]}


def test_rows_that_no_batch_brought_do_not_balance(tables):
    tables.land(row("a"))
    append.append(tables.standardized, [row("a")])
    found = ledger(tables.lake, "events")
    assert not found.balanced
    assert "no snapshot of it names a batch" in str(found.variances[0])


def test_two_current_rows_of_one_key_are_named(tables):
    tables.land(row("a", "k"), row("b", "k", 5))
    tables.standardize(row("a", "k"), row("b", "k", 5))
    tables.curate(row("a", "k"), row("b", "k", 5))
    assert variances(tables) == {"keys with more than one current row": ["k"]}


def test_a_row_replaced_by_an_older_one_is_named(tables):
    tables.land(row("old", "k"), row("new", "k", 5))
    tables.standardize(row("old", "k"), row("new", "k", 5))
    tables.curate(row("old", "k"))
    assert variances(tables) == {"message_ids of STANDARDIZED that no later record of their key supersedes": ["new"]}


def test_an_id_that_comes_back_after_the_window_is_new(tables):
    tables.land(row("a"), row("a", minute=60 * 24 * 30))
    tables.standardize(row("a"), row("a", minute=60 * 24 * 30))
    found = ledger(tables.lake, "events")
    assert found.variances == [] or all("once" not in v.what for v in found.variances)


def test_the_fixed_tables_are_known_by_the_names_used_here():
    assert (PARSE_ERRORS, ERRORS, staging("events")) == ("parse_errors", "errors", "events_staging")


def test_a_data_file_that_is_gone_leaves_its_topic_unbalanced_by_name(tables):
    tables.land(row("a"))
    (file,) = tables.raw.refresh().scan().plan_files()
    Path(file.file.file_path.removeprefix("file://")).unlink()
    books = ledger(tables.lake, "events")
    assert not books.balanced
    assert Path(file.file.file_path).name in str(books.variances[0])
