"""circuit_breakers: which topics' messages are taken off their queues, and how the latest ones fared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


class Stand(StrEnum):
    """A breaker is closed while messages are taken, open while they stay, and half open during a probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Fault(StrEnum):
    """What opened a breaker; one that a person opened stays open until a person closes it."""

    BROKEN = "broken_envelopes"
    UNDELIVERED = "not_delivered"
    BY_HAND = "by_hand"


@dataclass(frozen=True)
class Counts:
    """How messages of a topic fared: `broken` went to the dead-letter queue, `undelivered` had to stay."""

    received: int = 0
    broken: int = 0
    undelivered: int = 0

    def fault(self, failure_rate: float) -> Fault | None:
        """The fault whose share of the messages reaches the rate."""
        for fault, count in ((Fault.BROKEN, self.broken), (Fault.UNDELIVERED, self.undelivered)):
            if count and count >= failure_rate * self.received:
                return fault
        return None

    def __str__(self) -> str:
        """The counts in words."""
        return (
            f"{self.broken} of {self.received} messages had a broken envelope,"
            f" {self.undelivered} could not be delivered"
        )


@dataclass(frozen=True)
class Breaker:
    """A topic's item. `counts` are those of the window that began at `window` (seconds since the epoch).

    `probe_at` is when it may be probed next (None: never by itself) or, half open, when the probe counts as dead;
    `cool_down` is the pause in seconds that led to it. `alerted` says whether anybody was told of the opening.
    """

    topic: str
    stand: Stand = Stand.CLOSED
    counts: Counts = Counts()
    window: int | None = None
    fault: Fault | None = None
    reason: str = ""
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    probe_at: datetime | None = None
    cool_down: int = 0
    alerted: bool = True

    @property
    def shut(self) -> bool:
        """Whether messages are to stay on the queue."""
        return self.stand is not Stand.CLOSED

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read a DynamoDB item."""
        return cls(
            topic=item["topic"],
            stand=Stand(item.get("stand", Stand.CLOSED)),
            counts=Counts(*(int(item.get(name, 0)) for name in ("received", "broken", "undelivered"))),
            window=int(item["window"]) if "window" in item else None,
            fault=Fault(item["fault"]) if "fault" in item else None,
            reason=item.get("reason", ""),
            opened_at=_time(item, "opened_at"),
            closed_at=_time(item, "closed_at"),
            probe_at=_time(item, "probe_at"),
            cool_down=int(item.get("cool_down", 0)),
            alerted=bool(item.get("alerted", True)),
        )


class Breakers:
    """The circuit_breakers table. A topic without an item is closed, and nothing of it was counted yet.

    Every change is one conditional write: it returns the breaker as it is then, or None when another was first.
    """

    def __init__(self, table: "Table") -> None:
        self._table = table

    def get(self, topic: str) -> Breaker:
        """A topic's breaker, read consistently."""
        item = self._table.get_item(Key={"topic": topic}, ConsistentRead=True).get("Item")
        return Breaker.from_item(item) if item else Breaker(topic)

    def all(self) -> dict[str, Breaker]:
        """Every breaker that has an item, by topic, in one paged scan."""
        page = self._table.scan(ConsistentRead=True)
        items = list(page["Items"])
        while "LastEvaluatedKey" in page:
            page = self._table.scan(ConsistentRead=True, ExclusiveStartKey=page["LastEvaluatedKey"])
            items += page["Items"]
        return {str(item["topic"]): Breaker.from_item(item) for item in items}

    def count(self, topic: str, counts: Counts, window: int) -> Breaker:
        """Add to the window's counts. The first of a newer window begins at nought; a latecomer adds to the newest."""
        return (
            self._add(topic, counts, window)
            or self._update(
                topic, vars(counts) | {"window": window}, "attribute_not_exists(#window) OR #window < :window"
            )
            or self._add(topic, counts, window)
            or self.get(topic)
        )

    def open(self, topic: str, fault: Fault, reason: str, now: datetime, cool_down: int) -> Breaker | None:
        """Open a closed breaker; its first probe comes after the pause. None when it is open already."""
        return self._update(
            topic,
            {
                "stand": Stand.OPEN,
                "fault": fault,
                "reason": reason,
                "opened_at": _seconds(now),
                "probe_at": _seconds(now) + cool_down,
                "cool_down": cool_down,
                "alerted": False,
            },
            "attribute_not_exists(#stand) OR #stand = :closed",
            {":closed": Stand.CLOSED},
        )

    def hold_open(self, topic: str, reason: str, now: datetime) -> None:
        """Open a breaker, closed or not, until somebody closes it: it is never probed."""
        changes = {
            "stand": Stand.OPEN,
            "fault": Fault.BY_HAND,
            "reason": reason,
            "opened_at": _seconds(now),
            "alerted": True,
        }
        self._update(topic, changes, remove=("probe_at",))

    def alerted(self, breaker: Breaker) -> Breaker | None:
        """Remember that people were told of this opening."""
        return self._update(
            breaker.topic,
            {"alerted": True},
            "#opened_at = :opened_at",
            {":opened_at": _seconds(breaker.opened_at)},
        )

    def claim(self, topic: str, now: datetime, lease: int) -> Breaker | None:
        """Take a breaker whose probe is due for this long; its probe_at is the claim. None when another has it."""
        return self._update(
            topic,
            {"stand": Stand.HALF_OPEN, "probe_at": _seconds(now) + lease},
            "#stand <> :closed AND #probe_at <= :now",
            {":closed": Stand.CLOSED, ":now": _seconds(now)},
        )

    def reopen(
        self, claimed: Breaker, fault: Fault | None, reason: str, now: datetime, cool_down: int
    ) -> Breaker | None:
        """End a claimed breaker's probe without closing it; the next comes after the pause."""
        changes = {
            "stand": Stand.OPEN,
            "fault": fault,
            "reason": reason,
            "probe_at": _seconds(now) + cool_down,
            "cool_down": cool_down,
        }
        return self._update(claimed.topic, changes, *_still(claimed))

    def close(self, claimed: Breaker, now: datetime) -> Breaker | None:
        """Close a claimed breaker; counting begins anew, and the pause is remembered for one that opens again soon."""
        return self._update(
            claimed.topic,
            {"stand": Stand.CLOSED, "closed_at": _seconds(now)},
            *_still(claimed),
            remove=("window", "received", "broken", "undelivered", "probe_at"),
        )

    def release(self, topic: str) -> None:
        """Close a breaker, however it stands, and forget its past."""
        self._table.delete_item(Key={"topic": topic})

    def _add(self, topic: str, counts: Counts, window: int) -> Breaker | None:
        return self._write(
            topic,
            "ADD " + ", ".join(f"#{name} :{name}" for name in vars(counts)),
            "#window >= :window",
            {f":{name}": count for name, count in vars(counts).items()} | {":window": window},
        )

    def _update(
        self,
        topic: str,
        changes: Mapping[str, Any],
        condition: str = "",
        values: Mapping[str, Any] | None = None,
        remove: tuple[str, ...] = (),
    ) -> Breaker | None:
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
        if remove:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in remove)
        return self._write(
            topic, expression, condition, {f":{name}": value for name, value in changes.items()} | dict(values or {})
        )

    def _write(self, topic: str, expression: str, condition: str, values: Mapping[str, Any]) -> Breaker | None:
        try:
            answer = self._table.update_item(
                Key={"topic": topic},
                UpdateExpression=expression,
                **({"ConditionExpression": condition} if condition else {}),  # type: ignore[arg-type]
                ExpressionAttributeNames={f"#{name}": name for name in re.findall(r"#(\w+)", expression + condition)},
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return None
            raise
        return Breaker.from_item(answer["Attributes"])


def _still(claimed: Breaker) -> tuple[str, dict[str, Any]]:
    """The condition that the claim is still held."""
    return "#stand = :half_open AND #probe_at = :claim", {
        ":half_open": Stand.HALF_OPEN,
        ":claim": _seconds(claimed.probe_at),
    }


def _seconds(time: datetime | None) -> int:
    return int(time.timestamp()) if time else 0


def _time(item: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromtimestamp(int(item[name]), UTC) if name in item else None
