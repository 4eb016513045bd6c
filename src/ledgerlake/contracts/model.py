"""The contract: what a dataset is, as typed values (design 3.2)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, Literal

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
from ledgerlake.contracts.problems import Wrong
from ledgerlake.contracts.rules import columns_read
from ledgerlake.contracts.types import STRING, TIMESTAMP, TYPE_PATTERN, ColumnType, parse_type
from ledgerlake.records import paths

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
_ATTRIBUTES: Final = "attributes."


@dataclass(frozen=True, slots=True)
class Attribute:
    """A source outside the payload: one of the message's attributes, by its whole name (dots belong to it)."""

    name: str


Path = tuple[str, ...]
"""A source in the payload, as segments."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Wrong(f"a text is needed here, not {json_kind(value)}", 'write it in quotes, e.g. "event.time"')
    return value


def json_kind(value: object) -> str:
    """What JSON calls a value of this kind, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case dict():
            return "an object"
        case _:
            return "a list"


def parse_path(value: object) -> Path:
    """A payload path, dotted or a JSON Pointer, as segments. Raises Wrong."""
    if isinstance(value, tuple):
        return value
    written = _text(value)
    try:
        segments = paths.segments(written)
    except ValueError as error:
        raise Wrong(str(error), "write e.g. /a~1b for the field `a/b`") from error
    if not written.startswith("/") and "" in segments:
        raise Wrong(
            f"the path {written[:100]!r} has an empty segment",
            "write e.g. event.time, or a JSON Pointer such as /event//time",
        )
    return segments


def parse_source(value: object) -> Path | Attribute:
    """An envelope column's source: a payload path, or `attributes.<name>`. Raises Wrong."""
    if isinstance(value, str) and value.startswith(_ATTRIBUTES):
        if value == _ATTRIBUTES:
            raise Wrong("`attributes.` names no attribute", "write e.g. attributes.region")
        return Attribute(value.removeprefix(_ATTRIBUTES))
    return value if isinstance(value, Attribute) else parse_path(value)


def parse_sources(value: object) -> tuple[Path | Attribute, ...]:
    """One source, or a list of them (a composite key), as a tuple. Raises Wrong."""
    if isinstance(value, tuple) and not all(isinstance(part, str) for part in value):
        return value
    if not isinstance(value, list):
        return (parse_source(value),)
    if not value:
        raise Wrong("the list of sources is empty", "name the key's paths, or leave `source` out")
    return tuple(parse_source(part) for part in value)


def written_source(source: Path | Attribute) -> str:
    """A source as a contract may write it: dotted where that reads back the same, else a JSON Pointer."""
    if isinstance(source, Attribute):
        return _ATTRIBUTES + source.name
    dotted = ".".join(source)
    return dotted if _reads_back(dotted, source) else paths.pointer(source)


def _reads_back(dotted: str, source: Path) -> bool:
    plain = "" not in source and not dotted.startswith(("/", _ATTRIBUTES))
    return plain and paths.segments(dotted) == source


def _type(value: object) -> ColumnType:
    return value if isinstance(value, ColumnType) else parse_type(_text(value))


def _partition(value: object) -> Partition:
    return value if isinstance(value, Partition) else parse_partition(_text(value))


_SOURCE_SCHEMA: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "description": "The payload's path, dotted, or a JSON Pointer beginning with `/`; by default the column's name.",
}
_SOURCES_SCHEMA: dict[str, Any] = {
    "anyOf": [_SOURCE_SCHEMA, {"type": "array", "items": _SOURCE_SCHEMA, "minItems": 1}],
    "description": "The payload's path or `attributes.<name>`; a list of them makes a composite idempotency_key.",
}

Type = Annotated[
    ColumnType,
    BeforeValidator(_type),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": TYPE_PATTERN, "description": "The column's type in CURATED."}),
]
PayloadSource = Annotated[
    Path, BeforeValidator(parse_path), PlainSerializer(written_source, return_type=str), WithJsonSchema(_SOURCE_SCHEMA)
]


def _written_sources(sources: tuple[Path | Attribute, ...]) -> str | list[str]:
    written = [written_source(source) for source in sources]
    return written[0] if len(written) == 1 else written


EnvelopeSource = Annotated[
    tuple[Any, ...],
    BeforeValidator(parse_sources),
    PlainSerializer(_written_sources),
    WithJsonSchema(_SOURCES_SCHEMA),
]
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


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class _Column(_Frozen):
    """What the columns of envelope and payload have in common."""

    name: Name = Field(description="The column's name in CURATED.")
    type: Type
    cde: StrictBool = Field(default=False, description="Critical data element: a record without it is an error.")
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
    description: StrictStr | None = Field(
        default=None,
        max_length=MAX_COLUMN_DESCRIPTION,
        description="What the column means, as the data catalogue tells it.",
    )
    renamed_from: Name | None = Field(
        default=None, description="What the column was called in the version before: its values stay."
    )


def _named_source(document: object) -> object:
    """A column's source left out is its own name."""
    if not isinstance(document, dict) or document.get("source") is not None:
        return document
    name = document.get("name")
    return {**document, "source": (name,) if isinstance(name, str) else ("",)}


class Column(_Column):
    """A column of CURATED that the payload fills; `source` is the payload's path as segments."""

    source: PayloadSource = ()

    @model_validator(mode="before")
    @classmethod
    def _default_source(cls, document: object) -> object:
        return _named_source(document)

    @property
    def sources(self) -> tuple[Path | Attribute, ...]:
        """The one path, as an envelope column has its sources."""
        return (self.source,)


class EnvelopeColumn(_Column):
    """A column that comes with the message: idempotency_key, or one that payload or attributes fill.

    `sources` has one entry, but for a composite idempotency key.
    """

    model_config = ConfigDict(populate_by_name=True)

    sources: EnvelopeSource = Field(default=(), alias="source")

    @model_validator(mode="before")
    @classmethod
    def _default_source(cls, document: object) -> object:
        if isinstance(document, dict) and "sources" in document:
            return document
        named = _named_source(document)
        if isinstance(named, dict) and isinstance(named.get("source"), tuple):
            return {**named, "source": (named["source"],)}
        return named

    @property
    def source(self) -> Path | Attribute:
        """The first source: the only one of every column but a composite key."""
        first: Path | Attribute = self.sources[0]
        return first


class Rule(_Frozen):
    """A Spark SQL condition over the typed row; only FALSE breaks it, and `action` says what then happens."""

    name: Name
    expression: StrictStr = Field(min_length=1, max_length=10_000, examples=["amount >= 0"])
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

    table_name: StrictStr = Field(pattern=TOPIC_PATTERN, description="The dataset's name, which is its topic's.")
    description: StrictStr | None = None
    owner: StrictStr | None = Field(default=None, description="Who answers for the dataset.")
    envelope_columns: tuple[EnvelopeColumn, ...]
    payload_columns: tuple[Column, ...] = Field(description="None at all: the dataset is standardized only.")
    partition_by: tuple[PartitionField, ...] = Field(default=(), description="CURATED's partition fields.")
    dedup_window_days: Annotated[StrictInt, Field(ge=0, le=MAX_DEDUP_WINDOW_DAYS)] = Field(
        default=7, description="Days before and after a batch in which a message_id is looked up."
    )
    rules: tuple[Rule, ...] = ()
    accept: tuple[StrictStr, ...] = Field(
        default=(), description="Ids of guarded changes that this version makes on purpose, as the refusal names them."
    )
    rebuild: Rebuild | None = Field(
        default=None, description="Makes breaking changes: CURATED is rebuilt from STANDARDIZED."
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

    def column(self, name: str) -> EnvelopeColumn | Column:
        """The contract's column of this name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
