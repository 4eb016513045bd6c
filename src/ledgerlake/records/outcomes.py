"""What a dataset's sample becomes by its contract: flatten, key and casts (design 4.1, 4.3), as a document to compare.

No Spark and no tables take part, so rules are not asked, and drift is that of a first batch.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from ledgerlake.contracts.model import IDEMPOTENCY_KEY, Contract
from ledgerlake.records.casts import VIOLATIONS, cast
from ledgerlake.records.flatten import ERROR_CODE, discover, flatten
from ledgerlake.records.idempotency import idempotency_keys
from ledgerlake.records.layout import Layout, claim
from ledgerlake.records.paths import pointer

SALT: Final = "sample"
"""What `pii` sha256 is salted with here: samples are no secrets, and what they become has to stay the same."""


def typed(contract: Contract, payloads: Sequence[str]) -> pa.RecordBatch:
    """One row a payload, in order: idempotency_key, the contract's columns, $violations, $error_code.

    Each payload is a message without attributes. Where the contract names no source for the key, every message brings
    one of its own.
    """
    texts = pa.array(payloads, pa.string())
    json_pointers = frozenset(map(pointer, contract.json_paths))
    columns, _ = claim(Layout(), map(pointer, contract.paths), discover(texts, json_pointers))
    layout = Layout(columns, json_pointers)
    rows = flatten(texts, layout)
    own = None if contract.key_sources else [f"message {number}" for number in range(1, len(payloads) + 1)]
    given = pa.array(own, pa.string()) if own else pa.nulls(len(payloads), pa.string())
    keys = idempotency_keys(rows, contract.key_sources, layout, given)
    values = cast(rows.append_column(IDEMPOTENCY_KEY, keys), contract, layout, SALT)
    return pa.RecordBatch.from_arrays(
        [keys, *values.columns, rows.column(ERROR_CODE)], names=[IDEMPOTENCY_KEY, *values.schema.names, ERROR_CODE]
    )


def outcomes(contract: Contract, payloads: Sequence[str], shown: Iterable[int] = ()) -> dict[str, Any]:
    """What becomes of the payloads, lines of one file that are numbered from 1, as a dataset's expectations.json says.

    `records` = `curated` (the latest of each key) + `superseded` + lines in `errors` + `parse_errors`. `errors` has an
    entry for each violation; `rows` holds the typed rows of the lines `shown`.
    """
    rows = typed(contract, payloads)
    codes, violations = rows.column(ERROR_CODE).to_pylist(), rows.column(VIOLATIONS).to_pylist()
    keys = rows.column(IDEMPOTENCY_KEY).to_pylist()
    good = [key for key, code, broken in zip(keys, codes, violations, strict=True) if not code and not broken]
    errors = [
        {"line": line, **violation}
        for line, (code, broken) in enumerate(zip(codes, violations, strict=True), 1)
        if not code
        for violation in broken or ()
    ]
    return {
        "records": len(payloads),
        "curated": len(set(good)),
        "superseded": len(good) - len(set(good)),
        "errors": errors,
        "parse_errors": [{"line": line, "code": code} for line, code in enumerate(codes, 1) if code],
        "rows": {str(line): _row(rows, line - 1) for line in shown if line <= len(payloads)},
    }


def _row(rows: pa.RecordBatch, at: int) -> dict[str, Any]:
    (row,) = rows.slice(at, 1).to_pylist()
    return {name: _written(value) for name, value in row.items() if not name.startswith("$")}


def _written(value: object) -> object:
    """A typed value as JSON can hold it: times in UTC by ISO 8601, decimals by their text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
