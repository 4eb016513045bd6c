"""A topic to be reprocessed: its messages, what is done to it, and what its tables are asked."""

import uuid
from typing import Any

from lakehouse import Lakehouse, message
from pyiceberg.expressions import EqualTo, In
from pyiceberg.table.refs import MAIN_BRANCH

from ledgerlake.jobs.comparison import Action, LayerReport, ReprocessReport
from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.reprocess import work
from ledgerlake.jobs.standardize import standardize
from ledgerlake.ops import ledger
from ledgerlake.ops.identities import ledger as by_identity
from ledgerlake.tables import append

TOPIC = "orders"
ORDERS: dict[str, Any] = {
    "table_name": TOPIC,
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [{"name": "amount", "type": "decimal(12,2)", "source": "amount", "cde": True}],
    "rules": [{"name": "not_negative", "expression": "amount >= 0", "action": "quarantine"}],
}
WIDER: dict[str, Any] = {
    **ORDERS,
    "payload_columns": [
        {"name": "amount", "type": "decimal(14,2)", "source": "amount", "cde": True},
        {"name": "note", "type": "string", "source": "note", "default": "none"},
    ],
    "rules": [],
}
MESSAGES = [
    message("m1", {"id": "k1", "amount": 1, "note": "first"}, 1),
    message("m2", {"id": "k1", "amount": 2}, 2),
    message("m2", {"id": "k1", "amount": 2}, 2, source="again"),
    message("m3", {"id": "k2", "amount": 3, "note": "third"}, 3),
    message("negative", {"id": "k2", "amount": -4}, 4),
    message("worse", {"id": "k3", "amount": "x"}, 5),
    message("broken", "{", 6),
]
TABLES = (("standardized", TOPIC), ("standardized", "parse_errors"), ("curated", TOPIC), ("curated", "errors"))


def land(house: Lakehouse, *messages: Any) -> None:
    house.land(TOPIC, *messages)
    cycle(house)


def cycle(house: Lakehouse) -> None:
    standardize(house.context(), TOPIC)
    curate(house.context(), TOPIC)


def reprocess(house: Lakehouse, action: Action, reprocess_id: str, **wanted: Any) -> ReprocessReport:
    document = {"action": action, "topic": TOPIC, "id": reprocess_id, **wanted}
    return ReprocessReport.model_validate(work(house.context(uuid.uuid4().hex), document))


def layers(report: ReprocessReport) -> dict[str, LayerReport]:
    return {layer.layer: layer for layer in report.layers}


def mains(house: Lakehouse) -> dict[str, int | None]:
    return {f"{layer}.{name}": house.lake.load(layer, name).metadata.current_snapshot_id for layer, name in TABLES}  # type: ignore[arg-type]


def refs(house: Lakehouse) -> set[str]:
    return {ref for layer, name in TABLES for ref in house.lake.load(layer, name).metadata.refs} - {MAIN_BRANCH}  # type: ignore[arg-type]


def amounts(house: Lakehouse) -> dict[str, tuple[str, str]]:
    return {row["idempotency_key"]: (row["message_id"], str(row["amount"])) for row in house.rows("curated", TOPIC)}


def open_errors(house: Lakehouse, table: str = "errors") -> list[str]:
    return house.ids("standardized" if table == "parse_errors" else "curated", table, "resolved_by IS NULL")


def require_balanced(house: Lakehouse) -> None:
    found = ledger.balances(house.lake, house.state.checkpoints, [TOPIC])
    assert all(one.balanced is not False for one in found), found
    told = by_identity(house.lake, TOPIC)
    assert told.balanced, told


def spoil(house: Lakehouse) -> None:
    """m3 is gone from STANDARDIZED, m1's values are wrong there, and a good payload is called a parse error."""
    table = house.lake.load("standardized", TOPIC)
    wrong = table.scan(row_filter=EqualTo("message_id", "m1")).to_arrow().to_pylist()
    table.delete(In("message_id", ["m1", "m3"]))
    table.append(append.to_arrow(table, [{**row, "amount": "9"} for row in wrong]))
    errors = house.lake.load("standardized", "parse_errors")
    good = message("good", {"id": "k4", "amount": 4}, 6.5)
    house.land(TOPIC, good)
    standardize(house.context(), TOPIC)
    row = house.rows(
        "standardized",
        TOPIC,
        ["message_id", "topic_name", "publish_time", "ingestion_ts", "batch_id"],
        "message_id = 'good'",
    )
    house.lake.load("standardized", TOPIC).delete(EqualTo("message_id", "good"))
    append.append(
        errors,
        [
            {
                **row[0],
                "publish_time": good["publish_time"],
                "ingestion_ts": good["ingestion_ts"],
                "json_payload": good["json_payload"],
                "error_code": "not_json",
            }
        ],
    )
    curate(house.context(), TOPIC)


def objects(house: Lakehouse) -> set[str]:
    """The data files in the buckets."""
    buckets = house.lake.settings.buckets
    found = set()
    for bucket in (buckets.standardized, buckets.curated):
        keys = house.state.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        found |= {one["Key"] for one in keys if one["Key"].endswith(".parquet")}
    return found
