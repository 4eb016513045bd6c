"""Whatever is sent, and whatever dies when: every message ends where the reference says (hypothesis, stateful)."""

import sys

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
KEYS = ("k1", "k2", "k3")
# Within the days that are looked up for an earlier occurrence, over several of them.
MINUTES = st.integers(-4000, 4000)
GOOD = {"amount": st.sampled_from(("7.10", "0"))}
KINDS = {
    "good": GOOD,
    "no critical element": {},
    "bad cast": {"amount": st.just("x")},
    "broken rule": {"amount": st.sampled_from(("-5", "-500"))},
    "too wide": GOOD | {"quantity": st.just("3000000000")},
    "not of the next version": GOOD | {"grade": st.just("A")},
}
ORDERS = st.one_of(
    *(st.fixed_dictionaries({"id": st.sampled_from(KEYS)} | fields) for fields in KINDS.values()),
    st.fixed_dictionaries(GOOD),  # no key
    st.none(),  # no JSON
)


class Conservation(RuleBasedStateMachine):
    """Rules are what happens to a topic; each does the same to the pipeline and to the model."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.pipeline = pipeline
        self.model = Model(Contract())
        self.seen: list[Message] = []
        self.sent = 0

    @initialize(orders=st.lists(ORDERS, min_size=3, max_size=6))
    def begin(self, orders: list[dict[str, str] | None]) -> None:
        self.pipeline.publish(self.model.contract)
        self.send(orders, 0)

    # What producers do.

    @rule(orders=st.lists(ORDERS, min_size=2, max_size=6), minute=MINUTES)
    def send(self, orders: list[dict[str, str] | None], minute: int) -> None:
        self._send([self._message(order, minute + place) for place, order in enumerate(orders)])

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        self._send([self._seen(data)])

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), order=ORDERS, minute=MINUTES)
    def send_another_payload_under_a_known_id(
        self, data: st.DataObject, order: dict[str, str] | None, minute: int
    ) -> None:
        self._send([self._message(order, minute, self._seen(data).message_id)])

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), late=st.booleans())
    def correct(self, data: st.DataObject, late: bool) -> None:
        """Send a newer record of a key that was sent, or one that should have come before it."""
        known = self._seen(data)
        order = {"id": known.key or "k1", "amount": "0"}
        self._send([self._message(order, known.minute + (-1 if late else 1))])

    @rule()
    def send_a_broken_envelope(self) -> None:
        self.sent += 1
        self.pipeline.send_broken(f"b{self.sent}")
        self.model.broken.append(f"b{self.sent}")

    @rule(order=ORDERS, minute=MINUTES)
    def sqs_gives_up(self, order: dict[str, str] | None, minute: int) -> None:
        message = self._message(order, minute)
        self.seen.append(message)
        self.pipeline.give_up(message)
        self.model.dead.append((message.message_id, message))

    # What the pipeline does, and where it dies.

    @rule()
    def deliver_and_die_before_the_queue_hears_of_it(self) -> None:
        self._deliver(acknowledged=False)

    @precondition(lambda self: self.model.waits or self.model.queue)
    @rule()
    def cycle(self) -> None:
        self._deliver()
        self._cycle()

    @precondition(lambda self: self.model.waits or self.model.queue)
    @rule(point=st.sampled_from(STAGE_POINTS))
    def cycle_that_dies_standardizing(self, point: str) -> None:
        self._deliver()
        self._cycle("standardize", point)

    @precondition(lambda self: self.model.waits or self.model.queue)
    @rule(point=st.sampled_from(STAGE_POINTS))
    def cycle_that_dies_curating(self, point: str) -> None:
        self._deliver()
        self._cycle("curate", point)

    @precondition(lambda self: self.model.waits or self.model.queue)
    @rule()
    def cycle_that_dies_planning(self) -> None:
        self._deliver()
        self._cycle("plan", "after_pin")

    @precondition(lambda self: self.model.dead)
    @rule(dies=st.booleans())
    def drain(self, dies: bool) -> None:
        self._drain("drain.after_write_before_delete" if dies else None)

    @precondition(lambda self: any(message for _, message in self.model.dead_letters))
    @rule(dies=st.booleans())
    def redrive(self, dies: bool) -> None:
        died = self.pipeline.redrive("redrive.after_send_before_mark" if dies else None)
        self.model.redrive(marked=not died)

    @rule(changes=st.sampled_from(({"floor": 0}, {"floor": -100}, {"wide": True}, {"graded": True})))
    def publish(self, changes: dict[str, object]) -> None:
        self.pipeline.publish(self.model.publish(**changes))

    @precondition(lambda self: self.model.errors)
    @rule(point=st.none() | st.sampled_from(STAGE_POINTS), again=st.booleans())
    def replay(self, point: str | None, again: bool) -> None:
        died = self.pipeline.replay(point and f"replay.{point}", again=again)
        self.model.replay(point if died else None, again=again)

    @precondition(lambda self: self.model.batch or self.model.judging)
    @rule(stage=st.sampled_from(("standardize", "curate")))
    def lose_checkpoint(self, stage: str) -> None:
        self.pipeline.house.forget(self.pipeline.topic, stage)
        self.model.lose_checkpoint(stage)

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

    def _message(self, order: dict[str, str] | None, minute: int, message_id: str | None = None) -> Message:
        self.sent += 1
        fields = None if order is None else tuple(sorted(order.items()))
        return Message(self.sent, message_id or f"m{self.sent}", minute, fields)

    def _seen(self, data: st.DataObject) -> Message:
        return data.draw(st.sampled_from(self.seen))

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

    def _cycle(self, stage: str | None = None, point: str | None = None) -> None:
        """One cycle, or as far as it comes; a stage's point is passed only where there is something to do for it."""
        points = {stage: f"{stage}.{point}"}
        died = self.pipeline.begin(points.get("plan"))
        self.model.plan()
        if died:
            return
        died = self.pipeline.work(points.get("standardize"))
        self.model.standardize(point if died else None)
        if died:
            return
        self.pipeline.go_on()
        self.model.plan_curate()
        died = self.pipeline.work(points.get("curate"))
        self.model.curate(point if died else None)
        if not died:
            self.pipeline.finish()
            self._check()

    def _check(self) -> None:
        """Each message stands in one place, and that is the one the model says."""
        expected = {message_id: [place] for message_id, place in self.model.places.items()}
        found = census(self.pipeline.house, self.pipeline.topic)
        assert {i: p for i, p in found.items() if p != expected.get(i)} == {
            i: p for i, p in expected.items() if p != found.get(i)
        }
        assert dead_letters(self.pipeline.house, self.pipeline.topic) == sorted(
            name for name, _ in self.model.dead_letters
        )
