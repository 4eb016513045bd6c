"""Contracts given to a lakehouse under test, as its users give them."""

import json
from collections.abc import Mapping
from typing import Any

from lakehouse import Lakehouse

from ledgerlake.ops.candidates import Pending, Published
from ledgerlake.ops.publish import Publisher
from ledgerlake.state.contracts import ContractsBucket


def publisher(house: Lakehouse) -> Publisher:
    bucket = ContractsBucket(house.state.s3, house.state.contracts_bucket)
    return Publisher(bucket, house.state.gate, house.lake, house.state.locks)


def offer(house: Lakehouse, document: Mapping[str, Any]) -> Published:
    """Put a contract where it waits, and publish it."""
    found, pending = publisher(house), Pending(document["table_name"])
    found.bucket.put(pending.key, json.dumps(document).encode())
    return found.publish(pending)
