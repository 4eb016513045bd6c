"""Pinned batches: one item per topic and stage, moved only by conditional writes (design 5)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

from ledgerlake.errors import TransientError

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import ConditionBase
    from mypy_boto3_dynamodb.service_resource import Table

Stage = Literal["standardize", "curate", "replay", "reprocess"]
Status = Literal["pending", "done"]

# The fencing counter lives here and not in the lock's item, which its TTL deletes: the token must keep rising.
FENCE = "fence"


class CheckpointMoved(TransientError):
    """Another run changed the checkpoint meanwhile; what it did is looked at anew."""


@dataclass(frozen=True)
class Checkpoint:
    """One topic's place in one stage: the batch pinned (pending) or finished last (done).

    The batch is the source's snapshots (from_snapshot_id, to_snapshot_id], 0 being the table's beginning;
    `metadata_location` is the source table's as it was when the batch was pinned.
    """

    topic: str
    stage: Stage
    status: Status
    batch_id: str
    from_snapshot_id: int
    to_snapshot_id: int
    metadata_location: str
    contract_version: int
    cycle_id: str
    attempts: int = 0
    updated_at: str = ""

    @property
    def pending(self) -> bool:
        """Whether the batch still has to be finished."""
        return self.status == "pending"

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Self:
        """Read a DynamoDB item."""
        return cls(
            topic=item["topic"],
            stage=item["stage"],
            status=item["status"],
            batch_id=item["batch_id"],
            from_snapshot_id=int(item["from_snapshot_id"]),
            to_snapshot_id=int(item["to_snapshot_id"]),
            metadata_location=item["metadata_location"],
            contract_version=int(item.get("contract_version", 0)),
            cycle_id=item.get("cycle_id", ""),
            attempts=int(item.get("attempts", 0)),
            updated_at=item.get("updated_at", ""),
        )


def batch_id(topic: str, after: int, to: int) -> str:
    """A batch's name: the topic and the source's snapshots (after, to]."""
    return f"{topic}-{after}-{to}"


class Checkpoints:
    """The checkpoints table."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def get(self, topic: str, stage: Stage) -> Checkpoint | None:
        """A topic's checkpoint, read consistently, or None when it has none (yet, or it was lost)."""
        item = self._table.get_item(Key={"topic": topic, "stage": stage}, ConsistentRead=True).get("Item")
        return Checkpoint.from_item(item) if item else None

    def all(self) -> dict[tuple[str, Stage], Checkpoint]:
        """Every checkpoint by topic and stage, in one paged scan."""
        found = (Checkpoint.from_item(item) for item in self._items() if item["stage"] != FENCE)
        return {(checkpoint.topic, checkpoint.stage): checkpoint for checkpoint in found}

    def put(self, checkpoint: Checkpoint, before: Checkpoint | None) -> Checkpoint:
        """Write a checkpoint over the one that was read before. Raises CheckpointMoved when that is no longer there."""
        written = replace(checkpoint, updated_at=datetime.now(UTC).isoformat())
        self._conditionally(written, _unchanged(before))
        return written

    def attempt(self, checkpoint: Checkpoint) -> Checkpoint:
        """Count one more try at a pending batch. Raises CheckpointMoved."""
        return self.put(replace(checkpoint, attempts=checkpoint.attempts + 1), checkpoint)

    def done(self, checkpoint: Checkpoint) -> Checkpoint:
        """Move a batch from pending to done; a batch that is done already stays so. Raises CheckpointMoved."""
        finished = replace(checkpoint, status="done", updated_at=datetime.now(UTC).isoformat())
        self._conditionally(finished, Attr("batch_id").eq(checkpoint.batch_id))
        return finished

    def forget(self, topic: str, stage: Stage) -> None:
        """Take a checkpoint away: the next look reads from the tables where the topic stands."""
        self._table.delete_item(Key={"topic": topic, "stage": stage})

    def next_token(self, topic: str, above: int = 0) -> int:
        """A fencing token greater than every one handed out before, and than `above`."""
        key = {"topic": topic, "stage": FENCE}
        self._raise_to(key, above)
        answer = self._table.update_item(
            Key=key, UpdateExpression="ADD #t :one", ExpressionAttributeNames={"#t": "token"},
            ExpressionAttributeValues={":one": 1}, ReturnValues="UPDATED_NEW",
        )  # fmt: skip
        return int(str(answer["Attributes"]["token"]))

    def _raise_to(self, key: dict[str, str], floor: int) -> None:
        """Lift the counter to what the tables have seen, should its item have been lost."""
        if not floor:
            return
        try:
            self._table.update_item(
                Key=key, UpdateExpression="SET #t = :floor", ExpressionAttributeNames={"#t": "token"},
                ExpressionAttributeValues={":floor": floor},
                ConditionExpression=Attr("token").not_exists() | Attr("token").lt(floor),
            )  # fmt: skip
        except ClientError as error:
            if not _refused(error):
                raise

    def _items(self) -> Iterator[dict[str, Any]]:
        page = self._table.scan(ConsistentRead=True)
        yield from page["Items"]
        while "LastEvaluatedKey" in page:
            page = self._table.scan(ConsistentRead=True, ExclusiveStartKey=page["LastEvaluatedKey"])
            yield from page["Items"]

    def _conditionally(self, checkpoint: Checkpoint, condition: "ConditionBase") -> None:
        item = {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}
        try:
            self._table.put_item(Item=item, ConditionExpression=condition)
        except ClientError as error:
            if not _refused(error):
                raise
            raise CheckpointMoved(f"{checkpoint.topic} {checkpoint.stage}: the checkpoint changed meanwhile") from error


def _unchanged(before: Checkpoint | None) -> "ConditionBase":
    if before is None:
        return Attr("topic").not_exists()
    return (
        Attr("batch_id").eq(before.batch_id)
        & Attr("status").eq(before.status)
        & Attr("updated_at").eq(before.updated_at)
    )


def _refused(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
