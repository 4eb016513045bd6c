"""Where a column's values come from: a path in the payload or an attribute of the message, as contracts write them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from ledgerlake.contracts.problems import Wrong, require_text
from ledgerlake.records import paths

_ATTRIBUTES: Final = "attributes."


@dataclass(frozen=True, slots=True)
class Attribute:
    """A source outside the payload: one of the message's attributes, by its whole name (dots belong to it)."""

    name: str


Path = tuple[str, ...]
"""A source in the payload, as segments."""
Source = TypeVar("Source", bound=Path | Attribute)


def parse_path(value: object) -> Path:
    """A payload path, dotted or a JSON Pointer, as segments. Raises Wrong."""
    if isinstance(value, tuple):
        return value
    written = require_text(value)
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
    """An envelope column's sources: one or a list, as a tuple. Raises Wrong."""
    return _listed(value, parse_source)


def parse_paths(value: object) -> tuple[Path, ...]:
    """A payload column's sources: one path or a list of them, as a tuple. Raises Wrong."""
    return _listed(value, parse_path)


def _listed(value: object, parse: Callable[[object], Source]) -> tuple[Source, ...]:
    if isinstance(value, tuple) and not all(isinstance(part, str) for part in value):
        return value
    if not isinstance(value, list):
        return (parse(value),)
    if not value:
        raise Wrong("the list of sources is empty", "name its paths, or leave `source` out")
    return tuple(parse(part) for part in value)


def written_source(source: Path | Attribute) -> str:
    """A source as a contract may write it: dotted where that reads back the same, else a JSON Pointer."""
    if isinstance(source, Attribute):
        return _ATTRIBUTES + source.name
    dotted = ".".join(source)
    return dotted if _reads_back(dotted, source) else paths.pointer(source)


def _reads_back(dotted: str, source: Path) -> bool:
    plain = "" not in source and not dotted.startswith(("/", _ATTRIBUTES))
    return plain and paths.segments(dotted) == source


_SOURCE_SCHEMA: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "description": "The payload's path, dotted, or a JSON Pointer beginning with `/`; by default the column's name.",
}
_SOURCES_SCHEMA: dict[str, Any] = {
    "anyOf": [_SOURCE_SCHEMA, {"type": "array", "items": _SOURCE_SCHEMA, "minItems": 1}],
    "description": "The payload's path; of a list of them the first with a value counts.",
}
_ENVELOPE_SOURCES_SCHEMA: dict[str, Any] = _SOURCES_SCHEMA | {
    "description": "The payload's path or `attributes.<name>`; of a list of them the first with a value counts, and "
    "for idempotency_key it makes a composite key.",
}


def _written_sources(sources: tuple[Path | Attribute, ...]) -> str | list[str]:
    written = [written_source(source) for source in sources]
    return written[0] if len(written) == 1 else written


PayloadSources = Annotated[
    tuple[Path, ...],
    BeforeValidator(parse_paths),
    PlainSerializer(_written_sources),
    WithJsonSchema(_SOURCES_SCHEMA),
]
EnvelopeSources = Annotated[
    tuple[Any, ...],
    BeforeValidator(parse_sources),
    PlainSerializer(_written_sources),
    WithJsonSchema(_ENVELOPE_SOURCES_SCHEMA),
]
