"""What ops.drift_log says, and what to do about each change (ADR 0016)."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any, Final

from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo, GreaterThanOrEqual, In

from ledgerlake.tables.definitions import DRIFT_LOG
from ledgerlake.tables.lake import Lake

REMEDIES: Final = {
    "column_added": "nothing has to be done; name it in the contract to have it in CURATED",
    "collision": "have the sender rename one of the two; a contract that names this one reads it from rescued",
    "limit": "values are probably used as keys: declare the object above as a json column, or raise the limit",
    "frozen": "name it in the contract, or let the policy evolve",
    "rejected": "name it in the contract and replay its errors, or have the sender take it away",
    "kind_changed": "see that the contract's type takes both kinds (ledgerlake errors), or ask the sender",
    "column_stopped": "ask the sender; read it from its new path by a second source, or take it out of the contract",
    "reappeared": "nothing has to be done",
}
"""Every change there is, with what to do about it."""


@dataclass(frozen=True)
class Selection:
    """Which rows of the log: those that match all that is given, seen from `since` on."""

    topic: str | None = None
    changes: Sequence[str] = ()
    since: datetime | None = None

    @property
    def where(self) -> BooleanExpression:
        """The same as a condition over the table."""
        conditions: list[BooleanExpression] = [AlwaysTrue()]
        if self.topic is not None:
            conditions.append(EqualTo(term="topic_name", value=self.topic))
        if self.changes:
            conditions.append(In(term="change", literals=set(self.changes)))
        if self.since is not None:
            conditions.append(GreaterThanOrEqual(term="seen_at", value=self.since.isoformat()))
        return reduce(And, conditions)


def drift(lake: Lake, selection: Selection) -> list[dict[str, Any]]:
    """The selected rows of ops.drift_log, the newest first, each with what to do about it as `remedy`."""
    rows = lake.load("ops", DRIFT_LOG).scan(row_filter=selection.where).to_arrow().to_pylist()
    # Of one batch all rows have one time: the order in which they were written is that of their paths' claims.
    rows.sort(key=operator.itemgetter("seen_at"), reverse=True)
    return [row | {"remedy": REMEDIES[row["change"]]} for row in rows]
