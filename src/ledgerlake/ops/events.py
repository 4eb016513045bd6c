"""The generated `events` topic: orders with every defect a source can have, and where each message must end.

One generator serves the demo, `verify` and the tests. What it expects is told by how each message is made, never by
asking the pipeline's own code.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

TOPIC = "events"

EXACT_NUMBERS = '{"a": 1.10, "b": 1e5, "c": 123456789012345678901234567890, "d": [1.10]}'
"""A payload whose numbers any detour through a float would change (design 4.1)."""

EXACT_TEXTS = {"a": "1.10", "b": "1e5", "c": "123456789012345678901234567890", "d": "[1.10]"}
"""What STANDARDIZED's columns must hold of EXACT_NUMBERS."""

DEMO_START = datetime(2026, 1, 18, 8, tzinfo=UTC)


class Place(StrEnum):
    """Where a message stands when everything sent has been worked through. Each id stands in exactly one."""

    CURATED = "curated"
    SUPERSEDED = "superseded"
    ERRORS = "errors"
    PARSE_ERRORS = "parse_errors"
    DLQ_ERRORS = "dlq_errors"


@dataclass(frozen=True)
class Message:
    """One message as sent on `day` 1 or 2: the body, and where its id stands after that day and after both.

    `kind` says what it shows. Redelivered copies are equal messages. A broken envelope may have no id that can be read:
    it is known by its body.
    """

    message_id: str
    body: str
    kind: str
    place: Place
    day: int = 1
    place_after_day_1: Place | None = None

    @property
    def lands(self) -> bool:
        """Whether RAW gets it."""
        return self.place is not Place.DLQ_ERRORS


@dataclass(frozen=True)
class Story:
    """All messages of one run, in the order in which they are sent."""

    run: str
    messages: Sequence[Message]

    def of_day(self, day: int) -> list[Message]:
        """What is sent on that day, copies included."""
        return [message for message in self.messages if message.day == day]

    def expected(self, day: int = 2) -> dict[str, Place]:
        """Where each message_id that lands must stand once all up to that day has been worked through."""
        places: dict[str, Place] = {}
        for message in self.messages:
            if message.lands and message.day <= day:
                early = message.place_after_day_1 if day == 1 else None
                places.setdefault(message.message_id, early or message.place)
        return places

    def broken_envelopes(self, day: int = 2) -> list[Message]:
        """The messages that never become RAW rows."""
        return [message for message in self.messages if not message.lands and message.day <= day]

    def copies(self, day: int = 2) -> dict[str, int]:
        """How often each message_id that lands was sent."""
        counts: dict[str, int] = {}
        for message in self.messages:
            if message.lands and message.day <= day:
                counts[message.message_id] = counts.get(message.message_id, 0) + 1
        return counts


def story(run: str, orders: int = 200, start: datetime = DEMO_START, seed: int = 7) -> Story:
    """Two days of about `orders` orders, with every defect at least once.

    `run` stands in every id: the same run, orders, start and seed give the same messages to the byte, another run gives
    ids that were never seen.
    """
    source = _Source(run, start, random.Random(seed))  # noqa: S311 - demo data, not secrets
    messages = [message for arc in ARCS for message in arc(source)]
    while source.made < orders:
        messages += source.random.choice(COMMON_ARCS)(source)
    # Within a day the order of arrival is not the order of publishing, as from any real queue.
    source.random.shuffle(messages)
    return Story(run, sorted(messages, key=lambda message: message.day))


class _Source:
    """Makes ids, times and payloads that differ from one another."""

    def __init__(self, run: str, start: datetime, rng: random.Random) -> None:
        self.run = run
        self.start = start
        self.random = rng
        self.made = 0
        self._messages = 0

    def order(self) -> str:
        self.made += 1
        return f"order-{self.run}-{self.made:05d}"

    def message(
        self,
        kind: str,
        place: Place,
        payload: dict[str, Any] | str,
        *,
        day: int = 1,
        minute: int | None = None,
        **envelope: Any,
    ) -> Message:
        self._messages += 1
        message_id = f"{self.run}-{self._messages:06d}"
        published = self.time(day, minute)
        body = {
            "message_id": message_id,
            "publish_time": published.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "topic_name": TOPIC,
            "idempotency_key": None,
            "attributes": {"source": "ledgerlake-demo", "kind": kind},
            "json_payload": payload if isinstance(payload, str) else msgspec.json.encode(payload).decode(),
        } | envelope
        text = msgspec.json.encode({name: value for name, value in body.items() if value is not ABSENT}).decode()
        return Message(message_id, text, kind, place, day)

    def time(self, day: int, minute: int | None = None) -> datetime:
        """A minute of a day's twelve hours; a random one unless told."""
        chosen = self.random.randrange(720) if minute is None else minute
        return self.start + timedelta(days=day - 1, minutes=chosen, milliseconds=self.random.randrange(60_000))

    def payload(self, order: str, amount: str | None = None, **event: Any) -> dict[str, Any]:
        text = amount if amount is not None else f"{self.random.randrange(100, 50_000) / 100:.2f}"
        return {
            "_metadata": {"idempotencyKeyResource": order},
            "event": {
                "timestamp": self.time(1).isoformat(timespec="milliseconds"),
                "type": self.random.choice(("order_placed", "order_paid", "order_shipped")),
                "userId": f"user-{self.random.randrange(40):02d}",
                # As a source writes it: the text of a number is part of the number.
                "amount": msgspec.Raw(text.encode()),
                "tags": self.random.sample(("web", "app", "gift", "express"), k=2),
            }
            | event,
        }


ABSENT = object()


def _plain(source: _Source) -> Iterator[Message]:
    yield source.message("plain", Place.CURATED, source.payload(source.order()), day=source.random.choice((1, 2)))


def _redelivered(source: _Source) -> Iterator[Message]:
    """The same message again, on the same day and on the next."""
    message = source.message("redelivered", Place.CURATED, source.payload(source.order()))
    yield from (message, message, replace(message, day=2))


def _corrected(source: _Source) -> Iterator[Message]:
    """A newer version of the same order arrives with the first."""
    order = source.order()
    yield source.message("corrected", Place.SUPERSEDED, source.payload(order), minute=10)
    yield source.message("correction", Place.CURATED, source.payload(order), minute=600)


def _corrected_next_day(source: _Source) -> Iterator[Message]:
    order = source.order()
    first = source.message("corrected", Place.SUPERSEDED, source.payload(order))
    yield replace(first, place_after_day_1=Place.CURATED)
    yield source.message("correction", Place.CURATED, source.payload(order), day=2)


def _late_correction(source: _Source) -> Iterator[Message]:
    """An older version arrives a day after the newer one, and must not overwrite it."""
    order = source.order()
    yield source.message("current", Place.CURATED, source.payload(order), minute=600)
    late = source.message("late correction", Place.SUPERSEDED, source.payload(order), minute=10)
    yield replace(late, day=2)


def _new_column(source: _Source) -> Iterator[Message]:
    """The source begins to send fields that no contract knows."""
    payload = source.payload(source.order()) | {"campaign": {"code": "SPRING", "discount": msgspec.Raw(b"0.10")}}
    yield source.message("new columns", Place.CURATED, payload, day=2)


def _given_key(source: _Source) -> Iterator[Message]:
    """The key comes with the envelope, and the payload has none."""
    payload = source.payload("") | {"_metadata": {}}
    yield source.message("key in envelope", Place.CURATED, payload, idempotency_key=source.order())


def _exact_numbers(source: _Source) -> Iterator[Message]:
    """Number text that a float would change: alone (no event, so an error in CURATED) and within a whole event."""
    yield source.message("exact numbers", Place.ERRORS, EXACT_NUMBERS, idempotency_key=source.order())
    numbers = {name: msgspec.Raw(text.encode()) for name, text in EXACT_TEXTS.items()}
    yield source.message("exact numbers, whole", Place.CURATED, source.payload(source.order()) | numbers)


def _missing_elements(source: _Source) -> Iterator[Message]:
    """Critical elements that are absent, null or blank."""
    payload = source.payload(source.order())
    del payload["event"]["timestamp"]
    yield source.message("missing element", Place.ERRORS, payload)
    yield source.message("missing element", Place.ERRORS, source.payload(source.order(), timestamp=None), day=2)
    yield source.message("missing key", Place.ERRORS, source.payload(" "))


def _bad_casts(source: _Source) -> Iterator[Message]:
    """Values that their type cannot hold exactly."""
    yield source.message("bad cast", Place.ERRORS, source.payload(source.order(), amount='"twelve"'))
    yield source.message("bad cast", Place.ERRORS, source.payload(source.order(), amount="1.105"), day=2)
    yield source.message("bad cast", Place.ERRORS, source.payload(source.order(), timestamp="2026-02-30T10:00:00Z"))


def _broken_rule(source: _Source) -> Iterator[Message]:
    yield source.message("broken rule", Place.ERRORS, source.payload(source.order(), amount="-5.00"))


def _bad_correction(source: _Source) -> Iterator[Message]:
    """A newer version that is wrong never takes the place of the good one."""
    order = source.order()
    yield source.message("good before bad", Place.CURATED, source.payload(order), minute=10)
    yield source.message("bad correction", Place.ERRORS, source.payload(order, amount="-1"), day=2)


def _no_json(source: _Source) -> Iterator[Message]:
    """Good envelopes around what is no JSON object."""
    order = source.order()
    for day, payload in (
        (1, f'{{"event": {{"id": "{order}", '),
        (1, "[1, 2, 3]"),
        (2, f'{{"id": "{order}", "v": NaN}}'),
    ):
        yield source.message("broken JSON", Place.PARSE_ERRORS, payload, day=day)


def _broken_envelopes(source: _Source) -> Iterator[Message]:
    """What no client should send: kept in dlq_errors with its reason."""
    payload = source.payload(source.order())
    yield source.message("broken envelope", Place.DLQ_ERRORS, payload, publish_time=ABSENT)
    yield source.message("broken envelope", Place.DLQ_ERRORS, payload, day=2, topic_name="another_topic")
    unreadable = source.message("broken envelope", Place.DLQ_ERRORS, payload)
    yield replace(unreadable, body=f"not JSON at all ({unreadable.message_id})")


ARCS = (
    _plain,
    _redelivered,
    _corrected,
    _corrected_next_day,
    _late_correction,
    _new_column,
    _given_key,
    _exact_numbers,
    _missing_elements,
    _bad_casts,
    _broken_rule,
    _bad_correction,
    _no_json,
    _broken_envelopes,
)
COMMON_ARCS = (*[_plain] * 12, _redelivered, _corrected, _corrected_next_day, _late_correction, _new_column)
