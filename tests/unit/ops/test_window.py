"""A window by identity: what stands where it must, what waits, what is missing and what stands too often."""

from datetime import UTC, datetime, timedelta

import pytest

from ledgerlake.ops.accepted import Accepted, microseconds
from ledgerlake.ops.dead_letters import ORIGINAL_ID
from ledgerlake.ops.ledger import ARRIVAL, CURATE, STANDARDIZE
from ledgerlake.ops.window import Checked, Ids, Tables, Window, check, check_arrival
from ledgerlake.tables import append, definitions

TIME = datetime(2026, 1, 18, tzinfo=UTC)
HOUR = Window(TIME, TIME + timedelta(hours=1))
LONG_AGO = TIME + timedelta(days=1)
"""Nothing of the window is in flight any more."""


def at(minute):
    return TIME + timedelta(minutes=minute)


def row(message_id, key=None, minute=0, published=None):
    return {
        "message_id": message_id,
        "topic_name": "events",
        "idempotency_key": key or message_id,
        "publish_time": at(minute if published is None else published),
        "ingestion_ts": at(minute),
    }


class House:
    """One topic's tables, written as the jobs write them."""

    def __init__(self, lake):
        self.lake = lake
        self.raw = self.make(definitions.raw("events"))
        self.dead_letters = self.make(definitions.dlq_errors())
        self.undelivered = self.make(definitions.firehose_errors())
        self.standardized = self.make(definitions.standardized("events"))
        self.parse_errors = self.make(definitions.parse_errors())
        self.errors = self.make(definitions.errors())
        self.curated = lake.catalog.create_table(
            lake.identifier("curated", "events"), definitions.standardized("events").schema
        )
        self.batch = ""

    def make(self, definition):
        return self.lake.catalog.create_table(
            self.lake.identifier(definition.layer, definition.name), definition.schema, partition_spec=definition.spec
        )

    def land(self, *rows):
        append.append(self.raw, [{"json_payload": "{}"} | r for r in rows])

    def standardize(self, *rows, bad=()):
        """Commit a batch, errors first."""
        properties = self._properties(self.raw)
        self.batch = properties["ledgerlake.batch-id"]
        failed = [{k: v for k, v in r.items() if k != "idempotency_key"} for r in bad]
        append.append(self.parse_errors, [{"failed_at": TIME, "batch_id": self.batch, **r} for r in failed])
        append.append(self.standardized, [r | {"batch_id": self.batch} for r in rows], properties)

    def curate(self, *rows, bad=(), **more):
        properties = self._properties(self.standardized)
        reported = {"batch_id": self.batch, "reported_by": properties["ledgerlake.batch-id"], "failed_at": TIME}
        failed = [{k: v for k, v in r.items() if k != "ingestion_ts"} for r in bad]
        append.append(self.errors, [reported | r | more for r in failed])
        append.append(self.curated, [r | {"batch_id": self.batch} for r in rows], properties)

    def tables(self):
        opened = (self.curated, self.errors, self.standardized, self.parse_errors, self.raw)
        return Tables(*(table.refresh() for table in opened))

    def _properties(self, source):
        current = source.refresh().current_snapshot().snapshot_id
        name = f"events-{source.name()[-1]}-{current}"
        return {"ledgerlake.batch-id": name, "ledgerlake.source-snapshot-id": str(current)}

    def check(self, formula, window=HOUR):
        return next(found for found in check("events", self.tables(), window) if found.formula == formula)

    def arrival(self, *messages, in_flight_since=LONG_AGO, window=HOUR):
        tables = [table.refresh() for table in (self.raw, self.undelivered, self.dead_letters)]
        return check_arrival("events", window, messages, *tables, in_flight_since)


@pytest.fixture
def house(lake):
    return House(lake)


def sent(message_id, minute=0):
    return Accepted("events", message_id, f"sqs-{message_id}", "firehose", microseconds(at(minute)))


def set_aside(sqs_id, minute=0):
    return Accepted("events", None, sqs_id, "dlq", microseconds(at(minute)))


def parts(checked):
    return {name: count for name, count in checked.parts.items() if count}


# accepted = raw + dlq_errors + firehose_errors (+ in flight)


def test_what_was_accepted_is_found_wherever_it_went(house):
    house.land(row("landed"), row("landed"))
    append.append(house.undelivered, [{"message_id": "lost", "topic_name": "events", "failed_at": at(50)}])
    letter = {"topic_name": "events", "drained_at": at(5), "attributes": f'{{"{ORIGINAL_ID}": "s7"}}'}
    append.append(house.dead_letters, [letter])
    found = house.arrival(sent("landed"), sent("landed"), sent("lost"), set_aside("s7"))
    assert (found.formula, found.expected, found.actual, found.balanced) == (ARRIVAL, 3, 3, True)
    assert parts(found) == {"raw": 1, "firehose_errors": 1, "dlq_errors": 1}


def test_an_accepted_message_that_is_nowhere_is_missing_by_name(house):
    house.land(row("landed"))
    found = house.arrival(sent("landed"), sent("gone"), set_aside("s9"))
    assert (found.balanced, found.missing) == (
        False,
        Ids(
            2,
            (
                "gone",
                "s9",
            ),
        ),
    )
    assert found.variance_percent == pytest.approx(200 / 3)


def test_what_may_still_be_on_its_way_is_no_variance(house):
    found = house.arrival(sent("old", 10), sent("young", 50), set_aside("s1", 50), in_flight_since=at(30))
    assert (parts(found), found.missing.samples) == ({"in_flight": 2}, ("old",))


def test_what_was_sent_again_and_landed_after_the_window_is_not_missing(house):
    house.land(row("again", minute=90))
    assert house.arrival(sent("again")).balanced


def test_a_dead_letter_of_another_message_does_not_stand_in_for_one(house):
    letter = {"message_id": "m1", "topic_name": "events", "drained_at": at(5), "attributes": '{"sqs.message_id": "s1"}'}
    append.append(house.dead_letters, [letter])
    assert house.arrival(sent("m1")).missing.samples == ("m1",)


# raw = standardized + duplicates + parse_errors


def test_copies_bad_payloads_and_what_waits_are_counted_apart(house):
    house.land(row("a"), row("a", minute=1), row("b"), row("bad"))
    house.standardize(row("a"), row("b"), bad=[row("bad")])
    house.land(row("new", minute=30))
    found = house.check(STANDARDIZE)
    assert (found.expected, found.actual, found.balanced) == (5, 5, True)
    assert parts(found) == {"standardized": 2, "duplicates": 1, "parse_errors": 1, "waiting": 1}


def test_a_row_of_raw_that_stands_nowhere_is_missing_by_name(house):
    house.land(row("a"), row("gone"), row("gone", minute=2))
    house.standardize(row("a"))
    found = house.check(STANDARDIZE)
    assert (found.missing, found.expected, found.actual) == (Ids(1, ("gone",)), 3, 1)


def test_an_id_that_stands_twice_is_doubled(house):
    house.land(row("a"), row("a", minute=1), row("b"))
    house.standardize(row("a"), row("a", minute=1), row("b"), bad=[row("b")])
    found = house.check(STANDARDIZE)
    assert (found.doubled, found.missing.count) == (
        Ids(
            2,
            (
                "a",
                "b",
            ),
        ),
        0,
    )


def test_a_copy_of_what_came_before_the_window_is_a_duplicate(house):
    house.land(row("a", minute=-300), row("bad", minute=-300))
    house.standardize(row("a", minute=-300), bad=[row("bad", minute=-300)])
    house.land(row("a"), row("bad"), row("old", minute=0, published=-60 * 24 * 30))
    house.standardize(row("other", minute=-1))
    found = house.check(STANDARDIZE)
    assert (parts(found), found.missing.samples) == ({"duplicates": 2}, ("old",))


def test_a_first_occurrence_that_was_published_long_before_is_found(house):
    house.land(row("a", minute=-300, published=-60 * 24 * 30))
    house.standardize(row("a", minute=-300, published=-60 * 24 * 30))
    house.land(row("a"))
    house.standardize(row("other", minute=-1))
    assert house.check(STANDARDIZE).balanced


def test_an_id_that_comes_back_on_another_day_is_new(house):
    house.land(row("a"), row("a", minute=1, published=-60 * 24 * 30))
    house.standardize(row("a"), row("a", minute=1, published=-60 * 24 * 30))
    assert house.check(STANDARDIZE).balanced


def test_a_parse_error_of_a_batch_that_is_not_committed_does_not_count(house):
    house.land(row("a"))
    house.standardize(row("a"))
    bad = {k: v for k, v in row("a").items() if k != "idempotency_key"}
    append.append(house.parse_errors, [bad | {"batch_id": "pending", "failed_at": datetime.now(UTC)}])
    assert house.check(STANDARDIZE).balanced


def test_a_topic_without_a_contract_only_waits(house):
    house.land(row("a"))
    tables = Tables(None, None, None, None, house.raw.refresh())
    [found] = check("events", tables, HOUR)
    assert (found.formula, parts(found), found.balanced) == (STANDARDIZE, {"waiting": 1}, True)


# standardized = curated + superseded + errors


def test_each_standardized_row_is_current_superseded_or_an_error(house):
    house.land(row("old", "k"), row("new", "k", 5), row("broken"))
    house.standardize(row("old", "k"), row("new", "k", 5), row("broken"))
    house.curate(row("new", "k", 5), bad=[row("broken")])
    house.land(row("waits", minute=9))
    house.standardize(row("waits", minute=9))
    found = house.check(CURATE)
    assert (found.expected, found.actual, found.balanced) == (4, 4, True)
    assert parts(found) == {"curated": 1, "superseded": 1, "errors": 1, "waiting": 1}


def test_a_row_is_superseded_by_a_record_that_came_after_the_window(house):
    house.land(row("old", "k"), row("new", "k", 500))
    house.standardize(row("old", "k"), row("new", "k", 500))
    house.curate(row("new", "k", 500))
    assert parts(house.check(CURATE)) == {"superseded": 1}


def test_a_standardized_row_that_stands_nowhere_is_missing_by_name(house):
    house.land(row("a", "k", 5), row("gone", "other"))
    house.standardize(row("a", "k", 5), row("gone", "other"))
    house.curate(row("a", "k", 5))
    assert house.check(CURATE).missing == Ids(1, ("gone",))


def test_a_later_record_that_an_older_one_replaced_is_missing(house):
    house.land(row("old", "k"), row("new", "k", 5))
    house.standardize(row("old", "k"), row("new", "k", 5))
    house.curate(row("old", "k"))
    assert house.check(CURATE).missing.samples == ("new",)


def test_a_record_that_is_current_and_an_error_is_doubled(house):
    house.land(row("a"))
    house.standardize(row("a"))
    house.curate(row("a"), bad=[row("a")])
    assert house.check(CURATE).doubled == Ids(1, ("a",))


def test_an_error_that_a_replay_took_in_is_no_error_any_more(house):
    house.land(row("a"))
    house.standardize(row("a"))
    house.curate(row("a"), bad=[row("a")], resolved_by="replay", resolved_at=at(50))
    assert parts(house.check(CURATE)) == {"curated": 1}


def test_an_error_whose_replay_is_not_committed_still_is_one(house):
    house.land(row("a"), row("b"))
    house.standardize(row("a"), row("b"))
    house.curate(row("b"), bad=[row("a")], resolved_by="replay", resolved_at=at(50))
    found = house.check(CURATE)
    assert (parts(found), found.balanced) == ({"curated": 1, "errors": 1}, True)


def test_an_error_that_was_answered_by_an_edited_record_stays_its_place(house):
    house.land(row("a"), row("b"))
    house.standardize(row("a"), row("b"))
    house.curate(row("b"), bad=[row("a")], resolved_by="replay", replaced_by="b")
    assert parts(house.check(CURATE)) == {"curated": 1, "errors": 1}


def test_errors_that_an_uncommitted_batch_reports_double_nothing(house):
    house.land(row("a"))
    house.standardize(row("a"))
    house.curate(row("a"))
    error = {"message_id": "a", "topic_name": "events", "batch_id": house.batch, "reported_by": "reprocess"}
    append.append(house.errors, [error | {"failed_at": datetime.now(UTC)}])
    assert house.check(CURATE).balanced


# a window in parts, and tables that cannot be read


def test_two_parts_of_a_window_add_up():
    first, second = HOUR.parts(2)
    assert (first.until, second.until) == (second.since, HOUR.until)
    one = Checked("t", ARRIVAL, first, 3, {"raw": 2}, Ids.of({"x"}))
    both = one + Checked("t", ARRIVAL, second, 2, {"raw": 1, "in_flight": 1})
    assert (both.window, both.expected, both.parts, both.missing.count) == (HOUR, 5, {"raw": 3, "in_flight": 1}, 1)


def test_rows_that_no_batch_accounts_for_are_told_as_trouble(house):
    house.land(row("a"))
    append.append(house.standardized, [row("a")])
    [found] = check("events", house.tables(), HOUR)
    assert (found.balanced, found.variance_percent) == (False, 100)
    assert "no snapshot of it names a batch" in found.problem
