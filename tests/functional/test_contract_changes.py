"""Versions of one contract over one table: what is done with each change, and what the rows are afterwards."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from lakehouse import Lakehouse, message
from publishing import offer, publisher
from pyspark.errors import AnalysisException

from ledgerlake import failpoints
from ledgerlake.failpoints import Crashed
from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.standardize import standardize
from ledgerlake.ops.candidates import Pending
from ledgerlake.ops.identities import ledger

TOPIC = "orders"
NewLakehouse = Callable[[], Lakehouse]
Document = dict[str, Any]
Change = Callable[[Document], object]

FIRST: Document = {
    "table_name": TOPIC,
    "envelope_columns": [
        {"name": "idempotency_key", "type": "string", "source": "id"},
        {"name": "region", "type": "string", "source": "attributes.region"},
    ],
    "payload_columns": [
        {"name": "at", "type": "timestamp", "source": "at", "cde": True},
        {"name": "amount", "type": "decimal(6,2)", "source": "amount", "default": "0.00"},
        {"name": "pieces", "type": "int"},
        {"name": "note", "type": "string"},
        {"name": "paid_on", "type": "date"},
    ],
    "partition_by": ["day(at)"],
    "rules": [{"name": "positive", "expression": "amount >= 0", "action": "quarantine"}],
}


def column(name: str, /, **fields: Any) -> Change:
    def change(document: Document) -> None:
        next(one for one in document["payload_columns"] if one["name"] == name).update(fields)

    return change


def added(**fields: Any) -> Change:
    return lambda document: document["payload_columns"].append(fields)


def head(**fields: Any) -> Change:
    return lambda document: document.update(fields)


def rule(name: str, /, **fields: Any) -> Change:
    def change(document: Document) -> None:
        kept = [one for one in document["rules"] if one["name"] != name]
        document["rules"] = [*kept, {"name": name, **fields}] if fields else kept

    return change


def dropped(field: str, index: int) -> Change:
    return lambda document: document[field].pop(index)


def renamed(document: Document) -> None:
    column("amount", name="total", renamed_from="amount", type="decimal(10,2)")(document)
    rule("positive", expression="total >= 0", action="quarantine")(document)


def partition_renamed(document: Document) -> None:
    column("at", name="ordered_at", renamed_from="at")(document)
    document["partition_by"] = ["day(ordered_at)"]


SAFE: dict[str, Change] = {
    "owner": head(owner="sales"),
    "description": head(description="Orders."),
    "a column's description": column("note", description="What was said."),
    "optional column": added(name="kind", type="string", default="plain"),
    "int to bigint": column("pieces", type="bigint"),
    "more digits": column("amount", type="decimal(8,2)"),
    "a warning": rule("few", expression="pieces < 9", action="warn"),
    "another warning": rule("few", expression="pieces < 8", action="warn"),
    "critical no more": column("at", cde=False),
    "blank is present": column("note", allow_empty=True),
}
GUARDED: dict[str, Change] = {
    "renamed and widened": renamed,
    "renamed with its partition": partition_renamed,
    "another default": column("total", default="1.00"),
    "critical now": column("pieces", cde=True),
    "critical column": added(name="shop", type="string", cde=True),
    "rule added": rule("dear", expression="total < 1000", action="quarantine"),
    "rule changed": rule("positive", expression="total > 0", action="quarantine"),
    "rule tightened": rule("few", expression="pieces < 8", action="quarantine"),
    "another source": column("note", source="remark"),
    "another format": column("paid_on", format="%d.%m.%Y"),
    "another window": head(dedup_window_days=3),
}
BREAKING: dict[str, Change] = {
    "narrowed": column("pieces", type="int"),
    "fewer digits": column("total", type="decimal(8,2)"),
    "decimal to int": column("total", type="int", default=None),
    "string to int": column("kind", type="int", default=None),
    "date to timestamp": column("paid_on", type="timestamp"),
    "column dropped": dropped("payload_columns", 3),
    "envelope column dropped": dropped("envelope_columns", 1),
    "key from elsewhere": lambda document: document["envelope_columns"][0].update(source="no"),
    "other partitions": head(partition_by=["month(ordered_at)"]),
}


def order(name: str, minute: int, **fields: Any) -> dict[str, Any]:
    day = {"id": f"k-{name}", "at": "2026-01-18T10:00:00Z", "shop": "here", "pieces": 1, "amount": "1.50"}
    return message(name, day | fields, minute, attributes={"region": "north"})


def cycle(house: Lakehouse, *messages: Any) -> None:
    house.land(TOPIC, *messages)
    standardize(house.context(), TOPIC)
    curate(house.context(), TOPIC)
    told = ledger(house.lake, TOPIC)
    assert told.balanced, told


def current(house: Lakehouse, *columns: str) -> dict[str, tuple[str, ...]]:
    found = house.rows("curated", TOPIC, ["message_id", *columns])
    return {row["message_id"]: tuple(str(row[name]) for name in columns) for row in found}


def ids(house: Lakehouse) -> dict[str, int]:
    return {field.name: field.field_id for field in house.lake.load("curated", TOPIC).schema().fields}


def changed(document: Document, change: Change) -> Document:
    new = copy.deepcopy(document) | {"accept": []}
    change(new)
    return new


def publish_all(house: Lakehouse, document: Document, changes: dict[str, Change], *, guarded: bool) -> Document:
    """Publish one change after the other; a guarded one is refused first, and names what accepts it."""
    for name, change in changes.items():
        document = changed(document, change)
        if guarded:
            refusal = offer(house, document)
            assert refusal.status == "failed", name
            (accept,) = [problem.remedy for problem in refusal.problems if problem.pointer == "/accept"]
            document |= json.loads(f"{{{accept.removeprefix('write ')}}}")
        published = offer(house, document)
        assert published.status == "active", (name, published.problems)
    return document


def test_every_class_of_change_on_one_table(new_lakehouse_on_disk: NewLakehouse) -> None:
    house = new_lakehouse_on_disk()
    house.land(TOPIC)
    assert offer(house, FIRST).version == 1
    cycle(house, order("v1", 1, note="first"), order("free", 1, amount=None))
    first_ids = ids(house)

    document = publish_all(house, FIRST, SAFE, guarded=False)

    assert ids(house) | first_ids == ids(house)
    big = order("safe", 2, pieces=3_000_000_000, amount="123456.78", note="", kind="big", at=None)
    cycle(house, big)
    assert current(house, "amount", "pieces", "kind", "note", "region") == {
        "v1": ("1.50", "1", "None", "first", "north"),
        "free": ("0.00", "1", "None", "None", "north"),
        "safe": ("123456.78", "3000000000", "big", "", "north"),
    }

    document = publish_all(house, document, GUARDED, guarded=True)

    now = ids(house)
    assert (now["total"], now["ordered_at"]) == (first_ids["amount"], first_ids["at"])
    assert not {"amount", "at"} & now.keys()
    cycle(
        house,
        order("guarded", 3, amount=None, note="old path", remark="new path", paid_on="31.12.2025"),
        order("no shop", 3, shop=None),
        order("no pieces", 3, pieces=None),
        order("too dear", 3, amount="1000"),
        order("for nothing", 3, amount="0"),
        order("too many", 3, pieces=8),
    )
    before = current(house, "total", "pieces", "note", "paid_on", "shop")
    assert before == {
        "v1": ("1.50", "1", "first", "None", "None"),
        "free": ("0.00", "1", "None", "None", "None"),
        "safe": ("123456.78", "3000000000", "", "None", "None"),
        "guarded": ("1.00", "1", "new path", "2025-12-31", "here"),
    }
    broken = {row["message_id"]: row["violations"][0] for row in house.rows("curated", "errors")}
    assert {name: one["column"] or one["rule"] for name, one in broken.items()} == {
        "no shop": "shop",
        "no pieces": "pieces",
        "too dear": "dear",
        "for nothing": "positive",
        "too many": "few",
    }

    tables = house.lake.metadata_locations("curated")
    for name, change in BREAKING.items():
        refusal = offer(house, changed(document, change))
        assert refusal.status == "failed", name
        assert any("rebuild" in problem.remedy for problem in refusal.problems), name
    assert house.lake.metadata_locations("curated") == tables
    assert current(house, "total", "pieces", "note", "paid_on", "shop") == before


def test_documents_that_turn_from_nested_to_flat_and_back_lose_nothing(new_lakehouse_on_disk: NewLakehouse) -> None:
    """Each path is a source of its own (design 4.1); one whose column is another's is read from `rescued`."""
    house = new_lakehouse_on_disk()
    house.land(TOPIC)
    column = {"name": "value", "type": "int"}
    contract = {**FIRST, "partition_by": [], "rules": [], "accept": ["source_changed:value"]}
    shapes: list[tuple[str, Any]] = [
        ("a.b", {"a": {"b": 1}}),
        ("a", {"a": 2}),
        ("a_b", {"a_b": 3}),
        ("a.b", {"a": {"b": 4}}),
    ]
    for minute, (source, payload) in enumerate(shapes, 1):
        published = offer(house, contract | {"payload_columns": [column | {"source": source}]})
        assert published.status == "active", published.problems
        cycle(house, message(source + str(minute), {"id": minute, **payload}, minute))
    assert sorted(current(house, "value").values()) == [("1",), ("2",), ("3",), ("4",)]
    kept = house.rows("standardized", TOPIC, ["a", "a_b", "rescued"])
    assert sorted(row["a"] or row["a_b"] or row["rescued"]["/a_b"] for row in kept) == ["1", "2", "3", "4"]


def test_a_job_between_a_rename_and_its_gate_writes_nothing(new_lakehouse_on_disk: NewLakehouse) -> None:
    """It goes by the old contract, whose column is gone: it fails, and its batch is curated afterwards."""
    house = new_lakehouse_on_disk()
    house.land(TOPIC)
    offer(house, FIRST)
    cycle(house, order("before", 1))
    accepted = changed(FIRST, renamed) | {"accept": ["column_renamed:total"]}
    failpoints.arm("publish.after_tables=crash*1")
    with pytest.raises(Crashed):
        offer(house, accepted)
    failpoints.arm("")
    house.land(TOPIC, order("meanwhile", 2))
    standardize(house.context(), TOPIC)
    with pytest.raises(AnalysisException):
        curate(house.context(), TOPIC)
    assert current(house, "total") == {"before": ("1.50",)}

    assert publisher(house).publish(Pending(TOPIC)).version == 2

    house.expire_locks()
    curate(house.context(), TOPIC)
    assert current(house, "total") == {"before": ("1.50",), "meanwhile": ("1.50",)}
