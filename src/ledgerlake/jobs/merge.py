"""Put rows into a table in one snapshot that says which batch it was: an append or a MERGE (design 5)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.tables.sql import identifier
from ledgerlake.transform.verdicts import KEY, RECENCY

_VIEW = "batch"


def merge(rows: DataFrame, table: str, properties: Mapping[str, str]) -> None:
    """Insert new keys and replace older records; the table's own mode and isolation level make it safe (design 5).

    `rows`: one per key, in the table's columns. `table`: its quoted name. The WHEN MATCHED clause is what makes a
    second run of the same batch fail cleanly rather than insert twice.
    """
    rows.createOrReplaceTempView(_VIEW)
    names = [identifier(column) for column in rows.columns]
    key = identifier(KEY)
    values = ", ".join(f"new.{name}" for name in names)
    statement = [
        f"MERGE INTO {table} AS old USING {identifier(_VIEW)} AS new ON old.{key} = new.{key}",
        f"WHEN MATCHED AND struct({_of('new', RECENCY)}) > struct({_of('old', RECENCY)})",
        f"THEN UPDATE SET {', '.join(f'old.{name} = new.{name}' for name in names)}",
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({values})",  # noqa: S608 — every name is quoted
    ]
    with _snapshot_properties(rows.sparkSession, properties):
        rows.sparkSession.sql("\n".join(statement))


def append(rows: DataFrame, table: str, properties: Mapping[str, str]) -> None:
    """Add rows, even none, in one snapshot with the properties. `table`: its quoted name."""
    writer = rows.writeTo(table)
    for key, value in properties.items():
        writer = writer.option(f"snapshot-property.{key}", value)
    writer.append()


def still_open() -> list[Column]:
    """A new error row's resolved_by, resolved_at and replaced_by: nothing was done about it yet."""
    columns = {"resolved_by": "string", "resolved_at": "timestamp", "replaced_by": "string"}
    return [F.lit(None).cast(kind).alias(name) for name, kind in columns.items()]


def _of(alias: str, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{alias}.{identifier(column)}" for column in columns)


@contextmanager
def _snapshot_properties(spark: SparkSession, properties: Mapping[str, str]) -> Iterator[None]:
    """Make this thread's next Iceberg commits carry the properties.

    MERGE takes none by option or configuration in Iceberg 1.10. CommitMetadata keeps them per thread, but its public
    method only takes a Java Callable; so the thread-local is set directly. PySpark pins a Python thread to its JVM one.
    """
    jvm = spark._jvm  # noqa: SLF001 — PySpark has no public way into the JVM
    loader = jvm.Thread.currentThread().getContextClassLoader()  # type: ignore[union-attr]
    field = loader.loadClass("org.apache.iceberg.spark.CommitMetadata").getDeclaredField("COMMIT_PROPERTIES")
    field.setAccessible(True)
    held = jvm.java.util.HashMap()  # type: ignore[union-attr]
    for name, value in properties.items():
        held.put(name, value)
    kept = field.get(None)
    before = kept.get()
    kept.set(held)
    try:
        yield
    finally:
        kept.set(before)
