"""CURATED's partition fields: Iceberg's transforms of a column (https://iceberg.apache.org/spec/#partition-transforms)."""

import re
from dataclasses import dataclass
from typing import Final

from ledgerlake.contracts.problems import Wrong, did_you_mean, one_of
from ledgerlake.contracts.types import ColumnType

_NAME = "[a-z][a-z0-9_]*"
_TIME: Final = ("year", "month", "day", "hour")
_SIZED: Final = ("bucket", "truncate")
TRANSFORMS: Final = ("identity", *_TIME, *_SIZED)
PARTITION_PATTERN: Final = (
    rf"^({_NAME}|(identity|{'|'.join(_TIME)})\({_NAME}\)"
    rf"|({'|'.join(_SIZED)})(\([0-9]+, ?{_NAME}\)|\[[0-9]+\]\({_NAME}\)))$"
)
_FITS: Final = {
    "year": ("date", "timestamp"),
    "month": ("date", "timestamp"),
    "day": ("date", "timestamp"),
    "hour": ("timestamp",),
    "bucket": ("int", "bigint", "decimal", "date", "timestamp", "string"),
    "truncate": ("int", "bigint", "decimal", "string"),
    "identity": ("string", "boolean", "int", "bigint", "decimal", "date", "timestamp"),
}
_SUFFIX: Final = {
    "year": "_year",
    "month": "_month",
    "day": "_day",
    "hour": "_hour",
    "bucket": "_bucket",
    "truncate": "_trunc",
}
_PLAIN = re.compile(_NAME)
_CALL = re.compile(r"([a-z_]+)\(([^()]*)\)", re.IGNORECASE)
_SPEC = re.compile(r"([a-z_]+)\[([0-9]+)\]\(([^()]*)\)", re.IGNORECASE)
_EXAMPLES = "write e.g. day(event_time), bucket(16, user_id), truncate(4, postcode) or a column's name"
_MAX_SIZE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition field: a transform (with its size, where it has one) of a column."""

    transform: str
    column: str
    size: int | None = None

    @property
    def field_name(self) -> str:
        """The partition field's name, as Iceberg's own spec builder would give it: `event_time_day`."""
        return self.column + _SUFFIX.get(self.transform, "")

    def fits(self, column_type: ColumnType) -> bool:
        """Whether Iceberg has this transform for the type."""
        return column_type.kind in _FITS[self.transform]

    @property
    def fitting_types(self) -> tuple[str, ...]:
        """The kinds of type this transform takes."""
        return _FITS[self.transform]

    def __str__(self) -> str:
        if self.transform == "identity":
            return self.column
        return f"{self.transform}({self.size}, {self.column})" if self.size else f"{self.transform}({self.column})"


def parse_partition(text: str) -> Partition:
    """A partition field as a contract writes it. Raises Wrong."""
    if _PLAIN.fullmatch(text):
        return Partition("identity", text)
    if spec := _SPEC.fullmatch(text):
        return _sized(text, spec[1], spec[2], spec[3])
    if not (call := _CALL.fullmatch(text)):
        raise Wrong(f"{text[:100]!r} is no partition field", _EXAMPLES)
    transform, arguments = call[1], [part.strip() for part in call[2].split(",")]
    if transform not in TRANSFORMS:
        raise Wrong(
            f"there is no partition transform `{transform[:100]}`",
            did_you_mean(transform, TRANSFORMS, f"there are {one_of(TRANSFORMS)}"),
        )
    if transform in _SIZED:
        size, column = arguments if len(arguments) == 2 else ("", "")
        return _sized(text, transform, size, column)
    if len(arguments) != 1:
        raise Wrong(
            f"{transform} takes one column, not {len(arguments)} arguments", f"write e.g. {transform}(event_time)"
        )
    return Partition(transform, _column(arguments[0]))


def _sized(text: str, transform: str, size: str, column: str) -> Partition:
    if transform not in _SIZED:
        raise Wrong(f"`{transform[:100]}` takes no size", _EXAMPLES)
    if not re.fullmatch("[0-9]{1,10}", size) or not 1 <= int(size) <= _MAX_SIZE:
        raise Wrong(f"{text[:100]!r} has no size", f"write a whole number and a column, e.g. {transform}(16, user_id)")
    return Partition(transform, _column(column), int(size))


def _column(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise Wrong(f"{text[:100]!r} is no column's name", _EXAMPLES)
    return text
