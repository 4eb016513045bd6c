import json
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledgerlake.records import flatten as module
from ledgerlake.records import kinds
from ledgerlake.records.flatten import (
    ERROR_CODE,
    ERROR_MESSAGE,
    RESCUED,
    Layout,
    Owned,
    buffers,
    discover,
    flatten,
    flatten_and_tell,
    flatten_by_structs,
    flatten_exactly,
    reading,
    schema,
)
from ledgerlake.records.layout import Strict
from ledgerlake.records.paths import column_name, pointer, segments

CODES = {"not_json", "not_an_object", "too_deep", "number_too_long", "bad_text"}


def layout(*pointers, whole=()):
    return Layout(tuple(Owned(column_name(segments(path)), path) for path in pointers), frozenset(whole))


def every_way(payloads, owned):
    """The rows of a batch, which are the same by every way of reading it."""
    held = buffers(pa.array(payloads, pa.string()))
    told = [0] * len(owned.columns)
    exactly = flatten_exactly(held, owned, told)
    all_good = exactly.column(ERROR_CODE).null_count == len(payloads)
    pointers = [column.pointer for column in owned.columns]
    rescued = {path for found in exactly.column(RESCUED).to_pylist() if found for path, _ in found}
    every = {*pointers, *rescued}
    for arrays, beside, strings in (
        [(), (), ()],
        [pointers, (), ()],
        [(), rescued, every],
        [every, rescued, ()],
        [(), (), pointers],
    ):
        if chosen := reading(owned, arrays, beside, strings):
            seen = [0] * len(owned.columns)
            assert flatten_by_structs(held, owned, chosen, seen).to_pylist() == exactly.to_pylist()
            assert [kind & known for kind, known in zip(seen, told, strict=True)] == told
            assert seen == told or not all_good
    assert flatten(pa.array(payloads, pa.string()), owned) == exactly
    return exactly.to_pylist()


def row(payload, owned):
    return every_way([payload], owned)[0]


def values(payload, *pointers, whole=()):
    found = row(payload, layout(*pointers, whole=whole))
    assert found[ERROR_CODE] is None
    return [found[column_name(segments(path))] for path in pointers]


def error(payload):
    found = row(payload, layout("/a"))
    assert found["a"] is None
    assert found[RESCUED] is None
    assert found[ERROR_MESSAGE]
    return found[ERROR_CODE]


def test_the_issues_payload_keeps_exactly_its_text():
    payload = '{"a": 1.10, "b": 1e5, "c": 123456789012345678901234567890, "d": [1.10]}'
    assert values(payload, "/a", "/b", "/c", "/d") == ["1.10", "1e5", "123456789012345678901234567890", "[1.10]"]


@pytest.mark.parametrize(
    "number",
    ["0", "-0", "-0.0", "1.10", "1e5", "1E+05", "-1.5e-300", "1e400", "18446744073709551616", "-9223372036854775809",
     "9" * 1000, "0." + "1" * 998, "100000000000000000000000", "0.1000000000000000055511151231257827"],
)  # fmt: skip
def test_a_number_keeps_its_text_everywhere(number):
    payload = f'{{"a": {number}, "o": {{"b":{number} }}, "d": [{number} , [{number}]], "j": {number}}}'
    assert values(payload, "/a", "/o/b", "/d", "/j", whole=["/j"]) == [
        number, number, f"[{number},[{number}]]", number,
    ]  # fmt: skip
    assert row(payload, Layout())[RESCUED] == [
        ("/a", number), ("/d", f"[{number},[{number}]]"), ("/j", number), ("/o/b", number),
    ]  # fmt: skip


def test_strings_are_kept_as_they_are():
    text = ' x\t"\\/é😀\x00\u2028 1.0 true null '
    assert values(json.dumps({"a": text}), "/a") == [text]
    assert values(json.dumps({"a": text}, ensure_ascii=False), "/a") == [text]
    assert values('{"a": "", "b": "-0", "c": "1.10"}', "/a", "/b", "/c") == ["", "-0", "1.10"]


def test_booleans_are_words_and_null_is_null():
    found = row('{"a": true, "b": false, "c": null, "x": null, "y": {"z": null}}', layout("/a", "/b", "/c", "/d"))
    assert [found[name] for name in "abcd"] == ["true", "false", None, None]
    assert found[RESCUED] is None


def test_arrays_and_empty_objects_are_compact_json():
    payload = '{"a": [ 1 , {"b": null, "a": "é\\u00e9\\n"} , [ ] ], "e": { }, "f": []}'
    assert values(payload, "/a", "/e", "/f") == ['[1,{"b":null,"a":"éé\\n"},[]]', "{}", "[]"]


def test_a_value_declared_json_is_kept_whole():
    pointers = ["/j", "/k", "/l", "/m", "/n"]
    payload = '{"j": {"b": 1.10, "a": [ -0 ]}, "k": "s", "l": 1e5, "m": null, "n": true}'
    assert values(payload, *pointers, whole=pointers) == ['{"b":1.10,"a":[-0]}', '"s"', "1e5", None, "true"]


def test_what_lies_in_a_value_declared_json_has_no_column_of_its_own():
    found = row('{"j": {"b": 1}}', layout("/j", "/j/b", whole=["/j"]))
    assert (found["j"], found["j_b"], found[RESCUED]) == ('{"b":1}', None, None)


def test_a_value_declared_json_without_a_column_is_rescued_whole():
    assert row('{"j": {"b": 1}}', layout("/a", whole=["/j"]))[RESCUED] == [("/j", '{"b":1}')]


def test_an_empty_payload_is_a_row_of_nulls():
    assert row("{}", layout("/a", "/b/c")) == {
        "a": None, "b_c": None, RESCUED: None, ERROR_CODE: None, ERROR_MESSAGE: None,
    }  # fmt: skip


def test_scalar_and_object_at_one_path_are_different_leaves():
    rows = every_way(['{"a":1}', '{"a":{"b":2}}', '{"a":{}}', '{"a":null}', '{"a":[]}'], layout("/a", "/a/b"))
    assert [(found["a"], found["a_b"]) for found in rows] == [
        ("1", None), (None, "2"), ("{}", None), (None, None), ("[]", None),
    ]  # fmt: skip


def test_an_object_with_nothing_but_nulls_is_no_empty_object():
    rows = every_way(['{"a":{"b":null}}', '{"a":{}}', '{"a":null}', "{}"], layout("/a/b"))
    assert [found[RESCUED] for found in rows] == [None, [("/a", "{}")], None, None]


def test_of_duplicate_keys_the_last_counts_in_the_firsts_place():
    assert row('{"a": 1, "b": 2, "a": {"c": 3}, "a": -0}', Layout())[RESCUED] == [("/a", "-0"), ("/b", "2")]
    assert values('{"a": {"b": 1}, "a": {"c": 2}}', "/a/b", "/a/c") == [None, "2"]
    assert values('{"a": [{"x": 1, "y": 2, "x": 3}]}', "/a") == ['[{"x":3,"y":2}]']


def test_another_path_never_meets_in_a_column():
    found = row('{"a_b": 1, "a": {"b": 2}, "A": {"B": 3}}', layout("/a/b"))
    assert (found["a_b"], found[RESCUED]) == ("2", [("/A/B", "3"), ("/a_b", "1")])


def test_rescued_names_are_json_pointers_in_their_order():
    assert row('{"z/y": {"~": 1}, "": {"": 2}, "\\"\\n": 3}', Layout())[RESCUED] == [
        ('/"\n', "3"), ("//", "2"), ("/z~1y/~0", "1"),
    ]  # fmt: skip


def test_keys_that_no_struct_can_name_have_their_columns():
    pointers = ['/"', "/\\", "/\n", "/é", "//", "/", "/~0/~1"]
    payload = json.dumps({'"': 1, "\\": 2, "\n": 3, "é": 4, "": {"": 5}, "~": {"/": 7}})
    owned = Layout(tuple(Owned(f"c{number}", path) for number, path in enumerate(pointers)))
    found = row(payload, owned)
    assert [found[f"c{number}"] for number in range(7)] == ["1", "2", "3", "4", "5", None, "7"]


@pytest.mark.parametrize(
    "payload",
    ["", " ", "{", "{'a':1}", '{"a":1}x', '{"a":NaN}', '{"a":[Infinity]}', '{"a":-Infinity}', '\ufeff{"a":1}',
     '{"a":01}', '{"a":1,}', '{"a":.5}', '{"a":"\t"}', '{"a":"\\x"}', "nul", '{"a":+1}', '\x0b{}', '{"a":1}\xa0',
     '{"a":"\x00"}', None],
)  # fmt: skip
def test_what_is_not_json_is_an_error(payload):
    assert error(payload) == "not_json"


@pytest.mark.parametrize("payload", ["[]", '[{"a":1}]', '"a"', "1", "-0", "1.5", "true", "null", "9" * 400])
def test_what_is_no_object_is_an_error(payload):
    assert error(payload) == "not_an_object"


def nested(levels, opening="[", closing="]"):
    return '{"a":' + opening * (levels - 1) + "1" + closing * (levels - 1) + "}"


def test_64_levels_are_a_row_and_65_are_too_deep():
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")):
        step = opening.count("[") + opening.count("{")
        assert row(nested(1 + 63 // step, opening, closing), layout("/a"))[ERROR_CODE] is None
        assert error(nested(2 + 64 // step, opening, closing)) == "too_deep"
    assert error(nested(65)) == "too_deep"
    assert error(nested(65, '{"a":', "}")) == "too_deep"
    assert error('{"a":' * 64 + "{}" + "}" * 64) == "too_deep"
    assert error('{"b":' + "[" * 64 + "]" * 64 + "}") == "too_deep"


def test_a_column_64_levels_down_is_filled():
    path = "/a" * 64
    owned = Layout((Owned("deep", path),))
    assert row('{"a":' * 64 + "1" + "}" * 64, owned)["deep"] == "1"
    assert row('{"a":' * 64 + "{}" + "}" * 64, owned)[ERROR_CODE] == "too_deep"


@pytest.mark.parametrize("depth", [500, 5_000, 100_000])
def test_any_depth_at_all_is_too_deep(depth):
    assert error(nested(depth)) == "too_deep"
    assert error(nested(depth, '{"a":', "}")) == "too_deep"


@pytest.mark.parametrize("number", ["9" * 1001, "-" + "9" * 1000, "0." + "1" * 999, "1e" + "0" * 999, "9" * 5000])
def test_a_number_over_1000_characters_is_an_error(number):
    for payload in (f'{{"a":{number}}}', f'{{"a":[[{number}]]}}', f'{{"b":{number}}}', f'{{"b":{{"c":[{number}]}}}}'):
        assert error(payload) == "number_too_long"
    assert row(f'{{"a":{number}}}', layout("/a", whole=["/a"]))[ERROR_CODE] == "number_too_long"


def test_a_long_text_is_no_long_number():
    for text in ("x" * 5000, "9" * 5000):
        assert values(json.dumps({"a": text, "b": [text]}), "/a", "/b") == [text, f'["{text}"]']


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00", "\\ud800x", "\\ud800\\u0041", "\\udc00\\ud800", "x\\uDBFF"])
def test_a_lone_surrogate_is_bad_text_wherever_it_stands(text):
    for payload in ('{"a":"%s"}', '{"a":["%s"]}', '{"a":[{"%s":1}]}', '{"%s":1}', '{"%s":{"a":1}}', '{"b":"%s"}'):
        assert error(payload % text) == "bad_text"


def test_a_surrogate_pair_is_a_character():
    assert values('{"a":"\\ud83d\\ude00"}', "/a") == ["😀"]


def test_bytes_that_are_no_utf8_are_bad_text():
    held = [b'{"a":"\xff"}', b'{"\xff":1}', b"\xff"]
    assert flatten_exactly(held, layout("/a"), [0]).column(ERROR_CODE).to_pylist() == ["bad_text"] * 3
    rows = flatten_by_structs(held, layout("/a"), reading(layout("/a")), [0])
    assert rows.column(ERROR_CODE).to_pylist() == ["bad_text"] * 3


def test_a_payload_may_have_fields_named_like_the_result():
    owned = layout("/error_code", "/rescued")
    found = row('{"error_code": "E1", "rescued": "R"}', owned)
    assert (found["error_code"], found["payload_rescued"], found[ERROR_CODE]) == ("E1", "R", None)


def test_bad_rows_among_many_stand_in_their_places():
    payloads = [f'{{"a": {number}, "b": "x"}}' for number in range(1000)]
    for number in (0, 17, 500, 999):
        payloads[number] = "broken"
    payloads[18] = '{"a": -0, "c": 1}'
    rows = every_way(payloads, layout("/a", "/b"))
    assert [number for number, found in enumerate(rows) if found[ERROR_CODE]] == [0, 17, 500, 999]
    assert (rows[18]["a"], rows[18][RESCUED]) == ("-0", [("/c", "1")])
    assert rows[998]["a"] == "998"


def test_a_slice_of_an_array_is_read_as_such():
    payloads = pa.array(['{"a":1}', None, '{"a":2}', '{"a":3}']).slice(1, 2)
    assert flatten(payloads, layout("/a")).column("a").to_pylist() == [None, "2"]


def test_no_payloads_are_no_rows():
    assert flatten(pa.array([], pa.string()), layout("/a")).schema == schema(layout("/a"))


def test_a_layout_without_columns_rescues_everything():
    assert row('{"a":1}', Layout()) == {RESCUED: [("/a", "1")], ERROR_CODE: None, ERROR_MESSAGE: None}


def test_the_paths_of_a_sample_are_found_in_order():
    payloads = pa.array(['{"b":{"c":1},"a":null}', "broken", '{"a":[1],"b":{"d":{}},"j":{"x":1}}'])
    assert discover(payloads, frozenset({"/j"})) == ["/b/c", "/a", "/b/d", "/j"]


# Documents as text: what a JSON library would write is only a part of what may come.

spaces = st.sampled_from(["", "", "", " ", "\n\t"])
numbers = st.sampled_from(
    ["0", "-0", "1.10", "-0.0", "1e5", "12345678901234567890", "9" * 1001, "1.5E-7"]
) | st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
strings = st.text(max_size=4).map(json.dumps) | st.text(max_size=4).map(
    lambda text: json.dumps(text, ensure_ascii=False)
)
defects = st.sampled_from(["NaN", "01", '"\\ud800"', "nul", '"\t"', ""])
scalars = st.one_of(numbers, numbers, strings, strings, st.sampled_from(["true", "false", "null"]), defects)
keys = st.sampled_from(
    ['"a"', '"a"', '"b"', '"b"', '"c"', '"\\u0061"', '""', '"A"', '"a/b"', '"~"', '"\\""', '"\\ud800"', '"é"']
)


def in_brackets(opening, closing):
    return lambda parts: opening + ",".join(parts) + closing


def objects(held):
    members = st.tuples(spaces, keys, spaces, held, spaces).map(lambda part: "{}{}{}:{}{}".format(*part))
    return st.lists(members, max_size=4).map(in_brackets("{", "}"))


trees = st.recursive(
    scalars, lambda held: objects(held) | st.lists(held, max_size=3).map(in_brackets("[", "]")), max_leaves=8
)
documents = objects(trees) | objects(scalars) | objects(objects(scalars)) | trees | st.text(max_size=6)
paths = st.lists(st.sampled_from(["a", "b", "c", "", "A", "a/b", "~", '"', "é"]), min_size=1, max_size=3).map(pointer)
layouts = st.builds(
    lambda pointers, whole, strict: Layout(
        tuple(Owned(f"c{number}", path) for number, path in enumerate(pointers)),
        frozenset(whole),
        frozenset(Strict(path, taken) for path, taken in strict.items() if path not in whole),
    ),
    st.lists(paths, max_size=6, unique=True) | st.just(["/a", "/b", "/c"]) | st.just(["/a/a", "/a/b", "/b"]),
    st.sets(paths, max_size=2) | st.just(set()),
    st.dictionaries(paths, st.sampled_from([kinds.STRING, kinds.NUMBER, kinds.BOOLEAN]), max_size=3) | st.just({}),
)


class Text(str):
    """A number's text."""


def model(payload, owned):
    """What design 4.1 says of one payload, as plainly as can be: (columns, rescued), or None for an error."""

    def constant(name):
        raise ValueError(name)

    try:
        document = json.loads(payload, parse_int=Text, parse_float=Text, parse_constant=constant)
    except ValueError:
        return None
    columns = {column.pointer: column.name for column in owned.columns}
    row, rescued, taken = dict.fromkeys(columns.values()), [], dict(owned.strict)

    def kind(value):
        return kinds.NUMBER if isinstance(value, Text) else kinds.OF_TYPE[type(value)]

    def compact(value, level):
        if isinstance(value, Text):
            assert len(value) <= 1000
            return str(value)
        if isinstance(value, dict | list):
            assert level <= 64
        if isinstance(value, dict):
            members = [f"{compact(key, level)}:{compact(held, level + 1)}" for key, held in value.items()]
            return "{" + ",".join(members) + "}"
        if isinstance(value, list):
            return "[" + ",".join(compact(held, level + 1) for held in value) + "]"
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
        return text

    def walk(value, path, level):
        path.encode()
        for part in value if isinstance(value, dict) else ():
            part.encode()
        whole = path in owned.json_pointers
        if value is None:
            return
        if isinstance(value, dict) and (not path or (value and not whole)):
            assert level <= 64
            for key, held in value.items():
                walk(held, path + pointer([key]), level + 1)
            return
        text = compact(value, level)
        if type(value) is str and not whole:
            text = value
        if path in columns and taken.get(path, kinds.EVERY) & kind(value):
            row[columns[path]] = text
        else:
            rescued.append((path, text))

    try:
        assert isinstance(document, dict)
        walk(document, "", 1)
    except (AssertionError, UnicodeEncodeError):
        return None
    return row, sorted(rescued) or None


@given(st.lists(documents, min_size=1, max_size=5), layouts)
@example(['{"a":0}', '{"a":-0}', '{"a":0.0}'], layout("/a"))
@example(['{"a":"\\ud800","a":1}'], layout("/a"))
@example(['{"a":1,"a":{"b":2}}', '{"a":{"b":2},"a":1}'], layout("/a/b"))
def test_every_way_is_the_model_row_by_row(payloads, owned):
    for payload, found in zip(payloads, every_way(payloads, owned), strict=True):
        expected = model(payload, owned)
        if expected is None:
            assert found[ERROR_CODE] in CODES
            assert found[ERROR_MESSAGE]
            assert not any(value for name, value in found.items() if name not in (ERROR_CODE, ERROR_MESSAGE))
        else:
            columns, rescued = expected
            assert found == {**columns, RESCUED: rescued, ERROR_CODE: None, ERROR_MESSAGE: None}


@settings(max_examples=40)
@given(st.lists(documents, min_size=2, max_size=4), layouts)
def test_no_row_depends_on_another(payloads, owned):
    rows = every_way(payloads, owned)
    assert rows == [every_way([payload], owned)[0] for payload in payloads]
    assert every_way(payloads[::-1], owned) == rows[::-1]


@given(st.lists(st.text(max_size=20) | st.binary(max_size=20), max_size=5))
def test_nothing_escapes_whatever_comes(payloads):
    held = [payload.encode() if isinstance(payload, str) else payload for payload in payloads]
    rows = flatten_by_structs(held, layout("/a"), reading(layout("/a")), [0]).to_pylist()
    assert all(found[ERROR_CODE] is None or found[ERROR_CODE] in CODES for found in rows)
    assert len(rows) == len(payloads)


def test_a_large_batch_is_the_same_however_it_is_split():
    payloads = [
        f'{{"a": {number % 7 - 3}, "t": ["x", {number}], "o": {{"p": {"null" if number % 5 else "1.0"}}}, "u": "é"}}'
        for number in range(500)
    ]
    payloads[100::50] = [
        "[]",
        '{"a": {"b": 1}}',
        '{"o": {}}',
        '{"o": 1}',
        "",
        '{"a": -0}',
        '{"t": -0}',
        '{"t": {"x": 1}}',
    ]
    owned = layout("/a", "/t", "/o/p", "/u")
    whole = flatten(pa.array(payloads), owned).to_pylist()
    assert whole == flatten_exactly(buffers(pa.array(payloads)), owned, [0] * 4).to_pylist()
    cuts = [0, 1, 40, 41, 300, 500]
    assert whole == [
        found for start, end in pairwise(cuts) for found in flatten(pa.array(payloads[start:end]), owned).to_pylist()
    ]


def test_the_structs_are_used_where_they_fit(monkeypatch):
    seen = []
    exactly = module.flatten_exactly
    monkeypatch.setattr(module, "flatten_exactly", lambda held, *rest: seen.append(len(held)) or exactly(held, *rest))
    payloads = ['{"a": 1, "b": ["x"]}'] * 99 + ['{"c": 1}']
    flatten(pa.array(payloads), layout("/a", "/b"))
    assert seen == [1]


def test_paths_without_a_column_that_come_often_have_fields_too(monkeypatch):
    seen = []
    exactly = module.flatten_exactly
    monkeypatch.setattr(module, "flatten_exactly", lambda held, *rest: seen.append(len(held)) or exactly(held, *rest))
    payloads = [f'{{"b_c": {number}, "b": {{"c": "x"}}, "z": [{number}], "{number}": 0}}' for number in range(100)]
    flatten(pa.array(payloads), layout("/b/c"))
    payloads = [f'{{"b_c": {number}, "b": {{"c": "x"}}, "z": [{number}]}}' for number in range(100)]
    rows = flatten(pa.array(payloads), layout("/b/c"))
    assert seen == [100]
    assert rows.column(RESCUED)[7].as_py() == [("/b_c", "7"), ("/z", "[7]")]


def test_the_kinds_of_each_column_are_told():
    payloads = ['{"s": "1.5", "n": 1.5, "i": 7, "m": 1, "b": true, "l": [], "o": {}, "j": 1, "z": null}'] * 50
    payloads[33] = '{"m": "1", "n": 1e5}'
    payloads[44] = '{"m": 1.0, "l": ["x"]}'
    owned = layout("/s", "/n", "/i", "/m", "/b", "/l", "/o", "/j", "/z", whole=["/j"])
    _, seen = flatten_and_tell(pa.array(payloads), owned)
    assert [kinds.named(kind) for kind in seen] == [
        *("string", "number", "number", "number, string", "boolean", "array", "object", "json", "")
    ]
    assert flatten_and_tell(pa.array(payloads[:3]), owned)[1][:3] == [kinds.STRING, kinds.NUMBER, kinds.NUMBER]


def test_a_strict_column_leaves_other_kinds_to_rescued():
    strict = Layout(layout("/n", "/s").columns, strict=frozenset({Strict("/n", kinds.NUMBER)}))
    payloads = ['{"n": 1, "s": "x"}', '{"n": "2", "s": "x"}', '{"n": [3]}', '{"n": {}}', '{"n": null}'] * 20
    rows, seen = flatten_and_tell(pa.array(payloads), strict)
    assert rows.to_pylist() == every_way(payloads, strict)
    assert rows.column("n").to_pylist()[:5] == ["1", None, None, None, None]
    assert rows.column(RESCUED).to_pylist()[:5] == [None, [("/n", "2")], [("/n", "[3]")], [("/n", "{}")], None]
    assert seen == [kinds.NUMBER | kinds.STRING | kinds.ARRAY | kinds.OBJECT, kinds.STRING]


def test_kinds_are_written_as_one_character_a_column():
    assert kinds.read([kinds.written([1, 0, 63]), kinds.written([2, 0, 1])], 3) == [3, 0, 63]
    assert kinds.read([], 2) == [0, 0]


@pytest.mark.parametrize(
    ("known", "seen", "new"),
    [
        (kinds.NUMBER, kinds.NUMBER, 0),
        (kinds.NUMBER, kinds.NUMBER | kinds.STRING, kinds.STRING),
        (0, kinds.STRING, 0),  # nothing is known yet
        (kinds.JSON, kinds.STRING, 0),  # the contract keeps it as JSON no longer
        (kinds.STRING, kinds.JSON, 0),
    ],
)
def test_which_kinds_are_news(known, seen, new):
    assert kinds.news(known, seen) == new
