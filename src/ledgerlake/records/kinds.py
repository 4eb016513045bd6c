"""The JSON kinds of values, which their texts in STANDARDIZED no longer tell: 5 and "5" are one text (ADR 0016)."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

STRING: Final = 1
NUMBER: Final = 2
BOOLEAN: Final = 4
ARRAY: Final = 8
OBJECT: Final = 16
JSON: Final = 32
"""Whatever it is: the contract keeps the path's whole value as JSON text."""
EVERY: Final = 63

_NAMES: Final = {
    STRING: "string",
    NUMBER: "number",
    BOOLEAN: "boolean",
    ARRAY: "array",
    OBJECT: "object",
    JSON: "json",
}
_ZERO: Final = ord("0")

OF_TYPE: Final[dict[type, int]] = {
    str: STRING,
    bool: BOOLEAN,
    int: NUMBER,
    msgspec.Raw: NUMBER,
    list: ARRAY,
    dict: OBJECT,
    type(None): 0,
}
"""The kind of a parsed value; number text is carried as msgspec.Raw."""
OF_FIRST: Final[dict[bytes, int]] = {
    **dict.fromkeys((b"-", *(b"%d" % digit for digit in range(10))), NUMBER),
    **dict.fromkeys((b"t", b"f"), BOOLEAN),
    b'"': STRING,
    b"[": ARRAY,
    b"{": OBJECT,
    b"n": 0,
}
"""The kind of a value by the first byte of its JSON text."""


def named(kinds: int) -> str:
    """Kinds in words: `number, string`."""
    return ", ".join(sorted(name for kind, name in _NAMES.items() if kinds & kind))


def news(known: int, seen: int) -> int:
    """The kinds seen that change what was known; whether a value is kept whole as JSON is the contract's doing."""
    return seen & ~(known | JSON) if known & ~JSON else 0


def written(kinds: Sequence[int]) -> str:
    """The kinds of each column of a layout as one text, a character a column."""
    return "".join([chr(_ZERO + kind) for kind in kinds])


def read(texts: Iterable[str], width: int) -> list[int]:
    """The kinds of each column in any of the texts that `written` made of a layout so wide."""
    found = [0] * width
    for text in texts:
        for column, character in enumerate(text):
            found[column] |= ord(character) - _ZERO
    return found
