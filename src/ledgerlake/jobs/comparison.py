"""What a reprocess is asked for, and what it says: documents that travel between the command and the job."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Action = Literal["build", "apply", "publish", "discard"]
RebuiltLayer = Literal["standardized", "curated"]

_CONTRACT_ID = re.compile(r"v([0-9]+)-([0-9a-f]{8})-")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReprocessRequest(_Document):
    """What a run of the job `reprocess` has to do for the reprocess `id`.

    build: rebuild both tables, or CURATED alone, on branches and compare; apply: that, and publish under the same lock;
    publish and discard end a reprocess that was built. `since` (inclusive) and `until` bound the publish_time of what
    is rebuilt.
    """

    action: Action
    topic: str
    id: str
    curated_only: bool = False
    since: datetime | None = None
    until: datetime | None = None


def contract_id(version: int, topic: str, attempt: str) -> str:
    """The id of a reprocess that rebuilds a topic's tables for a contract; each try has its own."""
    return f"v{version}-{_mark(topic)}-{attempt}"


def version_of(reprocess_id: str) -> int | None:
    """The contract's version that a reprocess rebuilds tables for; None for one that a person asked for."""
    named = _CONTRACT_ID.match(reprocess_id)
    return int(named[1]) if named else None


def tries_of(topic: str, reprocess_ids: Iterable[str]) -> set[str]:
    """Those of the ids that rebuild this topic's tables for a contract: branches of error tables are of any topic."""
    return {one for one in reprocess_ids if (named := _CONTRACT_ID.match(one)) and named[2] == _mark(topic)}


def _mark(topic: str) -> str:
    return hashlib.sha256(topic.encode()).hexdigest()[:8]


class Sample(_Document):
    """A row, and where a column of it changed, its value before and after, cut to 200 characters."""

    id: str
    before: str | None = None
    after: str | None = None


class ColumnChange(_Document):
    """A column whose values change in `rows` rows."""

    column: str
    rows: int
    samples: tuple[Sample, ...]


class LayerReport(_Document):
    """One rebuilt table against main, in rows: `before` = equal + changed + removed, `after` = equal + changed + added.

    `failed_no_longer` and `fails_now` are rows of its error table that are answered and new. In STANDARDIZED, `lost`
    counts the message_ids of RAW that stood nowhere, and `without_raw` rows that RAW no longer has: they stay.
    """

    layer: RebuiltLayer
    equal: int = 0
    changed: int = 0
    added: int = 0
    removed: int = 0
    columns: tuple[ColumnChange, ...] = ()
    added_samples: tuple[str, ...] = ()
    removed_samples: tuple[str, ...] = ()
    failed_no_longer: int = 0
    fails_now: int = 0
    lost: int = 0
    lost_samples: tuple[str, ...] = ()
    without_raw: int = 0

    @property
    def same(self) -> bool:
        """Whether the rebuilt table says what main says."""
        return not (self.changed or self.added or self.removed or self.failed_no_longer or self.fails_now)


class ReprocessReport(_Document):
    """What a reprocess found, and which tables it has published.

    `outdated`: a table went on while it was compared, so that the numbers mix two states and nothing can be published.
    """

    topic: str
    id: str
    action: Action
    contract_version: int = 0
    since: datetime | None = None
    until: datetime | None = None
    layers: tuple[LayerReport, ...] = ()
    published: tuple[RebuiltLayer, ...] = ()
    outdated: bool = False

    @property
    def same(self) -> bool:
        """Whether publishing would change nothing."""
        return all(layer.same for layer in self.layers)
