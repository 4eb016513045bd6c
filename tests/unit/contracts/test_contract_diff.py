import copy
import json

import pytest

from ledgerlake.contracts import load
from ledgerlake.contracts.diff import diff, refused

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
    ],
    "partition_by": ["day(at)"],
    "rules": [{"name": "positive", "expression": "amount > 0", "action": "fail"}],
}


def changes(change, old=OLD):
    new = copy.deepcopy(old)
    change(new)
    return diff(load(json.dumps(old), "orders"), load(json.dumps(new), "orders"))


def column(index, **fields):
    return lambda document: document["payload_columns"][index].update(fields)


def appended(**fields):
    return lambda document: document["payload_columns"].append({"type": "string", **fields})


ALLOWED = [
    (lambda document: document.update(owner=None), []),
    (column(1, source="/amount"), []),
    (lambda document: document["payload_columns"].reverse(), []),
    (lambda document: document.update(owner="sales"), [("owner_changed", "/owner")]),
    (lambda document: document.update(description="x"), [("description_changed", "/description")]),
    (appended(name="note"), [("column_added", "/payload_columns/4")]),
    (appended(name="note", cde=True), [("column_added", "/payload_columns/4")]),
    (
        lambda document: document["envelope_columns"].append({"name": "zone", "type": "string"}),
        [("column_added", "/envelope_columns/2")],
    ),
    (column(2, type="bigint"), [("type_widened", "/payload_columns/2/type")]),
    (column(1, type="decimal(14,2)"), [("type_widened", "/payload_columns/1/type")]),
    (column(1, default="1.00"), [("default_changed", "/payload_columns/1/default")]),
    (column(1, default=None), [("default_changed", "/payload_columns/1/default")]),
    (column(0, description="When."), [("description_changed", "/payload_columns/0/description")]),
    (lambda document: document["rules"][0].update(action="warn"), [("rule_changed", "/rules/0")]),
    (lambda document: document["rules"].clear(), [("rule_removed", "/rules")]),
    (
        lambda document: document["rules"].append({"name": "few", "expression": "count < 9", "action": "warn"}),
        [("rule_added", "/rules/1")],
    ),
]

REFUSED = [
    (lambda document: document["payload_columns"].pop(2), "column_removed", "/payload_columns", "`count` is gone"),
    (lambda document: document["envelope_columns"].pop(1), "column_removed", "/envelope_columns", "`region` is gone"),
    (column(2, name="pieces"), "column_removed", "/payload_columns", "`count` is gone"),
    (column(2, type="string"), "type_changed", "/payload_columns/2/type", "not every int fits string"),
    (column(2, type="double"), "type_changed", "/payload_columns/2/type", "not every int fits double"),
    (column(1, type="decimal(10,2)"), "type_changed", "/payload_columns/1/type", "not every decimal(12,2)"),
    (column(1, type="decimal(14,3)"), "type_changed", "/payload_columns/1/type", "not every decimal(12,2)"),
    (column(0, source="at"), "source_changed", "/payload_columns/0/source", "was `order.at`"),
    (column(0, cde=False), "cde_changed", "/payload_columns/0/cde", "was `true`"),
    (column(2, cde=True), "cde_changed", "/payload_columns/2/cde", "was `false`"),
    (column(3, format=None), "format_changed", "/payload_columns/3/format", "was `%d/%m/%Y`"),
    (
        lambda document: document["envelope_columns"][0].update(source=["id", "order.no"]),
        "source_changed",
        "/envelope_columns/0/source",
        "was `id`",
    ),
    (lambda document: document.update(partition_by=[]), "partition_changed", "/partition_by", "was day(at)"),
    (lambda document: document.update(dedup_window_days=8), "dedup_window_changed", "/dedup_window_days", "was 7"),
    (
        lambda document: document["payload_columns"].append(
            document["envelope_columns"].pop(1) | {"source": "/attributes/region"}
        ),
        "column_moved",
        "/payload_columns/4",
        "moves",
    ),
]


@pytest.mark.parametrize(("change", "expected"), ALLOWED)
def test_what_may_change_is_allowed_and_named(change, expected):
    found = changes(change)
    assert [(each.kind, each.pointer) for each in found] == expected
    assert refused(found) == []


@pytest.mark.parametrize(("change", "kind", "pointer", "reason"), REFUSED, ids=[case[1] for case in REFUSED])
def test_anything_else_is_refused_with_its_reason(change, kind, pointer, reason):
    found = [each for each in changes(change) if not each.allowed and each.kind == kind]
    assert [each.pointer for each in found] == [pointer]
    assert reason in found[0].reason
    assert found[0].problem().remedy


def test_a_dataset_that_was_standardized_only_gets_columns_and_partitions_together():
    bare = OLD | {"payload_columns": [], "partition_by": [], "rules": []}
    found = changes(lambda document: document.update(copy.deepcopy(OLD)), old=bare)
    assert refused(found) == []
    assert {each.kind for each in found} == {"column_added", "partition_changed", "rule_added"}
