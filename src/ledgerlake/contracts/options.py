"""A column's options: which type has which, and what their values must be to each other (design 3.2)."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from ledgerlake.contracts.model import MAX_COLUMN_DESCRIPTION, Column, column_doc
from ledgerlake.contracts.problems import Wrong, one_of
from ledgerlake.contracts.types import ColumnType
from ledgerlake.records.casts import cast_values
from ledgerlake.records.constraints import ORDERED, broken, whole

Document = dict[str, Any]
Found = Iterator[tuple[str, Wrong]]
"""What is wrong, each with its place in the column."""

_KINDS: Final = {
    "true_values": ("boolean",),
    "false_values": ("boolean",),
    "allowed_values": ("string", "boolean", *ORDERED),
    "min": ORDERED,
    "max": ORDERED,
    "pattern": ("string",),
    "min_length": ("string",),
    "max_length": ("string",),
}
"""The kinds of type that have an option; those that are not here suit every type."""
_READING: Final = ("format", "true_values", "false_values")
_CONSTRAINTS: Final = ("allowed_values", "min", "max", "pattern", "min_length", "max_length")


def wrong_with_options(document: Document, kind: ColumnType | None) -> Found:
    """What is wrong with a column's options; `kind` is its type, None where it or its format cannot be read."""
    found = [*_contradictions(document), *_lists(document), *_pattern(document), *_comment(document)]
    if kind:
        found += [*_unfit(document, kind), *_values(document, kind)]
    yield from found
    if kind and not found:
        yield from _default(document, kind)


def _unfit(document: Document, kind: ColumnType) -> Found:
    for option, kinds in _KINDS.items():
        if document.get(option) not in (None, []) and kind.kind not in kinds:
            yield option, Wrong(f"the type {kind} has no `{option}`", f"only {one_of(kinds)} has one; take it away")
    if document.get("pii") in ("sha256", "mask") and kind.kind != "string":
        message = f"`pii` {document['pii']} leaves a text in CURATED, which the type {kind} does not hold"
        yield "pii", Wrong(message, "write the type `string`, or `drop`")


def _contradictions(document: Document) -> Found:
    if document.get("empty_as_null") is True and document.get("allow_empty") is True:
        message = "by `empty_as_null` an empty text is missing, by `allow_empty` it is present"
        yield "allow_empty", Wrong(message, "take one of them away")
    least, most = document.get("min_length"), document.get("max_length")
    if type(least) is int and type(most) is int and least > most:
        yield "min_length", Wrong(f"min_length {least} is more than max_length {most}", "no text could be right")


def _lists(document: Document) -> Found:
    for option in ("allowed_values", "true_values", "false_values", "tags"):
        if document.get(option) == []:
            yield option, Wrong("an empty list says nothing", "name at least one, or take it away")
    meaning = {"true": "true_values", "false": "false_values"}
    for option in ("true_values", "false_values"):
        for index, word in _texts(document, option):
            if meaning.setdefault(word.lower(), option) != option:
                message = f"the word {word[:100]!r} stands for true and for false"
                yield f"{option}/{index}", Wrong(message, "give it one meaning; upper and lower case are the same")


def _pattern(document: Document) -> Found:
    pattern = document.get("pattern")
    if not isinstance(pattern, str) or not _is_utf8(pattern):
        return
    try:
        for written in (pattern, whole(pattern)):  # `a)|(b` is none by itself, `\Qa` none within another
            pc.match_substring_regex(pa.array([""]), written)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ")[:200]
        remedy = "write an RE2 expression, e.g. [A-Z]{2}[0-9]{6}; it knows no look-around and no references"
        yield "pattern", Wrong(f"{pattern[:100]!r} is no pattern: {reason}", remedy)


def _comment(document: Document) -> Found:
    description, unit = document.get("description"), document.get("unit")
    if not isinstance(description, str | None) or not isinstance(unit, str | None):
        return
    length = len(column_doc(description, unit, [tag for _, tag in _texts(document, "tags")]) or "")
    if length > MAX_COLUMN_DESCRIPTION >= len(description or ""):
        message = f"description, unit and tags make a comment of {length} characters"
        yield "description", Wrong(message, f"the data catalogue takes {MAX_COLUMN_DESCRIPTION}: shorten them")


def _values(document: Document, kind: ColumnType) -> Found:
    """Texts that are to be values of the column's type: the default, the bounds, and each allowed value."""
    column = _column(document, kind, _READING)
    if column is None:
        return
    named = {option: document.get(option) for option in ("default", "min", "max") if _has(option, kind)}
    if _has("allowed_values", kind):
        named |= {f"allowed_values/{index}": text for index, text in _texts(document, "allowed_values")}
    texts = {place: text for place, text in named.items() if isinstance(text, str) and _is_utf8(text)}
    typed, _ = cast_values(pa.array(texts.values(), pa.string()), column)
    values = dict(zip(texts, typed.to_pylist(), strict=True))
    for place in (place for place, value in values.items() if value is None):
        option = "allowed value" if "/" in place else place
        remedy = "write it as the payload would, or change the type"
        yield place, Wrong(f"the {option} {texts[place][:100]!r} is no {kind}", remedy)
    least, most = values.get("min"), values.get("max")
    if least is not None and most is not None and least > most:
        yield "min", Wrong(f"min {document['min'][:100]} is more than max {document['max'][:100]}", "no value fits")


def _default(document: Document, kind: ColumnType) -> Found:
    """A default that the column's own constraints refuse; nothing else is wrong with the column."""
    column, text = _column(document, kind, (*_READING, *_CONSTRAINTS)), document.get("default")
    if column is None or not isinstance(text, str) or not _is_utf8(text):
        return
    texts = pa.array([text])
    values, _ = cast_values(texts, column)
    for option, breaks in broken(texts, values, column, lambda others: cast_values(others, column)[0]):
        if breaks[0].as_py():
            yield "default", Wrong(f"the default {text[:100]!r} breaks `{option}`", "change one of the two")


def _column(document: Document, kind: ColumnType, options: Iterable[str]) -> Column | None:
    """A column with these of the options; None when one of them is wrong, which is said elsewhere."""
    try:
        return Column.model_validate(
            {"name": "column", "type": kind} | {o: document[o] for o in options if o in document}
        )
    except ValidationError:
        return None


def _has(option: str, kind: ColumnType) -> bool:
    return option not in _KINDS or kind.kind in _KINDS[option]


def _texts(document: Document, field: str) -> Iterator[tuple[int, str]]:
    """The texts of a list, each with its place in it."""
    items = document.get(field)
    yield from ((n, item) for n, item in enumerate(items if isinstance(items, list) else []) if isinstance(item, str))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False  # reported by the model
    return True
