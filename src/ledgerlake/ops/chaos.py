"""Messages sent while Firehose, the functions and the Spark jobs fail at random; then the ledger, by identity."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ledgerlake.errors import TerminalError
from ledgerlake.ops import chaos_ledger, redrive, seed
from ledgerlake.ops import cycle as cycles
from ledgerlake.ops.chaos_ledger import Reckoning
from ledgerlake.ops.enqueue import QueueSender
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.events import TOPIC, Message, story
from ledgerlake.ops.reconcile import Reconciler
from ledgerlake.ops.sabotage import Saboteur
from ledgerlake.ops.status import failed_topics
from ledgerlake.ops.upload_contract import Contracts
from ledgerlake.ops.window import Checked, Window
from ledgerlake.state.gate import Gate
from ledgerlake.tables.lake import Lake

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeFilterType

ORDERS = 350
"""Orders of one story; each story has every defect, so that every place gets messages."""

WAVES = 4
# Chances per call of a function, and for `transform.route` per record.
FUNCTION_FAULTS: Mapping[str, str] = {
    "processor": "processor.before_put=transient@0.1;processor.after_put_before_ack=kill@0.15",
    "firehose_transform": "transform.route=transient@0.02;transform.before_answer=kill@0.1",
    "drain_dlq": "drain.after_write_before_delete=kill@0.5",
    "load_firehose_errors": "firehose_errors.after_write_before_mark=kill@0.5",
    "plan_cycle": "plan.after_pin=kill@0.2",
    "check_curated_ready": "check_curated_ready.after_close=transient@0.2",
    "reconcile": "reconcile.after_log=transient@0.2",
}
POINTS = (
    *("before_errors_write", "after_errors_write", "before_commit", "after_stage", "after_commit"),
    *("before_checkpoint", "after_checkpoint", "before_unlock"),
)
# A message whose call failed comes back after this long; deployed queues take their time.
VISIBILITY_SECONDS = 60
RECOVERY_SECONDS = 1800
LOOK_SECONDS = 5
# What Firehose holds is on no queue: nothing may come for so many looks.
QUIET_LOOKS = 3
# Ordinary commands' pace.
REDRIVEN_A_SECOND = 1000
MOST_CYCLES = 12

ON_QUEUE: Sequence["QueueAttributeFilterType"] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)

Say = Callable[[str], None]


class NotHere(TerminalError):
    """Nothing fails on purpose in this environment."""


class NotRecovered(TerminalError):
    """Messages were still on their way when the time for their recovery was over, or cycles kept failing."""


@dataclass
class Damage:
    """What went wrong on purpose, as far as it can be seen from outside."""

    cycles: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Result:
    """How a run ended: the reckoning by identity, the formulas by the lake's own books, and what it had to bear."""

    run: str
    reckoning: Reckoning
    formulas: Sequence[Checked]
    damage: Damage
    seconds: float

    @property
    def balanced(self) -> bool:
        """Whether each id stands in exactly its place, and the books say so too."""
        return self.reckoning.balanced and all(checked.balanced for checked in self.formulas)


def messages(run: str, least: int, seed_number: int, start: datetime) -> list[Message]:
    """At least so many messages of two days; the same arguments give the same."""
    sent: list[Message] = []
    while len(sent) < least:
        number = len(sent)
        sent += story(f"{run}-{number:06d}", ORDERS, start, seed=seed_number + number).messages
    return sent


def run(environment: Environment, least: int, seed_number: int, say: Say) -> Result:
    """Send, let fail, mend, and reckon. Raises NotHere, NotRecovered."""
    if environment.name == "prod":
        raise NotHere("chaos makes functions and jobs fail: it never runs in prod")
    began, now = time.monotonic(), datetime.now(UTC)
    rng = random.Random(seed_number)  # noqa: S311 - a choice that can be repeated
    chaos = Chaos(environment, f"chaos-{now:%m%d%H%M%S}", say, rng)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    sent = messages(chaos.run, least, seed_number, midnight - timedelta(days=2))
    chaos.publish_contract()
    with Saboteur.at_work(environment) as saboteur, chaos.impatient_queue():
        chaos.fail(saboteur, sent)
        saboteur.restore()
        say("failures are switched off")
        chaos.recover(sent, now)
    chaos.settle()
    reckoning = chaos_ledger.reckon(chaos_ledger.look(chaos.lake, chaos.run, sent), sent)
    return Result(chaos.run, reckoning, chaos.formulas(now), chaos.damage, time.monotonic() - began)


class Chaos:
    """One run over the topic `events`: what it sends bears its name, all else is left alone."""

    def __init__(self, environment: Environment, name: str, say: Say, rng: random.Random) -> None:
        self.environment = environment
        self.run = name
        self.say = say
        self.lake = Lake.connect(environment.settings)
        self.damage = Damage()
        self._random = rng

    def publish_contract(self) -> None:
        """Make sure that the topic has its contract."""
        gate = Gate(self.environment.dynamodb.Table(self.environment.settings.dynamodb_tables.processing_enabled))
        contracts = Contracts(self.environment.s3, self.environment.settings.buckets.contracts, gate)
        contracts.publish(TOPIC, self.environment.dataset(TOPIC, "schema.json").read_bytes())

    def fail(self, saboteur: Saboteur, sent: Sequence[Message]) -> None:
        """Send in waves, each with a cycle whose jobs fail somewhere, while the functions fail by chance."""
        self.say(f"arming {len(FUNCTION_FAULTS)} functions")
        for handler, faults in FUNCTION_FAULTS.items():
            saboteur.arm_function(handler, faults)
        size = -(-len(sent) // WAVES)
        for wave in range(WAVES):
            part = sent[wave * size : (wave + 1) * size]
            self.say(f"wave {wave + 1} of {WAVES}: sending {len(part):,} messages")
            seed.send(self.environment.sqs, self.environment.queue_url(TOPIC), [message.body for message in part])
            stage, faults = self._fault(wave)
            saboteur.arm_job(stage, faults)
            self._cycle(f"with {faults}")
            saboteur.arm_job(stage, "")
            for handler in ("drain_dlq", "load_firehose_errors"):
                self._call(handler)

    def _fault(self, wave: int) -> tuple[str, str]:
        """A stage, and a point in its job at which it dies or fails this time."""
        stage = ("standardize", "curate")[wave % 2]
        return stage, f"{stage}.{self._random.choice(POINTS)}={self._random.choice(('kill', 'transient'))}"

    def recover(self, sent: Sequence[Message], began: datetime) -> None:
        """What an operator does: drain, load, redrive, until nothing is on its way. Raises NotRecovered."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        quiet = 0
        while quiet < QUIET_LOOKS:
            for handler in ("drain_dlq", "load_firehose_errors"):
                self._call(handler)
            redriven = self._redrive(began)
            standing = chaos_ledger.look(self.lake, self.run, sent)
            missing, waiting = chaos_ledger.missing(standing, sent), self._on_queue()
            self.say(
                f"redriven {redriven:,}; {len(missing):,} ids stand nowhere yet, {waiting:,} messages are on the queue"
            )
            quiet = 0 if redriven or missing or waiting or standing.rows["firehose_errors"] else quiet + 1
            if time.monotonic() > deadline:
                few = ", ".join(sorted(missing)[:10])
                raise NotRecovered(f"after {RECOVERY_SECONDS} s {len(missing)} ids stand nowhere: {few}")
            time.sleep(LOOK_SECONDS)

    def settle(self) -> None:
        """Run cycles until one finds nothing to do. Raises NotRecovered."""
        for _ in range(MOST_CYCLES):
            ended = self._cycle("without failures")
            if cycles.did_nothing(ended):
                return
        raise NotRecovered(f"after {MOST_CYCLES} cycles without failures there was still something to do")

    def formulas(self, since: datetime) -> list[Checked]:
        """The three formulas of everything that the topic took since then; nothing may be on its way any more."""
        reconciler = replace(Reconciler.of(self.lake, self.environment.s3), in_flight=timedelta(0))
        return reconciler.check(Window(since, datetime.now(UTC)), [TOPIC])

    def _cycle(self, how: str) -> cycles.Cycle:
        """One cycle to its end. Afterwards no run is at work: the locks of those that died are given back."""
        client = self.environment.state_machines
        ended = cycles.wait(client, cycles.start(client, self.environment.outputs.state_machine_arn, [TOPIC]))
        reasons = [] if ended.succeeded else failed_topics(self.lake, ended.cycle_id) or cycles.failures(ended)
        seconds = (ended.stopped - ended.started).total_seconds() if ended.stopped else 0
        self.say(f"cycle {how}: {ended.status} in {ended.end} after {seconds:.0f} s")
        for reason in reasons:
            self.say(f"  {' '.join(reason.split())[:200]}")
        if not ended.succeeded:
            self.damage.cycles.append(ended.cycle_id)
        # They would be free by themselves five minutes later (docs/runbook.md, "A lock is stuck").
        locks = self.environment.dynamodb.Table(self.environment.settings.dynamodb_tables.locks)
        locks.delete_item(Key={"topic": TOPIC})
        return ended

    def _call(self, handler: str) -> Any:
        answer = self.environment.functions.invoke(FunctionName=self.environment.function(handler), Payload=b"{}")
        if "FunctionError" in answer:
            self.damage.calls[handler] += 1
        return json.loads(answer["Payload"].read())

    @contextmanager
    def impatient_queue(self) -> Iterator[None]:
        """Have failed messages come back sooner than usual; in the end the queue is as it was."""
        before = self._queue("VisibilityTimeout")["VisibilityTimeout"]
        self._set_visibility(str(VISIBILITY_SECONDS))
        try:
            yield
        finally:
            self._set_visibility(before)

    def _set_visibility(self, seconds: str) -> None:
        url = self.environment.queue_url(TOPIC)
        self.environment.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": seconds})

    def _on_queue(self) -> int:
        """Messages that wait, are being worked on, or will come back."""
        return sum(int(count) for count in self._queue(*ON_QUEUE).values())

    def _queue(self, *names: "QueueAttributeFilterType") -> Mapping[str, str]:
        url = self.environment.queue_url(TOPIC)
        found = self.environment.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
        return {str(name): value for name, value in found.items()}

    def _redrive(self, began: datetime) -> int:
        """Send again what never became a RAW row and can be read."""
        queues = QueueSender(self.environment.sqs, self.environment.settings.queue_prefix)
        selection = redrive.Selection(topics=[TOPIC], since=began)
        return redrive.redrive(self.lake, queues, selection, self.run, redrive.Pace(REDRIVEN_A_SECOND)).sent
