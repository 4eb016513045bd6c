"""The reference: what becomes of every message, in sets and dictionaries (design 2, 4.2, 4.3, 5).

It knows nothing of how the lakehouse works, only what it promises: the first copy of a message_id counts, the latest
record of a key is current, a batch once begun is finished as it was begun, and what is not committed did not happen.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Place(StrEnum):
    """Where a message stands. All but the first two are terminal."""

    RAW = "raw"
    STANDARDIZED = "standardized"
    DEAD_LETTER = "dlq_errors"
    PARSE_ERROR = "parse_errors"
    CURATED = "curated"
    SUPERSEDED = "superseded"
    ERROR = "errors"


TERMINAL = frozenset(Place) - {Place.RAW, Place.STANDARDIZED}

COMMITTED = ("after_commit", "before_checkpoint", "after_checkpoint", "before_unlock")
"""The points of a stage that lie behind its commit; behind the last two the checkpoint has moved as well."""
CHECKPOINTED = COMMITTED[2:]


@dataclass(frozen=True)
class Contract:
    """What differs between the versions of the topic's contract; columns and types only ever grow."""

    floor: int = 0
    wide: bool = False
    graded: bool = False

    def document(self, topic: str) -> dict[str, Any]:
        grade = [{"name": "grade", "type": "int", "default": "1"}] if self.graded else []
        return {
            "table_name": topic,
            "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
            "payload_columns": [
                {"name": "amount", "type": "decimal(12,2)", "cde": True},
                {"name": "quantity", "type": "bigint" if self.wide else "int"},
                *grade,
            ],
            "rules": [{"name": "floor", "expression": f"amount >= {self.floor}", "action": "quarantine"}],
            "accept": ["rule_changed:floor"],
        }


@dataclass(frozen=True)
class Message:
    """The `number`th thing sent, published `minute` minutes after the start; `order` None is no JSON at all."""

    number: int
    message_id: str
    minute: int
    order: tuple[tuple[str, str], ...] | None

    @property
    def payload(self) -> str:
        return "{" if self.order is None else json.dumps(dict(self.order))

    @property
    def key(self) -> str | None:
        return dict(self.order or ()).get("id")

    def keeps(self, contract: Contract) -> bool:
        """Whether the message meets the contract. The generator knows no other numbers than these."""
        order = dict(self.order or ())
        amount = {"7.10": 7, "0": 0, "-5": -5, "-500": -500}.get(order.get("amount", "missing"))
        return (
            self.key is not None
            and amount is not None
            and amount >= contract.floor
            and (order.get("quantity") != "3000000000" or contract.wide)
            and (order.get("grade") != "A" or not contract.graded)
        )


@dataclass(frozen=True)
class Copy:
    """A row of RAW; `arrival` counts the rows as they came."""

    message: Message
    arrival: int

    @property
    def id(self) -> str:
        return self.message.message_id

    @property
    def first_by(self) -> tuple[int, int]:
        """The order in which copies of one message_id count."""
        return self.message.minute, self.arrival

    @property
    def latest_by(self) -> tuple[int, int, str]:
        """The order in which records of one key count."""
        return self.message.minute, self.arrival, self.id


@dataclass
class Batch:
    """Copies that a stage took up together, and whether they are committed."""

    copies: list[Copy]
    committed: bool = False


@dataclass
class Model:
    """Every message and where it stands, by the promise."""

    contract: Contract
    queue: list[Message] = field(default_factory=list)
    raw: list[Copy] = field(default_factory=list)
    batch: Batch | None = None
    parse_errors: dict[str, Copy] = field(default_factory=dict)
    standardized: list[Copy] = field(default_factory=list)
    judging: Batch | None = None
    current: dict[str | None, Copy] = field(default_factory=dict)
    superseded: dict[str, Copy] = field(default_factory=dict)
    errors: dict[str, Copy] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    dead: list[tuple[str, Message | None]] = field(default_factory=list)
    dead_letters: list[tuple[str, Message | None]] = field(default_factory=list)
    landed: int = 0
    replayed: bool = False

    # Before RAW.

    def deliver(self, *, acknowledged: bool = True) -> None:
        """What is queued is in RAW, or among the dead letters; it also comes again unless the queue heard of it."""
        for message in sorted(self.queue, key=lambda one: one.number):
            self.raw.append(Copy(message, self.landed))
            self.landed += 1
        self.dead += [(message_id, None) for message_id in self.broken]
        if acknowledged:
            self.queue, self.broken = [], []

    def drain(self) -> None:
        self.dead_letters, self.dead = self.dead_letters + self.dead, []

    def redrive(self, *, marked: bool) -> None:
        """What can be read is queued again; what was never marked as sent would be sent once more."""
        self.queue += [message for _, message in self.dead_letters if message]
        if marked:
            self.dead_letters = [letter for letter in self.dead_letters if not letter[1]]

    def lose_checkpoint(self, stage: str) -> None:
        """What was begun and not committed is as if it had never begun."""
        if stage == "standardize" and self.batch:
            self.raw, self.batch = [*(self.batch.copies if not self.batch.committed else ()), *self.raw], None
        if stage == "curate" and self.judging:
            begun = self.judging.copies if not self.judging.committed else ()
            self.standardized, self.judging = [*begun, *self.standardized], None

    # A cycle: each step as far as it came.

    def plan(self) -> None:
        """A batch that was begun is finished before another one is."""
        if self.batch is None and self.raw:
            self.batch, self.raw = Batch(self.raw), []
        if self.batch is None:
            self.plan_curate()

    def plan_curate(self) -> None:
        if self.judging is None and self.standardized:
            self.judging, self.standardized = Batch(self.standardized), []

    def standardize(self, died_at: str | None = None) -> None:
        batch = self.batch
        if batch is None or (died_at is not None and died_at not in COMMITTED):
            return
        if not batch.committed:
            settled = set(self.settled)
            for copy in sorted(batch.copies, key=lambda one: one.first_by):
                if copy.id in settled:
                    continue
                settled.add(copy.id)
                if copy.message.order is None:
                    self.parse_errors[copy.id] = copy
                else:
                    self.standardized.append(copy)
            batch.committed = True
        if died_at is None or died_at in CHECKPOINTED:
            self.batch = None

    def curate(self, died_at: str | None = None) -> None:
        batch = self.judging
        if batch is None or (died_at is not None and died_at not in COMMITTED):
            return
        if not batch.committed:
            for copy in batch.copies:
                if copy.message.keeps(self.contract):
                    self._stand(copy)
                else:
                    self.errors[copy.id] = copy
            batch.committed = True
        if died_at is None or died_at in CHECKPOINTED:
            self.judging = None

    def replay(self, died_at: str | None = None, *, again: bool = False) -> None:
        """Errors that meet the contract now are errors no longer; a request that was committed does nothing again."""
        if again and self.replayed:
            return
        passing = [copy for copy in self.errors.values() if copy.message.keeps(self.contract)]
        self.replayed = bool(passing) and died_at in (None, *COMMITTED)
        for copy in passing if self.replayed else ():
            del self.errors[copy.id]
            self._stand(copy)

    def _stand(self, copy: Copy) -> None:
        """The latest record of a key is current, whenever it comes."""
        standing = self.current.get(copy.message.key)
        if standing is not None and standing.latest_by > copy.latest_by:
            self.superseded[copy.id] = copy
            return
        if standing is not None:
            self.superseded[standing.id] = standing
        self.current[copy.message.key] = copy

    # What must be seen.

    @property
    def settled(self) -> dict[str, Copy]:
        """The copies that counted, by message_id."""
        standardized = [*self.standardized, *(self.judging.copies if self.judging else ())]
        current = {copy.id: copy for copy in self.current.values()}
        return self.parse_errors | {copy.id: copy for copy in standardized} | current | self.superseded | self.errors

    @property
    def places(self) -> dict[str, tuple[Place, int]]:
        """Where each message_id stands, and which of its copies; -1 for one that never came to RAW."""
        uncommitted = self.judging.copies if self.judging and not self.judging.committed else ()
        by_place: dict[Place, Iterable[Copy]] = {
            Place.RAW: [*self.raw, *(self.batch.copies if self.batch and not self.batch.committed else ())],
            Place.STANDARDIZED: [*self.standardized, *uncommitted],
            Place.PARSE_ERROR: self.parse_errors.values(),
            Place.CURATED: self.current.values(),
            Place.SUPERSEDED: self.superseded.values(),
            Place.ERROR: self.errors.values(),
        }
        found = {name: (Place.DEAD_LETTER, -1) for name, _ in self.dead_letters}
        for place, copies in by_place.items():
            found |= {copy.id: (place, -1 if place is Place.RAW else copy.arrival) for copy in copies}
        return found

    @property
    def waits(self) -> bool:
        """Whether a cycle has anything to do."""
        return bool(self.raw or self.batch or self.standardized or self.judging)

    def publish(self, **changes: Any) -> Contract:
        self.contract = replace(self.contract, **changes)
        return self.contract
