"""A topic's reprocesses, as the refs of its tables tell them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from ledgerlake.jobs.comparison import RebuiltLayer, version_of
from ledgerlake.tables.branches import BRANCH, Branch, branches, published
from ledgerlake.tables.lake import Lake

if TYPE_CHECKING:
    from pyiceberg.table import Table

State = Literal["can be published", "outdated: build it again", "ends with its contract", "published"]
LAYERS: tuple[RebuiltLayer, ...] = ("standardized", "curated")


@dataclass(frozen=True)
class Standing:
    """One reprocess of one table: it waits on its branch, or was published and the state before is kept."""

    id: str
    layer: RebuiltLayer
    state: State
    at: datetime | None


def standings(lake: Lake, topic: str) -> list[Standing]:
    """What waits to be published or discarded, and what was published, the latest first."""
    tables = [(layer, table) for layer in LAYERS if (table := lake.find(layer, topic)) is not None]
    found = [one for layer, table in tables for one in _of(layer, table)]
    return sorted(found, key=lambda one: (one.id, one.layer), reverse=True)


def _of(layer: RebuiltLayer, table: "Table") -> list[Standing]:
    waiting = [
        Standing(branch.name.removeprefix(BRANCH), layer, _state(branch), branch.made_at) for branch in branches(table)
    ]
    done = [Standing(name, layer, "published", _made(table, before)) for name, before in published(table).items()]
    return waiting + done


def _state(branch: Branch) -> State:
    if version_of(branch.name.removeprefix(BRANCH)) is not None:
        return "ends with its contract"
    return "can be published" if branch.fits else "outdated: build it again"


def _made(table: "Table", before: int) -> datetime | None:
    """When the state was made that a reprocess replaced."""
    snapshot = table.metadata.snapshot_by_id(before)
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC) if snapshot else None
