import json
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledgerlake.contracts import Contract, ContractError, Problem, load

Document = dict


def good() -> Document:
    return {
        "table_name": "events",
        "description": "What users did.",
        "owner": "growth",
        "envelope_columns": [
            {"name": "idempotency_key", "type": "string", "source": ["_metadata.key", "/event/id"]},
            {"name": "region", "type": "string", "source": "attributes.region"},
        ],
        "payload_columns": [
            {
                "name": "event_time",
                "type": "timestamp",
                "source": "event.timestamp",
                "cde": True,
                "description": "When.",
            },
            {"name": "amount", "type": "decimal(12,2)", "source": "event.amount", "default": "0.00"},
            {"name": "kind", "type": "string", "source": "event.kind", "cde": True, "allow_empty": True},
            {"name": "extra", "type": "json", "source": "event.extra"},
            {"name": "seen_at", "type": "timestamp", "format": "epoch_ms"},
        ],
        "partition_by": ["day(event_time)", "bucket(16, idempotency_key)"],
        "dedup_window_days": 7,
        "rules": [{"name": "amount_not_negative", "expression": "amount >= 0", "action": "quarantine"}],
    }


def text(document: object) -> bytes:
    return json.dumps(document).encode()


def problems(document: object, topic: str = "events") -> tuple[Problem, ...]:
    with pytest.raises(ContractError) as refused:
        load(document if isinstance(document, bytes) else text(document), topic)
    return refused.value.problems


def test_a_good_contract_is_typed():
    contract = load(text(good()), "events")
    assert contract.key_sources == (("_metadata", "key"), ("event", "id"))
    assert [column.name for column in contract.columns] == [
        "region",
        "event_time",
        "amount",
        "kind",
        "extra",
        "seen_at",
    ]
    assert str(contract.column("amount").type) == "decimal(12,2)"
    assert contract.json_paths == {("event", "extra")}
    assert contract.rules[0].columns == {"amount"}
    assert contract.paths[:3] == (("_metadata", "key"), ("event", "id"), ("event", "timestamp"))
    assert contract.paths[-1] == ("seen_at",)


def test_a_contract_survives_its_own_writing():
    contract = load(text(good()), "events")
    assert load(contract.model_dump_json(by_alias=True, exclude_unset=True), "events") == contract


def test_a_contract_without_payload_columns_is_standardized_only():
    minimal = {"table_name": "events", "envelope_columns": [], "payload_columns": []}
    contract = load(text(minimal), "events")
    assert not contract.curated
    assert contract.dedup_window_days == 7


def put(*path: str | int, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        inner = document
        for step in path[:-1]:
            inner = inner[step]
        if isinstance(inner, list) and path[-1] == len(inner):
            inner.append(value)
        else:
            inner[path[-1]] = value

    return change


def without(*path: str | int) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        inner = document
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]

    return change


def column(index: int, field: str, value: object) -> Callable[[Document], None]:
    return put("payload_columns", index, field, value=value)


def another(**fields: object) -> Callable[[Document], None]:
    return put("payload_columns", 5, value={"type": "string", **fields})


def envelope(**fields: object) -> Callable[[Document], None]:
    return put("envelope_columns", 2, value={"type": "string", **fields})


def key(field: str, value: object) -> Callable[[Document], None]:
    return put("envelope_columns", 0, field, value=value)


def rule(expression: str) -> Callable[[Document], None]:
    return put("rules", 0, "expression", value=expression)


def partition(written: object) -> Callable[[Document], None]:
    return put("partition_by", 0, value=written)


EXPRESSION = "/rules/0/expression"
WRONG = [
    # shape
    (without("table_name"), "/table_name", "`table_name` is missing", "events"),
    (without("envelope_columns"), "/envelope_columns", "is missing", "[]"),
    (without("payload_columns", 0, "type"), "/payload_columns/0/type", "`type` is missing", "decimal"),
    (without("payload_columns", 4, "name"), "/payload_columns/4/name", "`name` is missing", "add it"),
    (put("payload_column", value=[]), "/payload_column", "there is no field `payload_column`", "`payload_columns`?"),
    (column(0, "critical", True), "/payload_columns/0/critical", "there is no field", "the fields are"),
    (key("sources", "a"), "/envelope_columns/0/sources", "there is no field `sources`", "`source`?"),
    (put("rules", 0, "expresion", value="x"), "/rules/0/expresion", "there is no field", "`expression`?"),
    (put("payload_columns", value={}), "/payload_columns", "a list is needed here, not an object", "["),
    (column(0, "cde", "true"), "/payload_columns/0/cde", "true or false is needed here, not a text", "without quotes"),
    (column(1, "default", 0), "/payload_columns/1/default", "a text is needed here, not a number", "quotes"),
    (put("payload_columns", 0, value="event_time"), "/payload_columns/0", "an object is needed here, not a text", "{"),
    (put("dedup_window_days", value=True), "/dedup_window_days", "a whole number is needed here", "7"),
    (put("dedup_window_days", value=7.5), "/dedup_window_days", "a whole number is needed here", "7"),
    (put("dedup_window_days", value=-1), "/dedup_window_days", "not allowed", "docs"),
    (put("dedup_window_days", value=366), "/dedup_window_days", "not allowed", "docs"),
    (put("owner", value=["me"]), "/owner", "a text is needed here, not a list", "quotes"),
    (put("rules", 0, "action", value="quarantined"), "/rules/0/action", "there is no action", "`quarantine`?"),
    (
        put("rules", 0, "action", value="drop"),
        "/rules/0/action",
        "there is no action",
        "`warn`, `quarantine` or `fail`",
    ),
    (column(0, "description", "x" * 256), "/payload_columns/0/description", "at most 255 characters", "docs"),
    (rule(""), EXPRESSION, "an empty text says nothing", "at least one character"),
    # names
    (put("table_name", value="orders"), "/table_name", "the topic is `events`", "write `events`"),
    (column(4, "name", "Seen At"), "/payload_columns/4/name", "'Seen At' is no name", "write `seen_at`"),
    (column(4, "name", "9lives"), "/payload_columns/4/name", "is no name", "write `lives`"),
    (column(4, "name", "a" * 256), "/payload_columns/4/name", "is no name", "a name begins"),
    (another(name="amount", source="a"), "/payload_columns/5/name", "`amount` stands at /payload_columns/1", "differ"),
    (another(name="AMOUNT", source="a"), "/payload_columns/5/name", "`amount` stands at /payload_columns/1", "differ"),
    (another(name="region", source="a"), "/payload_columns/5/name", "stands at /envelope_columns/1", "differ"),
    (another(name="batch_id"), "/payload_columns/5/name", "`batch_id` is reserved", "`payload_batch_id`"),
    (another(name="_file"), "/payload_columns/5/name", "`_file` is reserved", "`payload_file`"),
    (envelope(name="publish_time"), "/envelope_columns/2/name", "`publish_time` is reserved", "another"),
    (another(name="idempotency_key", source="k"), "/payload_columns/5/name", "reserved", "envelope_columns"),
    # types and sources
    (column(0, "type", "datetime"), "/payload_columns/0/type", "there is no type 'datetime'", "`timestamp`"),
    (column(0, "type", "tmestamp"), "/payload_columns/0/type", "there is no type", "`timestamp`?"),
    (column(0, "type", "STRING"), "/payload_columns/0/type", "there is no type", "`string`?"),
    (column(0, "type", "blob"), "/payload_columns/0/type", "there is no type", "the types are"),
    (column(0, "type", "varchar(10)"), "/payload_columns/0/type", "there is no type", "`string`"),
    (column(1, "type", "decimal(12)"), "/payload_columns/1/type", "there is no type", "decimal(12,2)"),
    (column(1, "type", "decimal(39,2)"), "/payload_columns/1/type", "39 digits", "1 to 38"),
    (column(1, "type", "decimal(2,3)"), "/payload_columns/1/type", "more digits after the point", "decimal(3,3)"),
    (column(1, "source", "event..amount"), "/payload_columns/1/source", "empty segment", "JSON Pointer"),
    (column(1, "source", ""), "/payload_columns/1/source", "empty segment", "JSON Pointer"),
    (column(1, "source", "/a~2"), "/payload_columns/1/source", "no JSON Pointer", "~1"),
    (column(1, "source", [["a"]]), "/payload_columns/1/source", "a text is needed here, not a list", "quotes"),
    (envelope(name="zone", source="attributes."), "/envelope_columns/2/source", "names no attribute", "attributes."),
    (key("source", []), "/envelope_columns/0/source", "empty", "paths"),
    (key("source", ["a", "a"]), "/envelope_columns/0/source", "`a` stands twice", "once"),
    (another(name="a", source="event.Amount"), "/payload_columns/5/source", "meet in one column", "one path"),
    (another(name="a", source="/event.kind"), "/payload_columns/5/source", "`event_kind`", "one path"),
    (another(name="a", source="event.extra.b"), "/payload_columns/5/source", "lies in the json column `extra`", "take"),
    (another(name="a", source="event.extra"), "/payload_columns/5/source", "lies in the json column `extra`", "take"),
    (key("source", "event.extra.id"), "/envelope_columns/0/source", "lies in the json column `extra`", "take"),
    # the key
    (key("type", "bigint"), "/envelope_columns/0/type", "is a string, not bigint", "`string`"),
    (key("default", "x"), "/envelope_columns/0/default", "has no `default`", "take it away"),
    (key("allow_empty", True), "/envelope_columns/0/allow_empty", "has no `allow_empty`", "take it away"),
    (key("cde", False), "/envelope_columns/0/cde", "always a critical data element", "leave"),
    # values
    (
        column(0, "default", "2018-02-07T00:00:00Z"),
        "/payload_columns/0/default",
        "either `cde` or `default`",
        "take one",
    ),
    (column(1, "default", "none"), "/payload_columns/1/default", "the default 'none' is no decimal(12,2)", "as the"),
    (column(1, "default", "0.001"), "/payload_columns/1/default", "the default '0.001' is no decimal(12,2)", "as the"),
    (column(4, "default", "2018-02-07T00:00:00Z"), "/payload_columns/4/default", "is no timestamp", "as the payload"),
    (column(3, "default", "{"), "/payload_columns/3/default", "is no json", "as the payload"),
    (column(1, "allow_empty", True), "/payload_columns/1/allow_empty", "no decimal(12,2)", "only a string"),
    (column(1, "format", "epoch_s"), "/payload_columns/1/format", "has no `format`", "take it away"),
    (column(4, "format", "epoch_millis"), "/payload_columns/4/format", "is no format", "`epoch_ms`?"),
    (column(4, "format", "yyyy-MM-dd"), "/payload_columns/4/format", "is no format", "strptime"),
    (column(4, "format", "%Y-%m-%d %Q"), "/payload_columns/4/format", "no strptime format", "strptime"),
    (column(4, "format", "%H:%M"), "/payload_columns/4/format", "does not hold year, month and day", "strptime"),
    (column(4, "format", "%Y %Y"), "/payload_columns/4/format", "no strptime format", "strptime"),
    (column(4, "format", "%Y-%m-%d %Z"), "/payload_columns/4/format", "%Z", "%z"),
    # partitions
    (partition("day(event_tme)"), "/partition_by/0", "there is no column `event_tme`", "`event_time`?"),
    (partition("days(event_time)"), "/partition_by/0", "no partition transform `days`", "`day`?"),
    (partition("day(amount)"), "/partition_by/0", "day does not fit `amount`, which is decimal(12,2)", "timestamp"),
    (partition("bucket(event_time)"), "/partition_by/0", "has no size", "bucket(16"),
    (partition("bucket(0, kind)"), "/partition_by/0", "has no size", "whole number"),
    (partition("day(16, event_time)"), "/partition_by/0", "takes one column", "day("),
    (partition("day[2](event_time)"), "/partition_by/0", "takes no size", "day("),
    (partition("day event_time"), "/partition_by/0", "is no partition field", "day("),
    (partition("extra"), "/partition_by/0", "identity does not fit `extra`, which is json", "string"),
    (partition({}), "/partition_by/0", "a text is needed here, not an object", "quotes"),
    (put("partition_by", 2, value="hour(event_time)"), "/partition_by/2", "redundant beside /partition_by/0", "finer"),
    (put("partition_by", 2, value="day(event_time)"), "/partition_by/2", "redundant beside /partition_by/0", "finer"),
    (another(name="event_time_day"), "/partition_by/0", "has the name of the column `event_time_day`", "rename"),
    # rules
    (rule("amount >="), EXPRESSION, "does not parse: line 1, column 9", "amount >= 0"),
    (rule("amuont >= 0"), EXPRESSION, "there is no column `amuont`", "`amount`?"),
    (rule("amount"), EXPRESSION, "gives decimal(12, 2), not true or false", "compare"),
    (rule("amount > 0; drop table x"), EXPRESSION, "no single condition", "one row"),
    (rule("select 1"), EXPRESSION, "no condition", "one row"),
    (rule("amount > (select 0)"), EXPRESSION, "a subquery", "one row"),
    (rule("amount in (select kind from x)"), EXPRESSION, "a subquery", "one row"),
    (rule("sum(amount) > 0"), EXPRESSION, "the aggregate function `sum`", "one row"),
    (rule("lag(amount) over (order by event_time) > 0"), EXPRESSION, "the window function `lag`", "one row"),
    (rule("explode(split(kind, ',')) = 'a'"), EXPRESSION, "the generator `explode`", "one row"),
    (rule("amount > rand()"), EXPRESSION, "the non-deterministic function `rand`", "tried again"),
    (rule("event_time <= current_timestamp()"), EXPRESSION, "the current time", "publish_time"),
    (rule("event_time <= current_date"), EXPRESSION, "the current time", "publish_time"),
    (rule("event_time <= now()"), EXPRESSION, "the non-deterministic function `now`", "publish_time"),
    (rule("reflect('java.lang.System', 'exit') = kind"), EXPRESSION, "calls the function `reflect`", "only compute"),
    (rule("lenght(kind) > 0"), EXPRESSION, "no function `lenght`", "`length`?"),
    (rule("events.amount > 0"), EXPRESSION, "`events.amount` is no column", "name alone"),
    (rule("amount > ${limit}"), EXPRESSION, "a parameter", "the value itself"),
    (rule("1 = 1"), EXPRESSION, "reads no column", "one row"),
    (
        put("rules", 1, value={"name": "amount_not_negative", "expression": "amount > 0", "action": "warn"}),
        "/rules/1/name",
        "stands at /rules/0 already",
        "once",
    ),
]


@pytest.mark.parametrize(
    ("change", "pointer", "message", "remedy"), WRONG, ids=lambda value: value[:60] if isinstance(value, str) else None
)
def test_a_problem_names_its_place_what_is_wrong_and_what_would_be_right(change, pointer, message, remedy):
    document = good()
    change(document)
    there = [problem for problem in problems(document) if problem.pointer == pointer]
    assert any(message in problem.message and remedy in problem.remedy for problem in there), problems(document)


@pytest.mark.parametrize(
    "change",
    [
        another(name="event_date", source="event.timestamp"),
        another(name="a", source="/event/kind_"),
        another(name="again", type="json", source="event.extra"),
        another(name="a", source="/"),
        another(name="a", source="/a~1b/~0"),
        another(name="at", type="timestamp", format="%d/%b/%Y:%H:%M:%S %z"),
        another(name="on", type="date", format="%Y%j"),
        envelope(name="trace", source="attributes.envelope.trace.id"),
        envelope(name="trace", source="attributes_of_it"),
        column(0, "type", "date"),
        column(1, "type", "decimal(12, 2)"),
        partition("event_time"),
        partition("bucket[16](kind)"),
        partition("truncate(4, kind)"),
        partition("day(publish_time)"),
        rule("`Amount` >= 0 and kind rlike '^[a-z]+$'"),
        rule("event_time <= publish_time or seen_at is null"),
        rule("case when kind = 'refund' then amount < 0 else amount >= 0 end"),
        rule("cast(get_json_object(extra, '$.n') as decimal(10, 2)) between 0 and 10"),
        rule("exists(split(kind, ','), part -> part = 'a')"),
        without("envelope_columns", 0, "source"),
        put("dedup_window_days", value=0),
        put("partition_by", value=[]),
    ],
)
def test_what_is_allowed_is_not_refused(change):
    document = good()
    change(document)
    assert isinstance(load(text(document), "events"), Contract)


def test_all_problems_are_told_at_once():
    document = good()
    for change, _, message, _ in (case for case in WRONG if case[0] in (WRONG[0][0], WRONG[4][0])):
        assert message
        change(document)
    column(0, "type", "datetime")(document)
    column(4, "name", "amount")(document)
    rule("amuont >= 0 and sum(amount) > 0")(document)
    partition("day(missing)")(document)
    places = {problem.pointer for problem in problems(document)}
    assert places == {
        "/table_name",
        "/payload_column",
        "/payload_columns/0/type",
        "/payload_columns/4/name",
        "/payload_columns/4/source",
        EXPRESSION,
        "/partition_by/0",
    } - {"/payload_columns/4/source"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        (b"[]", "is no JSON object"),
        (b"null", "is no JSON object"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"table_name": "\xff"}', "not UTF-8 at byte 16"),
        (b'{"dedup_window_days": NaN}', "NaN"),
        (b"[" * 100_000, "is no JSON that a contract needs"),
        (b'{"dedup_window_days": ' + b"9" * 5000 + b"}", "is no JSON that a contract needs"),
        (b" " * (350 * 1024) + b"{}", "358,402 bytes"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_what_is_no_document_is_one_problem(raw, message):
    (problem,) = problems(raw)
    assert message in problem.message
    assert problem.remedy


def test_a_key_that_stands_twice_is_a_problem_at_its_place():
    raw = text(good()).replace(b'"name": "amount"', b'"name": "amount", "name": "amount"')
    (problem,) = problems(raw)
    assert problem.pointer == "/payload_columns/1/name"
    assert "twice" in problem.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
NAMES = st.sampled_from(["amount", "kind", "Event", "message_id", "_file", "idempotency_key", "a b", ""])
SOURCES = st.sampled_from(["event.amount", "/a~b", "attributes.x", "attributes.", "a..b", "/", "event", "\ud800"])
TYPES = st.sampled_from(["string", "json", "decimal(99,1)", "timestamp", "int", "blob", "decimal(5,2)"])
EXPRESSIONS = st.text() | st.sampled_from(
    ["amount > 0", "kind", "(", "x -> y", "a.b.c.d.e", "'", "/*", "::", "{{", "`"]
)
ANY_COLUMN = st.fixed_dictionaries(
    {"name": NAMES | JSON, "type": TYPES | JSON},
    optional={
        "source": SOURCES | st.lists(SOURCES, max_size=3) | JSON,
        "cde": st.booleans() | JSON,
        "default": st.text() | JSON,
        "format": st.text(alphabet="%YmdHMSZzepochs_u- ") | JSON,
        "allow_empty": JSON,
    },
)
NEAR_CONTRACTS = st.fixed_dictionaries(
    {
        "table_name": st.just("events") | JSON,
        "envelope_columns": st.lists(ANY_COLUMN | JSON, max_size=3) | JSON,
        "payload_columns": st.lists(ANY_COLUMN | JSON, max_size=4) | JSON,
    },
    optional={
        "partition_by": st.lists(st.sampled_from(["day(amount)", "bucket(4,kind)", "x("]) | JSON, max_size=3) | JSON,
        "dedup_window_days": JSON,
        "rules": st.lists(st.fixed_dictionaries({"name": NAMES, "expression": EXPRESSIONS, "action": JSON}) | JSON)
        | JSON,
    },
)


@settings(deadline=None)
@given(JSON | NEAR_CONTRACTS)
@example({"table_name": "events", "envelope_columns": [], "payload_columns": [{"name": "a", "type": "\ud800"}]})
@example({"\ud800": 1})
def test_any_json_document_is_a_contract_or_has_problems_that_can_be_written_down(document):
    try:
        contract = load(json.dumps(document), "events")
    except ContractError as refused:
        told = refused.problems
    else:
        told = ()
        assert load(contract.model_dump_json(by_alias=True, exclude_unset=True), "events") == contract
    assert all(problem.message and problem.remedy for problem in told)
    json.dumps([problem.as_dict() for problem in told]).encode()


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_contract_or_have_problems(raw):
    with pytest.raises(ContractError):
        load(raw, "events")
