"""Every table of the lakehouse as code (design 3.3): columns, partitions and properties, in one place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    TruncateTransform,
    YearTransform,
)
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
)

from ledgerlake.contracts.model import Column as ContractColumn
from ledgerlake.contracts.model import Contract, EnvelopeColumn
from ledgerlake.contracts.partitions import Partition
from ledgerlake.contracts.types import ColumnType
from ledgerlake.records.layout import Owned

Layer = Literal["raw", "standardized", "curated", "gold", "ops"]

PARSE_ERRORS: Final = "parse_errors"
ERRORS: Final = "errors"
DLQ_ERRORS: Final = "dlq_errors"
FIREHOSE_ERRORS: Final = "firehose_errors"
JOB_RUN_HISTORY: Final = "job_run_history"
TOPIC_REGISTRY: Final = "topic_registry"
SCHEMA_VERSIONS: Final = "schema_versions"
RECONCILIATION_LOG: Final = "reconciliation_log"
RECONCILIATION_FINDINGS: Final = "reconciliation_findings"
DRIFT_LOG: Final = "drift_log"
STAGING_SUFFIX: Final = "_staging"
TAGS: Final = "ledgerlake.tags"
"""The table property that holds the contract's tags."""

_COMMON: Final = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
}
# Rows are written where they were read: a shuffle of whole payloads would cost more than it sorts.
_UNSHUFFLED: Final = {"write.distribution-mode": "none", "write.spark.fanout.enabled": "true"}
# Many topics write these at the same time: each commit may have to try again.
_SHARED: Final = {
    "commit.retry.num-retries": "20",
    "commit.retry.min-wait-ms": "50",
    "commit.retry.max-wait-ms": "5000",
}


def _resolution(*, edited: bool) -> list[NestedField]:
    """How a failed record was put right; its row is never deleted. All NULL while it is open."""
    return [
        _optional("resolved_by", StringType(), "The batch or replay that took the record in; none: it is open."),
        _optional("resolved_at", TimestamptzType(), "When it was."),
        *([_optional("replaced_by", StringType(), "The edited record's message_id.")] if edited else []),
    ]


def _whole_bounds(*columns: str) -> dict[str, str]:
    """Keep these columns' bounds uncut, so that a look-up by one of their values opens no other file."""
    return {f"write.metadata.metrics.column.{column}": "full" for column in columns}


# Batches are staged beside main and published by a compare-and-set (tables/publish.py).
_STAGED: Final = {"write.wap.enabled": "true"}
_MERGE_ON_READ: Final = {
    f"write.{action}.{key}": value
    for action in ("merge", "update", "delete")
    for key, value in (("mode", "merge-on-read"), ("isolation-level", "serializable"))
}


@dataclass(frozen=True)
class Definition:
    """One table: where it is, what its columns are, how it is partitioned and written."""

    layer: Layer
    name: str
    schema: Schema
    spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC
    properties: Mapping[str, str] = field(default_factory=dict)


def raw(topic: str) -> Definition:
    """RAW `<topic>_staging`: what arrived, append-only. One row per message received."""
    return _table(
        "raw",
        topic + STAGING_SUFFIX,
        [
            _required("message_id", StringType(), "The sender's id of the message."),
            _required("topic_name", StringType(), "The topic it was sent to."),
            _optional("idempotency_key", StringType(), "The key the message brought, if it did."),
            _required("publish_time", TimestamptzType(), "When the sender published it."),
            _required("ingestion_ts", TimestamptzType(), "When ledgerlake took it."),
            _optional("source", StringType(), "Where it came from: sqs, or s3://bucket/key#line."),
            _optional("attributes", StringType(), "The message's attributes, as JSON text."),
            _required("json_payload", StringType(), "The payload's JSON text, unchanged."),
        ],
        [Partition("day", "publish_time")],
        {**_UNSHUFFLED, **_whole_bounds("message_id")},
    )


def dlq_errors() -> Definition:
    """RAW `dlq_errors`: messages that never became a RAW row, whole. One row per message drained from a DLQ."""
    return _table(
        "raw",
        DLQ_ERRORS,
        [
            _optional("message_id", StringType(), "The envelope's message_id, where it could be read."),
            _required("topic_name", StringType(), "The topic whose queue it was sent to."),
            _optional("queue", StringType(), "The dead-letter queue it was drained from."),
            _optional("body", StringType(), "The message's body, unchanged."),
            _optional("attributes", StringType(), "The SQS message's attributes, as JSON text."),
            _optional("error_code", StringType(), "What is wrong, as a code."),
            _optional("reason", StringType(), "What is wrong, in words."),
            _optional("receive_count", IntegerType(), "How often SQS handed it out."),
            _optional("sent_at", TimestamptzType(), "When it was sent to the queue."),
            _optional("drained_at", TimestamptzType(), "When it was taken from the dead-letter queue."),
            *_resolution(edited=False),
        ],
        [Partition("identity", "topic_name")],
        _SHARED,
    )


def firehose_errors() -> Definition:
    """RAW `firehose_errors`: records that Firehose could not deliver. One row per failed record."""
    return _table(
        "raw",
        FIREHOSE_ERRORS,
        [
            _optional("message_id", StringType(), "The record's message_id, where it could be read."),
            _optional("topic_name", StringType(), "The topic it was meant for, where it could be read."),
            _optional("record", StringType(), "The record as Firehose got it."),
            _optional("error_code", StringType(), "Firehose's error code."),
            _optional("error_message", StringType(), "Firehose's own words."),
            _optional("attempts", IntegerType(), "How often Firehose tried."),
            _optional("object_key", StringType(), "The object under the error prefix it was read from."),
            _optional("failed_at", TimestamptzType(), "When Firehose gave it up."),
            *_resolution(edited=False),
        ],
        properties={**_SHARED, **_whole_bounds("object_key")},
    )


def standardized(topic: str, payload: Iterable[Owned] = ()) -> Definition:
    """STANDARDIZED `<topic>`: flattened, all text. One row per message_id: its first occurrence."""
    return _table(
        "standardized",
        topic,
        [
            _optional("message_id", StringType(), "The sender's id of the message."),
            _optional("topic_name", StringType(), "The topic it was sent to."),
            _optional("idempotency_key", StringType(), "The resolved key: the message's, else the contract's source."),
            _optional("publish_time", TimestamptzType(), "When the sender published it."),
            _optional("ingestion_ts", TimestamptzType(), "When ledgerlake took it."),
            _optional("batch_id", StringType(), "The batch that brought the row: <topic>-<from>-<to> (RAW snapshots)."),
            _optional("attributes", StringType(), "The message's attributes, as JSON text."),
            _optional("rescued", MapType(0, StringType(), 0, StringType()), "What has no column, by JSON Pointer."),
            *(_optional(column.name, StringType(), column.pointer) for column in payload),
        ],
        [Partition("day", "publish_time")],
        {**_UNSHUFFLED, **_STAGED, **_whole_bounds("message_id", "batch_id")},
    )


def parse_errors() -> Definition:
    """STANDARDIZED `parse_errors`: payloads that cannot be flattened. One row per message_id: its first occurrence.

    Partitioned by batch too, so that a retry replaces exactly its own batch whatever compaction did before.
    """
    return _table(
        "standardized",
        PARSE_ERRORS,
        [
            _optional("message_id", StringType(), "The sender's id of the message."),
            _optional("topic_name", StringType(), "The topic it was sent to."),
            _optional("publish_time", TimestamptzType(), "When the sender published it."),
            _optional("ingestion_ts", TimestamptzType(), "When ledgerlake took it."),
            _optional("json_payload", StringType(), "The payload, unchanged."),
            _optional("error_code", StringType(), "not_json, not_an_object, too_deep, number_too_long or bad_text."),
            _optional("error_message", StringType(), "What is wrong, in words."),
            _optional("batch_id", StringType(), "The batch that brought it."),
            _optional("failed_at", TimestamptzType(), "When it was found."),
            *_resolution(edited=True),
        ],
        [Partition("identity", "topic_name"), Partition("identity", "batch_id")],
        {**_UNSHUFFLED, **_SHARED, **_whole_bounds("message_id")},
    )


def curated(contract: Contract) -> Definition:
    """CURATED `<topic>`: typed by the contract. One row per idempotency_key: its latest record."""
    return _table(
        "curated",
        contract.table_name,
        [
            _optional("message_id", StringType(), "The message that brought the row."),
            _optional("idempotency_key", StringType(), "The record's key; one row each."),
            _optional("publish_time", TimestamptzType(), "When the sender published it."),
            _optional("ingestion_ts", TimestamptzType(), "When ledgerlake took it."),
            _optional("batch_id", StringType(), "The standardized batch that brought it."),
            *(_contract_column(column) for column in contract.columns),
        ],
        contract.partition_by,
        {**_MERGE_ON_READ, **_STAGED, **_whole_bounds("idempotency_key"), **_tags(contract)},
    )


def errors() -> Definition:
    """CURATED `errors`: records that broke their contract, whole, with every violation. One row per message_id."""
    violation = StructType(
        _optional("kind", StringType(), "cde, cast, check or rule."),
        _optional("column", StringType(), "The column; none for a rule."),
        _optional("rule", StringType(), "`required`, the type, the option or the rule's name."),
        _optional("value", StringType(), "The value that failed, *** of personal data; none for a rule."),
    )
    return _table(
        "curated",
        ERRORS,
        [
            _optional("message_id", StringType(), "The message."),
            _optional("topic_name", StringType(), "Its topic."),
            _optional("idempotency_key", StringType(), "Its key, where it has one."),
            _optional("publish_time", TimestamptzType(), "When the sender published it."),
            _optional("violations", ListType(0, violation), "Everything that is wrong with it."),
            _optional("record", StringType(), "The whole standardized row, as JSON text; *** for personal data."),
            _optional("contract_version", IntegerType(), "The contract it broke."),
            _optional("batch_id", StringType(), "The standardized batch that brought it."),
            _optional("failed_at", TimestamptzType(), "When it was found."),
            _optional("reported_by", StringType(), "The curate, replay or reprocess batch that wrote the row."),
            *_resolution(edited=True),
        ],
        [Partition("identity", "topic_name"), Partition("identity", "batch_id")],
        {**_UNSHUFFLED, **_SHARED, **_whole_bounds("message_id")},
    )


def topic_registry() -> Definition:
    """OPS `topic_registry`: the topics and their contracts' state. One row per topic."""
    return _table(
        "ops",
        TOPIC_REGISTRY,
        [
            _optional("topic_name", StringType(), "The topic."),
            _optional("description", StringType(), "The contract's description."),
            _optional("owner", StringType(), "Who answers for the dataset."),
            _optional("contract_version", IntegerType(), "The active contract; none: it lands in RAW only."),
            _optional("curated", BooleanType(), "Whether it has a CURATED table."),
            _optional("registered_at", TimestamptzType(), "When it was first seen."),
            _optional("updated_at", TimestamptzType(), "When this row last changed."),
        ],
        properties=_SHARED,
    )


def job_run_history() -> Definition:
    """OPS `job_run_history`: what each cycle did. One row per cycle_id, topic_name and stage."""
    counts = {
        "rows_in": "Rows of the batch.",
        "rows_standardized": "Rows written to STANDARDIZED.",
        "rows_duplicate": "Later copies of a message_id.",
        "rows_parse_error": "Rows written to parse_errors.",
        "rows_curated": "Rows inserted or updated in CURATED.",
        "rows_superseded": "Rows that a later record of their key supersedes: of this batch, or replaced by it.",
        "rows_error": "Rows written to errors.",
        "rows_warned": "Rows that broke a warn rule.",
        "bytes": "Bytes of data files written by the main commit.",
        "drift": "Rows of ops.drift_log that the batch has.",
    }
    return _table(
        "ops",
        JOB_RUN_HISTORY,
        [
            _required("cycle_id", StringType(), "The Step Functions execution's name."),
            _required("topic_name", StringType(), "The topic."),
            _required("stage", StringType(), "plan, standardize, curate, replay or reprocess."),
            _required("outcome", StringType(), "SKIPPED_*, STANDARDIZED, CURATED, REPLAYED, REPROCESSED or FAILED."),
            _optional("batch_id", StringType(), "The batch worked on."),
            *(_optional(name, LongType(), doc) for name, doc in counts.items()),
            _optional("contract_version", IntegerType(), "The contract in force."),
            _optional("started_at", TimestamptzType(), "When the topic's work began."),
            _optional("ended_at", TimestamptzType(), "When it ended."),
            _optional("error", StringType(), "Why it failed."),
        ],
        properties={**_SHARED, **_whole_bounds("cycle_id")},
    )


def schema_versions() -> Definition:
    """OPS `schema_versions`: every contract that was uploaded. One row per version, and per upload that became none."""
    return _table(
        "ops",
        SCHEMA_VERSIONS,
        [
            _optional("topic_name", StringType(), "The topic."),
            _optional("contract_version", IntegerType(), "1 for the first, rising by 1; none: it became no version."),
            _optional("contract_sha256", StringType(), "The contract's bytes, hashed; none: too large to be read."),
            _optional("contract_version_id", StringType(), "The S3 version of active/schema.json."),
            _optional("contract", StringType(), "The contract's text; none: it is no UTF-8, or was not read."),
            _optional("changes", StringType(), "What changed since the version before, as JSON text."),
            _optional("published_at", TimestamptzType(), "When it became active, or was refused."),
            _optional("outcome", StringType(), "active, failed, or superseded: another was faster; none: active."),
            _optional("problems", StringType(), "Why it failed, as JSON text."),
            _optional("uploaded_by", StringType(), "Who uploaded it: as the uploader says, and (as S3 says)."),
            _optional("reason", StringType(), "Why, as the uploader says, or the contract's rebuild does."),
            _optional("upload_version_id", StringType(), "The S3 version of pending/schema.json."),
            _optional("field_ids", StringType(), "The columns' Iceberg field ids in CURATED, as JSON text."),
        ],
        properties=_SHARED,
    )


def drift_log() -> Definition:
    """OPS `drift_log`: what payloads brought that the tables did not know. One row per batch, change and path."""
    return _table(
        "ops",
        DRIFT_LOG,
        [
            _required("topic_name", StringType(), "The topic."),
            _required(
                "change", StringType(), "What changed, as docs/runbook.md lists it: column_added, collision, ..."
            ),
            _optional("column_name", StringType(), "The column, or the one that the path would have had."),
            _required("path", StringType(), "The path, as a JSON Pointer; empty: all those that are not listed."),
            _optional("message_id", StringType(), "The batch's first message with it; none for what did not come."),
            _optional("sample", StringType(), "Its value there, cut to 200 characters; none of personal data."),
            _required("batch_id", StringType(), "The batch."),
            _optional("seen_at", TimestamptzType(), "When it was found."),
            _optional("count", LongType(), "The batch's rows with it; with an empty path, how many paths."),
            _optional("detail", StringType(), "More about it: the kinds before and now, or since when."),
        ],
        properties={**_SHARED, **_whole_bounds("batch_id")},
    )


def reconciliation_log() -> Definition:
    """OPS `reconciliation_log`: how the layers balance. One row per cycle_id, topic_name, formula and window."""
    return _table(
        "ops",
        RECONCILIATION_LOG,
        [
            _optional("cycle_id", StringType(), "The cycle after which it was checked, or the check's own id."),
            _optional("topic_name", StringType(), "The topic."),
            _optional("formula", StringType(), "Which conservation formula (design 2)."),
            _optional("expected", LongType(), "Its left side, in rows."),
            _optional("actual", LongType(), "Its right side, in rows."),
            _optional("balanced", BooleanType(), "Whether both are equal."),
            _optional("details", StringType(), "The right side's parts and samples of ids, as JSON text."),
            _optional("checked_at", TimestamptzType(), "When it was checked."),
            _optional("window_from", TimestamptzType(), "First ingestion_ts looked at; none: all, by count."),
            _optional("window_to", TimestamptzType(), "End of the ingestion_ts looked at, itself not in it."),
            _optional("missing", LongType(), "Ids that stand nowhere; none where only rows were counted."),
            _optional("doubled", LongType(), "Ids that stand more often than they may."),
            _optional("variance_percent", DoubleType(), "Both, in percent of the left side."),
        ],
        properties={**_SHARED, **_whole_bounds("cycle_id")},
    )


def reconciliation_findings() -> Definition:
    """OPS `reconciliation_findings`: what the full reconciliation found. One row per run, topic, finding and id."""
    return _table(
        "ops",
        RECONCILIATION_FINDINGS,
        [
            _optional("checked_at", TimestamptzType(), "When the run began."),
            _optional("run_id", StringType(), "The run: cycle_id of its rows in reconciliation_log."),
            _optional("topic_name", StringType(), "The topic."),
            _optional("finding", StringType(), "missing, doubled, or unknown: it never came."),
            _optional("message_id", StringType(), "The id; of an accepted broken envelope, its SQS id."),
            _optional("place", StringType(), "Where it stands, as <layer>.<table>; accepted/ is the accept log."),
        ],
        properties={**_SHARED, **_whole_bounds("run_id")},
    )


def fixed_tables() -> tuple[Definition, ...]:
    """The tables that are there whatever topics there are."""
    return (
        dlq_errors(),
        firehose_errors(),
        parse_errors(),
        errors(),
        topic_registry(),
        job_run_history(),
        schema_versions(),
        drift_log(),
        reconciliation_log(),
        reconciliation_findings(),
    )


RESERVED_TOPICS: Final = frozenset({PARSE_ERRORS, ERRORS})
"""Names no topic may have: its table would be one of the fixed ones."""


def iceberg_type(column_type: ColumnType) -> IcebergType:
    """The Iceberg type of a contract's type; `json` is kept as text."""
    if column_type.kind == "decimal":
        return DecimalType(column_type.precision or 38, column_type.scale or 0)
    return _TYPES[column_type.kind]


_TYPES: Final[dict[str, IcebergType]] = {
    "string": StringType(),
    "boolean": BooleanType(),
    "int": IntegerType(),
    "bigint": LongType(),
    "double": DoubleType(),
    "date": DateType(),
    "timestamp": TimestamptzType(),
    "json": StringType(),
}


def _tags(contract: Contract) -> dict[str, str]:
    return {TAGS: ", ".join(contract.tags)} if contract.tags else {}


def _contract_column(column: ContractColumn | EnvelopeColumn) -> NestedField:
    return _optional(column.name, iceberg_type(column.type), column.doc)


def _required(name: str, kind: IcebergType, doc: str | None) -> NestedField:
    return NestedField(0, name, kind, required=True, doc=doc)


def _optional(name: str, kind: IcebergType, doc: str | None) -> NestedField:
    return NestedField(0, name, kind, required=False, doc=doc)


def _table(
    layer: Layer,
    name: str,
    columns: Iterable[NestedField],
    partitions: Iterable[Partition] = (),
    properties: Mapping[str, str] | None = None,
) -> Definition:
    # Field ids must be unique before pyiceberg assigns its own: number the top level here, the nested ones follow.
    schema = assign_fresh_schema_ids(Schema(*_numbered(columns)))
    return Definition(layer, name, schema, _spec(schema, partitions), {**_COMMON, **(properties or {})})


def _numbered(columns: Iterable[NestedField]) -> list[NestedField]:
    """The columns with ids of their own, nested ones included."""
    ids = iter(range(1, 1_000_000))

    def number(kind: IcebergType) -> IcebergType:
        if isinstance(kind, MapType):
            return MapType(next(ids), kind.key_type, next(ids), number(kind.value_type), kind.value_required)
        if isinstance(kind, ListType):
            return ListType(next(ids), number(kind.element_type), kind.element_required)
        if isinstance(kind, StructType):
            return StructType(*(numbered(child) for child in kind.fields))
        return kind

    def numbered(column: NestedField) -> NestedField:
        return NestedField(next(ids), column.name, number(column.field_type), required=column.required, doc=column.doc)

    return [numbered(column) for column in columns]


def _spec(schema: Schema, partitions: Iterable[Partition]) -> PartitionSpec:
    fields = [
        PartitionField(schema.find_field(part.column).field_id, 1000 + number, transform(part), part.field_name)
        for number, part in enumerate(partitions)
    ]
    return PartitionSpec(*fields) if fields else UNPARTITIONED_PARTITION_SPEC


def transform(partition: Partition) -> Transform[Any, Any]:
    """The Iceberg transform of a contract's partition field."""
    if partition.transform == "bucket":
        return BucketTransform(partition.size or 1)
    if partition.transform == "truncate":
        return TruncateTransform(partition.size or 1)
    return _TRANSFORMS[partition.transform]


_TRANSFORMS: Final[dict[str, Transform[Any, Any]]] = {
    "identity": IdentityTransform(),
    "year": YearTransform(),
    "month": MonthTransform(),
    "day": DayTransform(),
    "hour": HourTransform(),
}
