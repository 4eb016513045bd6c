"""Each batch once: the lock and the look around a commit, the commit itself, and what its snapshot says (design 5)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from py4j.protocol import Py4JJavaError
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyspark.sql import Column, DataFrame

from ledgerlake import failpoints
from ledgerlake.errors import TerminalError, TransientError
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.plan import Pin
from ledgerlake.jobs.session import staging
from ledgerlake.state.checkpoints import Checkpoint, Stage
from ledgerlake.state.locks import Lock
from ledgerlake.tables import deletes, publish, snapshots
from ledgerlake.tables.history import Outcome, Result
from ledgerlake.tables.snapshots import Entry
from ledgerlake.transform.identity import Identity

DONE: dict[Stage, Result] = {"standardize": Result.STANDARDIZED, "curate": Result.CURATED}
COUNTED = ("in", "standardized", "duplicate", "parse-error", "curated", "superseded", "error", "warned")
"""The terminal states that a stage's summary counts, each a column rows_… of ops.job_run_history."""

# Only maintenance moves a table's main branch beside the run that holds the topic's lock.
ATTEMPTS = 5


class StaleBatch(TransientError):
    """Another run with a newer fencing token committed to the table: this one must not."""


class ContractOutdated(TransientError):
    """The table was rebuilt for a contract that is newer than the one this run works by."""


class NothingPinned(TerminalError):
    """A topic was planned, but its source holds nothing that waits."""


class AuditFailed(TerminalError):
    """A staged commit holds other counts than its batch has. It was not published."""


class ConservationError(TerminalError):
    """A batch's parts are not its rows. Nothing was written."""

    def __init__(self, topic: str, whole: Identity, parts: Mapping[str, Identity]) -> None:
        self.topic, self.whole, self.parts = topic, whole, dict(parts)
        told = ", ".join(f"{name} {part}" for name, part in parts.items())
        super().__init__(f"{topic}: the batch {whole} is not the sum of its parts: {told}")


def once(
    context: Context,
    topic: str,
    stage: Stage,
    pin: Pin,
    target: Callable[[], Table],
    process: Callable[[Checkpoint, Lock], Entry],
) -> Outcome:
    """Under the topic's lock, bring its pinned batch into the target table unless it is there, then mark it done.

    `target` loads the table anew at each call: only what is read under the lock says whether the batch is there.
    Raises LockHeld, CheckpointMoved, NothingPinned, and whatever `process` raises.
    """
    started = datetime.now(UTC)
    last = snapshots.last_entry(target())
    with context.state.locks.acquire(topic, context.cycle_id, last.fencing_token if last else 0) as lock:
        checkpoint = _pending(context, topic, stage, pin)
        entry = snapshots.has_batch(target(), checkpoint.batch_id)
        if entry is None and checkpoint.pending:
            entry = process(checkpoint, lock)
        failpoints.hit(f"{stage}.before_checkpoint", topic)
        context.state.checkpoints.done(checkpoint)
        failpoints.hit(f"{stage}.after_checkpoint", topic)
        failpoints.hit(f"{stage}.before_unlock", topic)
    return _outcome(context.cycle_id, checkpoint, entry, started)


def _outcome(cycle_id: str, checkpoint: Checkpoint, entry: Entry | None, started: datetime) -> Outcome:
    """What the commit's own summary says of the batch; no counts where its snapshot has expired since."""
    summary = entry.summary if entry else {}
    return Outcome(
        cycle_id=cycle_id,
        topic_name=checkpoint.topic,
        stage=checkpoint.stage,
        outcome=DONE[checkpoint.stage],
        batch_id=checkpoint.batch_id,
        **{
            f"rows_{name.replace('-', '_')}": int(summary[snapshots.ROWS + name])
            for name in COUNTED
            if snapshots.ROWS + name in summary
        },
        bytes=int(summary.get("added-files-size", 0)),
        drift=int(summary[snapshots.DRIFT]) if snapshots.DRIFT in summary else None,
        contract_version=int(summary.get(snapshots.CONTRACT_VERSION, 0)),
        started_at=started,
        ended_at=datetime.now(UTC),
    )


def _pending(context: Context, topic: str, stage: Stage, pin: Pin) -> Checkpoint:
    """The batch to work on; one pinned here and now when its checkpoint was lost since the planning."""
    checkpoints = context.state.checkpoints
    before = checkpoints.get(topic, stage)
    pinned = pin(context.lake, context.state, topic, context.cycle_id, before)
    if pinned is None:
        if before is None:
            raise NothingPinned(f"{topic}: there is nothing to {stage}, and no checkpoint")
        return before  # this cycle's run was tried before, and was done
    return checkpoints.attempt(pinned)


def require_conserved(topic: str, whole: Identity, parts: Mapping[str, Identity]) -> None:
    """Raises ConservationError unless the parts are the whole, by count and by the message_ids' hashes."""
    total = Identity(0, 0, 0)
    for part in parts.values():
        total += part
    if total != whole:
        raise ConservationError(topic, whole, parts)


def require_added(topic: str, snapshot: Snapshot, added: int) -> None:
    """Raises AuditFailed unless the snapshot adds as many rows as its batch has."""
    found = snapshots.row_count([snapshot])
    if found != added:
        raise AuditFailed(f"{topic}: snapshot {snapshot.snapshot_id} adds {found} rows, its batch has {added}")


def require_replaced(topic: str, table: Table, snapshot: Snapshot, replaced: int) -> None:
    """Raises AuditFailed unless the snapshot takes away as many rows as its batch replaces."""
    found = deletes.replaced(table, snapshot)
    if found != replaced:
        raise AuditFailed(f"{topic}: snapshot {snapshot.snapshot_id} replaces {found} rows, its batch has {replaced}")


@dataclass(frozen=True)
class Ledger:
    """What one batch's commit says in its snapshot's summary; `rows` counts it by terminal state."""

    checkpoint: Checkpoint
    token: int
    contract_version: int
    rows: Mapping[str, int] = field(default_factory=dict)

    def properties(self, before: Entry | None) -> dict[str, str]:
        """The summary's properties; running totals go on from the entry before, also of what this batch has none of."""
        carried = before.totals if before else {}
        return carried | {
            snapshots.BATCH_ID: self.checkpoint.batch_id,
            snapshots.SOURCE_SNAPSHOT_ID: str(self.checkpoint.to_snapshot_id),
            snapshots.FENCING_TOKEN: str(self.token),
            snapshots.CONTRACT_VERSION: str(self.contract_version),
            **{snapshots.ROWS + name: str(count) for name, count in self.rows.items()},
            **{
                snapshots.TOTAL + name: str(count + (before.total(name) if before else 0))
                for name, count in self.rows.items()
            },
        }


def commit(
    context: Context,
    ledger: Ledger,
    lock: Lock,
    target: Callable[[], Table],
    write: Callable[[Mapping[str, str]], None],
    *,
    added: int,
    replaced: int = 0,
) -> Entry:
    """Put a batch into its table in one snapshot that carries the ledger's properties, whoever else commits meanwhile.

    `write` makes the snapshot beside main, with the properties it is given; it must add `added` rows and take
    `replaced` away. What is known of main (that the batch is not in it, that no newer token is) is known of the very
    snapshot that the compare-and-set starts from: a run that lost its lock cannot publish. Raises AuditFailed,
    StaleBatch, LockLost, ContractOutdated, MainMoved.
    """
    checkpoint = ledger.checkpoint
    failpoints.hit(f"{checkpoint.stage}.before_commit", checkpoint.topic)
    for _ in range(ATTEMPTS):
        table = target()
        before = require_ours(table, lock, ledger.contract_version)
        if entry := snapshots.has_batch(table, checkpoint.batch_id):
            return entry  # published, though its answer was lost
        with staging(context.spark) as name:
            write({**ledger.properties(before), snapshots.CYCLE_ID: context.cycle_id})
        failpoints.hit(f"{checkpoint.stage}.after_stage", checkpoint.topic)
        after = target()
        staged = publish.staged(after, name)
        require_added(checkpoint.topic, staged, added)
        require_replaced(checkpoint.topic, after, staged, replaced)
        entry = Entry.require(staged)
        lock.require()
        try:
            publish.publish(table, table.metadata.current_snapshot_id, staged)
        except publish.MainMoved:
            continue
        failpoints.hit(f"{checkpoint.stage}.after_commit", checkpoint.topic)
        return entry
    raise publish.MainMoved(f"{'.'.join(target().name())}: {ATTEMPTS} times, another commit came first")


def require_ours(table: Table, lock: Lock, contract_version: int) -> Entry | None:
    """The table's last ledger entry. Raises StaleBatch or LockLost when the batch is another run's by now, and
    ContractOutdated when the table follows a newer contract.
    """
    lock.require()
    last = require_in_force(table, contract_version)
    if last is not None and last.fencing_token > lock.token:
        raise StaleBatch(f"{'.'.join(table.name())}: token {last.fencing_token} committed, ours is {lock.token}")
    return last


def require_in_force(table: Table, contract_version: int) -> Entry | None:
    """The table's last ledger entry. Raises ContractOutdated when it is of a contract newer than this version: a
    rebuild for that one has not come to its end, or did so after this run had read the gate.
    """
    last = snapshots.last_entry(table)
    if last is not None and last.contract_version > contract_version:
        raise ContractOutdated(
            f"{'.'.join(table.name())} was rebuilt for contract version {last.contract_version}, and version "
            f"{contract_version} is in force: put that contract to its topic's pending/schema.json again to finish it"
        )
    return last


def replace_errors(errors: DataFrame, table: str, where: Column, since: int | None) -> None:
    """Write a batch's errors in the place of any that earlier tries left; `where` tells them. Raises StaleBatch.

    `since` is the errors table's snapshot from before the look at the fencing token, None when it had none: whoever
    wrote errors of the batch after it is a newer run.
    """
    # One file for the topic's few errors, not one per part of the batch.
    writer = errors.coalesce(1).writeTo(table).option("isolation-level", "serializable")
    if since is not None:
        writer = writer.option("validate-from-snapshot-id", since)
    try:
        writer.overwrite(where)
    except Py4JJavaError as error:
        if error.java_exception.getClass().getSimpleName() != "ValidationException":
            raise
        raise StaleBatch(f"{table}: another run wrote the batch's errors") from error
