"""A topic's status: its gate, its losses before RAW, and the last run that did something."""

from datetime import UTC, datetime, timedelta

import pytest

from ledgerlake.ops import landing
from ledgerlake.ops.status import failed_topics, status
from ledgerlake.state.breakers import Breaker, Stand
from ledgerlake.state.gate import Admission
from ledgerlake.tables import append, definitions, history
from ledgerlake.tables.history import Outcome, Result
from ledgerlake.tables.lake import UnknownTopics, staging

NOW = datetime.now(UTC)


class Breakers:
    def __init__(self, *breakers):
        self.breakers = {breaker.topic: breaker for breaker in breakers}

    def all(self):
        return self.breakers


class Gate:
    def __init__(self, *admissions):
        self.admissions = {admission.topic: admission for admission in admissions}

    def all(self):
        return self.admissions


def admission(enabled=True, reason=""):
    return Admission("events", enabled, 3, "sha", "v", True, reason)


@pytest.fixture
def tables(lake):
    made = {}
    for definition in (definitions.raw("events"), definitions.dlq_errors(), definitions.job_run_history()):
        identifier = lake.identifier(definition.layer, definition.name)
        table = lake.catalog.create_table(identifier, definition.schema, partition_spec=definition.spec)
        made[definition.name] = table
    return made


def record(lake, *runs):
    history.record(
        lake,
        [
            Outcome(
                cycle_id=cycle_id,
                topic_name="events",
                stage=stage,
                outcome=outcome,
                started_at=NOW - timedelta(minutes=ago),
                ended_at=NOW - timedelta(minutes=ago),
                error="it broke" if outcome is Result.FAILED else None,
            )
            for cycle_id, stage, outcome, ago in runs
        ],
    )


def one(lake, gate):
    (found,) = status(lake, gate, Breakers())
    return found


def test_a_topic_without_contract_is_told_as_such(lake, tables):
    assert one(lake, Gate()).gate == "no contract"


def test_a_closed_gate_is_told_with_its_reason(lake, tables):
    assert one(lake, Gate(admission())).gate == "open"
    assert one(lake, Gate(admission(enabled=False, reason="maintenance"))).gate == "closed: maintenance"


def test_a_topic_that_is_no_longer_taken_is_told_as_such(lake, tables):
    opened = Breaker("events", Stand.OPEN)
    (found,) = status(lake, Gate(), Breakers(opened, Breaker("orders")))
    assert found.breaker is opened


def test_dead_letters_of_the_topic_are_counted(lake, tables):
    rows = [{"topic_name": topic, "body": "x", "drained_at": NOW} for topic in ("events", "events", "orders")]
    append.append(tables["dlq_errors"], rows)
    assert one(lake, Gate()).dlq_errors == 2


def test_the_last_run_is_the_last_that_was_not_idle(lake, tables):
    record(
        lake,
        ("c1", "standardize", Result.STANDARDIZED, 30),
        ("c1", "curate", Result.CURATED, 29),
        ("c2", "plan", Result.SKIPPED_IDLE, 5),
    )
    last = one(lake, Gate()).last
    assert (last.cycle_id, last.outcome) == ("c1", "CURATED")


def test_a_topic_that_was_never_more_than_idle_says_so(lake, tables):
    record(lake, ("c2", "plan", Result.SKIPPED_IDLE, 5))
    assert one(lake, Gate()).last.outcome == "SKIPPED_IDLE"


def test_a_cycles_failed_topics_are_told_with_their_errors(lake, tables):
    record(lake, ("c1", "standardize", Result.STANDARDIZED, 3), ("c1", "curate", Result.FAILED, 2))
    assert failed_topics(lake, "c1") == ["events (curate): it broke"]


def land(tables, count):
    row = {"source": "sqs", "json_payload": "{}", "topic_name": "events", "publish_time": NOW, "ingestion_ts": NOW}
    append.append(tables[staging("events")], [row | {"message_id": f"m{n}"} for n in range(count)])


def test_waiting_ends_when_raw_has_the_rows(lake, tables):
    land(tables, 2)
    seen = []
    landing.wait(lake, {"events": 2}, seconds=0, seen=seen.append)
    assert seen == [{"events": 2}]


def test_records_that_do_not_come_are_counted_in_the_error(lake, tables):
    land(tables, 2)
    with pytest.raises(landing.NotLanded, match="events: 3"):
        landing.wait(lake, {"events": 5}, seconds=0, pause=0)


def test_an_unknown_topic_is_answered_with_those_there_are(lake, tables):
    with pytest.raises(UnknownTopics, match="no such topics: evnts; there are events"):
        status(lake, Gate(), Breakers(), ["evnts"])
