"""What a field's name says: its words, the column it would be, and whether it names an id, a time or an amount."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ledgerlake.contracts.sources import Path
from ledgerlake.records import paths

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_MOST: Final = 63


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


RECORD_IDS: Final = _set("id uuid guid")
"""Last words of names whose values say which thing a record is about."""
IDS: Final = RECORD_IDS | _set(
    """
    ulid oid ean isbn sku iban bic vin imei mac version zip zipcode postcode plz phone tel telephone
    mobile fax ssn passport fips
    """
)
"""Last words of names whose values are never reckoned with, even where they are digits."""
CODES: Final = _set("code key no nr number num ref reference account postal hash")
"""Last words of names whose values are not reckoned with unless they come as JSON numbers."""
TIMES: Final = _set(
    """
    time timestamp ts date datetime day at on created updated modified occurred happened published received sent
    started ended expires expiry epoch when since until seen released release begin end birthday dob year month
    """
)
CHANGES: Final = _set("updated modified changed published sent ingested")
"""Words of a time at which a record was written rather than one at which something happened."""
NEVER_THE_EVENT: Final = _set("birth birthday dob expires expiry expiration until due")
SELDOM_THE_EVENT: Final = CHANGES | _set("end ended death hire hired")
AMOUNTS: Final = _set("amount price cost subtotal fee tax vat balance salary revenue discount")
"""Last words of amounts of money, which may have fractions even where the sampled ones have none."""
MONEY: Final = AMOUNTS | _set("total payment paid net gross")
"""Words of numbers with fractions that are amounts of money."""


def words(name: str) -> tuple[str, ...]:
    """A name's words in lower case, whether in camelCase, snake_case or with blanks: `userID 2` is user, id, 2."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return tuple(word.lower() for word in _WORD.findall(plain))


def last_word(path: Path) -> str:
    """The last word of a path's last segment that is no number, or nothing."""
    found = [word for word in words(path[-1]) if not word.isdecimal()]
    return found[-1] if found else ""


def is_record_id(path: Path) -> bool:
    """Whether the name is that of an id in the narrow sense."""
    return last_word(path) in RECORD_IDS


def is_id(path: Path) -> bool:
    """Whether the name is that of an id, a postcode, a phone number or the like."""
    return last_word(path) in IDS


def is_code(path: Path) -> bool:
    """Whether the name is that of a code or key, which may be digits that are no quantity."""
    return last_word(path) in CODES


def is_time(path: Path) -> bool:
    """Whether the name is that of a date or a time."""
    own = words(path[-1])
    return bool(own) and (own[-1] in TIMES or not TIMES.isdisjoint(own[:1]) or {"date", "time"} & set(own) != set())


def is_amount(path: Path) -> bool:
    """Whether the name is that of an amount of money, whole or not."""
    return last_word(path) in AMOUNTS


def is_money(path: Path) -> bool:
    """Whether the name is that of an amount of money, where its values have fractions."""
    return not MONEY.isdisjoint(words(path[-1]))


def column_names(given: Sequence[Path], reserved: frozenset[str]) -> list[str]:
    """A name for each path's column, unique and not `reserved`: its words, without what most paths begin with.

    An object that holds at least half of the fields is a wrapper and gives its columns no prefix, unless two of them
    would then be called the same.
    """
    wrapper = _wrapper(given)
    short = [_joined(path[len(wrapper) :] if path[: len(wrapper)] == wrapper else path) for path in given]
    times = Counter(short)
    names: list[str] = []
    for path, name in zip(given, short, strict=True):
        wanted = _joined(path) if times[name] > 1 else name
        names.append(_free(wanted, reserved.union(names)))
    return names


def _wrapper(given: Sequence[Path]) -> Path:
    """The longest path of an object that holds at least half of all fields."""
    holding = Counter(path[:depth] for path in given for depth in range(1, len(path)))
    wide = [path for path, count in holding.items() if count * 2 >= len(given)]
    return max(wide, key=len, default=())


def _joined(path: Path) -> str:
    """The words of all segments; a segment that begins with the one before it says that only once."""
    spoken: tuple[str, ...] = ()
    for segment, before in zip(path, ("", *path), strict=False):
        own, outer = words(segment), words(before)
        spoken += own[len(outer) :] if outer and own[: len(outer)] == outer and own != outer else own
    name = "_".join(spoken) or paths.column_name(path).strip("_") or "field"
    return (name if name[0].isalpha() else f"field_{name}")[:_MOST].rstrip("_")


def _free(name: str, taken: frozenset[str]) -> str:
    if name not in taken:
        return name
    return next(f"{name}_{number}" for number in range(2, len(taken) + 3) if f"{name}_{number}" not in taken)
