"""Numbers as text, exactly: what is one, and which whole number or decimal it is (design 4.3)."""

import re
from decimal import Decimal
from typing import NamedTuple

NUMBER = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
"""Optional sign, digits, optional fraction with digits on both sides of the point, optional exponent."""

_PARTS = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")
_FAR = 10**9
"""An exponent no type can hold; larger ones are read as this one, so that no text costs memory by its exponent."""


class Number(NamedTuple):
    """sign x digits x 10^exponent, with no zero at either end of the digits; zero has none."""

    negative: bool
    digits: str
    exponent: int

    @property
    def magnitude(self) -> int:
        """Digits before the point (zero or less for a number below 0.1)."""
        return len(self.digits) + self.exponent


def parse(text: str) -> Number | None:
    """The number that a text is, or None when it is none."""
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction, exponent_sign, exponent = match.groups(default="")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return Number(False, "", 0)
    kept = digits.rstrip("0")
    shift = exponent.lstrip("0")
    power = _FAR if len(shift) > 9 else int(shift or "0")
    at = len(digits) - len(kept) - len(fraction)
    return Number(sign == "-", kept, at - power if exponent_sign == "-" else at + power)


def integer(text: str, bits: int) -> int | None:
    """The value of a text that is a whole number within a signed integer of so many bits, else None."""
    number = parse(text)
    if number is None or number.exponent < 0 or number.magnitude > 19:
        return None
    value = int(number.digits or "0") * 10**number.exponent
    value = -value if number.negative else value
    return value if -(1 << bits - 1) <= value < 1 << bits - 1 else None


def decimal(text: str, precision: int, scale: int) -> Decimal | None:
    """The value of a text, where a decimal of this precision and scale holds it exactly, else None."""
    number = parse(text)
    if number is None or number.exponent < -scale or number.magnitude > precision - scale:
        return None
    return Decimal((int(number.negative), tuple(map(int, number.digits or "0")), number.exponent))


def floored(text: str, places: int, bound: int) -> int | None:
    """The greatest whole number not above text x 10^places; None when the text is no number or past `bound`."""
    number = parse(text)
    if number is None or (number.digits and number.magnitude + places > len(str(bound))):
        return None
    power = number.exponent + places
    if power >= 0:
        value = int(number.digits or "0") * 10**power
        value = -value if number.negative else value
    else:
        kept = number.digits[:power] if -power < len(number.digits) else ""
        value = -int(kept or "0") - 1 if number.negative else int(kept or "0")
    return value if -bound <= value <= bound else None
