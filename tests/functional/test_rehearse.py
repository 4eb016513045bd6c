"""A proposed contract tried on RAW beside the one in force: every kind of outcome, and no table is touched."""

import json
from datetime import timedelta
from typing import Any

import pytest
from lakehouse import START, Lakehouse, message

from ledgerlake.contracts import ContractError
from ledgerlake.jobs.rehearsal import RehearsalReport
from ledgerlake.jobs.rehearse import NothingToRehearse, work
from ledgerlake.tables.lake import LAYERS

TOPIC = "orders"
KEY = [{"name": "idempotency_key", "type": "string", "source": "id"}]
AMOUNT: dict[str, Any] = {"name": "amount", "type": "int", "source": "amount"}
ORDERS: dict[str, Any] = {
    "table_name": TOPIC,
    "envelope_columns": KEY,
    "payload_columns": [AMOUNT, {"name": "note", "type": "string", "source": "note"}],
    "rules": [{"name": "small", "expression": "amount < 100", "action": "quarantine"}],
}
PROPOSED: dict[str, Any] = {
    **ORDERS,
    "payload_columns": [
        {**AMOUNT, "type": "bigint", "cde": True},
        {"name": "note", "type": "string", "source": "note", "default": "none"},
        {"name": "paid", "type": "date", "source": "paid.on"},
    ],
    "rules": [
        {"name": "positive", "expression": "amount > 0", "action": "quarantine"},
        {"name": "even", "expression": "amount % 2 = 0", "action": "warn"},
        {"name": "noted", "expression": "note <> 'STOP'", "action": "fail"},
    ],
}
DAY = 24 * 60.0
MESSAGES = [
    message("old", {"id": "k0", "amount": -1}, -30 * DAY),
    message("again", {"id": "k9", "amount": 9}, -3 * DAY),
    message("again", {"id": "k9", "amount": -9}, 1, source="a copy of one from before the window"),
    message("m1", {"id": "k1", "amount": 1, "note": "first"}, 2),
    message("m2", {"id": "k1", "amount": 2}, 3),
    message("m2", {"id": "k1", "amount": 2}, 3, source="again"),
    message("negative", {"id": "k2", "amount": -4, "note": "n"}, 4),
    message("without", {"id": "k3", "note": "n"}, 5),
    message("paid", {"id": "k4", "amount": 4, "note": "n", "paid": {"on": "2026-01-18"}}, 6),
    message("unpaid", {"id": "k5", "amount": 6, "note": "n", "paid": {"on": "soon"}}, 7),
    message("big", {"id": "k6", "amount": 1000, "note": "n"}, 8),
    message("worse", {"id": "k7", "amount": "x", "note": "n"}, 9),
    message("stop", {"id": "k8", "amount": 8, "note": "STOP"}, 10),
    message("broken", "{", 11),
]


def rehearse(house: Lakehouse, document: dict[str, Any], **wanted: Any) -> RehearsalReport:
    request = {"topic": TOPIC, "contract": json.dumps(document), "days": 1, "sample": None, **wanted}
    return RehearsalReport.model_validate(work(house.context(), request))


def tables(house: Lakehouse) -> dict[str, str]:
    return {
        f"{layer}.{name}": location
        for layer in LAYERS
        for name, location in house.lake.metadata_locations(layer).items()
    }


def by(offences: Any) -> dict[tuple[Any, ...], Any]:
    return {
        (one.kind, one.column, one.rule): (one.records, [(row.message_id, row.value) for row in one.samples])
        for one in offences
    }


def test_a_proposal_is_compared_with_the_contract_in_force_and_no_table_is_touched(lakehouse: Lakehouse) -> None:
    lakehouse.publish(ORDERS, version=3)
    lakehouse.land(TOPIC, *MESSAGES)
    before = tables(lakehouse)

    report = rehearse(lakehouse, PROPOSED)

    assert tables(lakehouse) == before
    assert (report.contract_version, report.in_window, report.looked_at, report.duplicates) == (3, 12, 12, 2)
    assert report.since == START + timedelta(minutes=11) - timedelta(days=1)
    assert report.before is not None
    assert report.before.model_dump() == {
        "curated": 6, "superseded": 1, "rejected": 2, "parse_errors": 1, "warned": 0,
    }  # fmt: skip
    assert report.after.model_dump() == {
        "curated": 4, "superseded": 1, "rejected": 4, "parse_errors": 1, "warned": 1,
    }  # fmt: skip
    assert report.newly_rejected == 3
    assert by(report.offences) == {
        ("cast", "paid", "date"): (1, [("unpaid", "soon")]),
        ("cde", "amount", "required"): (1, [("without", None)]),
        ("rule", None, "positive"): (1, [("negative", None)]),
    }
    assert (report.newly_accepted, by(report.answered)) == (1, {("rule", None, "small"): (1, [("big", None)])})
    assert (report.changed, [(one.column, one.rows) for one in report.columns]) == (1, [("note", 1)])
    assert [(one.id, one.before, one.after) for one in report.columns[0].samples] == [("m2", None, "none")]
    assert [(one.column, one.type, one.records) for one in report.new_columns] == [("paid", "date", 1)]
    assert [(one.id, one.after) for one in report.new_columns[0].samples] == [("paid", "2026-01-18")]
    assert [(one.rule, one.action, one.records, one.sample) for one in report.rules] == [
        ("noted", "fail", 1, "stop"),
        ("even", "warn", 1, "m1"),
    ]
    assert report.stopped_by == ("noted",)

    assert {change.id for change in report.changes if change.refused} == {
        *("cde_changed:amount", "default_changed:note", "rule_added:positive", "rule_added:noted"),
    }
    assert len(report.failures()) == 3

    renamed = {"name": "remark", "type": "string", "source": "note", "renamed_from": "note"}
    columns = {"payload_columns": [AMOUNT, renamed], "accept": ["column_renamed:remark"]}
    same = rehearse(lakehouse, {**ORDERS, **columns}, days=365)
    assert (same.newly_rejected, same.newly_accepted, same.changed, same.new_columns) == (0, 0, 0, ())
    assert (same.looked_at, same.duplicates) == (14, 2)
    assert same.failures() == ()


def test_a_new_dataset_is_rehearsed_against_nothing_and_a_sample_takes_whole_messages(lakehouse: Lakehouse) -> None:
    with pytest.raises(NothingToRehearse, match="no record yet"):
        rehearse(lakehouse, PROPOSED)
    copies = [message(f"m{n}", {"id": f"k{n}", "amount": n}, n / 100, source=s) for n in range(60) for s in ("a", "b")]
    lakehouse.land(TOPIC, *copies)

    report = rehearse(lakehouse, PROPOSED, sample=40)

    assert (report.contract_version, report.before, report.in_window) == (0, None, 120)
    assert 10 <= report.looked_at < 80
    assert report.looked_at == 2 * report.duplicates
    assert report.newly_rejected == report.after.rejected <= 1
    assert {one.column: one.records for one in report.new_columns}["amount"] == report.after.curated

    with pytest.raises(NothingToRehearse, match="no payload_columns"):
        rehearse(lakehouse, {**PROPOSED, "payload_columns": [], "rules": []})
    with pytest.raises(ContractError, match="did you mean"):
        rehearse(lakehouse, {**ORDERS, "payload_columns": [{**AMOUNT, "type": "itn"}], "rules": []})


def test_no_report_tells_what_one_of_the_contracts_calls_personal_data(lakehouse: Lakehouse) -> None:
    lakehouse.publish(ORDERS)
    lakehouse.land(
        TOPIC, message("m1", {"id": "k1", "amount": 1, "note": "Ada"}), message("m2", {"id": "k2", "amount": "Bob"})
    )
    note = {"name": "note", "type": "string", "source": "note", "pii": "mask"}
    amount = {"name": "amount", "type": "string", "source": "amount", "pii": "drop"}

    report = rehearse(lakehouse, {**ORDERS, "payload_columns": [amount, note], "rules": []})

    assert (report.newly_accepted, by(report.answered)) == (1, {("cast", "amount", "int"): (1, [("m2", None)])})
    assert [(one.column, one.rows, one.samples) for one in report.columns] == [("amount", 1, ()), ("note", 1, ())]
    assert "Ada" not in report.model_dump_json()
    assert "Bob" not in report.model_dump_json()
