"""One Glue run: all its topics in one Spark session, several at a time; red when one of them failed (design 1, 3.5)."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ledgerlake.errors import TerminalError
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.entry import begin
from ledgerlake.jobs.standardize import standardize
from ledgerlake.state.checkpoints import Stage
from ledgerlake.state.cycles import Request
from ledgerlake.state.locks import LockHeld
from ledgerlake.tables import history
from ledgerlake.tables.history import Outcome, Result

logger = logging.getLogger(__name__)

STAGES: dict[Stage, Callable[[Context, str], Outcome]] = {"standardize": standardize, "curate": curate}
ERROR_CHARACTERS = 2_000
TOPICS_NAMED = 20
# It travels with the run through the cycle's states, which together hold 256 KiB; the whole of it is in the history.
MESSAGE_CHARACTERS = 4_000


class RunFailed(TerminalError):
    """Some of a run's topics failed; the others are done."""

    def __init__(self, failed: Sequence[Outcome], topics: int) -> None:
        self.failed = list(failed)
        lines = [f"{outcome.topic_name}: {outcome.error}" for outcome in failed[:TOPICS_NAMED]]
        super().__init__("\n".join([f"{len(failed)} of {topics} topics failed", *lines])[:MESSAGE_CHARACTERS])


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the run's request says. Raises RunFailed."""
    started = begin(arguments)
    request = started.state.cycles.get_request(started.request)
    with started.context(request.stage, request.cycle_id) as context:
        run(context, request)


def run(context: Context, request: Request) -> list[Outcome]:
    """Work through the request's topics and record what became of each. Raises RunFailed when one failed."""
    outcomes = context.each(lambda own, topic: _work_on(own, request.stage, topic), request.topics)
    history.record(context.lake, outcomes)
    if failed := [outcome for outcome in outcomes if outcome.failed]:
        raise RunFailed(failed, len(outcomes))
    return outcomes


def _work_on(context: Context, stage: Stage, topic: str) -> Outcome:
    """One topic, to its outcome: whatever goes wrong with it is its own."""
    started = datetime.now(UTC)
    try:
        outcome = STAGES[stage](context, topic)
    except LockHeld as held:
        outcome = _ended(context, stage, topic, started, Result.SKIPPED_LOCKED, str(held))
    except Exception as error:  # the topics beside it must go on; the run ends red
        logger.exception("%s %s failed", stage, topic)
        outcome = _ended(context, stage, topic, started, Result.FAILED, cause(error))
    logger.info("%s %s: %s", stage, topic, outcome.model_dump_json(exclude_none=True))
    context.state.cycles.put_outcome(outcome)
    return outcome


def cause(error: BaseException) -> str:
    """An error in a few lines: its type and words, without the stacks that Spark puts after them."""
    words = str(error).split("\n\tat ")[0].split("\nJVM stacktrace")[0]
    return f"{type(error).__name__}: {words}"[:ERROR_CHARACTERS]


def _ended(context: Context, stage: Stage, topic: str, started: datetime, result: Result, error: str) -> Outcome:
    checkpoint = context.state.checkpoints.get(topic, stage)
    return Outcome(
        cycle_id=context.cycle_id,
        topic_name=topic,
        stage=stage,
        outcome=result,
        batch_id=checkpoint.batch_id if checkpoint else None,
        started_at=started,
        ended_at=datetime.now(UTC),
        error=error,
    )
