"""What chaos sends, where it never runs, and how it tells a ledger that balances from one that does not."""

import io
import re
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from rich.console import Console

from ledgerlake.ops import chaos
from ledgerlake.ops.chaos_ledger import ENDED, Standing, missing, reckon
from ledgerlake.ops.chaos_report import report
from ledgerlake.ops.events import Place
from ledgerlake.ops.ledger import ARRIVAL
from ledgerlake.ops.window import Checked, Ids, Window

RUN = "chaos-1"
HOUR = Window(datetime(2026, 1, 18, 10, tzinfo=UTC), datetime(2026, 1, 18, 11, tzinfo=UTC))
TABLES = ("raw", "standardized", "parse_errors", "curated", "errors", "dlq_errors", "firehose_errors")


@pytest.fixture(scope="module")
def sent():
    return chaos.messages(RUN, 600, seed_number=7, start=HOUR.since)


@pytest.fixture
def standing(sent):
    """Every message in its place, each row once but for RAW's copies."""
    rows = {table: Counter() for table in TABLES}
    for message in sent:
        for table in ENDED[message.place]:
            rows[table][message.message_id] = 1
            rows["raw"][message.message_id] += table == "raw"
    return Standing(rows, {"dlq_errors": 0, "firehose_errors": 0})


def one(sent, place):
    return next(message.message_id for message in sent if message.place is place)


def test_the_same_run_sends_the_same_and_every_place_gets_some(sent):
    assert chaos.messages(RUN, 600, seed_number=7, start=HOUR.since) == sent
    assert len(sent) >= 600
    assert {message.place for message in sent} == set(Place)
    assert all(message.message_id.startswith(f"{RUN}-") for message in sent)


def test_it_never_runs_in_prod():
    with pytest.raises(chaos.NotHere):
        chaos.run(SimpleNamespace(name="prod"), 1, 7, print)


def test_ids_that_stand_in_exactly_their_places_balance(sent, standing):
    reckoning = reckon(standing, sent)
    assert reckoning.balanced
    assert reckoning.found == reckoning.expected
    assert missing(standing, sent) == set()


def test_copies_before_standardized_are_the_same_message(sent, standing):
    standing.rows["raw"][one(sent, Place.CURATED)] += 2
    standing.rows["dlq_errors"][one(sent, Place.DLQ_ERRORS)] += 1
    assert reckon(standing, sent).balanced


@pytest.mark.parametrize(
    ("place", "table", "rows"),
    [
        (Place.CURATED, "standardized", 0),
        (Place.CURATED, "curated", 2),
        (Place.CURATED, "errors", 1),
        (Place.SUPERSEDED, "curated", 1),
        (Place.PARSE_ERRORS, "parse_errors", 2),
        (Place.DLQ_ERRORS, "dlq_errors", 0),
        (Place.CURATED, "firehose_errors", 1),
    ],
)
def test_an_id_that_is_lost_doubled_or_elsewhere_is_named(sent, standing, place, table, rows):
    standing.rows[table][one(sent, place)] = rows
    [wrong] = reckon(standing, sent).wrong
    assert wrong.startswith(f"{one(sent, place)} must be {place}")


def test_an_id_that_nobody_sent_is_named(sent, standing):
    standing.rows["raw"][f"{RUN}-stranger"] = 1
    assert list(reckon(standing, sent).wrong) == [f"{RUN}-stranger was never sent"]


def told(reckoning, *formulas):
    result = chaos.Result(RUN, reckoning, formulas, chaos.Damage(["c1"], Counter({"drain_dlq": 2})), 61.0)
    out = Console(record=True, width=160, file=io.StringIO())
    out.print(report(result))
    return out.export_text()


def test_the_report_counts_each_place_and_says_that_all_is_well(sent, standing):
    text = told(reckon(standing, sent))
    assert "each of" in text
    assert "books balance, 61 s" in text
    assert re.search(r"cycles that ended red\W+1\b", text)
    assert re.search(r"calls of drain_dlq that failed\W+2\b", text)


def test_the_report_names_what_is_wrong(sent, standing):
    lost = one(sent, Place.CURATED)
    standing.rows["standardized"][lost] = 0
    text = told(reckon(standing, sent))
    assert f"{lost} must be curated and stands in curated x 1, raw x 1" in text
    assert "1 of" in text


def test_books_that_do_not_balance_are_no_success(sent, standing):
    text = told(reckon(standing, sent), Checked("events", ARRIVAL, HOUR, 1, missing=Ids.of({"m1"})))
    assert "the books do not balance" in text
