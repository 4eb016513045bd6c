"""What a field's values are like, in a few words for a person."""

from datetime import date, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.inference.profile import WHITE_SPACE, Field
from ledgerlake.inference.types import Typed
from ledgerlake.records.casts import cast_texts

FEW: Final = 6
LONG: Final = 40
_ORDERED: Final = frozenset({"int", "bigint", "double", "decimal", "date", "timestamp"})


def described(field: Field, typed: Typed) -> str | None:
    """The range of numbers and times; of texts all, when they are few and short, else the first."""
    if not field.values or typed.type.kind in ("json", "boolean"):
        return None
    if typed.type.kind in _ORDERED:
        least, most = map(_shown, pc.min_max(cast_values(field, typed)).as_py().values())
        return f"{least} to {most}" if least != most else f"always {least}"
    short = all(len(value) <= LONG for value in field.values[:FEW])
    if len(field.values) <= FEW and short and field.present >= 2 * len(field.values):
        return f"only {', '.join(f'`{value}`' for value in field.values)}"
    first = field.values[0]
    return f"e.g. `{first}`" if len(first) <= LONG else f"e.g. `{first[:LONG]}…`"


def cast_values(field: Field, typed: Typed) -> pa.Array:
    """The field's different values as the proposed type."""
    texts = pa.array([value.strip(WHITE_SPACE) for value in field.values], pa.string())
    return cast_texts(texts, typed.type, typed.options.get("format"))[0]


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return value.isoformat() if isinstance(value, date) else str(value)
