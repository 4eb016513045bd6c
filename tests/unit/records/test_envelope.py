import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgerlake.records.envelope import BrokenEnvelope, Envelope, parse
from ledgerlake.records.keys import message_id

GOOD = {"message_id": "m1", "publish_time": "2026-01-18T10:00:00.123Z", "json_payload": "{}"}


def body(**changes):
    return json.dumps({**GOOD, **changes})


def code(text, topic="events"):
    with pytest.raises(BrokenEnvelope) as broken:
        parse(text, topic)
    assert broken.value.reason
    return broken.value.code


def test_a_whole_message_becomes_a_raw_row():
    text = body(topic_name="events", idempotency_key="k", attributes={"b": "1", "a": "ü"}, json_payload='{"a": 1.10}')
    assert parse(text, "events").to_raw_row("sqs", datetime(2026, 1, 18, 10, 0, 1, 7, tzinfo=UTC)) == {
        "message_id": "m1",
        "topic_name": "events",
        "idempotency_key": "k",
        "publish_time": 1_768_730_400_123_000,
        "ingestion_ts": 1_768_730_401_000_007,
        "source": "sqs",
        "attributes": '{"b":"1","a":"ü"}',
        "json_payload": '{"a": 1.10}',
    }


def test_what_is_left_out_or_null_is_null():
    bare = Envelope("m1", "events", 1_768_730_400_123_000, "{}")
    assert parse(body(), "events") == bare
    assert parse(body(topic_name=None, idempotency_key=None, attributes=None), "events") == bare
    assert parse(body(attributes={}), "events") == bare
    assert bare.to_raw_row("sqs", datetime.now(UTC))["attributes"] is None


def test_the_payload_is_not_read():
    for payload in ["", "not json", "\ufeff", '{"a": NaN}', "\\ud800", "\x00"]:
        assert parse(body(json_payload=payload), "events").json_payload == payload


def test_unknown_fields_join_the_attributes_as_text():
    text = body(attributes={"a": "1"}, trace="t")[:-1] + ', "n": 1.10, "o": {"x": [1e5, -0]}, "z": null, "": true}'
    assert parse(text, "events").attributes == {
        "a": "1",
        "envelope.trace": "t",
        "envelope.n": "1.10",
        "envelope.o": '{"x":[1e5,-0]}',
        "envelope.z": "null",
        "envelope.": "true",
    }


def test_an_unknown_field_overwrites_no_attribute():
    attributes = parse(body(attributes={"envelope.a": "given"}, a="unknown"), "events").attributes
    assert attributes == {"envelope.a": "given", "envelope.envelope.a": "unknown"}


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.1234569Z", 123_456),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T19:00-05:00", 0),
        ("1970-01-01 00:00:01Z", 1_000_000),
        ("19700101T000001Z", 1_000_000),
        ("1970-01-01T02:00:00+02", 0),
        ("1970-01-01T00:00:00,5Z", 500_000),
    ],
)
def test_publish_time_is_iso_8601_cut_to_microseconds(text, micros):
    assert parse(body(publish_time=text), "events").publish_time == micros


@pytest.mark.parametrize(
    "text",
    ["2026-01-18T10:00:00", "2026-01-18", "2026-02-30T10:00:00Z", "yesterday", "", "1768730400", "2026-01-18x10:00Z",
     "0001-01-01T00:00:00+01:00", "2026-01-18T24:00:00Z", "2026-01-18T10:00:00Z\n"],
)  # fmt: skip
def test_a_publish_time_without_zone_or_sense_is_refused(text):
    assert code(body(publish_time=text)) == "bad_publish_time"


@pytest.mark.parametrize("field", GOOD)
def test_a_required_field_must_be_there_and_a_string(field):
    assert code(json.dumps({key: value for key, value in GOOD.items() if key != field})) == "missing_field"
    assert code(body(**{field: None})) == "missing_field"
    for wrong in (1, 1.5, True, [], {}):
        assert code(body(**{field: wrong})) == "wrong_type"


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic_name": 1},
        {"idempotency_key": 7},
        {"attributes": "a"},
        {"attributes": {"a": 1}},
        {"attributes": {"a": None}},
    ],
)
def test_an_optional_field_of_another_type_is_refused(wrong):
    assert code(body(**wrong)) == "wrong_type"


def test_a_message_id_has_1_to_512_characters():
    assert parse(body(message_id="ü" * 512), "events").message_id == "ü" * 512
    assert code(body(message_id="")) == "bad_message_id"
    assert code(body(message_id="x" * 513)) == "bad_message_id"


def test_another_topic_is_refused():
    assert code(body(topic_name="orders")) == "wrong_topic"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not_json"),
        ("{", "not_json"),
        ('{"a": NaN}', "not_json"),
        ("[]", "not_an_object"),
        ("null", "not_an_object"),
        (body(message_id="\ud800"), "bad_text"),
        (body(json_payload="\ud800"), "bad_text"),
        ("\ud800", "bad_text"),
        (b"\xff", "bad_text"),
        (body()[:-1] + ', "x": ' + "[" * 64 + "]" * 64 + "}", "too_deep"),
        (body()[:-1] + ', "x": ' + "9" * 1001 + "}", "number_too_long"),
    ],
)
def test_what_is_no_message_at_all_is_refused_with_its_code(text, expected):
    assert code(text) == expected


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5)


@given(st.dictionaries(st.sampled_from([*GOOD, "topic_name", "attributes", "x"]), values) | st.text() | values)
def test_every_body_is_an_envelope_or_broken(document):
    text = document if isinstance(document, str) else json.dumps(document)
    with contextlib.suppress(BrokenEnvelope):
        assert parse(text, "t").to_raw_row("sqs", datetime.now(UTC))["topic_name"] == "t"


@given(st.binary(max_size=30))
def test_any_bytes_are_an_envelope_or_broken(data):
    with pytest.raises(BrokenEnvelope):
        parse(data, "t")


def test_a_records_id_comes_from_its_content_and_occurrence():
    assert message_id(b"a", 0) == message_id(b"a", 0)
    assert len({message_id(b"a", 0), message_id(b"a", 1), message_id(b"b", 0), message_id(b"1\na", 0)}) == 4
