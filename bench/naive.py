"""The job one would write first: infer a schema, from_json, dropDuplicates, copy-on-write MERGE.

It keeps no ledger, quarantines nothing, rewrites numbers and cannot be retried safely; it is here to be measured.
"""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

COPY_ON_WRITE = "'format-version'='2', 'write.delete.mode'='copy-on-write', 'write.merge.mode'='copy-on-write'"


def standardize(spark: SparkSession, source: str, target: str, after_snapshot: int | None) -> int:
    """Flatten the rows that `source` gained since `after_snapshot` into `target`; return the snapshot read up to."""
    upto = spark.sql(f"SELECT snapshot_id FROM {source}.snapshots ORDER BY committed_at DESC").first()[0]
    reader = spark.read.option("end-snapshot-id", upto).option("start-snapshot-id", after_snapshot)
    raw = reader.format("iceberg").load(source) if after_snapshot else spark.table(source)
    schema = spark.read.json(raw.select("json_payload").rdd.map(lambda row: row.json_payload)).schema
    parsed = raw.withColumn("payload", F.from_json("json_payload", schema))
    flat = parsed.select(
        "message_id", "topic_name", "publish_time", "ingestion_ts", *_strings(schema, F.col("payload"), ())
    ).dropDuplicates(["message_id"])
    _merge(spark, flat, target, "message_id", partition="days(publish_time)", update=False)
    return int(upto)


def curate(spark: SparkSession, source: str, target: str, columns: list[dict[str, str]], after: str | None) -> None:
    """Cast the rows of `source` published after `after` and merge them into `target` by event id."""
    rows = spark.table(source)
    if after:
        rows = rows.where(F.col("publish_time") >= F.lit(after).cast("timestamp"))
    typed = [
        F.col(column["source"].replace(".", "_").lower()).cast(column["type"]).alias(column["name"])
        for column in columns
    ]
    latest = (
        rows.select("message_id", F.col("event_id").alias("idempotency_key"), "publish_time", "ingestion_ts", *typed)
        .orderBy(F.desc("publish_time"))
        .dropDuplicates(["idempotency_key"])
    )
    _merge(spark, latest, target, "idempotency_key", partition="days(event_time)", update=True)


def _strings(schema: StructType, parent: Column, path: tuple[str, ...]) -> list[Column]:
    found: list[Column] = []
    for field in schema.fields:
        value, name = parent[field.name], (*path, field.name)
        if isinstance(field.dataType, StructType):
            found += _strings(field.dataType, value, name)
        else:
            found.append(_text(value, field.dataType).alias("_".join(name).lower()))
    return found


def _text(value: Column, kind: DataType) -> Column:
    return F.to_json(value) if kind.typeName() == "array" else value.cast("string")


def _merge(spark: SparkSession, rows: DataFrame, target: str, key: str, *, partition: str, update: bool) -> None:
    rows.createOrReplaceTempView("incoming")
    columns = ", ".join(f"`{name}` {kind}" for name, kind in rows.dtypes)
    spark.sql(
        f"CREATE TABLE IF NOT EXISTS {target} ({columns}) USING iceberg PARTITIONED BY ({partition})"
        f" TBLPROPERTIES ({COPY_ON_WRITE})"
    )
    matched = "WHEN MATCHED AND s.publish_time >= t.publish_time THEN UPDATE SET *" if update else ""
    spark.sql(
        f"MERGE INTO {target} t USING incoming s ON t.`{key}` = s.`{key}` {matched} WHEN NOT MATCHED THEN INSERT *"
    )
