"""The datasets under schemas/: what their samples become by their contracts is what their expectations say."""

from pathlib import Path

import pytest

from ledgerlake.contracts import load
from ledgerlake.ops import datasets
from ledgerlake.records.outcomes import typed

SCHEMAS = Path(__file__).parents[3] / "schemas"
WITH_EXPECTATIONS = sorted(path.parent.name for path in SCHEMAS.glob("*/expectations.json"))


def without_comment(expectations):
    return {name: value for name, value in expectations.items() if name != "$comment"}


@pytest.mark.parametrize("dataset", WITH_EXPECTATIONS)
def test_a_sample_becomes_what_is_expected(dataset):
    expected = datasets.expected(SCHEMAS / dataset)
    found = datasets.found(SCHEMAS / dataset, expected)
    anew = f"if that is right, write it anew: ledgerlake schema expect schemas/{dataset}/schema.json"
    assert without_comment(found) == without_comment(expected), anew


@pytest.mark.parametrize("dataset", WITH_EXPECTATIONS)
def test_every_record_of_a_sample_ends_in_one_place(dataset):
    expected = datasets.expected(SCHEMAS / dataset)
    failed = {error["line"] for error in [*expected["errors"], *expected["parse_errors"]]}
    assert expected["records"] == expected["curated"] + expected["superseded"] + len(failed)


def test_the_sample_of_earthquakes_is_what_its_readme_says():
    contract = load((SCHEMAS / "earthquakes/schema.json").read_bytes(), "earthquakes")
    rows = typed(contract, (SCHEMAS / "earthquakes/sample.jsonl").read_text().splitlines())
    assert rows.num_rows == 1707
    assert rows.column("magnitude").null_count == 0
    assert rows.column("felt_reports").null_count == 1580


@pytest.mark.parametrize("dataset", ["earthquakes", "events"])
def test_the_datasets_of_the_demo_have_a_key_and_describe_each_column(dataset):
    contract = load((SCHEMAS / dataset / "schema.json").read_bytes(), dataset)
    assert contract.key_sources
    assert contract.owner
    assert all(column.description for column in contract.columns)
