"""Two states of one table compared, row by row and column by column: what a rebuilt one would change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import MapType

EQUAL, CHANGED, ADDED, REMOVED = "$equal", "$changed", "$added", "$removed"
SAMPLE_CHARACTERS: Final = 200


@dataclass(frozen=True)
class Example:
    """One row that differs, named by the first column of the key; in a changed column, its value before and after."""

    id: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Difference:
    """How many rows differ in one way, with the least and the greatest of them by name.

    `what` is EQUAL, CHANGED, ADDED or REMOVED for whole rows, or the name of a column for its values.
    """

    what: str
    rows: int
    examples: tuple[Example, ...]


def compared(before: DataFrame, after: DataFrame, key: Sequence[str]) -> dict[str, Difference]:
    """What is different in `after`; both have the same columns, and `key` is unique and never NULL in each.

    Every row counts once as EQUAL, CHANGED, ADDED or REMOVED, and a changed one once more for each of its columns.
    """
    values = [name for name in after.columns if name not in key]
    old = _comparable(before, key, values, "$old")
    new = _comparable(after, key, values, "$new")
    both = old.join(new, list(key), "full_outer")
    name = F.col(key[0]).cast("string")
    changes = F.array_compact(F.array(*(_change(name, column) for column in values)))
    entries = both.select(name.alias("$name"), "$old", "$new", changes.alias("$changes"))
    whole = F.struct(_kind().alias("what"), F.col("$name").alias("id"), _nothing("before"), _nothing("after"))
    of_columns = F.when(_kind() == CHANGED, F.col("$changes")).otherwise(F.slice(F.col("$changes"), 1, 0))
    each = entries.select(F.explode(F.concat(F.array(whole), of_columns)).alias("one"))
    example = F.struct("one.id", "one.before", "one.after")
    found = each.groupBy("one.what").agg(
        F.count(F.lit(1)).alias("rows"), F.min(example).alias("first"), F.max(example).alias("last")
    )
    return {row["what"]: Difference(row["what"], row["rows"], _examples(row)) for row in found.collect()}


def _comparable(rows: DataFrame, key: Sequence[str], values: Sequence[str], name: str) -> DataFrame:
    """The key, and the values in one struct; a map is compared as text, since Spark compares no maps."""
    maps = {field.name for field in rows.schema if isinstance(field.dataType, MapType)}
    columns = [(F.to_json(column) if column in maps else F.col(column)).alias(column) for column in values]
    return rows.select(*key, F.struct(*columns).alias(name))


def _change(name: Column, column: str) -> Column:
    old, new = F.col("$old")[column], F.col("$new")[column]
    told = F.struct(
        F.lit(column).alias("what"), name.alias("id"), _text(old).alias("before"), _text(new).alias("after")
    )
    return F.when(~old.eqNullSafe(new), told)


def _kind() -> Column:
    kind = F.when(F.col("$old").isNull(), ADDED).when(F.col("$new").isNull(), REMOVED)
    return kind.when(F.size("$changes") > 0, CHANGED).otherwise(EQUAL)


def _text(value: Column) -> Column:
    return F.substring(value.cast("string"), 1, SAMPLE_CHARACTERS)


def _nothing(name: str) -> Column:
    return F.lit(None).cast("string").alias(name)


def _examples(row: Row) -> tuple[Example, ...]:
    found = {Example(one["id"], one["before"], one["after"]): None for one in (row["first"], row["last"])}
    return tuple(found)
