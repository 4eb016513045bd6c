"""The ids that ledgerlake makes itself."""

import hashlib

from ledgerlake.records.envelope import MAX_MESSAGE_ID
from ledgerlake.records.keys import replacement_id


def test_an_edited_message_is_named_after_its_original_and_its_payload():
    digits = hashlib.sha256(b'{"n": 5}').hexdigest()[:12]
    assert replacement_id("m1", '{"n": 5}') == f"m1~{digits}"
    assert replacement_id("m1", '{"n": 5}') != replacement_id("m1", '{"n": 6}')
    assert replacement_id(f"m1~{digits}", '{"n": 6}').startswith(f"m1~{digits}~")


def test_the_longest_ids_get_ids_that_fit_and_differ():
    first, second = "x" * (MAX_MESSAGE_ID - 1) + "a", "x" * (MAX_MESSAGE_ID - 1) + "b"
    made = {replacement_id(original, "{}") for original in (first, second)}
    assert {len(one) for one in made} == {MAX_MESSAGE_ID}
    assert len(made) == 2
