"""What became of each topic in each cycle, and its row in ops.job_run_history."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pyiceberg.expressions import And, EqualTo, In

from ledgerlake.tables import append
from ledgerlake.tables.definitions import JOB_RUN_HISTORY
from ledgerlake.tables.lake import Lake

Stage = Literal["plan", "standardize", "curate", "replay", "reprocess"]


class Result(StrEnum):
    """How a topic's stage ended (design 3.5)."""

    SKIPPED_NO_SCHEMA = "SKIPPED_NO_SCHEMA"
    SKIPPED_DISABLED = "SKIPPED_DISABLED"
    SKIPPED_IDLE = "SKIPPED_IDLE"
    SKIPPED_LOCKED = "SKIPPED_LOCKED"
    SKIPPED_NOT_CURATED = "SKIPPED_NOT_CURATED"
    STANDARDIZED = "STANDARDIZED"
    CURATED = "CURATED"
    REPLAYED = "REPLAYED"
    REPROCESSED = "REPROCESSED"
    FAILED = "FAILED"


class Outcome(BaseModel):
    """One topic's stage in one cycle: the columns of ops.job_run_history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cycle_id: str
    topic_name: str
    stage: Stage
    outcome: Result
    batch_id: str | None = None
    rows_in: int | None = None
    rows_standardized: int | None = None
    rows_duplicate: int | None = None
    rows_parse_error: int | None = None
    rows_curated: int | None = None
    rows_superseded: int | None = None
    rows_error: int | None = None
    rows_warned: int | None = None
    bytes: int | None = None
    drift: int | None = None
    contract_version: int | None = None
    started_at: datetime
    ended_at: datetime
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the stage failed."""
        return self.outcome is Result.FAILED


def record(lake: Lake, outcomes: Iterable[Outcome]) -> int:
    """Write outcomes to ops.job_run_history; recording the same cycle, stage and topic again replaces its row."""
    by_stage: dict[tuple[str, str], dict[str, Outcome]] = defaultdict(dict)
    for outcome in outcomes:
        by_stage[outcome.cycle_id, outcome.stage][outcome.topic_name] = outcome
    if not by_stage:
        return 0
    table = lake.load("ops", JOB_RUN_HISTORY)
    for (cycle_id, stage), topics in by_stage.items():
        same = And(
            EqualTo(term="cycle_id", value=cycle_id),
            EqualTo(term="stage", value=stage),
            In(term="topic_name", literals=set(topics)),
        )
        append.replace(table, [outcome.model_dump() for outcome in topics.values()], same)
    return sum(len(topics) for topics in by_stage.values())
