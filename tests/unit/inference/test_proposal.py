"""A contract proposed from records: what a person would have written, and never one that refuses its own sample."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledgerlake.contracts import load
from ledgerlake.contracts.document import MAX_BYTES
from ledgerlake.inference.proposal import propose
from ledgerlake.records.outcomes import outcomes

QUAKES = (Path(__file__).parents[3] / "schemas/earthquakes/sample.jsonl").read_text().splitlines()


def contract(payloads, **options):
    document = {"table_name": "orders", **propose(payloads, **options).contract}
    text = json.dumps(document)
    assert len(text) < MAX_BYTES
    return load(text, "orders")


def lines(*records):
    return [json.dumps(record) for record in records]


def columns(payloads, **options):
    """The proposed columns as the contract writes them, by name."""
    contract(payloads, **options)
    return {column["name"]: column for column in propose(payloads, **options).contract["payload_columns"]}


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.sampled_from(
        ["yes", "no", " 7 ", "", "  ", "007", "1.10", "2026-01-18", "2026-01-18T10:00:00Z", "1/2/2026", "a@b.co"]
    ),
    st.datetimes().map(str),
    st.dates().map(str),
)
names = st.one_of(
    st.sampled_from(
        ["id", "at", "time", "amount", "Amount", "a.b", "a/b", "", "_file", "batch_id", "date", "date_day", "x y", "ü"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=4),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
records = st.lists(st.dictionaries(names, values, max_size=6), min_size=1, max_size=12)
texts = st.lists(st.dictionaries(names, scalars.map(str), min_size=1, max_size=6), min_size=1, max_size=12)


@given(records)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_a_proposed_contract_is_right_and_takes_its_own_sample(sample):
    found = outcomes(contract(lines(*sample)), lines(*sample))
    assert (found["errors"], found["parse_errors"]) == ([], [])


@given(texts)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_so_does_one_from_texts_alone(sample):
    found = outcomes(contract(lines(*sample), untyped=True), lines(*sample))
    assert (found["errors"], found["parse_errors"]) == ([], [])


@pytest.fixture(scope="module")
def quakes():
    return columns(QUAKES[:1000])


def test_a_thousand_real_records_give_a_contract_that_takes_the_next_ones_too():
    proposed = contract(QUAKES[:1000])
    found = outcomes(proposed, QUAKES)
    assert (found["curated"], found["errors"]) == (1707, [])
    assert proposed.key_sources == (("id",),)
    assert [str(field) for field in proposed.partition_by] == ["day(time)"]


def test_real_columns_have_the_types_a_person_would_give_them(quakes):
    types = {name: column["type"] for name, column in quakes.items()}
    assert {name for name, kind in types.items() if kind == "timestamp"} == {"time", "updated"}
    assert {name for name, kind in types.items() if kind == "double"} == {"mag", "dmin", "rms", "gap", "cdi", "mmi"}
    assert {name for name, kind in types.items() if kind == "int"} == {"tz", "tsunami", "sig", "nst", "felt"}
    assert {name for name, kind in types.items() if kind == "json"} == {"geometry_coordinates"}


def test_only_the_events_time_is_critical_and_the_rest_are_candidates(quakes):
    assert [name for name, column in quakes.items() if column.get("cde")] == ["time"]
    assert "a candidate for `cde`" in quakes["status"]["$comment"]
    assert quakes["felt"]["$comment"].startswith("In 76 of 1,000 records. Whole numbers. 0 to 935.")


def test_each_column_says_why():
    for column in propose(QUAKES[:50]).contract["payload_columns"]:
        assert "record" in column["$comment"]


def test_the_sender_is_told_which_time_tells_the_latest_record():
    assert any("`properties.updated`" in point for point in propose(QUAKES[:50]).to_decide)


def test_personal_data_is_tagged_and_its_values_are_not_told():
    sample = lines(*({"id": f"u{n}", "contact": {"mail": f"user{n}@example.org"}, "note": "x"} for n in range(30)))
    found = columns(sample)
    assert found["contact_mail"]["tags"] == ["pii_suspect"]
    assert "example.org" not in found["contact_mail"]["$comment"]
    assert "tags" not in found["note"]
    assert any("`contact_mail`" in point for point in propose(sample).to_decide)


def test_a_key_that_may_be_personal_data_is_to_be_decided():
    sample = lines(*({"email_id": f"user{n}@example.org"} for n in range(30)))
    assert any("another key" in point for point in propose(sample).to_decide)


def test_paths_that_meet_in_one_column_are_named_once_and_told():
    sample = lines({"id": 1, "userId": "a", "userid": "b"})
    assert "userid" not in [column["source"] for column in columns(sample).values()]
    assert any("`userid` meets" in point for point in propose(sample).to_decide)


def test_a_field_whose_name_is_taken_gets_another():
    sample = lines({"id": 1, "batch_id": "x", "Publish Time": "y"})
    assert {"batch_id_2", "publish_time_2"} <= columns(sample).keys()


def test_more_fields_than_a_person_reads_are_left_out_and_counted():
    proposal = propose(lines({f"field_{n}": n for n in range(1000)}))
    assert len(proposal.contract["payload_columns"]) == 400
    assert "600 more fields are left out: they stand in STANDARDIZED or in `rescued`" in proposal.to_decide


def test_fields_without_any_value_are_told():
    sample = lines({"id": 1, "score": None, **{f"n{n}": None for n in range(12)}})
    told = [point for point in propose(sample).to_decide if "null in every record" in point]
    assert told[0].startswith("`score`, `n0`")
    assert "and 3 more" in told[0]


def test_a_partition_has_no_name_that_a_column_has():
    sample = lines(*({"id": n, "date": f"2026-01-{n:02}", "date_day": n} for n in range(1, 29)))
    assert [str(field) for field in contract(sample).partition_by] == ["month(date)"]
