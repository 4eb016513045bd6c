"""A proposed contract beside another one: what a reviewer is told of each change."""

import json
from typing import Any

from ledgerlake.contracts import Contract, load
from ledgerlake.contracts.review import Reviewed, review

OLD: dict[str, Any] = {
    "table_name": "orders",
    "owner": "shop",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [
        {"name": "amount", "type": "int", "source": "order.amount"},
        {"name": "note", "type": "string", "source": "note"},
    ],
    "rules": [{"name": "positive", "expression": "amount > 0", "action": "warn"}],
}


def contract(**changes: Any) -> Contract:
    return load(json.dumps(OLD | changes), "orders")


def changed(**changes: Any) -> dict[str, Reviewed]:
    return {one.id: one for one in review(contract(), contract(**changes))}


def test_nothing_changes_where_two_contracts_mean_the_same() -> None:
    assert review(contract(), contract(dedup_window_days=7)) == ()


def test_a_field_is_told_as_it_was_and_as_it_would_be() -> None:
    wider = [{**OLD["payload_columns"][0], "type": "bigint"}, {**OLD["payload_columns"][1], "default": "none"}]
    found = changed(owner="sales", payload_columns=wider)
    told = {(one.id, one.before, one.after) for one in found.values()}
    assert told == {
        ("owner_changed", "shop", "sales"),
        ("type_widened:amount", "int", "bigint"),
        ("default_changed:note", None, "none"),
    }


def test_a_column_or_rule_that_comes_is_told_whole_and_one_that_goes_too() -> None:
    found = changed(
        payload_columns=[OLD["payload_columns"][0], {"name": "paid", "type": "date", "source": "paid.on", "cde": True}],
        rules=[{"name": "small", "expression": "amount < 9", "action": "warn"}],
    )
    paid, note = found["column_added:paid"], found["column_removed:note"]
    assert (paid.before, json.loads(paid.after or "")) == (None, {"type": "date", "source": "paid.on", "cde": True})
    assert (json.loads(note.before or ""), note.after) == ({"type": "string", "source": "note"}, None)
    assert json.loads(found["rule_added:small"].after or "") == {"expression": "amount < 9", "action": "warn"}
    assert json.loads(found["rule_removed:positive"].before or "")["expression"] == "amount > 0"


def test_what_is_refused_comes_last_and_says_why_and_what_to_write() -> None:
    narrow = [{**OLD["payload_columns"][0], "type": "date"}, OLD["payload_columns"][1]]
    found = review(contract(), contract(owner="sales", payload_columns=narrow))
    assert [(one.impact, one.refused) for one in found] == [("safe", False), ("breaking", True)]
    assert (found[1].before, found[1].after) == ("int", "date")
    assert found[1].reason
    assert found[1].remedy


def test_a_guarded_change_is_refused_until_it_is_accepted() -> None:
    demanding = [{**OLD["payload_columns"][0], "cde": True}, OLD["payload_columns"][1]]
    found = changed(payload_columns=demanding)["cde_changed:amount"]
    assert (found.impact, found.refused, found.before, found.after) == ("guarded", True, "false", "true")
    assert '"cde_changed:amount"' in found.remedy
    found = changed(payload_columns=demanding, accept=["cde_changed:amount"])["cde_changed:amount"]
    assert (found.impact, found.refused, found.remedy) == ("guarded", False, "")


def test_a_renamed_column_is_compared_with_what_it_was_called() -> None:
    renamed = [{**OLD["payload_columns"][0], "name": "total", "renamed_from": "amount", "type": "bigint"}]
    found = changed(payload_columns=[*renamed, OLD["payload_columns"][1]], rules=[])
    assert (found["column_renamed:total"].before, found["column_renamed:total"].after) == ("amount", "total")
    assert (found["type_widened:total"].before, found["type_widened:total"].after) == ("int", "bigint")
