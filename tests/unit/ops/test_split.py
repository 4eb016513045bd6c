import json
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgerlake.ops import split
from ledgerlake.ops.split import Record, document, json_file, lines

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
objects = st.dictionaries(st.text(), values, max_size=4)
sizes = st.integers(min_value=1, max_value=30)


def pieces(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def numbered(splitter: Callable[[Iterable[bytes]], Iterable[Record]], text: bytes) -> list[tuple[int, bytes]]:
    return [(record.number, record.data) for record in splitter([text])]


def test_lines_keep_their_text_and_their_number_and_blank_ones_are_no_records():
    assert numbered(lines, b'{"a": 1.10}\r\n\n  \n broken \n{"b":2}') == [
        (1, b'{"a": 1.10}'),
        (4, b" broken "),
        (5, b'{"b":2}'),
    ]


def test_a_last_line_needs_no_line_end():
    assert numbered(lines, b"a\nb") == numbered(lines, b"a\nb\n") == [(1, b"a"), (2, b"b")]


def test_an_array_gives_its_elements_with_their_own_text():
    text = b'\n [ {"a": [1, 2], "t": "x],\\"}"} ,\n 1.10, "b,c" ,[3] ]\n'
    assert [data for _, data in numbered(json_file, text)] == [
        b'{"a": [1, 2], "t": "x],\\"}"}',
        b"1.10",
        b'"b,c"',
        b"[3]",
    ]


def test_a_document_over_several_lines_is_one_record():
    text = b'{\n  "a": [\n    1\n  ]\n}\n'
    assert numbered(json_file, text) == [(1, text.strip())]


def test_a_json_file_may_hold_lines_and_a_broken_one_harms_no_other():
    assert [data for _, data in numbered(json_file, b'{"a":1}\n{"b":\n{"c":3}\n')] == [b'{"a":1}', b'{"b":', b'{"c":3}']


def test_an_empty_array_holds_no_records():
    assert numbered(json_file, b"[ ]") == []


def test_what_follows_an_array_is_kept():
    assert [data for _, data in numbered(json_file, b"[1] rest")] == [b"1", b"rest"]


def test_an_array_that_breaks_off_keeps_its_rest_as_one_record():
    assert [data for _, data in numbered(json_file, b'[{"a":1}, {"b": [2')] == [b'{"a":1}', b'{"b": [2']


@given(st.lists(values), sizes)
def test_an_array_splits_alike_however_it_arrives(elements, size):
    text = json.dumps(elements, indent=1).encode()
    assert [json.loads(record.data) for record in document(pieces(text, size))] == elements


@given(st.lists(objects), sizes)
def test_lines_split_alike_however_they_arrive(elements, size):
    text = "\n".join(json.dumps(element) for element in elements).encode()
    for splitter in (lines, json_file):
        assert [json.loads(record.data) for record in splitter(pieces(text, size))] == elements


@given(st.binary(), sizes)
def test_no_byte_but_white_space_and_the_arrays_own_marks_is_dropped(text, size):
    kept = b"".join(record.data for record in document(pieces(text, size)))
    dropped = b" \t\r\n" + (b"[],\n" if text.lstrip(b" \t\r\n").startswith(b"[") else b"")
    assert kept.translate(None, dropped) == text.translate(None, dropped)


@pytest.mark.parametrize("splitter", [lines, document])
def test_a_record_too_long_for_any_message_is_not_held_whole(splitter, monkeypatch):
    monkeypatch.setattr(split, "MAX_RECORD_BYTES", 8)
    long, short = splitter([b'"0123', b"456789", b'"\n"ok"'])
    assert (len(long.data), long.size, long.is_whole) == (8, 12, False)
    assert (short.data, short.is_whole) == (b'"ok"', True)
