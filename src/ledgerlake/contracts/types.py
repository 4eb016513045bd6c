"""The types a contract may give a column (design 3.2)."""

import re
from dataclasses import dataclass
from typing import Final

from ledgerlake.contracts.problems import Wrong, did_you_mean, one_of

SIMPLE_TYPES: Final = ("string", "boolean", "int", "bigint", "double", "date", "timestamp", "json")
DECIMAL_PATTERN: Final = r"^decimal\([0-9]{1,2}, ?[0-9]{1,2}\)$"
MAX_PRECISION: Final = 38

_DECIMAL = re.compile(r"decimal\(([0-9]{1,2}), ?([0-9]{1,2})\)")
_OTHER_NAMES: Final = {
    "integer": "int", "int32": "int", "smallint": "int", "long": "bigint", "int64": "bigint", "float": "double",
    "number": "double", "bool": "boolean", "text": "string", "varchar": "string", "str": "string", "uuid": "string",
    "datetime": "timestamp", "timestamptz": "timestamp", "numeric": "decimal(p,s)", "decimal": "decimal(p,s)",
    "object": "json", "array": "json", "struct": "json", "map": "json", "variant": "json",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type; precision and scale are a decimal's own, and None for every other kind."""

    kind: str
    precision: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        return self.kind if self.precision is None else f"{self.kind}({self.precision},{self.scale})"


STRING: Final = ColumnType("string")
TIMESTAMP: Final = ColumnType("timestamp")


def parse_type(text: str) -> ColumnType:
    """A type as a contract writes it. Raises Wrong when there is no such type."""
    if text in SIMPLE_TYPES:
        return ColumnType(text)
    if not (written := _DECIMAL.fullmatch(text)):
        raise Wrong(f"there is no type {text[:100]!r}", _meant(text))
    precision, scale = int(written[1]), int(written[2])
    if not 1 <= precision <= MAX_PRECISION:
        raise Wrong(f"{text} has {precision} digits", f"a decimal has 1 to {MAX_PRECISION} digits, e.g. decimal(38,0)")
    if scale > precision:
        raise Wrong(f"{text} has more digits after the point than in all", f"write e.g. decimal({scale},{scale})")
    return ColumnType("decimal", precision, scale)


def _meant(text: str) -> str:
    bare = text.strip().lower()
    if bare.startswith("decimal("):
        return "write decimal(p,s) with two whole numbers, e.g. decimal(12,2)"
    if other := _OTHER_NAMES.get(bare.partition("(")[0]):
        return f"write `{other}`"
    types = (*SIMPLE_TYPES, "decimal(p,s)")
    return did_you_mean(bare, types, f"the types are {one_of(types)}")
