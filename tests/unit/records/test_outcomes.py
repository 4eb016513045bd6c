"""What a sample becomes by its contract, without Spark."""

import json

from ledgerlake.contracts import load
from ledgerlake.records.outcomes import outcomes

KEY = [{"name": "idempotency_key", "type": "string", "source": "id"}]


def contract(*columns, key=KEY):
    return load(json.dumps({"table_name": "orders", "envelope_columns": key, "payload_columns": columns}), "orders")


AMOUNT = {"name": "amount", "type": "decimal(12,2)", "cde": True}


def test_every_line_ends_in_one_place():
    lines = ['{"id": 1, "amount": 2}', '{"id": 1, "amount": 3}', '{"id": 2}', "[]", '{"id": 3, "amount": 1e9}']
    found = outcomes(contract(AMOUNT), lines, (1, 9))
    assert (found["records"], found["curated"], found["superseded"]) == (5, 2, 1)
    assert found["errors"] == [
        {"line": 3, "kind": "cde", "column": "amount", "rule": "required", "value": None},
    ]
    assert found["parse_errors"] == [{"line": 4, "code": "not_an_object"}]
    assert found["rows"] == {"1": {"idempotency_key": "1", "amount": "2.00"}}


def test_all_violations_of_a_line_are_listed():
    found = outcomes(contract(AMOUNT), ['{"amount": "x"}'])
    assert [(error["line"], error["kind"]) for error in found["errors"]] == [(1, "cde"), (1, "cast")]


def test_messages_bring_their_own_key_where_the_contract_names_none():
    found = outcomes(contract(AMOUNT, key=[]), ['{"amount": 1}', '{"amount": 1}'], (2,))
    assert found["curated"] == 2
    assert found["rows"]["2"]["idempotency_key"] == "message 2"


def test_times_are_shown_in_utc_and_dates_as_days():
    columns = ({"name": "at", "type": "timestamp"}, {"name": "day", "type": "date"})
    found = outcomes(contract(*columns), ['{"id": 1, "at": "2026-01-18T11:00:00+01:00", "day": "2026-01-18"}'], (1,))
    assert found["rows"]["1"] == {"idempotency_key": "1", "at": "2026-01-18T10:00:00Z", "day": "2026-01-18"}


def test_personal_data_becomes_the_same_hash_every_time():
    found = [
        outcomes(contract({"name": "mail", "type": "string", "pii": "sha256"}), ['{"id": 1, "mail": "x"}'], (1,))
    ] * 2
    assert found[0]["rows"] == found[1]["rows"]
    assert len(found[0]["rows"]["1"]["mail"]) == 64
