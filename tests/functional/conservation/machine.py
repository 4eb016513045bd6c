"""Whatever is sent, and whatever dies when: every message ends where the reference says (hypothesis, stateful)."""

import sys
from dataclasses import replace
from random import Random
from typing import Any

from conservation.census import census, dead_letters
from conservation.model import TERMINAL, Contract, Message, Model
from conservation.pipeline import Pipeline
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ledgerlake.ops.identities import ledger

STAGE_POINTS = (
    "before_errors_write",
    "after_errors_write",
    "before_commit",
    "after_stage",
    "after_commit",
    "before_checkpoint",
    "after_checkpoint",
    "before_unlock",
)
DEATHS = ("plan.after_pin", *(f"{stage}.{point}" for stage in ("standardize", "curate") for point in STAGE_POINTS))
KEYS = ("k1", "k2", "k3")
ORDERS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"amount": ("7.10", "0")},
    {"amount": ("7.10", "0")},
    {},  # the critical element is missing
    {"amount": ("x",)},
    {"amount": ("-5", "-500")},  # the rule, as it stands at first or after it was relaxed
    {"amount": ("0",), "quantity": ("3000000000",)},  # until the column is a bigint
    {"amount": ("0",), "grade": ("A",)},  # once there is such a column
)
EVENTS = (
    "new",
    "new",
    "delivered again",
    "another payload under the same id",
    "a correction",
    "a late correction",
    "a broken envelope",
    "given up by SQS",
)
CHANGES: tuple[dict[str, Any], ...] = (
    {"floor": -1000, "wide": True},
    {"floor": -1000},
    {"floor": -100, "wide": True},
    {"floor": 0},
    {"graded": True},
)
# Numbers from a generator that hypothesis seeds: of few sequences each has to differ from the others in all it does.
CHANCE = st.randoms(use_true_random=True)


class _Every:
    """Every rule is on."""

    def is_enabled(self, name: str) -> bool:
        return True


class Conservation(RuleBasedStateMachine):
    """Rules are what happens to a topic; each does the same to the pipeline and to the model."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.pipeline = pipeline
        self.model = Model(Contract())
        self.seen: list[Message] = []
        self.sent = 0
        # Of each sequence hypothesis switches about half of the rules off: good for thousands, too little for fifty.
        self._rules_strategy.enabled_rules_strategy = st.just(_Every())

    @initialize(chance=CHANCE)
    def begin(self, chance: Random) -> None:
        self.pipeline.publish(self.model.contract)
        self._send([self._message(chance) for _ in range(6)])

    @rule(chance=CHANCE)
    def send(self, chance: Random) -> None:
        """Send messages of all kinds; the processor may die once it has put them, before the queue hears of it."""
        for event in chance.choices(EVENTS, k=chance.randint(2, 6)):
            self._happen(event, chance)
        self._deliver(acknowledged=chance.random() < 0.7)

    @precondition(lambda self: self.model.waits or self.model.queue)
    @rule()
    def cycle(self) -> None:
        self._cycle()

    @precondition(lambda self: self.model.waits or self.model.queue)
    @rule(chance=CHANCE)
    def cycle_that_dies(self, chance: Random) -> None:
        """The checkpoint that it leaves may be lost as well."""
        self._cycle(chance.choice(DEATHS))
        if chance.random() < 0.3:
            stage = chance.choice(("standardize", "curate"))
            self.pipeline.house.forget(self.pipeline.topic, stage)
            self.model.lose_checkpoint(stage)

    @precondition(lambda self: self.model.dead or any(message for _, message in self.model.dead_letters))
    @rule(chance=CHANCE)
    def redrive(self, chance: Random) -> None:
        death = chance.choice(("", "drain.after_write_before_delete", "redrive.after_send_before_mark"))
        self._drain(death if death.startswith("drain") else None)
        died = self.pipeline.redrive(death if death.startswith("redrive") else None)
        self.model.redrive(marked=not died)

    @rule(chance=CHANCE)
    def publish(self, chance: Random) -> None:
        self._publish(chance)

    @precondition(lambda self: self.model.errors)
    @rule(chance=CHANCE)
    def publish_and_replay(self, chance: Random) -> None:
        """Replay all errors under another contract, as a new request or as the last one again."""
        self._publish(chance)
        death = chance.choice((None, *STAGE_POINTS))
        again = chance.random() < 0.3
        died = self.pipeline.replay(death and f"replay.{death}", again=again)
        self.model.replay(death if died else None, again=again)

    def teardown(self) -> None:
        """Let everything come to its end, unless the promise is broken already."""
        try:
            if sys.exc_info()[0] is None:
                self._settle()
        finally:
            self.pipeline.close()

    def _settle(self) -> None:
        """Then each message is in one terminal state, and the lakehouse's own ledger says so as well."""
        self._deliver()
        self._drain()
        self.model.redrive(marked=not self.pipeline.redrive())
        self._deliver()
        while self.model.waits:
            self._cycle()
        self._check()
        assert {place for place, _ in self.model.places.values()} <= TERMINAL
        found = ledger(self.pipeline.house.lake, self.pipeline.topic)
        assert found.balanced, found
        assert not found.waiting, found

    def _publish(self, chance: Random) -> None:
        self.pipeline.publish(self.model.publish(**chance.choice(CHANGES)))

    def _happen(self, event: str, chance: Random) -> None:
        """Something that a producer does, or SQS."""
        known, message = chance.choice(self.seen), self._message(chance)
        if event == "a broken envelope":
            self.pipeline.send_broken(message.message_id)
            self.model.broken.append(message.message_id)
        elif event == "given up by SQS":
            self.seen.append(message)
            self.pipeline.give_up(message)
            self.model.dead.append((message.message_id, message))
        elif event == "delivered again":
            self._send([known])
        elif event == "another payload under the same id":
            self._send([replace(message, message_id=known.message_id)])
        elif event.endswith("correction"):
            order = (("amount", "0"), ("id", known.key or "k1"))
            self._send([replace(message, order=order, minute=known.minute + (-1 if "late" in event else 1))])
        else:
            self._send([message])

    def _message(self, chance: Random) -> Message:
        """A message of a new id, published within the days that are looked up for an earlier occurrence."""
        self.sent += 1
        minute = chance.randint(-4000, 4000)
        if chance.random() < 0.15:
            return Message(self.sent, f"m{self.sent}", minute, None)
        fields = {name: chance.choice(values) for name, values in chance.choice(ORDERS).items()}
        if chance.random() < 0.9:
            fields["id"] = chance.choice(KEYS)
        return Message(self.sent, f"m{self.sent}", minute, tuple(sorted(fields.items())))

    def _send(self, messages: list[Message]) -> None:
        self.seen += messages
        self.pipeline.send(messages)
        self.model.queue += messages

    def _deliver(self, *, acknowledged: bool = True) -> None:
        self.pipeline.deliver(acknowledged=acknowledged)
        self.model.deliver(acknowledged=acknowledged)

    def _drain(self, die_at: str | None = None) -> None:
        if self.pipeline.drain(die_at):
            self.pipeline.drain()
        self.model.drain()

    def _cycle(self, death: str | None = None) -> None:
        """One cycle, or as far as it comes; a point is passed only where there is something to do for it."""
        stage, _, point = (death or "").partition(".")
        self._deliver()
        died = self.pipeline.begin(death if stage == "plan" else None)
        self.model.plan()
        if died:
            return
        died = self.pipeline.work(death if stage == "standardize" else None)
        self.model.standardize(point if died else None)
        if died:
            return
        self.pipeline.go_on()
        self.model.plan_curate()
        died = self.pipeline.work(death if stage == "curate" else None)
        self.model.curate(point if died else None)
        if not died:
            self.pipeline.finish()
            self._check()

    def _check(self) -> None:
        """Each message stands in one place, and that is the one the model says."""
        expected = {message_id: [place] for message_id, place in self.model.places.items()}
        found = census(self.pipeline.house, self.pipeline.topic)
        wrong = {i: (found.get(i), expected.get(i)) for i in found | expected if found.get(i) != expected.get(i)}
        assert not wrong, f"found and expected: {wrong}"
        assert dead_letters(self.pipeline.house, self.pipeline.topic) == sorted(
            name for name, _ in self.model.dead_letters
        )
