"""The Spark session of a job: the lakehouse's catalogue, and how its tables are read."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession

from ledgerlake.settings import Settings
from ledgerlake.tables.lake import CATALOG
from ledgerlake.transform.occurrences import PLACE

EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"

# 2,000 payloads of SQS's greatest size just fit the 2 GiB that one Arrow text column can hold.
ARROW_ROWS = 2_000


def glue_catalog(settings: Settings) -> dict[str, str]:
    """Spark's configuration of the Glue Data Catalog as the lakehouse's catalogue, with S3 read by Iceberg itself."""
    catalog = {
        "catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
        "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "client.region": settings.region,
        "glue.skip-archive": "true",
    }
    if settings.endpoint_url:
        catalog |= {
            "glue.endpoint": settings.endpoint_url,
            "s3.endpoint": settings.endpoint_url,
            "s3.path-style-access": "true",
        }
    return catalog


def configuration(catalog: Mapping[str, str]) -> dict[str, str]:
    """What every session of ours needs; `catalog` are the catalogue's own properties."""
    prefix = f"spark.sql.catalog.{CATALOG}"
    return {
        "spark.sql.extensions": EXTENSIONS,
        prefix: "org.apache.iceberg.spark.SparkCatalog",
        # Other sessions and other catalogues commit too: a cached table would not know (design 5).
        f"{prefix}.cache-enabled": "false",
        **{f"{prefix}.{name}": value for name, value in catalog.items()},
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ARROW_ROWS),
        "spark.scheduler.mode": "FAIR",
        # A hash table takes a page at least, 64 MiB by default: tens of them, of a few rows each, stand at a time.
        "spark.buffer.pageSize": "2m",
        # A session works through hundreds of topics: what it remembers of those it is done with would fill its memory.
        "spark.sql.ui.retainedExecutions": "20",
        "spark.ui.retainedJobs": "100",
        "spark.ui.retainedStages": "100",
        "spark.ui.retainedTasks": "1000",
        # A batch is kept for one second reading only: compressing it would cost more than the bytes it saves.
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        "spark.sql.inMemoryColumnarStorage.batchSize": str(ARROW_ROWS),
    }


def connect(settings: Settings, name: str) -> SparkSession:
    """The job's session on Glue, or on whatever runs the job in Glue's place."""
    builder = SparkSession.builder.appName(name)
    for key, value in configuration(glue_catalog(settings)).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


@contextmanager
def staging(spark: SparkSession) -> Iterator[str]:
    """Have the session's writes to STANDARDIZED and CURATED staged beside main; yields the staged snapshot's name."""
    name = uuid.uuid4().hex
    spark.conf.set("spark.wap.id", name)
    try:
        yield name
    finally:
        spark.conf.unset("spark.wap.id")


def read_at(spark: SparkSession, table: str, snapshot_id: int) -> DataFrame:
    """A table's rows and columns as of a snapshot."""
    return spark.sql(f"SELECT * FROM {table} VERSION AS OF {snapshot_id}")  # noqa: S608 — quoted by Lake.spark_name


def read_range(spark: SparkSession, table: str, after: int, to: int) -> DataFrame:
    """The rows that a table's snapshots (after, to] appended, the whole table as of `to` when `after` is 0.

    Columns: the table's, then _file and _pos, a row's place.
    """
    if after:
        # By name: format("iceberg").load() would look the table up in the thread's active session, whichever that is.
        rows = spark.read.option("start-snapshot-id", after).option("end-snapshot-id", to).table(table)
    else:
        rows = read_at(spark, table, to)
    return rows.select("*", *PLACE)
