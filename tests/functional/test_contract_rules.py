"""What a contract's validation says of rules is what Spark says of them."""

from pathlib import Path

import pytest
from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import functions as sql

from ledgerlake.contracts import load
from ledgerlake.contracts.model import CURATED_COLUMNS
from ledgerlake.contracts.rules import wrong_with
from ledgerlake.contracts.spark_functions import AGGREGATES, GENERATORS, ROW_FUNCTIONS, UNSTABLE, WINDOWS
from ledgerlake.contracts.types import parse_type

SCHEMAS = Path(__file__).parents[2] / "schemas"
SPARK_TYPES = {"json": "string"}
TYPES = {
    "amount": parse_type("decimal(12,2)"),
    "pieces": parse_type("int"),
    "kind": parse_type("string"),
    "paid": parse_type("boolean"),
    "event_time": parse_type("timestamp"),
    "day_of": parse_type("date"),
    "extra": parse_type("json"),
}


def rows(spark, types):
    """A frame without rows, of a contract's typed columns."""
    written = ", ".join(f"`{name}` {SPARK_TYPES.get(str(kind), str(kind))}" for name, kind in types.items())
    return spark.createDataFrame([], written)


@pytest.mark.parametrize("dataset", sorted(path.parent.name for path in SCHEMAS.glob("*/schema.json")))
def test_spark_takes_the_rules_of_every_dataset(spark, dataset):
    contract = load((SCHEMAS / dataset / "schema.json").read_bytes(), dataset)
    types = CURATED_COLUMNS | {column.name: column.type for column in contract.columns}
    conditions = rows(spark, types).select(*(sql.expr(rule.expression) for rule in contract.rules))
    assert {field.dataType.typeName() for field in conditions.schema.fields} == {"boolean"}


def test_the_functions_that_rules_may_call_are_sparks_own(spark):
    known = {row[0] for row in spark.sql("SHOW SYSTEM FUNCTIONS").collect()}
    known |= {"try_cast", "timestampadd", "timestampdiff"}  # its grammar has these
    assert known >= ROW_FUNCTIONS | AGGREGATES | GENERATORS | UNSTABLE
    assert known >= WINDOWS
    assert not ROW_FUNCTIONS & (AGGREGATES | GENERATORS | UNSTABLE | WINDOWS)


@pytest.mark.parametrize(
    "expression",
    [
        "amount >= 0 and pieces between 1 and 10",
        "`Amount` >= 0 or not paid",
        "paid",
        "kind rlike '^[a-z]+$' and length(trim(kind)) > 0",
        "case when kind = 'refund' then amount < 0 else amount >= 0 end",
        "if(paid, amount > 0, true)",
        "cast(get_json_object(extra, '$.n') as decimal(10, 2)) in (1, 2)",
        "exists(split(kind, ','), part -> part = 'a')",
        "day_of <= date(event_time) and year(event_time) > 2000",
        "event_time > timestamp'2018-01-01 00:00:00Z' - interval 1 day",
        "coalesce(amount, 0) <=> 0",
        "extract(year from event_time) = 2018",
        "try_cast(kind as int) is not null",
        "timestampdiff(HOUR, event_time, event_time) = 0",
        "kind like 'a%' escape '/'",
        "element_at(map('a', 1), kind) = 1",
        "array_contains(array('a', 'b'), kind)",
    ],
)
def test_a_rule_that_passes_is_a_condition_to_spark(spark, expression):
    assert list(wrong_with(expression, TYPES, frozenset(TYPES))) == []
    frame = rows(spark, TYPES).select(sql.expr(expression))
    assert frame.schema.fields[0].dataType.typeName() == "boolean"


@pytest.mark.parametrize(
    "expression",
    [
        "amount >=",
        "missing > 0",
        "lenght(kind) > 0",
        "sum(amount) over (",
        "amount > 0; drop table x",
        "orders.amount > 0",
        "amount > = 0",
        "kind = 'a",
    ],
)
def test_a_rule_that_spark_refuses_does_not_pass(spark, expression):
    assert list(wrong_with(expression, TYPES, frozenset(TYPES)))
    with pytest.raises((AnalysisException, ParseException)):
        rows(spark, TYPES).select(sql.expr(expression))
