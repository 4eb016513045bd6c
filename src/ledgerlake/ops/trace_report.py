"""A trace as a person reads it, and as another program does."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ledgerlake.ops.places import Step, Terminal, Trace
from ledgerlake.ops.reports import printable
from ledgerlake.ops.trace import Version

GOOD: Final = frozenset({Terminal.CURATED, Terminal.SUPERSEDED, Terminal.REPLAYED, Terminal.STANDARDIZED_ONLY})
PENDING: Final = frozenset({Terminal.WAITING, Terminal.IN_FLIGHT})
# A message that a client sent in a loop would push the rest of its way off the screen.
MOST_COPIES = 8
_TOLD_BY_EVENT = frozenset({"copy", "violations", "superseded_by", "current", "replaces", "replaced_by"})
# How a column is told; those that are not here stand with their name.
_WORDS = {
    "source": "from {}",
    "publish_time": "published {}",
    "idempotency_key": "key {}",
    "batch_id": "batch {}",
    "contract_version": "contract v{}",
    "receive_count": "received {} times",
    "sent_at": "sent {}",
    "attempts": "tried {} times",
    "object_key": "object {}",
    "error_message": "{}",
    "reason": "{}",
    "resolved_by": "by {}",
    "sqs_id": "SQS id {}",
}


def timeline(trace: Trace) -> RenderableType:
    """The steps of a message in order, and where it ended in the last lines."""
    title = Text.assemble(("Message ", "bold"), (printable(trace.message_id), "bold cyan"), "  topic ")
    title.append(printable(trace.topic) or "unknown", style="bold")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for step, left in _shown(trace.steps):
        grid.add_row(moment(step.at), Text("●", style=_style(step)), _told(step))
        if left:
            grid.add_row("", "", Text(f"… and {left} more copies", style="dim"))
    return Group(title, grid, *_ending(trace))


def versions_table(key: str, topic: str, found: Sequence[Version]) -> RenderableType:
    """All records of a key, the latest first."""
    title = Text.assemble(("Key ", "bold"), (printable(key), "bold cyan"), "  topic ", (topic, "bold"))
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in ("published", "message", "became", "curated"):
        table.add_column(name, overflow="fold", no_wrap=name in ("published", "curated"))
    for version in found:
        ending = version.trace.ending
        became = Text(ending.state.value, style=state_style(ending.state))
        became.append(f" {printable(ending.why)}" if ending.why else "", style="dim")
        table.add_row(
            moment(version.publish_time),
            Text(printable(version.trace.message_id)),
            became,
            moment(version.curated.committed_at) if version.curated else "",
        )
    current = [one.trace.message_id for one in found if one.trace.ending.state is Terminal.CURATED]
    return Group(title, table, Text(f"current: {printable(current[0]) if current else 'none'}", style="bold"))


def traces_json(found: Sequence[Trace]) -> str:
    """Traces for another program: an array, one object a topic."""
    return json.dumps([_plain_trace(trace) for trace in found], ensure_ascii=False, indent=1, default=iso)


def versions_json(found: Sequence[Version]) -> str:
    """All records of a key for another program, the latest first."""
    told = [
        {
            **_plain_trace(version.trace),
            "publish_time": version.publish_time,
            "ingestion_ts": version.ingestion_ts,
            "batch_id": version.batch_id,
            "current": version.trace.ending.state is Terminal.CURATED,
        }
        for version in found
    ]
    return json.dumps(told, ensure_ascii=False, indent=1, default=iso)


def iso(value: Any) -> str:
    """A time as ISO 8601 in UTC, to the microsecond; anything else by its text."""
    if not isinstance(value, datetime):
        return str(value)
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(at: datetime) -> str:
    """A time for people: UTC, to the millisecond."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"


def state_style(state: Terminal) -> str:
    """Green where all is well, yellow where something is to come, red where somebody has to act."""
    return "bold green" if state in GOOD else "bold yellow" if state in PENDING else "bold red"


def _plain_trace(trace: Trace) -> dict[str, Any]:
    ending = asdict(trace.ending)
    return {
        "message_id": trace.message_id,
        "topic": trace.topic,
        "terminal_state": ending.pop("state"),
        "next_step": ending.pop("remedy"),
        **ending,
        "replaces": list(trace.replaces),
        "duplicates": trace.duplicates,
        "steps": [{name: value for name, value in asdict(step).items() if value is not None} for step in trace.steps],
    }


def _shown(steps: Sequence[Step]) -> Iterator[tuple[Step, int]]:
    """The steps that are printed, each with how many copies are left out after it."""
    copies = [step for step in steps if step.facts.get("copy") == "duplicate"]
    hidden = {id(step) for step in copies[MOST_COPIES:]}
    for step in steps:
        if id(step) not in hidden:
            last = bool(hidden) and step is copies[MOST_COPIES - 1]
            yield step, len(hidden) if last else 0


def _style(step: Step) -> str:
    if "error" in step.event or step.place.endswith("_errors") or step.facts.get("copy") == "lost":
        return "red"
    return "yellow" if step.facts.get("copy") in ("duplicate", "waiting") else "green"


def _told(step: Step) -> Text:
    text = Text.assemble((step.place, "bold"), "  ", printable(step.event))
    for line in (_facts(step.facts), _commit(step)):
        if line:
            text.append(f"\n{line}", style="dim")
    return text


def _facts(facts: Mapping[str, Any]) -> str:
    told = {name: value for name, value in facts.items() if name not in _TOLD_BY_EVENT}
    parts = [_WORDS.get(name, f"{name} {{}}").format(_value(value)) for name, value in told.items()]
    counted = ["this copy counted"] if facts.get("copy") == "counted" else []
    return printable(" · ".join(parts + counted))


def _value(value: Any) -> str:
    return moment(value) if isinstance(value, datetime) else str(value)


def _commit(step: Step) -> str:
    commit = step.commit
    if commit is None:
        return ""
    parts = [f"snapshot {commit.snapshot_id}"]
    if commit.compaction:
        parts.append(f"rewritten by compaction {moment(commit.committed_at)}")
    elif commit.committed_at != step.at:
        parts.append(f"committed {moment(commit.committed_at)}")
    if commit.contract_version and "contract_version" not in step.facts:
        parts.append(f"contract v{commit.contract_version}")
    if commit.cycle_id:
        parts.append(f"cycle {commit.cycle_id}")
    return printable(" · ".join(parts))


def _ending(trace: Trace) -> Iterator[Text]:
    if trace.duplicates:
        copies = "1 copy of it is a duplicate" if trace.duplicates == 1 else f"{trace.duplicates} copies are duplicates"
        yield Text(f"copies: {copies}", style="dim")
    ending = trace.ending
    line = Text.assemble("terminal state: ", (ending.state.value, state_style(ending.state)))
    yield line.append(f" ({printable(ending.why)})" if ending.why else "")
    if ending.remedy:
        yield Text(f"next step: {printable(ending.remedy)}")
