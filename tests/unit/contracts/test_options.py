"""What a contract may say of a column beyond its type, and every way to say it wrongly."""

import json

import pytest

from ledgerlake.contracts import Contract, ContractError, load


def loaded(*columns: dict, envelope: list | None = None, **more: object) -> Contract:
    document = {"table_name": "t", "envelope_columns": envelope or [], "payload_columns": list(columns), **more}
    return load(json.dumps(document), "t")


def problems(*columns: dict, envelope: list | None = None, **more: object) -> dict[str, tuple[str, str]]:
    with pytest.raises(ContractError) as refused:
        loaded(*columns, envelope=envelope, **more)
    return {problem.pointer: (problem.message, problem.remedy) for problem in refused.value.problems}


def column(kind: str = "string", name: str = "a", **more: object) -> dict:
    return {"name": name, "type": kind, **more}


KEY = {"name": "idempotency_key", "type": "string", "source": "id"}


@pytest.mark.parametrize(
    ("wrong", "place", "message", "remedy"),
    [
        (column("int", trim="yes"), "trim", "true or false is needed here", "without quotes"),
        (column(empty_as_null=True, allow_empty=True, cde=True), "allow_empty", "missing", "take one of them away"),
        (column(true_values=["y"]), "true_values", "the type string has no `true_values`", "only `boolean`"),
        (column("boolean", true_values=["Y"], false_values=["y"]), "false_values/0", "'y' stands for true", "one"),
        (column("boolean", true_values=["False"]), "true_values/0", "'False' stands for", "upper and lower case"),
        (column("boolean", true_values=[""]), "true_values/0", "an empty text", "at least one character"),
        (column(allowed_values="new"), "allowed_values", "a list is needed here", "["),
        (column(allowed_values=[]), "allowed_values", "an empty list says nothing", "at least one"),
        (column(tags=[]), "tags", "an empty list says nothing", "take it away"),
        (column(allowed_values=[1]), "allowed_values/0", "a text is needed here", "quotes"),
        (column("json", allowed_values=["1"]), "allowed_values", "the type json has no `allowed_values`", "`string`"),
        (column("int", allowed_values=["1", "1.5"]), "allowed_values/1", "allowed value '1.5' is no int", "payload"),
        (column("int", min=0), "min", "a text is needed here, not a number", "quotes"),
        (column(min="a"), "min", "the type string has no `min`", "`timestamp`"),
        (column("boolean", max="true"), "max", "the type boolean has no `max`", "take it away"),
        (column("date", min="2026-02-30"), "min", "the min '2026-02-30' is no date", "payload"),
        (column("decimal(4,2)", max="0.001"), "max", "the max '0.001' is no decimal(4,2)", "payload"),
        (column("timestamp", format="epoch_s", min="2026-01-01T00:00Z"), "min", "is no timestamp", "payload"),
        (column("decimal(38,2)", min="1e20", max="99999999999999999999.99"), "min", "is more than max", "no value"),
        (column("int", pattern="[0-9]"), "pattern", "the type int has no `pattern`", "only `string`"),
        (column(pattern="a(b"), "pattern", "'a(b' is no pattern: missing )", "RE2"),
        (column(pattern="a)|(b"), "pattern", "is no pattern", "RE2"),
        (column(pattern="\\Qa"), "pattern", "is no pattern: missing )", "RE2"),
        (column(pattern="a(?=b)"), "pattern", "is no pattern: invalid perl operator", "look-around"),
        (column(pattern="x" * 1001), "pattern", "at most 1000 characters", "docs"),
        (column("json", min_length=1), "min_length", "the type json has no `min_length`", "take it away"),
        (column(min_length=-1), "min_length", "greater than or equal to 0", "docs"),
        (column(max_length="3"), "max_length", "a whole number is needed here", "without quotes"),
        (column(min_length=3, max_length=2), "min_length", "3 is more than max_length 2", "no text"),
        (column("int", default="5", min="6"), "default", "the default '5' breaks `min`", "one of the two"),
        (column(default="x", allowed_values=["y"]), "default", "breaks `allowed_values`", "one of the two"),
        (column(default="xx", pattern="x"), "default", "breaks `pattern`", "one of the two"),
        (column("boolean", default="perhaps", true_values=["yes"]), "default", "is no boolean", "payload"),
        (column(pii="hash"), "pii", "there is no pii 'hash'", "`sha256`, `mask` or `drop`"),
        (column("int", pii="sha256"), "pii", "which the type int does not hold", "the type `string`, or `drop`"),
        (column("date", pii="mask"), "pii", "which the type date does not hold", "the type `string`, or `drop`"),
        (column(unit=""), "unit", "an empty text", "at least one character"),
        (column(unit=5), "unit", "a text is needed here", "quotes"),
        (column(tags=["ok", ""]), "tags/1", "an empty text", "at least one character"),
        (column(description="d" * 250, unit="km"), "description", "a comment of 261 characters", "takes 255"),
        (column(tags=["t" * 260]), "description", "make a comment of 268 characters", "shorten"),
        (column(source=[]), "source", "the list of sources is empty", "leave `source` out"),
        (column(source=["a", ""]), "source", "empty segment", "JSON Pointer"),
        (column(source=["a.b", "c", "a.b"]), "source", "`a.b` stands twice", "once"),
        (column(**{"$comment": 5}), "$comment", "a text is needed here, not a number", "quotes"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_option_is_named_with_its_remedy(wrong, place, message, remedy):
    found = problems(wrong)
    assert list(found) == [f"/payload_columns/0/{place}"]
    told = found[f"/payload_columns/0/{place}"]
    assert message in told[0]
    assert remedy in told[1]


def test_all_that_is_wrong_with_the_options_is_told_at_once():
    wrong = column(
        "int", min="x", max="y", allowed_values=[1, "z", "1"], pattern="(", tags=[""], pii="mask", **{"$id": "?"}
    )
    assert set(problems(wrong, column("string", "b", max="z"), tags="x")) == {
        *(
            f"/payload_columns/0/{place}"
            for place in ("min", "max", "allowed_values/0", "allowed_values/1", "pattern", "tags/0", "pii", "$id")
        ),
        "/payload_columns/1/max",
        "/tags",
    }


@pytest.mark.parametrize(
    "options",
    [
        {"trim": True}, {"empty_as_null": True}, {"true_values": ["y"]}, {"false_values": ["n"]}, {"unit": "km"},
        {"allowed_values": ["a"]}, {"pattern": "a"}, {"min_length": 1}, {"max_length": 0}, {"tags": ["a"]},
        {"min": "1"},
    ],
)  # fmt: skip
def test_the_key_has_no_options_of_values(options):
    (name,) = options
    found = problems(column(), envelope=[KEY | options])
    assert found[f"/envelope_columns/0/{name}"][0].endswith(f"has no `{name}`")


def test_the_key_is_no_personal_data_and_is_made_of_none():
    assert "/envelope_columns/0/pii" in problems(column(), envelope=[KEY | {"pii": "sha256"}])
    found = problems(column(source="id", pii="sha256"), envelope=[KEY])
    assert found["/envelope_columns/0/source"] == (
        "`id` is personal data in the column `a`, and plain here",
        "make the key of something else",
    )


def test_what_one_column_hides_no_other_shows():
    found = problems(column(source="user.mail", pii="drop"), column(name="b", source=["mail", "user.mail"]))
    assert list(found) == ["/payload_columns/1/source/1"]
    attribute = {"name": "b", "type": "string", "source": "attributes.ip"}
    assert loaded(column(), envelope=[attribute | {"pii": "mask"}, attribute | {"name": "c", "pii": "sha256"}])


@pytest.mark.parametrize(
    ("pii", "expression", "allowed"),
    [
        ("sha256", "mail LIKE '%@%'", False),
        ("mask", "length(mail) > 3", False),
        ("sha256", "mail IS NOT NULL OR phone IS NOT NULL", True),
        ("mask", "mail IS NULL AND phone = '1'", True),
        ("mask", "mail IS NULL OR mail = phone", False),
        ("drop", "mail IS NOT NULL", False),
    ],
)
def test_a_rule_may_ask_whether_there_is_personal_data_and_no_more(pii, expression, allowed):
    columns = [column(name="mail", pii=pii), column(name="phone")]
    rules = [{"name": "r", "expression": expression, "action": "warn"}]
    if allowed:
        assert loaded(*columns, rules=rules)
    else:
        assert "`mail` is personal data" in problems(*columns, rules=rules)["/rules/0/expression"][0]


def test_fallbacks_of_one_column_may_meet_in_standardized_those_of_two_may_not():
    assert loaded(column(source=["user.id", "user_id"])).columns[0].sources == (("user", "id"), ("user_id",))
    found = problems(column(source=["user.id", "x"]), column(name="b", source=["y", "user_id"]))
    assert list(found) == ["/payload_columns/1/source/1"]
    assert "/envelope_columns/0/source/1" in problems(column(), envelope=[KEY | {"source": ["user.id", "user_id"]}])


def test_fallbacks_count_wherever_a_contracts_paths_are_asked_for():
    contract = loaded(
        column("json", source=["a.b", "old"]),
        column(name="m", source=["mail", "/user/mail"], pii="mask"),
        envelope=[{"name": "e", "type": "string", "source": ["attributes.x", "x"], "pii": "drop"}],
    )
    assert contract.paths == (("x",), ("a", "b"), ("old",), ("mail",), ("user", "mail"))
    assert contract.json_paths == {("a", "b"), ("old",)}
    private = [("mail",), ("user", "mail"), ("user", "mail", "0"), ("user",), ("x",)]
    assert all(map(contract.is_private, private))
    assert not any(map(contract.is_private, [("mails",), ("user", "name"), ("a", "b")]))


def test_comments_and_the_editors_schema_change_nothing():
    plain = loaded(column(), rules=[{"name": "r", "expression": "a = 'x'", "action": "warn"}])
    told = loaded(
        column(**{"$comment": "why"}),
        rules=[{"name": "r", "expression": "a = 'x'", "action": "warn", "$comment": "why"}],
        **{"$schema": "https://example.org/contract.schema.json", "$comment": "why"},
    )
    assert plain == told
    assert load(told.model_dump_json(by_alias=True, exclude_unset=True), "t") == told


@pytest.mark.parametrize(
    ("options", "doc"),
    [
        ({}, None),
        ({"description": "How deep."}, "How deep."),
        (
            {"description": "How deep.", "unit": "km", "tags": ["core", "sensor"]},
            "How deep. (unit: km; tags: core, sensor)",
        ),
        ({"unit": "km"}, "(unit: km)"),
    ],
)
def test_the_catalogue_is_told_description_unit_and_tags(options, doc):
    assert loaded(column("double", **options)).columns[0].doc == doc
