"""An edited record on its whole way: from the error it leaves to the row it becomes (design 3.6)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from cycles import cycle
from lakehouse import Lakehouse, message

from ledgerlake.ops import edits, identities
from ledgerlake.ops.edit_lines import Selection, export
from ledgerlake.ops.enqueue import QueueSender
from ledgerlake.ops.redrive import Pace
from ledgerlake.records.envelope import parse
from ledgerlake.tables import append
from ledgerlake.tables.lake import staging

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

ORDERS: dict[str, Any] = {
    "table_name": "orders",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [{"name": "amount", "type": "decimal(12,2)", "source": "amount", "cde": True}],
}


@pytest.fixture
def sqs(lakehouse: Lakehouse, endpoint: str) -> Iterator["SQSClient"]:
    client = boto3.client("sqs", region_name=lakehouse.lake.settings.region, endpoint_url=endpoint)
    name = f"{lakehouse.lake.settings.queue_prefix}orders"
    url = client.create_queue(QueueName=name)["QueueUrl"]
    yield client
    client.delete_queue(QueueUrl=url)


def process(house: Lakehouse, sqs: "SQSClient") -> None:
    """Bring what waits on the queue into RAW, as processor and Firehose do."""
    url = sqs.get_queue_url(QueueName=f"{house.lake.settings.queue_prefix}orders")["QueueUrl"]
    rows = []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        rows += [parse(one["Body"], "orders").to_raw_row("sqs", datetime.now(UTC)) for one in got]
    append.append(house.lake.load("raw", staging("orders")), rows)


def test_edited_records_take_their_errors_places_answered_and_the_ledger_balances(
    lakehouse: Lakehouse, sqs: "SQSClient"
) -> None:
    lakehouse.publish(ORDERS)
    lakehouse.land(
        "orders",
        message("m1", '{"id": "k1", "amount": '),
        message("m2", {"id": "k2", "amount": "two"}, 1),
        message("m3", {"id": "k3", "amount": "three"}, 2),
    )
    cycle(lakehouse, "c1")
    queues = QueueSender(sqs, lakehouse.lake.settings.queue_prefix)
    wanted = {
        "m1": '{"id": "k1", "amount": 1}',
        "m2": '{"id": "k2", "amount": "II"}',
        "m3": '{"id": "k3", "amount": 3}',
    }
    lines = [
        json.dumps({**line, "payload": wanted[line["message_id"]]})
        for line in export(lakehouse.lake, Selection("orders"))
    ]
    for _ in range(2):  # the same file twice: copies are duplicates
        edits.send(lakehouse.lake, queues, edits.plan(lakehouse.lake, queues, lines), "r1", Pace(1e9))
    process(lakehouse, sqs)
    cycle(lakehouse, "c2")

    current = {row["idempotency_key"]: str(row["amount"]) for row in lakehouse.rows("curated", "orders")}
    assert current == {"k1": "1.00", "k3": "3.00"}
    still_open = [line["message_id"] for line in export(lakehouse.lake, Selection("orders"))]
    (edited,) = still_open
    assert edited.startswith("m2~")
    brought = lakehouse.rows("standardized", "orders", ["batch_id"], "message_id LIKE 'm3~%'")
    (answered,) = lakehouse.rows("curated", "errors", ["resolved_by", "replaced_by"], "message_id = 'm3'")
    assert answered["resolved_by"] == brought[0]["batch_id"]
    assert answered["replaced_by"].startswith("m3~")
    found = identities.ledger(lakehouse.lake, "orders")
    assert found.balanced, found.variances
    assert (found.raw, found.duplicates, found.parse_errors, found.curated, found.errors) == (9, 3, 1, 2, 3)
