"""The circuit breaker: a topic whose messages keep failing is no longer taken, until they fare better."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ledgerlake import failpoints
from ledgerlake.ops.mappings import Mappings
from ledgerlake.settings import CircuitBreaker as Limits
from ledgerlake.state.breakers import Breaker, Breakers, Counts, Fault

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

OPENED = """The processor stopped taking messages of the topic {topic}: {reason}.

Nothing is lost: messages stay on the topic's queue, up to 14 days. The first probe is due at
{probe_at:%Y-%m-%d %H:%M:%S} UTC; when it fares well, the topic is taken again by itself.

What to do: mend what sends broken messages, or what keeps Firehose from taking them. To look:
ledgerlake breaker show. docs/runbook.md, "A topic's circuit breaker is open", says more."""
CLOSED = """The processor takes messages of the topic {topic} again.

It had stopped at {opened_at:%Y-%m-%d %H:%M:%S} UTC: {reason}."""


@dataclass(frozen=True)
class Alerts:
    """The SNS topic that people listen to."""

    sns: "SNSClient"
    topic_arn: str

    def publish(self, subject: str, message: str) -> None:
        """Tell people; SNS takes subjects of at most 99 characters."""
        self.sns.publish(TopicArn=self.topic_arn, Subject=subject[:99], Message=message)


@dataclass(frozen=True)
class CircuitBreaker:
    """Opens and closes the topics' breakers. The table says how a breaker is to stand, and the mapping follows it."""

    limits: Limits
    breakers: Breakers
    mappings: Mappings
    alerts: Alerts

    def record(self, topic: str, counts: Counts, now: datetime) -> Breaker | None:
        """Count how messages of a topic fared; returns its breaker when that opened it. Raises what AWS raises."""
        if not self.limits.enabled:
            return None
        seconds = self.limits.window_seconds
        breaker = self.breakers.count(topic, counts, int(now.timestamp()) // seconds * seconds)
        enough = breaker.counts.received >= self.limits.min_messages
        fault = breaker.counts.fault(self.limits.failure_rate) if enough else None
        if fault is None or breaker.shut:
            return None
        opened = self.breakers.open(topic, fault, str(breaker.counts), now, self._first_pause(breaker, now))
        if opened:
            failpoints.hit("breaker.after_open_before_stop", topic)
            self.settle(topic)
            self.announce(opened)
        return opened

    def announce(self, opened: Breaker) -> None:
        """Tell people that a breaker opened, and remember it; whoever dies in between, the next probe tells them."""
        failpoints.hit("breaker.before_alert", opened.topic)
        self.alerts.publish(f"ledgerlake: {opened.topic} is no longer taken", OPENED.format(**vars(opened)))
        self.breakers.alerted(opened)

    def fail(self, claimed: Breaker, fault: Fault, reason: str, now: datetime) -> None:
        """End a probe that fared badly: the pause doubles, up to the longest."""
        self.breakers.reopen(claimed, fault, reason, now, self._longer(claimed.cool_down))

    def wait(self, claimed: Breaker, now: datetime) -> None:
        """End a probe that told nothing: the pause stays as it is."""
        self.breakers.reopen(claimed, claimed.fault, claimed.reason, now, claimed.cool_down)

    def close(self, claimed: Breaker, now: datetime) -> bool:
        """Take a claimed breaker's topic again; tells whether it did, for a person may have decided otherwise."""
        # In this order: dying in between leaves a breaker that is probed again, not a closed one that gets no messages.
        self.mappings.take(claimed.topic, taken=True)
        failpoints.hit("breaker.after_start_before_close", claimed.topic)
        closed = self.breakers.close(claimed, now)
        self.settle(claimed.topic)
        if closed:
            self.alerts.publish(f"ledgerlake: {closed.topic} is taken again", CLOSED.format(**vars(closed)))
        return closed is not None

    def open_by_hand(self, topic: str, reason: str, now: datetime) -> None:
        """No longer take a topic until somebody closes its breaker."""
        self.breakers.hold_open(topic, reason, now)
        self.settle(topic)

    def close_by_hand(self, topic: str) -> None:
        """Take a topic again, however its breaker stands."""
        self.mappings.take(topic, taken=True)
        self.breakers.release(topic)
        self.settle(topic)

    def settle(self, topic: str) -> None:
        """Make the mapping what the table says, also when that changes meanwhile: Lambda has no conditions."""
        shut = self.breakers.get(topic).shut
        for _ in range(3):
            self.mappings.take(topic, taken=not shut)
            before, shut = shut, self.breakers.get(topic).shut
            if shut == before:
                return

    def _first_pause(self, breaker: Breaker, now: datetime) -> int:
        """One that closed only just now was closed too early."""
        recent = timedelta(seconds=self.limits.max_cool_down_seconds)
        if breaker.closed_at and now - breaker.closed_at < recent:
            return self._longer(breaker.cool_down)
        return self.limits.cool_down_seconds

    def _longer(self, pause: int) -> int:
        return min(2 * pause, self.limits.max_cool_down_seconds)
