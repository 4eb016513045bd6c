"""What is written to ops.drift_log: a lasting change once a topic, a passing one once a batch, and never too much."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from pyiceberg.expressions import EqualTo

from ledgerlake.tables import append
from ledgerlake.tables.definitions import DRIFT_LOG
from ledgerlake.tables.lake import Lake

LASTING: Final = frozenset({"column_added", "collision", "limit", "frozen", "rejected"})
"""What becomes of a path for good: every batch that brings it again would say the same."""
MOST_A_BATCH: Final = 100
MOST_A_TOPIC: Final = 1_000
"""Rows of one lasting change that a topic may have; columns that are added have a limit of their own."""


@dataclass(frozen=True)
class News:
    """One change in one batch, a row of ops.drift_log: the first message with it, its text there, and how many rows."""

    change: str
    column: str | None
    pointer: str
    message_id: str | None = None
    sample: str | None = None
    count: int | None = None
    detail: str | None = None


class _Logged(NamedTuple):
    change: str
    path: str
    batch_id: str


def log(lake: Lake, topic: str, batch_id: str, news: Sequence[News]) -> int:
    """Write a batch's news, unless an earlier try did; returns how many rows of ops.drift_log are this batch's."""
    table = lake.load("ops", DRIFT_LOG)
    known = table.scan(
        row_filter=EqualTo(term="topic_name", value=topic), selected_fields=("change", "path", "batch_id")
    ).to_arrow()
    logged = [_Logged(*row) for row in zip(*(known[name].to_pylist() for name in _Logged._fields), strict=True)]
    now = datetime.now(UTC)
    rows = [
        {
            "topic_name": topic,
            "change": one.change,
            "column_name": one.column,
            "path": one.pointer,
            "message_id": one.message_id,
            "sample": one.sample,
            "count": one.count,
            "detail": one.detail,
            "batch_id": batch_id,
            "seen_at": now,
        }
        for one in unlogged(news, logged, batch_id)
    ]
    append.append(table, rows)
    return len(rows) + sum(one.batch_id == batch_id for one in logged)


def unlogged(news: Iterable[News], logged: Iterable[tuple[str, str, str]], batch_id: str) -> list[News]:
    """What is still to be written of a batch's news; `logged` are the topic's rows: change, path, batch_id.

    Past the most that are listed, one row (path "") says of a change how many more paths there are.
    """
    before = [_Logged(*row) for row in logged]
    lasting = {(row.change, row.path) for row in before if row.change in LASTING}
    mine = {(row.change, row.path) for row in before if row.batch_id == batch_id}
    fresh = [one for one in news if (one.change, one.pointer) not in lasting | mine]
    topic_has, batch_has = Counter(row.change for row in before), Counter(change for change, _ in mine)
    room: dict[str, int] = {}
    listed: list[News] = []
    more: Counter[str] = Counter()
    for one in fresh:
        change = one.change
        if change not in room:
            most = MOST_A_TOPIC - topic_has[change] if change in LASTING else MOST_A_BATCH
            room[change] = max(0, min(MOST_A_BATCH - batch_has[change], most))
        if change != "column_added" and room[change] == 0:
            more[change] += 1
            continue
        room[change] -= 1
        listed.append(one)
    untold = [(change, count) for change, count in more.items() if (change, "") not in mine]
    return [
        *listed,
        *(News(change, None, "", count=count, detail="more paths than are listed") for change, count in untold),
    ]
