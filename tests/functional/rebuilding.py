"""A topic whose contract takes changes that its tables cannot follow in place."""

import json
import uuid
from typing import Any

from lakehouse import Lakehouse, message
from reprocessing import TOPIC, cycle

from ledgerlake.jobs.rebuild_for_contract import publish
from ledgerlake.ops.candidates import Pending, Published
from ledgerlake.state.contracts import pending_key
from ledgerlake.tables.ensure import ensure_topic
from ledgerlake.tables.reshape import TEMPORARY, WAS

FIRST: dict[str, Any] = {
    "table_name": TOPIC,
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [
        {"name": "amount", "type": "decimal(12,2)", "cde": True},
        {"name": "code", "type": "string"},
        {"name": "region", "type": "string"},
        {"name": "at", "type": "timestamp"},
        {"name": "note", "type": "string"},
    ],
    "partition_by": ["region", "day(at)"],
    "rules": [{"name": "small", "expression": "amount < 100", "action": "quarantine"}],
}
NARROWER: dict[str, Any] = {
    **FIRST,
    "payload_columns": [
        {"name": "code", "type": "int"},
        {"name": "amount", "type": "int", "cde": True},
        {"name": "area", "type": "string", "source": "region", "renamed_from": "region"},
        {"name": "at", "type": "date", "source": "day"},
        {"name": "seen", "type": "timestamp", "source": "at"},
    ],
    "partition_by": ["area", "day(at)"],
    "rules": [],
    "accept": ["column_renamed:area", "source_changed:at"],
    "rebuild": {"reason": "amounts are whole, codes are numbers"},
}
KEYED: dict[str, Any] = {
    **NARROWER,
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "region"}],
    "partition_by": ["bucket(4, code)"],
    "rebuild": {"reason": "a region is a record"},
}


def order(message_id: str, minutes: float, amount: object, code: str = "1", region: str = "eu") -> Any:
    same = {"at": "2026-01-18T10:00:00Z", "day": "2026-01-18", "note": "n"}
    payload = {"id": message_id[:2], "amount": amount, "code": code, "region": region, **same}
    return message(message_id, payload, minutes)


ORDERS = [
    order("k1-old", 1, 1),
    order("k1-new", 2, 2, code="7"),
    order("k2", 3, 2.5, region="us"),
    order("k3", 4, 3, code="x", region="us"),
    order("k4", 5, "bad"),
    order("k5", 6, 500, region="asia"),
    message("broken", "{", 7),
]


def upload(house: Lakehouse, document: dict[str, Any]) -> Pending:
    bucket = house.lake.settings.buckets.contracts
    answer = house.state.s3.put_object(Bucket=bucket, Key=pending_key(TOPIC), Body=json.dumps(document).encode())
    return Pending(TOPIC, answer["VersionId"])


def bring(house: Lakehouse, document: dict[str, Any]) -> Published:
    return publish(house.context(uuid.uuid4().hex), upload(house, document), patience=0)


def begin(house: Lakehouse) -> Lakehouse:
    ensure_topic(house.lake, TOPIC)
    assert bring(house, FIRST).version == 1
    house.land(TOPIC, *ORDERS)
    cycle(house)
    return house


def field_ids(house: Lakehouse) -> dict[str, int]:
    return {field.name: field.field_id for field in house.lake.load("curated", TOPIC).schema().fields}


def temporary(house: Lakehouse) -> list[str]:
    """What a rebuild left under a name of its own."""
    table = house.lake.load("curated", TOPIC)
    names = [field.name for spec in table.specs().values() for field in spec.fields]
    return [name for name in (*table.schema().column_names, *names) if name.startswith(TEMPORARY)]


def put_aside(house: Lakehouse) -> list[str]:
    return [name for name in house.lake.load("curated", TOPIC).schema().column_names if name.startswith(WAS)]


def under(house: Lakehouse, tag: str) -> dict[str, dict[str, Any]]:
    """CURATED as it was before a rebuild, by message_id, as Spark reads it."""
    name = house.lake.spark_name("curated", TOPIC)
    rows = house.spark.sql(f"SELECT * FROM {name} VERSION AS OF '{tag}'").collect()  # noqa: S608
    return {row["message_id"]: row.asDict() for row in rows}
