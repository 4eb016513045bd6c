"""A contract whose changes its tables cannot follow in place comes into force: they are rebuilt for it (ADR 0015).

The topic's lock is held from before the first row is written until the gate is open. Whatever dies when, putting the
same contract to pending again ends it.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ledgerlake import failpoints
from ledgerlake.contracts import ContractError, Problem
from ledgerlake.contracts.renames import renames
from ledgerlake.errors import TerminalError, TransientError
from ledgerlake.jobs.comparison import RebuiltLayer, ReprocessRequest, contract_id, tries_of
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.entry import Tell, serve
from ledgerlake.jobs.failures import OF_LAYER
from ledgerlake.jobs.rebuild import Rebuild
from ledgerlake.jobs.reprocess import LAYERS, is_curated, lock_of, publish_tables, rebuild, record, take_away
from ledgerlake.ops.candidates import Candidate, Pending, Published
from ledgerlake.ops.publish import Publisher
from ledgerlake.ops.rebuilds import RebuildRequest
from ledgerlake.state.contracts import ContractsBucket
from ledgerlake.state.locks import Lock, LockHeld
from ledgerlake.state.requests import Document
from ledgerlake.tables import reshape, snapshots
from ledgerlake.tables.branches import BRANCH
from ledgerlake.tables.definitions import curated
from ledgerlake.tables.ensure import ensure_contract
from ledgerlake.tables.publish import MainMoved
from ledgerlake.tables.reshape import Shape

PATIENCE: Final = 3600.0
"""Seconds to wait for a cycle that works on the topic: its batches may be large."""
_PAUSE: Final = 5.0
# Only maintenance moves a table's main branch beside the run that holds the topic's lock.
_ATTEMPTS: Final = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the run's request says."""
    serve(work, arguments)


def work(context: Context, document: Document, tell: Tell = lambda _: None) -> Document:
    """Bring a pending contract into force; returns what became of it."""
    request = RebuildRequest.model_validate(document)
    published = publish(context, Pending(request.topic, request.version_id, request.principal), tell)
    return {
        "topic": published.topic,
        "status": published.status,
        "version": published.version,
        "problems": [problem.as_dict() for problem in published.problems],
    }


def publish(context: Context, pending: Pending, tell: Tell = lambda _: None, patience: float = PATIENCE) -> Published:
    """Publish a pending contract with its tables rebuilt for it where they have to be.

    Raises LockHeld, and whatever passes by itself: the pending object stays, and the same again finishes it.
    """
    with _lock(context, pending.topic, tell, patience) as lock:
        state = context.state
        bucket = ContractsBucket(state.s3, state.contracts_bucket)
        publisher = Publisher(bucket, state.gate, context.lake, state.locks, Rebuilding(context, lock, tell))
        published = publisher.publish(pending)
        # What was put there meanwhile has waited in vain: its own event's retries may be over.
        while bucket.head(pending.key) is not None:
            publisher.publish(Pending(pending.topic))
        failpoints.hit("rebuild.before_unlock", pending.topic)
    return published


def _lock(context: Context, topic: str, tell: Tell, patience: float) -> Lock:
    """The topic's lock, as soon as the run that holds it has ended. Raises LockHeld when that takes too long."""
    until = time.monotonic() + patience
    while True:
        try:
            return lock_of(context, topic)
        except LockHeld as error:
            if time.monotonic() >= until:
                raise
            tell(f"waiting: {error}")
            time.sleep(_PAUSE)


@dataclass(frozen=True)
class Rebuilding:
    """Rebuilds in this very run, under the topic's lock."""

    context: Context
    lock: Lock
    tell: Tell

    def ready(self, candidate: Candidate) -> bool:
        """Rebuild the tables for a contract, publish them, and say that it may come into force.

        Raises ContractError when its rows do not allow it; then nothing of the rebuild is left.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            self._take_tries_away(candidate.topic)
            try:
                self._rebuild(candidate)
            except MainMoved:
                if attempt == _ATTEMPTS:
                    raise
            except TransientError:
                raise
            except Exception as error:
                self._take_tries_away(candidate.topic)
                if isinstance(error, ContractError) or not isinstance(error, TerminalError):
                    raise
                message = f"the tables cannot be rebuilt for this contract: {error}"
                raise ContractError([Problem("/rebuild", message, "change it so that they can")]) from error
            else:
                break
        return True

    def _rebuild(self, candidate: Candidate) -> None:
        context, topic, contract = self.context, candidate.topic, candidate.contract
        if not contract.curated and is_curated(context, topic):
            message = "without payload columns CURATED would be left behind, with rows that nothing keeps up"
            raise ContractError([Problem("/payload_columns", message, "keep one of them")])
        started = datetime.now(UTC)
        wanted = self._wanted(candidate)
        if wanted:
            request = ReprocessRequest(
                action="apply", topic=topic, id=contract_id(candidate.number, topic, secrets.token_hex(3))
            )
            at_work = Rebuild(context, request, contract, candidate.number, candidate.sha256, started)
            if "curated" in wanted:
                at_work = replace(at_work, shape=self._shape(candidate))
            failpoints.hit("rebuild.after_begin", topic)
            rebuild(at_work, wanted, self.tell)
            failpoints.hit("rebuild.after_build", topic)
            publish_tables(context, request, self.lock, self.tell, at_work.shape)
            record(context, request, started)
        ensure_contract(context.lake, contract)
        failpoints.hit("rebuild.after_tables", topic)

    def _wanted(self, candidate: Candidate) -> set[RebuiltLayer]:
        """The tables that are not yet what the contract says. STANDARDIZED holds the keys and whole json values."""
        old, new = candidate.in_force, candidate.contract
        before = old.contract if old else new
        wanted: set[RebuiltLayer] = set()
        if candidate.unfinished or before.key_sources != new.key_sources or before.json_paths != new.json_paths:
            wanted.add("standardized")
        if new.curated:
            wanted.add("curated")
        return {layer for layer in wanted if self._is_due(layer, candidate)}

    def _is_due(self, layer: RebuiltLayer, candidate: Candidate) -> bool:
        """Whether there is a table to rebuild, and no earlier try did."""
        table = self.context.lake.find(layer, candidate.topic)
        if table is None:
            return False
        last = snapshots.last_entry(table)
        if last is None:
            return layer == "curated"  # without rows it gets its columns all the same
        return (last.contract_version, last.contract_sha256) != (candidate.number, candidate.sha256)

    def _shape(self, candidate: Candidate) -> Shape:
        renamed = renames(candidate.in_force.contract, candidate.contract) if candidate.in_force else {}
        return reshape.begin(self.context.lake, curated(candidate.contract), renamed)

    def _take_tries_away(self, topic: str) -> None:
        """Leave nothing of what tries that died had begun and not published."""
        lake = self.context.lake
        names = [(layer, name) for layer in LAYERS for name in (topic, OF_LAYER[layer].name)]
        tables = [table for layer, name in names if (table := lake.find(layer, name)) is not None]
        refs = {ref.removeprefix(BRANCH) for table in tables for ref in table.metadata.refs if ref.startswith(BRANCH)}
        for reprocess_id in sorted(tries_of(topic, refs)):
            take_away(self.context, ReprocessRequest(action="discard", topic=topic, id=reprocess_id))
        if lake.find("curated", topic) is not None:
            reshape.clear(lake, "curated", topic)
