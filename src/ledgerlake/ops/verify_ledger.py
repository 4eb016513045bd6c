"""Prove the ledger before RAW: what Firehose gives up is loaded once, and all that was accepted stands somewhere."""

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pyiceberg.expressions import EqualTo

from ledgerlake.ops.environment import Environment
from ledgerlake.ops.ledger import ARRIVAL
from ledgerlake.ops.reconcile import Reconciler
from ledgerlake.ops.verify_parts import Check, Say, check
from ledgerlake.tables.definitions import FIREHOSE_ERRORS
from ledgerlake.tables.lake import Lake

# Firehose's own buffering comes first; what its transform refuses is not tried again.
LOADED_SECONDS = 240


def balances(environment: Environment, say: Say) -> Iterator[Check]:
    """A record without a destination becomes one row of firehose_errors, and the recent window balances by identity."""
    lake = Lake.connect(environment.settings)
    message_id = f"verify-{uuid.uuid4().hex[:12]}-undeliverable"
    say("putting a record that Firehose cannot deliver")
    environment.firehose.put_record(
        DeliveryStreamName=environment.settings.firehose_name,
        Record={"Data": json.dumps({"message_id": message_id}).encode()},
    )
    rows = _loaded(environment, lake, message_id)
    yield check("what Firehose gives up is a row of firehose_errors, once", _unexplained(rows))
    _call(environment, "load_firehose_errors")
    again = _rows(lake, message_id)
    yield check("an error object is loaded once", [] if len(again) == 1 else [f"there are {len(again)} rows"])

    say("reconciling what came lately")
    answer = _call(environment, "reconcile_window")
    yield check("the recent window balances by identity", [] if answer.get("variances") == 0 else [json.dumps(answer)])
    reconciler = Reconciler.of(lake, environment.s3)
    arrivals = [c for c in reconciler.check(reconciler.recent(datetime.now(UTC))) if c.formula == ARRIVAL]
    accepted = sum(arrival.expected for arrival in arrivals)
    yield check("the processor logged what it accepted", [] if accepted else ["nothing was accepted lately"])


def _loaded(environment: Environment, lake: Lake, message_id: str) -> list[dict[str, Any]]:
    """Load until the record is there; what there is of it when time runs out."""
    deadline = time.monotonic() + LOADED_SECONDS
    while True:
        _call(environment, "load_firehose_errors")
        rows = _rows(lake, message_id)
        if rows or time.monotonic() > deadline:
            return rows
        time.sleep(1)


def _rows(lake: Lake, message_id: str) -> list[dict[str, Any]]:
    table = lake.load("raw", FIREHOSE_ERRORS)
    found: list[dict[str, Any]] = (
        table.scan(row_filter=EqualTo(term="message_id", value=message_id)).to_arrow().to_pylist()
    )
    return found


def _unexplained(rows: list[dict[str, Any]]) -> list[str]:
    if len(rows) != 1:
        return [f"there are {len(rows)} rows"]
    lacking = [name for name in ("record", "error_code", "object_key", "failed_at") if not rows[0][name]]
    return [f"{name} is empty" for name in lacking]


def _call(environment: Environment, handler: str) -> dict[str, Any]:
    """Call a function as its schedule does; an error of its own is its answer."""
    called = environment.functions.invoke(FunctionName=environment.function(handler), Payload=b"{}")
    answer: dict[str, Any] = json.loads(called["Payload"].read())
    return answer
