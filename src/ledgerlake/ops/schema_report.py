"""What the command line prints of a topic's contracts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ledgerlake.ops.schema_history import Entry, History

STYLES = {"safe": "green", "guarded": "yellow", "breaking": "red", "active": "green", "failed": "red"}


def history_table(history: History) -> RenderableType:
    """A topic's uploads, one row each, the first one first."""
    table = Table(title=f"Contracts of {history.topic}", title_justify="left", header_style="bold")
    for name in ("version", "when (UTC)", "outcome", "who", "sha256", "why", "changes"):
        table.add_column(name, no_wrap=name in ("version", "when (UTC)", "outcome"))
    for entry in history.entries:
        table.add_row(
            str(entry.version or ""),
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            Text(entry.outcome, style=STYLES.get(entry.outcome, "")),
            Text(entry.uploaded_by or ""),
            (entry.sha256 or "")[:12],
            Text(entry.reason or ""),
            _told(entry),
        )
    return table


def history_json(history: History) -> str:
    """The same for another program: an object an upload, times in ISO 8601."""
    told = [asdict(entry) for entry in history.entries]
    return json.dumps(told, default=datetime.isoformat, ensure_ascii=False, indent=1)


def changes_text(changes: Sequence[Mapping[str, Any]]) -> Text:
    """Changes, as schema_versions holds them, with their class, id and what they mean, one line each."""
    return Text("\n").join(
        Text.assemble((f"  {change['impact']:<9}", STYLES[change["impact"]]), f"{change['id']}: {change['reason']}")
        for change in changes
    )


def _told(entry: Entry) -> Text:
    if entry.problems:
        return Text("\n").join(Text(f"{each['pointer'] or '/'}: {each['message']}") for each in entry.problems)
    return Text("\n").join(map(_change, entry.changes))


def _change(change: Mapping[str, Any]) -> Text:
    """A change's id in the colour of its class; rows of older releases hold neither."""
    kind = change["kind"] + (f":{change['column']}" if change["column"] else "")
    return Text(change.get("id", kind), style=STYLES.get(change.get("impact", ""), ""))
