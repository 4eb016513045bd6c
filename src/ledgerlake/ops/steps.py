"""The cycle's three decisions around its Glue runs (design 3.5): what to standardize, what to curate, does it balance.

Each may be called again for the same cycle, as Step Functions does when an answer is lost: it finds what it wrote.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ledgerlake import failpoints
from ledgerlake.jobs import plan as planning
from ledgerlake.ops import ledger, replacements
from ledgerlake.ops.close_stage import close_stage
from ledgerlake.ops.ledger import Balance
from ledgerlake.ops.reconcile import Reconciler
from ledgerlake.ops.window import Checked
from ledgerlake.state.store import State
from ledgerlake.tables import history
from ledgerlake.tables.history import Outcome
from ledgerlake.tables.lake import Lake

Runs = list[dict[str, Any]]
"""Glue runs to start: cycle_id, stage, number, and request, the S3 URI of what the run has to do."""


@dataclass(frozen=True)
class Reconciled:
    """How a cycle ended: the topics' stages that failed, the formulas checked, by count and by identity, and how many
    rows of ops.drift_log each standardized topic's batch has.
    """

    failed: Sequence[Outcome]
    balances: Sequence[Balance]
    checks: Sequence[Checked]
    drift: Mapping[str, int]

    @property
    def variances(self) -> list[Balance | Checked]:
        """The formulas that do not hold."""
        found: list[Balance | Checked] = [*self.balances, *self.checks]
        return [checked for checked in found if checked.balanced is False]


def begin(lake: Lake, state: State, cycle_id: str, topics: Iterable[str] | None) -> tuple[bool, Runs]:
    """Plan a cycle: whether there is any work, and the standardize runs. Raises UnknownTopics, nothing pinned."""
    if topics is not None:
        topics = sorted(set(topics))
        lake.require_topics(topics)
    plan = planning.plan(lake, state, cycle_id, topics)
    history.record(lake, plan.skipped)
    return plan.work, _runs(state, plan)


def go_on(lake: Lake, state: State, cycle_id: str, standardize: Sequence[Mapping[str, Any]]) -> tuple[int, Runs]:
    """Close the standardize stage: how many topics failed in it, and the curate runs for the others."""
    outcomes = close_stage(lake, state.cycles, cycle_id, "standardize", standardize, datetime.now(UTC))
    failpoints.hit("check_curated_ready.after_close")
    plan = planning.plan_curate(lake, state, cycle_id)
    history.record(lake, plan.skipped)
    return sum(outcome.failed for outcome in outcomes), _runs(state, plan)


def finish(lake: Lake, state: State, cycle_id: str, curate: Sequence[Mapping[str, Any]]) -> Reconciled:
    """Close the curate stage, check the cycle's topics against the conservation formulas, and log the result.

    By count over whole tables, from their metadata; and by identity over what came lately (settings.reconciliation).
    """
    now = datetime.now(UTC)
    outcomes = [
        *state.cycles.outcomes(cycle_id, "standardize"),
        *close_stage(lake, state.cycles, cycle_id, "curate", curate, now),
    ]
    topics = {outcome.topic_name for outcome in outcomes}
    replacements.resolve(lake, topics)
    balances = ledger.balances(lake, state.checkpoints, topics)
    reconciler = Reconciler.of(lake, state.s3)
    checks = reconciler.check(reconciler.recent(now), topics, now)
    ledger.record(lake, cycle_id, [*balances, *checks], now)
    failpoints.hit("reconcile.after_log")
    drift = {outcome.topic_name: outcome.drift for outcome in outcomes if outcome.drift is not None}
    return Reconciled([outcome for outcome in outcomes if outcome.failed], balances, checks, drift)


def _runs(state: State, plan: planning.Plan) -> Runs:
    return [
        {
            "cycle_id": request.cycle_id,
            "stage": request.stage,
            "number": request.number,
            "request": state.cycles.put_request(request),
        }
        for request in plan.requests
    ]
