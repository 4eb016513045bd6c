"""How a JSON path is written (as segments, as a JSON Pointer) and which column it would like to have (design 4.1)."""

import re
from collections.abc import Iterable

MAX_COLUMN_NAME = 255
"""Characters a column's name may have (the Glue Data Catalog's limit); a path with a longer one has no column."""

STANDARDIZED_COLUMNS = (
    "message_id",
    "topic_name",
    "idempotency_key",
    "publish_time",
    "ingestion_ts",
    "batch_id",
    "attributes",
    "rescued",
)
"""STANDARDIZED's own columns, in the table's order around the payload's (design 3.3)."""

ICEBERG_METADATA_COLUMNS = (
    "_file",
    "_pos",
    "_deleted",
    "_spec_id",
    "_partition",
    "_row_id",
    "_last_updated_sequence_number",
    "_change_type",
    "_change_ordinal",
    "_commit_snapshot_id",
)
"""Names that Iceberg's readers add to a table's columns (org.apache.iceberg.MetadataColumns)."""

STANDARDIZED_PARTITION = "publish_time_day"
"""STANDARDIZED's partition field: Iceberg allows no column of its name."""

RESERVED_COLUMNS = frozenset((*STANDARDIZED_COLUMNS, STANDARDIZED_PARTITION, *ICEBERG_METADATA_COLUMNS))

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9_]")
_LOWERED = str.maketrans({chr(upper): chr(upper + 32) for upper in range(ord("A"), ord("Z") + 1)})
_ESCAPE = re.compile(r"~(?![01])")


def pointer(path: Iterable[str]) -> str:
    """A path's segments as a JSON Pointer (RFC 6901): `("a/b", "c~d")` is `/a~1b/c~0d`."""
    return "".join(["/" + segment.replace("~", "~0").replace("/", "~1") for segment in path])


def segments(source: str) -> tuple[str, ...]:
    """A contract's source as segments: a JSON Pointer when it begins with `/`, else dotted (design 3.2).

    Raises ValueError when a JSON Pointer holds a `~` that is neither `~0` nor `~1`.
    """
    if not source.startswith("/"):
        return tuple(source.split("."))
    if _ESCAPE.search(source):
        raise ValueError(f"{source!r} is no JSON Pointer: in a segment, ~ is written ~0 and / is written ~1")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in source[1:].split("/"))


def column_name(path: str | Iterable[str]) -> str:
    """The column that a path would like to own; `path` is segments, or a source as a contract writes it.

    A name over MAX_COLUMN_NAME is returned as it is: such a path owns no column (layout.claim decides).
    """
    parts = segments(path) if isinstance(path, str) else path
    joined = "_".join([_NOT_IN_A_NAME.sub("_", part.translate(_LOWERED)) or "_" for part in parts])
    return f"payload_{joined}" if joined in RESERVED_COLUMNS else joined
