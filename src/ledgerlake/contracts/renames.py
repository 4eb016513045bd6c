"""Which columns of a new version are columns of the version before under another name (`renamed_from`)."""

from collections.abc import Mapping

from ledgerlake.contracts.model import Contract
from ledgerlake.contracts.problems import ContractError, Problem, did_you_mean


def renames(old: Contract, new: Contract) -> dict[str, str]:
    """What each renamed column of `new` is called in `old`.

    A `renamed_from` whose rename is in force already says nothing. Raises ContractError for one that names no column,
    and where a name that a rename frees would be another column's in the same version: a job that still works by the
    old version would write into the wrong one of the two.
    """
    before = {column.name for column in old.columns}
    after = {column.name for column in new.columns}
    wanted = {column.name: column.renamed_from for column in new.columns if column.renamed_from}
    found = _settled({name: was for name, was in wanted.items() if was in before}, before)
    problems = [
        Problem(_place(new, name), *words)
        for name, was in wanted.items()
        if (words := _wrong(name, was, found, before, after, wanted))
    ]
    if problems:
        raise ContractError(problems)
    return found


def _settled(wanted: Mapping[str, str], before: set[str]) -> dict[str, str]:
    """The renames to do: to a name that is free, or that is renamed itself."""
    found: dict[str, str] = {}
    while ready := {n: was for n, was in wanted.items() if n not in found and (n not in before or n in found.values())}:
        found |= ready
    return found


def _wrong(
    name: str, was: str, found: Mapping[str, str], before: set[str], after: set[str], wanted: Mapping[str, str]
) -> tuple[str, str] | None:
    """Message and remedy for a rename that cannot be."""
    if name in found:
        if was in after and was not in found:
            return f"`{was}` becomes `{name}`, and is another column's name too", "add that column in the next version"
        return None
    if was in before and was in wanted and _comes_back(name, wanted):
        return f"`{name}` and `{was}` change names", "rename one of them to a third name first, in a version of its own"
    if name not in before:
        return f"there is no column `{was}` in the version in force", did_you_mean(was, before, "take it away")
    return None


def _comes_back(name: str, wanted: Mapping[str, str]) -> bool:
    """Whether following what each column was called leads back to the name."""
    seen, was = {name}, wanted[name]
    while was in wanted and was not in seen:
        seen.add(was)
        was = wanted[was]
    return was == name


def _place(contract: Contract, name: str) -> str:
    for field in ("envelope_columns", "payload_columns"):
        for index, column in enumerate(getattr(contract, field)):
            if column.name == name:
                return f"/{field}/{index}/renamed_from"
    raise KeyError(name)
