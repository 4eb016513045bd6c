"""The generated topic says itself where each of its messages must end."""

import json
from collections import Counter

from ledgerlake.ops.events import EXACT_NUMBERS, Place, story


def test_the_same_run_gives_the_same_messages():
    assert story("r1", orders=60) == story("r1", orders=60)


def test_another_run_shares_no_id_with_it():
    assert not story("r1").expected().keys() & story("r2").expected().keys()


def test_every_place_is_the_expected_end_of_some_message():
    assert set(story("r1", orders=0).expected().values()) | {Place.DLQ_ERRORS} == set(Place)
    assert story("r1", orders=0).broken_envelopes()


def test_every_order_has_at_most_one_current_row():
    for day in (1, 2):
        told = story("r1", orders=300)
        places = told.expected(day)
        current = Counter(
            key(message)
            for message in {m.message_id: m for m in told.messages if m.day <= day}.values()
            if places.get(message.message_id) is Place.CURATED
        )
        assert set(current.values()) == {1}


def key(message):
    body = json.loads(message.body)
    return body["idempotency_key"] or json.loads(body["json_payload"])["_metadata"]["idempotencyKeyResource"]


def test_a_corrected_order_is_current_until_its_correction_comes():
    told = story("r1", orders=200)
    changed = {i for i, place in told.expected(1).items() if told.expected(2)[i] is not place}
    assert changed
    assert {told.expected(1)[i] for i in changed} == {Place.CURATED}
    assert {told.expected(2)[i] for i in changed} == {Place.SUPERSEDED}


def test_redelivered_messages_are_equal_to_the_byte():
    told = story("r1", orders=200)
    bodies = {}
    for message in told.messages:
        assert bodies.setdefault(message.message_id, message.body) == message.body
    assert max(told.copies().values()) == 3


def test_numbers_are_sent_as_the_text_they_are():
    payloads = [json.loads(m.body)["json_payload"] for m in story("r1").messages if m.kind == "exact numbers"]
    assert payloads == [EXACT_NUMBERS]
