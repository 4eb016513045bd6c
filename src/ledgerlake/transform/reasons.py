"""Why rows break their contract: violations counted by what they are, with examples."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.records.casts import VIOLATIONS
from ledgerlake.transform.compared import SAMPLE_CHARACTERS

REASON = ("kind", "column", "rule")


def reasons(rows: DataFrame, samples: int) -> DataFrame:
    """The violations of typed rows by kind, column and rule, the most frequent first.

    Columns out: kind, column, rule, records, samples (array<struct<message_id, value>>, by message_id, at most that
    many, values cut). Grain: one row for each reason; a record with several violations counts under each.
    """
    broken = rows.select("message_id", F.explode(VIOLATIONS).alias("$violation"))
    named = broken.select("message_id", *(F.col("$violation")[name].alias(name) for name in (*REASON, "value")))
    numbered = named.withColumn("$n", F.row_number().over(Window.partitionBy(*REASON).orderBy("message_id")))
    value = F.substring("value", 1, SAMPLE_CHARACTERS).alias("value")
    example = F.when(F.col("$n") <= samples, F.struct("message_id", value))
    grouped = numbered.groupBy(*REASON).agg(
        F.count(F.lit(1)).alias("records"), F.array_sort(F.collect_list(example)).alias("samples")
    )
    return grouped.orderBy(F.desc("records"), *REASON)
