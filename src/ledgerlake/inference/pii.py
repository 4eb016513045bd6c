"""Which fields may hold personal data, by their names and by their values: suspects for a person to decide on."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Final

from ledgerlake.inference.names import words
from ledgerlake.inference.profile import Field

SHARE: Final = 0.8
"""The part of the values that has to look like personal data."""
LOOKED_AT: Final = 1_000

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
_PHONE: Final = re.compile(r"(\+|00)[1-9][0-9 ()./-]{6,18}[0-9]|\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}")
_SSN: Final = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_CARD: Final = re.compile(r"[3-6][0-9]{3}([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}|3[47][0-9]{13}")

_PEOPLE: Final = (
    *("user", "customer", "person", "people", "patient", "employee", "contact", "author", "owner", "buyer", "seller"),
    *("member", "student", "passenger", "client", "victim", "holder"),
)

# Each word by itself, or words that follow one another.
_NAMES: Final = {
    "an email address": ("email", "mail", "e mail"),
    "a phone number": ("phone", "telephone", "tel", "mobile", "fax", "msisdn"),
    "a person's name": (
        "firstname", "first name", "forename", "given name", "lastname", "last name", "surname", "family name",
        "middle name", "maiden name", "full name", "fullname", "username", "cardholder",
        *(f"{who} name" for who in _PEOPLE),
    ),
    "an IP address": ("ip", "ipaddress", "ip address", "ipv4", "ipv6", "remote addr", "client addr"),
    "a postal address": ("address", "street", "addr", "zip", "zipcode", "postcode", "postal code", "house number"),
    "a birth date": ("birth date", "birthdate", "birthday", "dob", "date of birth", "born", "birth year"),
    "a card or account number": ("card number", "cardnumber", "credit card", "pan", "cvv", "iban", "account number"),
    "an identity number": ("ssn", "social security", "passport", "national id", "tax id", "driver license"),
    "a personal attribute": ("gender", "sex", "race", "ethnicity", "religion", "salary", "password", "nationality"),
}  # fmt: skip


def suspicion(field: Field) -> str | None:
    """What personal data the field may hold and how that shows, or None."""
    if field.kinds == {"boolean"}:
        return None
    if what := _by_value(field.values[:LOOKED_AT]):
        return f"its values look like {what}"
    what = _by_name(field)
    return f"it is named like {what}" if what else None


def _by_name(field: Field) -> str | None:
    own = words(field.path[-1])
    spoken = f" {' '.join(own)} "
    for what, phrases in _NAMES.items():
        if any(f" {phrase} " in spoken for phrase in phrases):
            return what
    around = {word.removesuffix("s") for segment in field.path[:-1] for word in words(segment)}
    return "a person's name" if own == ("name",) and not around.isdisjoint(_PEOPLE) else None


def _by_value(values: Sequence[str]) -> str | None:
    for what, looks in _LOOKS.items():
        if values and sum(map(looks, values)) >= SHARE * len(values):
            return what
    return None


def _is_ip(text: str) -> bool:
    if text.count(".") != 3 and text.count(":") < 2:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_card(text: str) -> bool:
    """A card number's digits with the check digit of ISO/IEC 7812-1 (Luhn)."""
    if not _CARD.fullmatch(text):
        return False
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return 13 <= len(digits) <= 19 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """An IBAN with its check digits (ISO 13616)."""
    plain = text.replace(" ", "")
    return bool(_IBAN.fullmatch(plain)) and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


_LOOKS: Final[dict[str, Callable[[str], bool]]] = {
    "email addresses": lambda text: _EMAIL.fullmatch(text) is not None,
    "IP addresses": _is_ip,
    "card numbers": _is_card,
    "IBANs": _is_iban,
    "social security numbers": lambda text: _SSN.fullmatch(text) is not None,
    "phone numbers": lambda text: _PHONE.fullmatch(text) is not None,
}
