"""The contract: what a dataset is, as typed values (design 3.2)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from ledgerlake.contracts.partitions import PARTITION_PATTERN, Partition, parse_partition
from ledgerlake.contracts.problems import require_text
from ledgerlake.contracts.rules import columns_read
from ledgerlake.contracts.sources import Attribute, EnvelopeSources, Path, PayloadSources
from ledgerlake.contracts.types import DECIMAL_PATTERN, SIMPLE_TYPES, STRING, TIMESTAMP, ColumnType, parse_type

CURATED_COLUMNS: Final = {
    "message_id": STRING,
    "idempotency_key": STRING,
    "publish_time": TIMESTAMP,
    "ingestion_ts": TIMESTAMP,
    "batch_id": STRING,
}
"""CURATED's own columns, in the table's order, before the contract's (design 3.3)."""

IDEMPOTENCY_KEY: Final = "idempotency_key"
NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,254}$"
TOPIC_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
MAX_DEDUP_WINDOW_DAYS: Final = 365
MAX_COLUMN_DESCRIPTION: Final = 255
"""Characters of a column's description: the Glue Data Catalog takes no longer comments."""
MAX_LENGTH: Final = 2**31 - 1


def _type(value: object) -> ColumnType:
    return value if isinstance(value, ColumnType) else parse_type(require_text(value))


def _partition(value: object) -> Partition:
    return value if isinstance(value, Partition) else parse_partition(require_text(value))


Type = Annotated[
    ColumnType,
    BeforeValidator(_type),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [{"enum": list(SIMPLE_TYPES)}, {"type": "string", "pattern": DECIMAL_PATTERN}],
            "description": "The column's type in CURATED.",
            "examples": ["decimal(12,2)"],
        }
    ),
]


def _ignored(value: object) -> None:
    """A text for people and editors: whatever it says, two contracts that differ in it alone are the same."""
    if value is not None:
        require_text(value)


Ignored = Annotated[None, BeforeValidator(_ignored), WithJsonSchema({"type": "string"})]
PartitionField = Annotated[
    Partition,
    BeforeValidator(_partition),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": PARTITION_PATTERN,
            "examples": ["day(event_time)", "bucket(16, user_id)", "region"],
        }
    ),
]
Name = Annotated[StrictStr, Field(pattern=NAME_PATTERN)]
Words = tuple[Annotated[StrictStr, Field(min_length=1)], ...]
Length = Annotated[StrictInt, Field(ge=0, le=MAX_LENGTH)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    comment: Ignored = Field(default=None, alias="$comment", description="For whoever reads the file; ignored.")


class _Column(_Frozen):
    """What the columns of envelope and payload have in common."""

    name: Name = Field(description="The column's name in CURATED.")
    type: Type
    cde: StrictBool = Field(default=False, description="Critical data element: a record without it is an error.")
    drift: Literal["evolve", "freeze", "reject"] = Field(
        default="evolve",
        description="A value of another JSON kind than the type's: reject makes its record an error even where the "
        "cast would succeed; otherwise the cast alone decides.",
    )
    default: StrictStr | None = Field(
        default=None, description="Fills an absent or null value; a text of the column's type."
    )
    allow_empty: StrictBool = Field(
        default=False, description="An empty or blank text counts as present (string only)."
    )
    format: StrictStr | None = Field(
        default=None,
        description="How a date or timestamp is written: strptime directives, or epoch_s, epoch_ms, epoch_us.",
        examples=["%d/%m/%Y %H:%M", "epoch_ms"],
    )
    trim: StrictBool = Field(default=False, description="ASCII white space around the text does not count.")
    empty_as_null: StrictBool = Field(default=False, description="An empty text (after trim) counts as null.")
    true_values: Words = Field(
        default=(), description="Further words for true, in any case (boolean only).", examples=[["yes", "1"]]
    )
    false_values: Words = Field(
        default=(), description="Further words for false, in any case (boolean only).", examples=[["no", "0"]]
    )
    allowed_values: tuple[StrictStr, ...] = Field(
        default=(), description="The values there may be, as the payload writes them.", examples=[["new", "paid"]]
    )
    min: StrictStr | None = Field(
        default=None, description="The least value there may be, as the payload writes it.", examples=["0"]
    )
    max: StrictStr | None = Field(
        default=None, description="The greatest value there may be, as the payload writes it.", examples=["100"]
    )
    pattern: StrictStr | None = Field(
        default=None,
        max_length=1_000,
        description="An RE2 regular expression that the whole text must match (string only).",
        examples=["[A-Z]{2}[0-9]{6}"],
    )
    min_length: Length | None = Field(default=None, description="The fewest characters there may be (string only).")
    max_length: Length | None = Field(default=None, description="The most characters there may be (string only).")
    pii: Literal["sha256", "mask", "drop"] | None = Field(
        default=None,
        description="Personal data. CURATED holds its salted hash, the text *** or NULL; `errors` holds *** only.",
    )
    description: StrictStr | None = Field(
        default=None,
        max_length=MAX_COLUMN_DESCRIPTION,
        description="What the column means, as the data catalogue tells it.",
    )
    unit: StrictStr | None = Field(
        default=None,
        min_length=1,
        description="What its numbers count, as the data catalogue tells it.",
        examples=["km"],
    )
    tags: Words = Field(default=(), description="Words that the data catalogue tells beside the description.")
    renamed_from: Name | None = Field(
        default=None, description="What the column was called in the version before: its values stay."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_source(cls, document: object) -> object:
        """A source left out is the column's own name."""
        if not isinstance(document, dict) or document.get("source") is not None:
            return document
        name = document.get("name")
        return {**document, "source": (name,) if isinstance(name, str) else ("",)}

    @property
    def doc(self) -> str | None:
        """What the data catalogue tells of the column: `How deep it was. (unit: km; tags: core, sensor)`."""
        return column_doc(self.description, self.unit, self.tags)


def column_doc(description: str | None, unit: str | None, tags: Sequence[str]) -> str | None:
    """A column's comment in the catalogue; None where there is nothing to tell."""
    notes = [*([f"unit: {unit}"] if unit else []), *([f"tags: {', '.join(tags)}"] if tags else [])]
    told = [*([description] if description else []), *([f"({'; '.join(notes)})"] if notes else [])]
    return " ".join(told) or None


class Column(_Column):
    """A column of CURATED that the payload fills; of its sources the first with a value counts."""

    sources: PayloadSources = Field(default=(), alias="source")


class EnvelopeColumn(_Column):
    """A column that comes with the message: idempotency_key, or one that payload or attributes fill.

    Of its sources the first with a value counts; those of an idempotency key make a composite key.
    """

    sources: EnvelopeSources = Field(default=(), alias="source")


class Rule(_Frozen):
    """A Spark SQL condition over the typed row; only FALSE breaks it, and `action` says what then happens."""

    name: Name = Field(description="What violations call it.")
    expression: StrictStr = Field(
        min_length=1, max_length=10_000, description="The condition, in Spark SQL.", examples=["amount >= 0"]
    )
    action: Literal["warn", "quarantine", "fail"] = Field(
        description="warn: counted; quarantine: to the errors table; fail: the topic's curate stops before any write."
    )

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns the expression reads, in lower case."""
        return columns_read(self.expression)


class Rebuild(_Frozen):
    """The consent to breaking changes: the tables are rebuilt under the new version."""

    reason: StrictStr = Field(min_length=1, max_length=1_000, description="Why; kept in ops.schema_versions.")


class Contract(_Frozen):
    """What a dataset is: its columns, key, partitions and rules. One per topic; made by `load`, which checks it."""

    json_schema: Ignored = Field(default=None, alias="$schema", description="For editors; ignored.")
    table_name: StrictStr = Field(pattern=TOPIC_PATTERN, description="The dataset's name, which is its topic's.")
    description: StrictStr | None = Field(default=None, description="What one row is.")
    owner: StrictStr | None = Field(default=None, description="Who answers for the dataset.")
    tags: Words = Field(default=(), description="Words to find the dataset by: CURATED's property `ledgerlake.tags`.")
    envelope_columns: tuple[EnvelopeColumn, ...] = Field(
        description="idempotency_key, and columns from the payload or the message's attributes."
    )
    payload_columns: tuple[Column, ...] = Field(
        description="CURATED's columns from the payload. None at all: the dataset is standardized only."
    )
    partition_by: tuple[PartitionField, ...] = Field(default=(), description="CURATED's partition fields.")
    dedup_window_days: Annotated[StrictInt, Field(ge=0, le=MAX_DEDUP_WINDOW_DAYS)] = Field(
        default=7, description="Days before and after a batch in which a message_id is looked up."
    )
    rules: tuple[Rule, ...] = Field(default=(), description="Conditions over the typed row.")
    accept: tuple[StrictStr, ...] = Field(
        default=(), description="Ids of guarded changes that this version makes on purpose, as the refusal names them."
    )
    rebuild: Rebuild | None = Field(
        default=None, description="Makes breaking changes: CURATED is rebuilt from STANDARDIZED."
    )
    drift: Literal["evolve", "freeze", "reject"] = Field(
        default="evolve",
        description="A field that the contract does not name: evolve gives it a column in STANDARDIZED, freeze leaves "
        "it in `rescued`, reject makes its record an error of CURATED too.",
    )

    @property
    def curated(self) -> bool:
        """Whether the dataset has a CURATED table at all."""
        return bool(self.payload_columns)

    @cached_property
    def key(self) -> EnvelopeColumn | None:
        """The idempotency key's column, or None when only the message can bring the key."""
        return next((column for column in self.envelope_columns if column.name == IDEMPOTENCY_KEY), None)

    @cached_property
    def key_sources(self) -> tuple[Path | Attribute, ...]:
        """Where the idempotency key comes from when the message brings none; more than one is a composite key."""
        return self.key.sources if self.key else ()

    @cached_property
    def columns(self) -> tuple[EnvelopeColumn | Column, ...]:
        """CURATED's columns after its own, in the table's order: the envelope's but the key, then the payload's."""
        return (*(column for column in self.envelope_columns if column is not self.key), *self.payload_columns)

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """Every payload path the contract names, each once, in the contract's order."""
        columns: tuple[EnvelopeColumn | Column, ...] = (*self.envelope_columns, *self.payload_columns)
        sources = [source for column in columns for source in column.sources]
        return tuple(dict.fromkeys(source for source in sources if not isinstance(source, Attribute)))

    @cached_property
    def json_paths(self) -> frozenset[Path]:
        """The paths whose whole values are JSON text: those of `json` columns."""
        return frozenset(
            source
            for column in self.columns
            if column.type.kind == "json"
            for source in column.sources
            if not isinstance(source, Attribute)
        )

    @cached_property
    def private_sources(self) -> tuple[Path | Attribute, ...]:
        """The sources of the columns that hold personal data (`pii`)."""
        return tuple(source for column in self.columns if column.pii for source in column.sources)

    @property
    def hashed(self) -> bool:
        """Whether personal data of it is hashed, so that a salt is needed."""
        return any(column.pii == "sha256" for column in self.columns)

    def is_private(self, path: Path) -> bool:
        """Whether a payload path may hold personal data: a private source, what lies in it, or what it lies in."""
        paths = (source for source in self.private_sources if not isinstance(source, Attribute))
        return any(path[: len(source)] == source[: len(path)] for source in paths)

    def column(self, name: str) -> EnvelopeColumn | Column:
        """The contract's column of this name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
