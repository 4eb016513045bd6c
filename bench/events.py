"""Generated messages: 1 KB payloads of 31 leaves, of which a share arrives twice."""

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow

from ledgerlake.tables import definitions

DAY = dt.datetime(2026, 1, 18, tzinfo=dt.UTC)
DUPLICATES = 0.05
PAYLOAD_BYTES = 1024
FILE_ROWS = 30_000
SMALL = 100
"""Rows of a topic where many small ones are measured."""

RAW_SCHEMA = schema_to_pyarrow(definitions.raw("bench").schema, include_field_ids=False)

# What Spark's from_json rewrites: numbers (1.10 becomes 1.1), whose values stay equal, and arrays of mixed types,
# whose members all become strings.
NUMBER_COLUMNS = ("event_amount", "event_ratio", "geo_lat", "geo_lon")
REWRITTEN_WHOLE = ("tags",)


def contract(topic: str) -> dict[str, Any]:
    """Return the contract that types a dozen of the leaves."""
    typed = [
        ("event_time", "timestamp", "event.timestamp"),
        ("event_type", "string", "event.type"),
        ("version", "int", "event.version"),
        ("amount", "decimal(12,2)", "event.amount"),
        ("currency", "string", "event.currency"),
        ("quantity", "bigint", "event.quantity"),
        ("ratio", "double", "event.ratio"),
        ("test", "boolean", "event.test"),
        ("user_id", "string", "user.id"),
        ("tier", "string", "user.tier"),
        ("latitude", "double", "geo.lat"),
        ("longitude", "double", "geo.lon"),
    ]
    columns: list[dict[str, Any]] = [{"name": name, "type": kind, "source": source} for name, kind, source in typed]
    columns[0]["cde"] = True
    return {
        "table_name": topic,
        "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "event.id"}],
        "payload_columns": columns,
        "partition_by": ["day(event_time)"],
    }


def batches(topic: str, rows: int, *, first: int = 0, published: dt.datetime = DAY) -> Iterator[pa.Table]:
    """Yield RAW rows, one table per file: events `first` … in order, with 5 % of the rows delivered a second time.

    The same arguments always give the same rows. Event n has the message id `m<n>-<published>` and the idempotency key
    `k<n>`, so a later call over the same numbers with a later `published` makes corrections.
    """
    chooser = random.Random(f"{topic}/{first}/{published}")
    unique = max(1, round(rows * (1 - DUPLICATES)))
    numbers = list(range(first, first + unique))
    numbers += chooser.choices(numbers, k=rows - unique)
    for start in range(0, rows, FILE_ROWS):
        yield _rows(topic, numbers[start : start + FILE_ROWS], start, published)


def _rows(topic: str, numbers: list[int], offset: int, published: dt.datetime) -> pa.Table:
    stamp = f"{published:%Y%m%d%H}"
    size = len(numbers)
    columns = [
        [f"m{number}-{stamp}" for number in numbers],
        [topic] * size,
        [None] * size,
        [published + dt.timedelta(milliseconds=number % 3_600_000) for number in numbers],
        [published + dt.timedelta(hours=1, milliseconds=offset + row) for row in range(size)],
        ["sqs"] * size,
        ["{}"] * size,
        [_payload(number, published) for number in numbers],
    ]
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, RAW_SCHEMA, strict=True)], schema=RAW_SCHEMA
    )


def _payload(number: int, published: dt.datetime) -> str:
    chooser = random.Random(f"{number}/{published.isoformat()}")
    at = published + dt.timedelta(milliseconds=number % 3_600_000)
    text = (
        f'{{"event":{{"id":"k{number}","type":"{chooser.choice(_TYPES)}","timestamp":"{at.isoformat()}","version":3,'
        f'"amount":{chooser.randrange(100_000) / 100:.2f},"currency":"EUR","quantity":{chooser.randrange(1, 50)},'
        f'"ratio":{chooser.randrange(1, 10)}e-{chooser.randrange(1, 6)},"test":{_BOOLEANS[number % 17 == 0]}}},'
        f'"user":{{"id":"u{number % 50_000}","userName":"user {number % 50_000}",'
        f'"email":"u{number % 50_000}@example.com",'
        f'"tier":"{chooser.choice(_TIERS)}","age":{18 + number % 60},"active":{_BOOLEANS[number % 3 > 0]}}},'
        f'"device":{{"os":"{chooser.choice(_SYSTEMS)}","model":"model-{number % 400}","appVersion":"5.{number % 40}.1",'
        f'"screen":{{"width":1170,"height":2532}}}},'
        f'"geo":{{"country":"DE","city":"{chooser.choice(_CITIES)}","lat":{47 + chooser.random() * 7:.6f},'
        f'"lon":{6 + chooser.random() * 9:.6f}}},'
        f'"session":{{"id":"s{number // 7}","start":"{published.isoformat()}","pageViews":{number % 30},'
        f'"referrer":"https://example.com/campaign/{number % 90}","userAgent":"{_USER_AGENT}"}},'
        f'"tags":["{chooser.choice(_TYPES)}",{number % 10}.50],"note":"'
    )
    filler = PAYLOAD_BYTES - len(text) - 2
    return text + chooser.randbytes(filler // 2 + 1).hex()[:filler] + '"}'


_TYPES = ("view", "click", "order", "refund", "login")
_TIERS = ("free", "plus", "pro")
_SYSTEMS = ("iOS 18.2", "Android 15", "Windows 11", "macOS 15")
_CITIES = ("Berlin", "Hamburg", "München", "Köln", "Leipzig")
_BOOLEANS = {True: "true", False: "false"}
_USER_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.2"
)
