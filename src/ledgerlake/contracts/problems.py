"""What is wrong with a contract, in words a person can act on."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from ledgerlake.errors import TerminalError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it stands (a JSON Pointer), what it is, and what would be right."""

    pointer: str
    message: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """The problem as it stands in failed/error.json."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.message}; {self.remedy}"


class ContractError(TerminalError):
    """A contract that cannot be used; carries every problem found, never only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Wrong(ValueError):
    """A value of the contract is wrong; the place is known to whoever catches it."""

    def __init__(self, message: str, remedy: str) -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}; {remedy}")


def one_of(names: Iterable[str]) -> str:
    """Names as a sentence lists them: `a, b or c`."""
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} or {last}" if most else last


def did_you_mean(written: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy: the nearest of the known names, or what is said otherwise when none is near."""
    near = difflib.get_close_matches(written.lower()[:100], list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else otherwise


def require_text(value: object) -> str:
    """The value, which has to be a text. Raises Wrong."""
    if not isinstance(value, str):
        raise Wrong(f"a text is needed here, not {json_kind(value)}", 'write it in quotes, e.g. "event.time"')
    return value


def json_kind(value: object) -> str:
    """What JSON calls a value of this kind, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case dict():
            return "an object"
        case _:
            return "a list"
