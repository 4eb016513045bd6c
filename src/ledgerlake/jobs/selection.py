"""Which error rows a replay takes, and what it says of them: what travels between the command and the job."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Selection(_Document):
    """Which open rows of CURATED `errors`: all that match. `since` and `until` bound when they failed.

    `kind`, `rule` and `column` are those of one violation; a row with others beside it is taken too.
    """

    message_ids: tuple[str, ...] = ()
    kind: Literal["cde", "cast", "check", "rule"] | None = None
    rule: str | None = None
    column: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class ReplayRequest(_Document):
    """What a run of the job `replay` has to do."""

    topic: str
    selection: Selection = Selection()
    dry_run: bool = True


class StillFailing(_Document):
    """Records that break the contract in force for one reason. A record with several counts under each."""

    kind: str
    column: str | None
    rule: str | None
    records: int
    samples: tuple[str, ...]


class ReplayReport(_Document):
    """What became of the selected records, or would: `judged` = `curated` + `superseded` + `failing`, in records.

    `curated` are inserted or replace an older record of their key, `superseded` have a later one already; `replaced`
    are the older records. `reasons` is empty when an earlier run of the same request had done it all.
    """

    topic: str
    batch_id: str
    dry_run: bool
    contract_version: int
    judged: int = 0
    curated: int = 0
    superseded: int = 0
    failing: int = 0
    replaced: int = 0
    reasons: tuple[StillFailing, ...] = ()

    @property
    def resolved(self) -> int:
        """How many are errors no longer."""
        return self.curated + self.superseded
