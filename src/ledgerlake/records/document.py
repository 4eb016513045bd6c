"""One JSON document at a time: parse it exactly, walk it to its leaves, or say with a code why not (design 4.1).

This is the definition of flatten. Two parsers feed one walk: msgspec where it keeps everything, else the standard
library's, which is slower and keeps the text of every number. Number text is carried as msgspec.Raw.
"""

import re
from json import JSONDecodeError, JSONDecoder
from typing import Any, Literal, NoReturn

import msgspec

from ledgerlake.records.kinds import EVERY, JSON, OF_TYPE
from ledgerlake.records.layout import Layout
from ledgerlake.records.paths import segments

MAX_LEVELS = 64
"""Containers on the way from the root (1) to the deepest one, arrays counted."""
MAX_NUMBER = 1_000
"""Characters of a number's text."""

ErrorCode = Literal["not_json", "not_an_object", "too_deep", "number_too_long", "bad_text"]
Buffer = bytes | memoryview

encode = msgspec.json.encode


_NOTHING_KNOWN: dict[str, "Node"] = {}
_minus_zero = re.compile(rb"-0(?<=[\[:,\s]-0)(?=[\s,\]}])").search


class Defect(Exception):
    """Why a payload cannot be flattened: a code of design 4.1 and a sentence."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Node:
    """A path of the layout: the column it owns (or -1), the kinds it takes, whether it is JSON, its known children."""

    __slots__ = ("children", "column", "json", "pointer", "takes")

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer
        self.column = -1
        self.takes = EVERY
        self.json = False
        self.children: dict[str, Node] = {}

    def child(self, key: str) -> "Node":
        """The node of a key below this one, made when it is new."""
        return self.children.setdefault(key, Node(f"{self.pointer}/{_escaped(key)}"))


def tree(layout: Layout) -> Node:
    """A layout as a tree of its paths; the column is the position in `layout.columns`."""
    root = Node("")
    for position, owned in enumerate(layout.columns):
        _descend(root, owned.pointer).column = position
    for pointer in layout.json_pointers:
        _descend(root, pointer).json = True
    for pointer, taken in layout.strict:
        _descend(root, pointer).takes = taken
    return root


def _descend(node: Node, pointer: str) -> Node:
    for key in segments(pointer):
        node = node.child(key)
    return node


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def walk(
    document: dict[str, Any],
    node: Node | None,
    row: list[str | None],
    rescued: list[tuple[str, str]],
    seen: list[int],
) -> None:
    """Put the text of every non-null leaf into `row` by its column, or into `rescued` (JSON Pointer, text) without one.

    In document order; of duplicate keys the last value stands, in the first one's place. A value of a kind that its
    column does not take is rescued too. `seen` gathers the kinds of each column's values. Raises Defect when an array
    or object lies too deep or a number is too long.
    """
    _walk(document, node, "", 1, row, rescued, seen)


def _walk(
    document: dict[str, Any],
    node: Node | None,
    pointer: str,
    level: int,
    row: list[str | None],
    rescued: list[tuple[str, str]],
    seen: list[int],
) -> None:
    known = node.children if node is not None else _NOTHING_KNOWN
    for key, value in document.items():
        if value is None:
            continue
        child = known.get(key)
        whole = child is not None and child.json
        if type(value) is dict and value and not whole:
            if level >= MAX_LEVELS:
                _too_deep()
            path = child.pointer if child is not None else f"{pointer}/{_escaped(key)}"
            _walk(value, child, path, level + 1, row, rescued, seen)
            continue
        text = value if type(value) is str and not whole else leaf_text(value, level, whole)
        if child is not None and child.column >= 0:
            column, kind = child.column, JSON if whole else OF_TYPE[type(value)]
            seen[column] |= kind
            if kind & child.takes:
                row[column] = text
                continue
        rescued.append((f"{pointer}/{_escaped(key)}", text))


def leaf_text(value: Any, level: int, whole: bool = False) -> str:
    """A leaf's text; `level` is that of the object it stands in, `whole` that it is kept as JSON (a string in quotes).

    Raises Defect when it holds more than MAX_LEVELS levels, or a number of more than MAX_NUMBER characters.
    """
    kind = type(value)
    if kind is str and not whole:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    text = encode(value).decode()
    if kind is dict or kind is list:
        # Counting brackets over-counts those within strings, so it only acquits.
        if level + text.count("[") + text.count("{") > MAX_LEVELS or len(text) > MAX_NUMBER:
            inspect(value, level + 1)
    elif kind is not str and len(text) > MAX_NUMBER:
        _number_too_long(len(text))
    return text


def inspect(value: Any, level: int) -> None:
    """Raise Defect when a parsed value, standing at `level` if it is a container, breaks a limit or cannot be UTF-8."""
    pending = [(value, level)]
    while pending:
        item, at = pending.pop()
        kind = type(item)
        if kind is str:
            _require_utf8(item)
        elif kind is int or kind is msgspec.Raw:
            if len(encode(item)) > MAX_NUMBER:
                _number_too_long(len(encode(item)))
        elif kind is dict or kind is list:
            if at > MAX_LEVELS:
                _too_deep()
            if kind is dict:
                for key in item:
                    _require_utf8(key)
                pending.extend((held, at + 1) for held in item.values())
            else:
                pending.extend((held, at + 1) for held in item)


def _require_utf8(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Defect("bad_text", f"A lone surrogate ({text[error.start]!a}) is no character") from None


def _too_deep() -> NoReturn:
    raise Defect("too_deep", f"More than {MAX_LEVELS} levels of objects and arrays")


def _number_too_long(length: int) -> NoReturn:
    raise Defect("number_too_long", f"A number of {length} characters; {MAX_NUMBER} are allowed")


def _no_constant(name: str) -> NoReturn:
    raise Defect("not_json", f"{name} is not JSON")


def _raw(number: str) -> msgspec.Raw:
    return msgspec.Raw(number)


_exact = JSONDecoder(parse_float=_raw, parse_int=_raw, parse_constant=_no_constant).decode
_quick = msgspec.json.Decoder(float_hook=msgspec.Raw).decode


def parse(payload: Buffer | None) -> dict[str, Any]:
    """A payload's object with the text of every number kept; raises Defect."""
    if payload is None:
        raise Defect("not_json", "There is no payload")
    document = None
    if not holds_minus_zero(payload):
        try:
            document = _quick(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = None
    if type(document) is not dict:
        return parse_exactly(payload)
    return document


def holds_minus_zero(payload: Buffer | None) -> bool:
    """Whether the integer -0 may stand in a payload's arrays and objects: msgspec reads it as 0."""
    return payload is None or _minus_zero(payload) is not None


def parse_exactly(payload: Buffer) -> dict[str, Any]:
    """As `parse`, by the standard library alone: what defines which texts are JSON, and the code of those that are not.

    Raises Defect.
    """
    try:
        document = _exact(str(payload, "utf-8"))
    except UnicodeDecodeError as error:
        raise Defect("bad_text", f"Byte {error.start} is not UTF-8") from None
    except JSONDecodeError as error:
        raise Defect("not_json", str(error)) from None
    except RecursionError:
        _too_deep()
    if type(document) is not dict:
        raise Defect("not_an_object", f"The payload is {_KINDS.get(type(document), 'null')}")
    inspect(document, 1)
    return document


_KINDS = {list: "an array", str: "a string", bool: "a boolean", msgspec.Raw: "a number"}
