"""What a column's options do to its texts and values, row by row."""

import hashlib
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgerlake.contracts.model import Contract
from ledgerlake.records.casts import VIOLATIONS, cast
from ledgerlake.records.layout import Layout, Owned
from ledgerlake.records.paths import column_name, segments
from ledgerlake.records.privacy import MASK, NoSalt
from ledgerlake.records.sources import WHITE_SPACE

SALT = "0123456789abcdef"


def column(kind: str = "string", **options: object) -> dict:
    return {"name": "a", "type": kind, **options}


def judged(options: dict, *records: dict, owned: tuple[str, ...] = (), salt: str | None = SALT) -> list[tuple]:
    """Each record's value, and its violations as (kind, rule, value); a record is JSON Pointer to text."""
    contract = Contract.model_validate({"table_name": "t", "envelope_columns": [], "payload_columns": [options]})
    layout = Layout(tuple(Owned(column_name(segments(path)), path) for path in owned))
    held = {each.name: pa.array([one.get(each.pointer) for one in records], pa.string()) for each in layout.columns}
    rescued = [
        [(path, text) for path, text in one.items() if path not in owned and text is not None] for one in records
    ]
    rows = pa.RecordBatch.from_pydict(
        {
            "idempotency_key": pa.array(["k"] * len(records), pa.string()),
            **held,
            "rescued": pa.array(rescued, pa.map_(pa.string(), pa.string())),
        }
    )
    found = cast(rows, contract, layout, salt).to_pylist()
    return [(row["a"], [(v["kind"], v["rule"], v["value"]) for v in row[VIOLATIONS] or []]) for row in found]


def values(options: dict, *texts: str | None) -> list:
    """The values of texts that break nothing."""
    found = judged(options, *({"/a": text} for text in texts), owned=("/a",))
    assert [violations for _, violations in found] == [[]] * len(texts)
    return [value for value, _ in found]


def broken(options: dict, *texts: str | None) -> list[list[str]]:
    """The constraints that each text breaks, told with that very text."""
    found = judged(options, *({"/a": text} for text in texts), owned=("/a",))
    for text, (_, violations) in zip(texts, found, strict=True):
        assert all((kind, value) == ("check", text) for kind, _, value in violations)
    return [[rule for _, rule, _ in violations] for _, violations in found]


def test_white_space_goes_before_anything_is_read():
    assert values(column("int", trim=True), " 5", "5\n", "\t\x0b5\x0c ", None) == [5, 5, 5, None]
    assert values(column(trim=True), "  a b ", "\u00a0x", " ") == ["a b", "\u00a0x", ""]


def test_an_empty_text_is_null_for_every_type():
    for kind in ("string", "int", "boolean", "decimal(4,2)", "double", "date", "timestamp", "json"):
        assert values(column(kind, empty_as_null=True), "", None) == [None, None]
    assert values(column(empty_as_null=True), " ") == [" "]
    assert values(column(empty_as_null=True, trim=True, default="d"), " ", "", "x") == ["d", "d", "x"]
    missing = judged(column("int", empty_as_null=True, cde=True), {"/a": ""}, owned=("/a",))
    assert missing == [(None, [("cde", "required", None)])]


def test_the_first_source_that_has_a_value_counts_whoever_owns_the_column():
    options = column("int", source=["x.a", "x_a", "old"], empty_as_null=True, trim=True)
    records = [
        {"/x/a": "1", "/x_a": "2", "/old": "3"},
        {"/x_a": "2", "/old": "3"},
        {"/x/a": " ", "/x_a": "", "/old": "3"},
        {"/x/a": "one", "/old": "3"},
        {},
    ]
    told = [(1, []), (2, []), (3, []), (None, [("cast", "int", "one")]), (None, [])]
    assert judged(options, *records, owned=("/x/a",)) == told
    assert judged(options, *records, owned=("/x_a", "/old")) == told
    assert judged(column(source=["x", "old"]), {"/x": "", "/old": "3"}) == [("", [])]


def test_an_envelope_column_falls_back_from_attribute_to_payload():
    contract = Contract.model_validate(
        {
            "table_name": "t",
            "envelope_columns": [column(source=["attributes.a", "a"])],
            "payload_columns": [],
        }
    )
    rows = pa.RecordBatch.from_pydict(
        {
            "idempotency_key": ["k", "k"],
            "attributes": [json.dumps({"a": "attribute"}), None],
            "a": ["payload", "payload"],
        }
    )
    found = cast(rows, contract, Layout((Owned("a", "/a"),)))
    assert found.column("a").to_pylist() == ["attribute", "payload"]


def test_own_words_for_true_and_false_stand_beside_the_usual_ones():
    words = column("boolean", true_values=["Yes", "1"], false_values=["no"], default="NO")
    assert values(words, "YES", "yes", "1", "True", "no", "false", None) == [
        True,
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert judged(words, {"/a": "2"}, {"/a": " yes"}) == [
        (None, [("cast", "boolean", "2")]),
        (None, [("cast", "boolean", " yes")]),
    ]


def test_allowed_values_are_compared_as_values():
    assert broken(column(allowed_values=["new", "paid"]), "new", "New", "", None) == [
        [], ["allowed_values"], ["allowed_values"], [],
    ]  # fmt: skip
    assert broken(column("decimal(4,2)", allowed_values=["1", "2.5"]), "1.00", "2.50", "3") == [
        [],
        [],
        ["allowed_values"],
    ]
    dates = column("date", format="%d/%m/%Y", allowed_values=["01/02/2026"])
    assert broken(dates, "01/02/2026", "1/2/2026", "02/02/2026") == [[], [], ["allowed_values"]]
    assert broken(column("boolean", true_values=["y"], allowed_values=["y"]), "true", "false") == [
        [],
        ["allowed_values"],
    ]
    assert broken(column("double", allowed_values=["0.1"]), "1e-1", "0.10000001") == [[], ["allowed_values"]]


@pytest.mark.parametrize(
    ("kind", "least", "most", "inside", "below", "above"),
    [
        ("int", "-5", "5.0", ["-5", "5", "0"], ["-6"], ["6"]),
        ("bigint", "9007199254740993", None, ["9007199254740993"], ["9007199254740992"], []),
        ("double", "0.1", "1e3", ["0.1", "1000"], ["0.09999999999999999"], ["1000.0000000000001"]),
        (
            "decimal(38,2)",
            "99999999999999999999.98",
            "99999999999999999999.99",
            ["99999999999999999999.98"],
            ["99999999999999999999.97"],
            ["100000000000000000000"],
        ),
        ("date", "2026-01-18", "2026-01-18", ["2026-01-18"], ["2026-01-17"], ["2026-01-19"]),
        (
            "timestamp",
            "2026-01-18T10:00:00+01:00",
            "2026-01-18T09:00:00.000001Z",
            ["2026-01-18 09:00:00"],
            ["2026-01-18T08:59:59.999999Z"],
            ["2026-01-18T09:00:00.000002Z"],
        ),
    ],
)
def test_a_range_holds_its_ends_and_is_exact(kind, least, most, inside, below, above):
    options = column(kind, min=least, **({"max": most} if most else {}))
    assert broken(options, *inside, *below, *above, None) == [
        *([[]] * len(inside)), *([["min"]] * len(below)), *([["max"]] * len(above)), [],
    ]  # fmt: skip


def test_a_pattern_is_of_the_whole_text():
    assert broken(column(pattern="[a-z]+|0"), "ab", "0", "ab1", "1ab", "ab\n", "a\nb", "", None) == [
        [], [], ["pattern"], ["pattern"], ["pattern"], ["pattern"], ["pattern"], [],
    ]  # fmt: skip
    assert broken(column(pattern="(?m)^a$\n^b$"), "a\nb", "a\nb\n") == [[], ["pattern"]]


def test_lengths_count_characters_after_trim():
    options = column(min_length=2, max_length=3, trim=True)
    found = judged(options, *({"/a": text} for text in (" ab ", "äöü", "𝄞", "abcd", None)), owned=("/a",))
    assert [[(rule, value) for _, rule, value in violations] for _, violations in found] == [
        [], [], [("min_length", "𝄞")], [("max_length", "abcd")], [],
    ]  # fmt: skip


def test_every_constraint_that_is_broken_is_told_and_none_of_a_failed_cast():
    assert broken(column(allowed_values=["a"], pattern="[ab]", min_length=2, max_length=0), "c") == [
        ["allowed_values", "pattern", "min_length", "max_length"]
    ]
    assert judged(column("int", min="5", allowed_values=["7"]), {"/a": "x"}) == [(None, [("cast", "int", "x")])]


def test_personal_data_is_hashed_masked_or_dropped_and_null_stays_null():
    digest = hashlib.sha256(f"{SALT}ä@b".encode()).hexdigest()
    assert values(column(pii="sha256", trim=True), " ä@b", "ä@b", None) == [digest, digest, None]
    assert values(column(pii="mask"), "ä@b", "", None) == [MASK, MASK, None]
    assert values(column("date", pii="drop", cde=True), "2026-01-18") == [None]
    assert values(column(pii="sha256", default="ä@b"), None) == [digest]


@pytest.mark.parametrize("pii", ["sha256", "mask", "drop"])
def test_no_violation_tells_personal_data(pii):
    options = column(pii=pii, pattern="[0-9]+", max_length=3, cde=True)
    found = judged(options, {"/a": "secret"}, {"/a": " "}, {}, owned=("/a",))
    assert [violations for _, violations in found] == [
        [("check", "pattern", MASK), ("check", "max_length", MASK)],
        [("cde", "required", MASK), ("check", "pattern", MASK)],
        [("cde", "required", None)],
    ]
    assert judged(column("int", pii="drop"), {"/a": "secret"}) == [(None, [("cast", "int", MASK)])]


def test_without_a_salt_nothing_is_hashed():
    with pytest.raises(NoSalt):
        judged(column(pii="sha256"), {"/a": "x"}, salt=None)


texts = st.none() | st.sampled_from(["", " ", "1", " 1 ", "x", "yes", "2026-01-18"]) | st.text(max_size=5)


@given(st.lists(texts, max_size=6), st.lists(texts, max_size=6), st.booleans(), st.booleans())
def test_the_first_text_that_is_left_counts(first, second, trim, empty_as_null):
    length = min(len(first), len(second))
    records = [{"/x": one, "/y": two} for one, two in zip(first[:length], second[:length], strict=True)]

    def left(text: str | None) -> str | None:
        text = text.strip(WHITE_SPACE) if trim and text is not None else text
        return None if empty_as_null and text == "" else text

    options = column(source=["x", "y"], trim=trim, empty_as_null=empty_as_null)
    expected = [left(one["/x"]) if left(one["/x"]) is not None else left(one["/y"]) for one in records]
    for owned in ((), ("/x",), ("/x", "/y")):
        assert [value for value, _ in judged(options, *records, owned=owned)] == expected


@given(st.text(max_size=8))
def test_trimming_twice_is_trimming_once(text):
    once = values(column(trim=True), text)
    assert values(column(trim=True), *once) == once


CONSTRAINTS = {
    "string": {"allowed_values": ["1", "x"], "pattern": ".?", "min_length": 1, "max_length": 2},
    "boolean": {"true_values": ["yes", "1"], "allowed_values": ["yes"]},
    "int": {"min": "0", "max": "5", "allowed_values": ["1"]},
    "date": {"min": "2026-01-18", "max": "2026-01-18"},
    "timestamp": {"format": "epoch_s", "min": "0", "max": "1"},
}


@given(st.sampled_from(sorted(CONSTRAINTS)), st.lists(texts, max_size=6), st.booleans())
def test_whatever_the_text_it_is_a_value_or_is_told_and_depends_on_no_other(kind, held, trim):
    options = column(kind, trim=trim, **CONSTRAINTS[kind])
    found = judged(options, *({"/a": text} for text in held), owned=("/a",))
    for text, told in zip(held, found, strict=True):
        assert [told] == judged(options, {"/a": text}, owned=("/a",))
        value, violations = told
        assert text is not None or told == (None, [])
        assert value is not None or text is None or violations
