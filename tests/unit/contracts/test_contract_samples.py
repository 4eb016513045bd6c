"""The repository's datasets: their samples pass through their contracts as their READMEs say."""

from pathlib import Path

import pyarrow as pa
import pytest

from ledgerlake.contracts import load
from ledgerlake.records.casts import VIOLATIONS, cast
from ledgerlake.records.flatten import discover, flatten
from ledgerlake.records.idempotency import idempotency_keys
from ledgerlake.records.layout import Layout, claim
from ledgerlake.records.paths import pointer

SCHEMAS = Path(__file__).parents[3] / "schemas"


def typed(dataset):
    """The sample's typed rows, keys among them."""
    contract = load((SCHEMAS / dataset / "schema.json").read_bytes(), dataset)
    payloads = pa.array((SCHEMAS / dataset / "sample.jsonl").read_text().splitlines(), pa.string())
    json_pointers = frozenset(map(pointer, contract.json_paths))
    columns, drift = claim(Layout(), map(pointer, contract.paths), discover(payloads, json_pointers))
    assert {each.change for each in drift} == {"column_added"}
    layout = Layout(columns, json_pointers)
    rows = flatten(payloads, layout)
    keys = idempotency_keys(rows, contract.key_sources, layout, pa.nulls(len(payloads), pa.string()))
    return cast(rows.append_column("idempotency_key", keys), contract, layout), keys.to_pylist()


def test_every_earthquake_is_typed_without_violation():
    rows, keys = typed("earthquakes")
    assert rows.num_rows == len(set(keys)) == 1707
    assert rows.column(VIOLATIONS).null_count == 1707
    assert rows.column("magnitude").null_count == 0
    assert rows.column("felt_reports").null_count == 1580
    first = rows.slice(0, 1).to_pylist()[0]
    assert first["event_time"].isoformat() == "2018-02-07T01:26:13.840000+00:00"
    assert first["coordinates"] == "[-118.6671667,34.4945,26.49]"
    assert keys[0] == "ci37868143"


def test_the_sample_of_events_shows_a_correction_and_a_bad_amount():
    rows, keys = typed("events")
    assert keys == ["order-sample-00001", "order-sample-00001", "order-sample-00002"]
    assert list(map(str, rows.column("amount").to_pylist()[:2])) == ["19.90", "18.90"]
    good, corrected, (violation,) = rows.column(VIOLATIONS).to_pylist()
    assert (good, corrected) == (None, None)
    assert violation == {"kind": "cast", "column": "amount", "rule": "decimal(12,2)", "value": "twelve"}


@pytest.mark.parametrize("dataset", ["earthquakes", "events"])
def test_every_dataset_has_a_key_and_describes_each_column(dataset):
    contract = load((SCHEMAS / dataset / "schema.json").read_bytes(), dataset)
    assert contract.key_sources
    assert contract.owner
    assert all(column.description for column in contract.columns)
