"""docs/contract.md says what the code does."""

import json
import re
from pathlib import Path

import pytest

from ledgerlake.contracts import ContractError, load
from ledgerlake.contracts.diff import diff, refused
from ledgerlake.contracts.document import MAX_BYTES
from ledgerlake.contracts.model import CURATED_COLUMNS, MAX_COLUMN_DESCRIPTION, MAX_DEDUP_WINDOW_DAYS, Column, Contract
from ledgerlake.contracts.types import SIMPLE_TYPES

PAGE = (Path(__file__).parents[3] / "docs" / "contract.md").read_text()
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES[:2])
def test_the_examples_are_good_contracts(example):
    assert load(json.dumps(example), "orders").table_name == "orders"


def test_the_problems_shown_are_those_that_are_told():
    wrong = json.loads(json.dumps(EXAMPLES[0]))
    wrong["payload_columns"][0]["type"] = "datetime"
    wrong["partition_by"] = ["day(order_time)"]
    with pytest.raises(ContractError) as refused:
        load(json.dumps(wrong), "orders")
    assert [problem.as_dict() for problem in refused.value.problems] == EXAMPLES[2]["problems"]


def test_the_changes_shown_are_those_that_are_accepted():
    old, new = (load(json.dumps(example), "orders") for example in EXAMPLES[3:5])
    changes = diff(old, new)
    assert [change.id for change in changes if change.impact == "guarded"] == list(new.accept)
    assert [change.id for change in changes if change.impact == "safe"] == ["type_widened:total"]
    assert refused(changes, old, new) == []
    assert len(refused(changes, old, new.model_copy(update={"accept": ()}))) == 3


def test_the_page_names_every_field_type_and_limit():
    columns = [*Column.model_fields]
    for name in (*Contract.model_fields, *columns, *SIMPLE_TYPES, *CURATED_COLUMNS):
        assert f"`{name}`" in PAGE
    assert f"at most {MAX_BYTES // 1024} KB" in PAGE
    assert f"0 to {MAX_DEDUP_WINDOW_DAYS}, default 7" in PAGE
    assert f"at most {MAX_COLUMN_DESCRIPTION} characters" in PAGE
