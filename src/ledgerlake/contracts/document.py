"""A contract's text as a JSON document, with what JSON itself lets pass and a contract does not."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from ledgerlake.contracts.problems import ContractError, Problem
from ledgerlake.records import paths

MAX_BYTES: Final = 350 * 1024
"""A contract's greatest size (350 KB)."""


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys came twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]


def read_document(text: bytes | str) -> tuple[dict[str, Any], list[Problem]]:
    """The document, and the keys that it holds twice. Raises ContractError when it is no JSON object at all."""
    document = _parsed(_decoded(text))
    if not isinstance(document, _Object):
        raise _unreadable("the contract is no JSON object", 'write {"table_name": …, …}')
    return document, list(_repeated(document, ()))


def too_large(size: int) -> Problem:
    """What is told of a contract of so many bytes."""
    return Problem("", f"the contract has {size:,} bytes", f"a contract has at most {MAX_BYTES:,} bytes (350 KB)")


def _unreadable(message: str, remedy: str) -> ContractError:
    return ContractError([Problem("", message, remedy)])


def _decoded(text: bytes | str) -> str:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BYTES:
        raise ContractError([too_large(len(raw))])
    if raw.startswith(codecs.BOM_UTF8):
        raise _unreadable("the contract begins with a byte order mark", "save it as UTF-8 without BOM")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _unreadable(f"the contract is not UTF-8 at byte {error.start}", "save it as UTF-8") from error


def _parsed(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_Object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _unreadable(f"the contract is not JSON: {error.msg} at {where}", "correct it there") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of nested lists
        raise _unreadable("the contract is no JSON that a contract needs", "shorten its numbers and nesting") from error


def _no_constant(name: str) -> NoReturn:
    raise _unreadable(f"the contract is not JSON: {name} is no JSON number", "write a number")


def _repeated(value: object, place: tuple[str, ...]) -> Iterator[Problem]:
    if isinstance(value, _Object):
        for key in dict.fromkeys(value.repeated):
            yield Problem(paths.pointer((*place, key)), f"the key `{key[:100]}` stands twice in one object", "keep one")
        for key, inner in value.items():
            yield from _repeated(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _repeated(inner, (*place, str(index)))
