"""What a cycle has to do: pinned batches, skipped topics, and how the work is spread over Glue runs (design 3.5, 5)."""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict
from pyiceberg.table import Table

from ledgerlake import failpoints
from ledgerlake.state.checkpoints import Checkpoint, CheckpointMoved, Stage, batch_id
from ledgerlake.state.cycles import Request
from ledgerlake.state.gate import Admission
from ledgerlake.state.store import State
from ledgerlake.tables import snapshots
from ledgerlake.tables.history import Outcome, Result
from ledgerlake.tables.history import Stage as HistoryStage
from ledgerlake.tables.lake import Lake, staging, topics_of
from ledgerlake.tables.snapshots import Entry, UnreadableRange

T = TypeVar("T")

logger = logging.getLogger(__name__)

Pin = Callable[[Lake, State, str, str, Checkpoint | None], Checkpoint | None]
"""What pins a topic's batch of a stage: (lake, state, topic, cycle_id, the checkpoint before)."""

# Metadata files are read from S3 side by side: planning waits, it does not compute.
READERS = 16


class Work(BaseModel):
    """A topic with a batch to be done, and how much there is to read."""

    model_config = ConfigDict(frozen=True)

    topic: str
    bytes: int = 0


class Plan(BaseModel):
    """A stage's plan. `considered` are the topics looked at, `curate_waits` those with a batch to curate."""

    model_config = ConfigDict(frozen=True)

    cycle_id: str
    stage: Stage
    considered: tuple[str, ...]
    requests: tuple[Request, ...]
    skipped: tuple[Outcome, ...]
    curate_waits: tuple[str, ...] = ()

    @property
    def work(self) -> bool:
        """Whether anything is to be done at all."""
        return bool(self.requests or self.curate_waits)


def plan(lake: Lake, state: State, cycle_id: str, topics: Iterable[str] | None = None) -> Plan:
    """Pin a batch for each topic with something new in RAW; a cycle planned before keeps its plan.

    Topics with no contract, stopped, locked by another cycle, or with nothing to do in either stage are skipped.
    """
    if (written := state.cycles.get_plan(cycle_id)) is not None:
        return Plan.model_validate_json(written)
    view = _View.read(lake, state, cycle_id, topics)
    found = _each(view.topics, lambda topic: _plan_topic(view, topic))
    requests = split("standardize", cycle_id, [one.work for one in found if one.work], lake)
    made = Plan(
        cycle_id=cycle_id,
        stage="standardize",
        considered=tuple(view.topics),
        requests=requests,
        skipped=tuple(one.skipped for one in found if one.skipped),
        curate_waits=tuple(one.topic for one in found if one.curate_waits),
    )
    failpoints.hit("plan.after_pin")
    state.cycles.put_plan(cycle_id, made.model_dump_json())
    return made


def plan_curate(lake: Lake, state: State, cycle_id: str) -> Plan:
    """Pin what waits in STANDARDIZED, for the cycle's topics that did not fail before.

    Skipped: topics that were standardized in this cycle and have no columns to curate.
    """
    first = plan(lake, state, cycle_id)
    outcomes = {outcome.topic_name: outcome.outcome for outcome in state.cycles.outcomes(cycle_id, "standardize")}
    planned = {topic for request in first.requests for topic in request.topics}
    ready = [topic for topic in planned if outcomes.get(topic) is Result.STANDARDIZED]
    view = _View.read(lake, state, cycle_id, sorted({*ready, *(set(first.curate_waits) - planned)}))
    works = _each(view.topics, lambda topic: _plan_curate_topic(view, topic))
    requests = split("curate", cycle_id, [work for work in works if work], lake)
    skipped = [
        view.outcome(topic, Result.SKIPPED_NOT_CURATED, "curate")
        for topic in view.topics
        if (admission := view.gate.get(topic)) and admission.enabled and not admission.curated
    ]
    return Plan(
        cycle_id=cycle_id, stage="curate", considered=tuple(view.topics), requests=requests, skipped=tuple(skipped)
    )


def pin_standardize(
    lake: Lake, state: State, topic: str, cycle_id: str, before: Checkpoint | None
) -> Checkpoint | None:
    """The topic's pending batch, pinned now if there was none; None when RAW holds nothing new.

    Raises CheckpointMoved, UnreadableRange, LedgerLost.
    """
    if before is not None and before.pending:
        return before
    source = lake.find("raw", staging(topic))
    if source is None:
        return None
    after = before.to_snapshot_id if before else _last_source_snapshot(lake.find("standardized", topic))
    return _pin(state, source, "standardize", topic, cycle_id, before, after, _new_rows)


def pin_curate(lake: Lake, state: State, topic: str, cycle_id: str, before: Checkpoint | None) -> Checkpoint | None:
    """The topic's pending batch of the curate stage, pinned now if there was none; None when nothing waits.

    Raises CheckpointMoved, UnreadableRange, LedgerLost.
    """
    if before is not None and before.pending:
        return before
    source = lake.find("standardized", topic)
    if source is None:
        return None
    after = before.to_snapshot_id if before else _last_source_snapshot(lake.find("curated", topic))
    return _pin(state, source, "curate", topic, cycle_id, before, after, _new_batches)


def waiting(standardized: Table, after: int, to: int) -> list[Entry]:
    """The batches that STANDARDIZED's snapshots (after, to] brought, newest first. Raises UnreadableRange."""
    found: list[Entry] = []
    seen_after = after == 0
    for snapshot in snapshots.ancestors(standardized, to):
        if snapshot.snapshot_id == after:
            seen_after = True
            break
        if entry := Entry.of(snapshot):
            found.append(entry)
    if not seen_after:
        raise UnreadableRange(f"snapshot {after} of {'.'.join(standardized.name())} is no longer there")
    return found


def split(stage: Stage, cycle_id: str, works: Sequence[Work], lake: Lake) -> tuple[Request, ...]:
    """Spread topics over as few runs as their number and bytes allow, the largest first, one after the other."""
    most, volume = lake.settings.topics_per_run, lake.settings.bytes_per_run
    runs: list[list[Work]] = []
    for work in sorted(works, key=lambda one: (-one.bytes, one.topic)):
        for run in runs:
            if len(run) < most and sum(one.bytes for one in run) + work.bytes <= volume:
                run.append(work)
                break
        else:
            runs.append([work])
    return tuple(
        Request(cycle_id=cycle_id, stage=stage, number=number, topics=tuple(work.topic for work in run))
        for number, run in enumerate(runs)
    )


@dataclass(frozen=True)
class _Found:
    topic: str
    work: Work | None = None
    skipped: Outcome | None = None
    curate_waits: bool = False


@dataclass(frozen=True)
class _View:
    """What one look at catalogue and state shows, before any table is opened."""

    lake: Lake
    state: State
    cycle_id: str
    now: datetime
    topics: list[str]
    gate: dict[str, Admission]
    locked: dict[str, str]
    checkpoints: dict[tuple[str, Stage], Checkpoint]
    raw: dict[str, str]
    standardized: dict[str, str]

    @classmethod
    def read(cls, lake: Lake, state: State, cycle_id: str, topics: Iterable[str] | None) -> "_View":
        raw = lake.metadata_locations("raw")
        return cls(
            lake=lake,
            state=state,
            cycle_id=cycle_id,
            now=datetime.now(UTC),
            topics=sorted(topics_of(raw) if topics is None else set(topics)),
            gate=state.gate.all(),
            locked={topic: owner for topic, owner in state.locks.held().items() if owner != cycle_id},
            checkpoints=state.checkpoints.all(),
            raw=raw,
            standardized=lake.metadata_locations("standardized"),
        )

    def unchanged(self, topic: str, stage: Stage) -> bool:
        """Whether the stage's source is the very table that its finished checkpoint saw."""
        checkpoint = self.checkpoints.get((topic, stage))
        source = self.raw.get(staging(topic)) if stage == "standardize" else self.standardized.get(topic)
        return source is None or (
            checkpoint is not None and not checkpoint.pending and checkpoint.metadata_location == source
        )

    def outcome(self, topic: str, result: Result, stage: HistoryStage = "plan", error: str | None = None) -> Outcome:
        return Outcome(
            cycle_id=self.cycle_id,
            topic_name=topic,
            stage=stage,
            outcome=result,
            started_at=self.now,
            ended_at=datetime.now(UTC),
            error=error,
        )


def _plan_topic(view: _View, topic: str) -> _Found:
    admission = view.gate.get(topic)
    if admission is None:
        return _Found(topic, skipped=view.outcome(topic, Result.SKIPPED_NO_SCHEMA))
    if not admission.enabled:
        return _Found(topic, skipped=view.outcome(topic, Result.SKIPPED_DISABLED, error=admission.reason or None))
    if topic in view.locked:
        return _Found(topic, skipped=view.outcome(topic, Result.SKIPPED_LOCKED, error=view.locked[topic]))
    work = None if view.unchanged(topic, "standardize") else _pin_or_defer(view, topic, "standardize", pin_standardize)
    waits = admission.curated and (work is not None or _plan_curate_topic(view, topic) is not None)
    if work is None and not waits:
        return _Found(topic, skipped=view.outcome(topic, Result.SKIPPED_IDLE))
    return _Found(topic, work=work, curate_waits=waits)


def _plan_curate_topic(view: _View, topic: str) -> Work | None:
    admission = view.gate.get(topic)
    if admission is None or not admission.enabled or not admission.curated or view.unchanged(topic, "curate"):
        return None
    return _pin_or_defer(view, topic, "curate", pin_curate)


def _pin_or_defer(view: _View, topic: str, stage: Stage, pin: Pin) -> Work | None:
    """Pin the topic's batch. What cannot be pinned is left to the job: it fails for this topic, with the cause."""
    try:
        pinned = _pinned(view, topic, stage, pin)
        return Work(topic=topic, bytes=_batch_bytes(view.lake, pinned)) if pinned else None
    except Exception as error:  # the topics beside it must go on
        logger.warning("%s cannot be planned for %s: %s: %s", topic, stage, type(error).__name__, error)
        return Work(topic=topic)


def _pinned(view: _View, topic: str, stage: Stage, pin: Pin) -> Checkpoint | None:
    before = view.checkpoints.get((topic, stage))
    try:
        return pin(view.lake, view.state, topic, view.cycle_id, before)
    except CheckpointMoved:
        before = view.state.checkpoints.get(topic, stage)
        return before if before is not None and before.pending else None


def _pin(
    state: State,
    source: Table,
    stage: Stage,
    topic: str,
    cycle_id: str,
    before: Checkpoint | None,
    after: int,
    has_news: Callable[[Table, int, int], bool],
) -> Checkpoint | None:
    current = source.current_snapshot()
    if current is None:
        return None
    to = current.snapshot_id
    if to == after or not has_news(source, after, to):
        if before is not None:  # maintenance only: the table looks different, its rows are the same
            state.checkpoints.put(replace(before, metadata_location=source.metadata_location), before)
        return None
    wanted = Checkpoint(
        topic=topic,
        stage=stage,
        status="pending",
        batch_id=batch_id(topic, after, to),
        from_snapshot_id=after,
        to_snapshot_id=to,
        metadata_location=source.metadata_location,
        contract_version=0,
        cycle_id=cycle_id,
        # With no checkpoint before, one may have been lost: the batch may have been tried already.
        attempts=0 if before else 1,
    )
    return state.checkpoints.put(wanted, before)


def _new_rows(raw: Table, after: int, to: int) -> bool:
    return bool(snapshots.appended(raw.metadata, after, to))


def _new_batches(standardized: Table, after: int, to: int) -> bool:
    return any(entry.rows("standardized") for entry in waiting(standardized, after, to))


def _last_source_snapshot(table: Table | None) -> int:
    """Where a stage stands, as its table says it: what a lost checkpoint is rebuilt from."""
    last = snapshots.last_entry(table) if table is not None else None
    return last.source_snapshot_id if last else 0


def _batch_bytes(lake: Lake, checkpoint: Checkpoint) -> int:
    if checkpoint.stage == "standardize":
        source = lake.load("raw", staging(checkpoint.topic))
    else:
        source = lake.load("standardized", checkpoint.topic)
    ranged = snapshots.between(source, checkpoint.from_snapshot_id, checkpoint.to_snapshot_id)
    return snapshots.data_bytes(ranged)


def _each(topics: Sequence[str], one: Callable[[str], T]) -> list[T]:
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        return list(pool.map(one, topics))
