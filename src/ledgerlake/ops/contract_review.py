"""A contract's changes as a reviewer reads them: by impact, before and after, and what to write for a refused one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from ledgerlake.contracts.diff import Impact
from ledgerlake.contracts.review import IMPACTS, Reviewed
from ledgerlake.ops.reports import printable, short

_TITLES: Final[dict[Impact, str]] = {
    "safe": "published as they are",
    "guarded": "old and new rows would not mean the same: each has to be accepted by its id",
    "breaking": "CURATED would have to be rebuilt",
}
_LONGEST: Final = 160


def review_report(topic: str, against: str, changes: Sequence[Reviewed]) -> RenderableType:
    """The changes of a topic's contract against another one, and in the last line what would become of them."""
    head = Text.assemble((topic, "bold"), f" against {printable(against)}")
    groups = [line for impact in IMPACTS for line in _group(impact, [one for one in changes if one.impact == impact])]
    return Group(head, *groups, summary(changes))


def summary(changes: Sequence[Reviewed]) -> Text:
    """How many changes there are of each impact, and how many would be refused."""
    if not changes:
        return Text("nothing changes", style="green")
    of = Counter(one.impact for one in changes)
    told = ", ".join(f"{of[impact]} {impact}" for impact in IMPACTS if of[impact])
    refused = sum(one.refused for one in changes)
    end = f"{refused} would be refused" if refused else "none would be refused"
    return Text(f"{len(changes)} change{'s' * (len(changes) > 1)}: {told}; {end}", style="red" if refused else "green")


def _group(impact: Impact, changes: Sequence[Reviewed]) -> Iterator[Text]:
    if changes:
        yield Text.assemble((impact.upper(), "bold"), f"  {_TITLES[impact]}")
    for one in changes:
        mark = Text("  ✗ ", style="red") if one.refused else Text("  ✓ ", style="green")
        yield mark.append(one.id, style="bold").append(f"  {one.pointer or '/'}", style="dim")
        if one.before != one.after:
            yield Text(f"      {_value(one.before)} → {_value(one.after)}")
        yield Text(f"      {printable(one.reason)}")
        if one.refused and one.remedy:
            yield Text(f"      → {printable(one.remedy)}", style="yellow")


def _value(text: str | None) -> str:
    return "nothing" if text is None else short(text, _LONGEST)
