"""Every change of a contract has a class and an id; none is made without the consent that its class asks for."""

import copy
import json

import pytest

from ledgerlake.contracts import ContractError, load
from ledgerlake.contracts.diff import (
    COLUMN_FIELDS,
    COMPARED_APART,
    CONTRACT_FIELDS,
    SAYS_NO_CHANGE,
    diff,
    refused,
    widens,
    written,
)
from ledgerlake.contracts.model import Column, Contract, EnvelopeColumn, Rebuild, Rule
from ledgerlake.contracts.types import SIMPLE_TYPES, parse_type

OLD = {
    "table_name": "orders",
    "envelope_columns": [
        {"name": "idempotency_key", "type": "string", "source": "id"},
        {"name": "region", "type": "string", "source": "attributes.region"},
    ],
    "payload_columns": [
        {"name": "at", "type": "timestamp", "source": "order.at", "cde": True},
        {"name": "amount", "type": "decimal(12,2)", "default": "0.00"},
        {"name": "count", "type": "int"},
        {"name": "paid_on", "type": "date", "format": "%d/%m/%Y"},
        {"name": "note", "type": "string"},
    ],
    "partition_by": ["day(at)"],
    "rules": [
        {"name": "positive", "expression": "amount > 0", "action": "quarantine"},
        {"name": "few", "expression": "count < 9", "action": "warn"},
    ],
}
FIELD_CLASSES = {
    Contract: {*CONTRACT_FIELDS},
    EnvelopeColumn: {*COLUMN_FIELDS},
    Column: {*COLUMN_FIELDS},
    Rule: set(),
    Rebuild: {"reason"},  # says why, and changes no row
}


def changed(change, old=OLD):
    new = copy.deepcopy(old)
    change(new)
    return load(json.dumps(old), "orders"), load(json.dumps(new), "orders")


def changes(change, old=OLD):
    return diff(*changed(change, old))


def column(index, **fields):
    return lambda document: document["payload_columns"][index].update(fields)


def key(**fields):
    return lambda document: document["envelope_columns"][0].update(fields)


def added(**fields):
    return lambda document: document["payload_columns"].append({"name": "kind", "type": "string", **fields})


def rule(index, **fields):
    return lambda document: document["rules"][index].update(fields)


def ruled(**fields):
    return lambda document: document["rules"].append({"name": "noted", "expression": "note = 'a'", **fields})


def head(**fields):
    return lambda document: document.update(fields)


def renamed(document):
    """Everything that names the column follows it."""
    document["payload_columns"][1] |= {"name": "total", "renamed_from": "amount", "source": "amount"}
    document["rules"][0]["expression"] = "total > 0"


def renamed_and_widened(document):
    renamed(document)
    document["payload_columns"][1]["type"] = "decimal(14,2)"


def partition_renamed(document):
    document["payload_columns"][0] |= {"name": "ordered_at", "renamed_from": "at"}
    document["partition_by"] = ["day(ordered_at)"]


def chained(document):
    document["payload_columns"][2] |= {"name": "note", "renamed_from": "count", "source": "count"}
    document["payload_columns"][4] |= {"name": "remark", "renamed_from": "note", "source": "note"}
    document["rules"][1]["expression"] = "note < 9"


def moved(document):
    document["payload_columns"].append(document["envelope_columns"].pop(1) | {"source": "/attributes/region"})


def again(which, index):
    return lambda document: document[which].pop(index)


CASES = {
    "nothing": (lambda _: None, {}),
    "null is not set": (head(owner=None), {}),
    "the same source, written as a pointer": (column(1, source="/amount"), {}),
    "columns in another order": (lambda document: document["payload_columns"].reverse(), {}),
    "owner": (head(owner="sales"), {"owner_changed": "safe"}),
    "description": (head(description="x"), {"description_changed": "safe"}),
    "column's description": (column(0, description="When."), {"description_changed:at": "safe"}),
    "optional column": (added(), {"column_added:kind": "safe"}),
    "optional column with a default": (added(default="none"), {"column_added:kind": "safe"}),
    "envelope column": (
        lambda document: document["envelope_columns"].append({"name": "zone", "type": "string"}),
        {"column_added:zone": "safe"},
    ),
    "int to bigint": (column(2, type="bigint"), {"type_widened:count": "safe"}),
    "more digits": (column(1, type="decimal(14,2)"), {"type_widened:amount": "safe"}),
    "critical no more": (column(0, cde=False), {"cde_changed:at": "safe"}),
    "blank is present": (column(4, allow_empty=True), {"allow_empty_changed:note": "safe"}),
    "warning added": (ruled(action="warn"), {"rule_added:noted": "safe"}),
    "warning changed": (rule(1, expression="count < 8"), {"rule_changed:few": "safe"}),
    "rule loosened": (rule(0, action="warn"), {"rule_loosened:positive": "safe"}),
    "rule removed": (again("rules", 0), {"rule_removed:positive": "safe"}),
    "critical column": (added(cde=True), {"column_added:kind": "guarded"}),
    "critical now": (column(2, cde=True), {"cde_changed:count": "guarded"}),
    "default changed": (column(1, default="1.00"), {"default_changed:amount": "guarded"}),
    "default removed": (column(1, default=None), {"default_changed:amount": "guarded"}),
    "default added": (column(2, default="1"), {"default_changed:count": "guarded"}),
    "quarantine rule added": (ruled(action="quarantine"), {"rule_added:noted": "guarded"}),
    "fail rule added": (ruled(action="fail"), {"rule_added:noted": "guarded"}),
    "rule tightened": (rule(0, action="fail"), {"rule_tightened:positive": "guarded"}),
    "warning tightened": (rule(1, action="quarantine"), {"rule_tightened:few": "guarded"}),
    "rule changed": (rule(0, expression="amount > 1"), {"rule_changed:positive": "guarded"}),
    "source changed": (column(0, source="at"), {"source_changed:at": "guarded"}),
    "format changed": (column(3, format=None), {"format_changed:paid_on": "guarded"}),
    "attribute changed": (
        lambda document: document["envelope_columns"][1].update(source="attributes.zone"),
        {"source_changed:region": "guarded"},
    ),
    "renamed, in rules too": (renamed, {"column_renamed:total": "guarded"}),
    "renamed with its partition": (partition_renamed, {"column_renamed:ordered_at": "guarded"}),
    "renamed and widened": (
        renamed_and_widened,
        {"column_renamed:total": "guarded", "type_widened:total": "safe"},
    ),
    "renamed in a chain": (chained, {"column_renamed:note": "guarded", "column_renamed:remark": "guarded"}),
    "window": (head(dedup_window_days=8), {"dedup_window_changed": "guarded"}),
    "column dropped": (again("payload_columns", 4), {"column_removed:note": "breaking"}),
    "envelope column dropped": (again("envelope_columns", 1), {"column_removed:region": "breaking"}),
    "column of another name": (
        column(4, name="remark"),
        {"column_removed:note": "breaking", "column_added:remark": "safe"},
    ),
    "moved": (moved, {"column_moved:region": "breaking", "source_changed:region": "guarded"}),
    "key from elsewhere": (key(source=["id", "order.no"]), {"source_changed:idempotency_key": "breaking"}),
    "key no more declared": (again("envelope_columns", 0), {"column_removed:idempotency_key": "breaking"}),
    "fewer digits": (column(1, type="decimal(10,2)"), {"type_changed:amount": "breaking"}),
    "another scale": (column(1, type="decimal(14,3)"), {"type_changed:amount": "breaking"}),
    "partition": (head(partition_by=[]), {"partition_changed": "breaking"}),
    "an id that nothing has": (
        head(accept=["column_added:kin"]),
        {"accept_unmatched:column_added:kin": "safe"},
    ),
}


@pytest.mark.parametrize(("change", "expected"), CASES.values(), ids=CASES)
def test_every_change_has_a_class_and_an_id(change, expected):
    assert {each.id: each.impact for each in changes(change)} == expected


@pytest.mark.parametrize(("change", "expected"), CASES.values(), ids=CASES)
def test_a_change_is_made_with_the_consent_that_its_class_asks_for(change, expected):
    def consenting(document):
        change(document)
        document.setdefault("accept", [])
        document["accept"] += [name for name, impact in expected.items() if impact == "guarded"]
        document["rebuild"] = {"reason": "it was wrong"}

    old, new = changed(change)
    asked = {impact for impact in expected.values() if impact != "safe"}
    problems = refused(diff(old, new), old, new)
    assert bool(problems) == bool(asked)
    assert all(problem.remedy for problem in problems)
    assert refused(diff(*changed(consenting)), *changed(consenting)) == []


TYPES = [*SIMPLE_TYPES, "decimal(12,2)", "decimal(14,2)", "decimal(14,3)", "decimal(5,0)"]
WIDER = {("int", "bigint"), ("decimal(12,2)", "decimal(14,2)")}


@pytest.mark.parametrize("new", TYPES)
@pytest.mark.parametrize("old", TYPES)
def test_every_pair_of_types_has_a_class(old, new):
    kinds = {each.id: each.impact for each in changes(column(0, type=new), _with_type(old))}
    expected = {"type_widened:it": "safe"} if (old, new) in WIDER else {"type_changed:it": "breaking"}
    assert kinds == ({} if old == new else expected)
    assert widens(parse_type(old), parse_type(new)) == ((old, new) in WIDER)


def _with_type(kind):
    return OLD | {"payload_columns": [{"name": "it", "type": kind}], "partition_by": [], "rules": []}


@pytest.mark.parametrize("model", FIELD_CLASSES)
def test_every_field_of_the_model_has_a_class(model):
    classed = FIELD_CLASSES[model] | COMPARED_APART | SAYS_NO_CHANGE
    assert set(written(model)) <= classed, "give it a class in contracts/diff.py"


def test_the_refusal_names_the_ids_ready_to_be_written():
    def two(document):
        column(2, cde=True)(document)
        ruled(action="fail")(document)
        document["accept"] = ["an_older:one"]

    old, new = changed(two)
    problems = refused(diff(old, new), old, new)
    assert [problem.pointer for problem in problems] == ["/payload_columns/2/cde", "/rules/2", "/accept"]
    assert problems[-1].remedy == 'write "accept": ["an_older:one", "cde_changed:count", "rule_added:noted"]'
    assert '"rule_added:noted"' in problems[1].remedy


def test_a_reason_to_rebuild_is_good_for_one_version():
    old = OLD | {"rebuild": {"reason": "the type was wrong"}}
    drop = again("payload_columns", 4)
    told = refused(changes(drop, old), *changed(drop, old))
    assert [problem.pointer for problem in told] == ["/payload_columns", "/rebuild/reason"]


def test_a_mistyped_id_is_told_with_the_one_that_was_meant():
    def mistyped(document):
        column(2, cde=True)(document)
        document["accept"] = ["cde_change:count"]

    (told,) = [each for each in changes(mistyped) if each.kind == "accept_unmatched"]
    assert "did you mean `cde_changed:count`?" in told.reason
    assert not [each for each in changes(lambda _: None, OLD | {"accept": ["long:ago"]}) if each.impact == "safe"]


def test_a_dataset_that_was_standardized_only_gets_whatever_columns_it_likes():
    bare = OLD | {"payload_columns": [], "partition_by": [], "rules": []}
    found = changes(lambda document: document.update(copy.deepcopy(OLD)), old=bare)
    assert {each.impact for each in found} == {"safe"}
    assert {each.kind for each in found} == {"column_added", "partition_changed", "rule_added"}


def test_a_rename_that_is_in_force_already_says_nothing():
    in_force = copy.deepcopy(OLD)
    renamed(in_force)
    assert changes(lambda _: None, in_force) == []
    assert [each.id for each in changes(added(name="amount"), in_force)] == ["column_added:amount"]


def swapped(document):
    document["payload_columns"][2] |= {"name": "note", "renamed_from": "count"}
    document["payload_columns"][4] |= {"name": "count", "renamed_from": "note"}


def taken_anew(document):
    document["payload_columns"][4] |= {"name": "remark", "renamed_from": "note"}
    document["payload_columns"].append({"name": "note", "type": "string"})


WRONG_RENAMES = {
    "swapped": (swapped, "change names", "third name"),
    "taken anew": (taken_anew, "another column's name too", "next version"),
    "mistyped": (column(4, name="remark", renamed_from="notes"), "no column `notes`", "did you mean `note`?"),
}


@pytest.mark.parametrize(("change", "message", "remedy"), WRONG_RENAMES.values(), ids=WRONG_RENAMES)
def test_a_rename_that_cannot_be_is_refused(change, message, remedy):
    with pytest.raises(ContractError) as error:
        changes(change)
    problem = error.value.problems[0]
    assert problem.pointer.startswith("/payload_columns/")
    assert problem.pointer.endswith("/renamed_from")
    assert message in problem.message
    assert remedy in problem.remedy
