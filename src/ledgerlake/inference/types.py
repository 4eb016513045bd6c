"""Which type a field's values have: one that takes each of them, or string; and why."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledgerlake.contracts.types import STRING, ColumnType
from ledgerlake.inference import names, times
from ledgerlake.inference.fit import fits
from ledgerlake.inference.profile import WHITE_SPACE, Field
from ledgerlake.records import numbers
from ledgerlake.records.numbers import Number

JSON: Final = ColumnType("json")
BOOLEAN: Final = ColumnType("boolean")
INT: Final = ColumnType("int")
BIGINT: Final = ColumnType("bigint")
DOUBLE: Final = ColumnType("double")

ROOM: Final = 10
"""How many times the greatest sampled number an int still has to hold; else the column is a bigint."""
MONEY_DIGITS: Final = 18
MOST_DIGITS: Final = 38
MAX_MONEY_SCALE: Final = 6

ENOUGH_NUMBERS: Final = 10
"""Different values from which on a single word among numbers is noticed."""

_NOTHING: Final = re.compile(r"[A-Za-z/.?-]{1,10}")
_WORDS: Final = (("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off"), ("ja", "nein"))


@dataclass(frozen=True)
class Typed:
    """A proposed type with the contract's other options for it, and why; `open` when a person has to choose."""

    type: ColumnType
    why: str
    options: dict[str, Any] = field(default_factory=dict)
    open: bool = False


def typed(field: Field, *, untyped: bool = False) -> Typed:
    """The type that the field's values propose; `untyped` where the source has texts only, as a CSV does."""
    if field.is_json:
        return Typed(JSON, _why_json(field))
    values = tuple(dict.fromkeys(value.strip(WHITE_SPACE) for value in field.values))
    found = _of(field, values, untyped=untyped)
    options = dict(found.options)
    if field.padded and (untyped or found.type != STRING):
        options["trim"] = True
    if field.blank and (untyped or found.type != STRING):
        options["empty_as_null"] = True
    return Typed(found.type, found.why, options, found.open)


def _why_json(field: Field) -> str:
    kinds = sorted(field.kinds)
    if kinds == ["array"]:
        return "arrays, kept whole"
    if kinds == ["object"]:
        return "objects with ever other keys, kept whole"
    return f"its values are of several kinds ({', '.join(kinds)}), kept whole"


def _of(field: Field, values: Sequence[str], *, untyped: bool) -> Typed:
    if not values:
        return Typed(STRING, "no record holds a value", open=True)
    if fits(values, BOOLEAN):
        return Typed(BOOLEAN, "true or false")
    digits = [numbers.parse(value) for value in values]
    if (found := _time(field, values, all(digits))) is not None:
        return found
    read = [number for number in digits if number is not None]
    if len(read) < len(values):
        return _word(values) or _but_for(values, digits) or Typed(STRING, "text")
    if names.is_id(field.path) or (names.is_code(field.path) and (untyped or field.kinds != {"number"})):
        return Typed(STRING, "numbers, but named like an identifier, which is no quantity")
    if any(len(value) > 1 and value[0] == "0" and value[1].isdigit() for value in values):
        return Typed(STRING, "digits with leading zeros, which a number would lose")
    return _number(field, values, read)


def _time(field: Field, values: Sequence[str], numeric: bool) -> Typed | None:
    """A date or a timestamp; a number is one only where its name says so."""
    if numeric:
        found = (times.compact(values) or times.epoch(values)) if names.is_time(field.path) else None
        return found and Typed(
            found.type, f"numbers that read as {found.format} are plausible", {"format": found.format}
        )
    if found := times.iso(values):
        return Typed(found.type, f"{found.type}s in ISO 8601")
    several = times.written(values)
    if len(several) > 1:
        choice = " or ".join(f"`{each.format}`" for each in several)
        return Typed(STRING, f"dates that can be read in several ways: choose the format {choice}", open=True)
    if several:
        return Typed(several[0].type, f"{several[0].type}s, all written alike", {"format": several[0].format})
    return None


def _word(values: Sequence[str]) -> Typed | None:
    """A boolean with words of its own: both of them occur, and nothing else."""
    for pair in _WORDS:
        spelled = {value.lower(): value for value in values}
        if spelled.keys() == set(pair):
            yes, no = (spelled[word] for word in pair)
            return Typed(BOOLEAN, f"only {yes} and {no}", {"true_values": [yes], "false_values": [no]})
    return None


def _but_for(values: Sequence[str], digits: Sequence[Number | None]) -> Typed | None:
    """Text, where all values but a word such as NA are numbers: the contract has no such word for a missing value."""
    odd = [value for value, number in zip(values, digits, strict=True) if number is None]
    if len(odd) > 1 or len(values) < ENOUGH_NUMBERS or not _NOTHING.fullmatch(odd[0]):
        return None
    why = f"numbers, but for `{odd[0]}`: text, unless the sender leaves that out"
    return Typed(STRING, why, open=True)


def _number(field: Field, values: Sequence[str], read: Sequence[Number]) -> Typed:
    scale = max(0, *(-number.exponent for number in read))
    digits = max(0, *(number.magnitude for number in read))
    whole = all(map(_whole, values))
    if scale <= MAX_MONEY_SCALE and (names.is_amount(field.path) or (names.is_money(field.path) and not whole)):
        return _decimal(digits, max(2, scale), "an amount: decimals are exact")
    if whole:
        return _integer(values, digits)
    if all(_double_holds(value) for value in values):
        return Typed(DOUBLE, "numbers with fractions")
    return _decimal(digits, scale, "numbers with more digits than a double holds")


def _whole(text: str) -> bool:
    return "." not in text and "e" not in text.lower()


def _integer(values: Sequence[str], digits: int) -> Typed:
    if fits(values, INT) and max(abs(int(value)) for value in values) * ROOM < 2**31:
        return Typed(INT, "whole numbers")
    if fits(values, BIGINT):
        return Typed(BIGINT, "whole numbers, some of them near or beyond what an int holds")
    return _decimal(digits, 0, "whole numbers beyond what a bigint holds")


def _decimal(digits: int, scale: int, why: str) -> Typed:
    """A decimal with room for larger numbers, or string where no decimal has so many digits."""
    if digits + scale > MOST_DIGITS:
        return Typed(STRING, f"numbers of more than {MOST_DIGITS} digits, which no decimal holds")
    precision = MONEY_DIGITS if digits + scale + 3 <= MONEY_DIGITS else MOST_DIGITS
    return Typed(ColumnType("decimal", precision, scale), why)


def _double_holds(text: str) -> bool:
    value = float(text)
    return abs(value) != float("inf") and numbers.parse(repr(value)) == numbers.parse(text)
