"""One run at a time per topic: a lock that expires by itself, and a fencing token for the run that outlives it."""

import logging
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from boto3.dynamodb.conditions import Attr
from botocore.exceptions import BotoCoreError, ClientError

from ledgerlake.errors import TransientError
from ledgerlake.state.checkpoints import Checkpoints

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

LEASE_SECONDS = 300
HEARTBEAT_SECONDS = 60

logger = logging.getLogger(__name__)


class LockHeld(TransientError):
    """Another run works on the topic."""


class LockLost(TransientError):
    """The lock expired and another run took it; ours must not commit any more."""


@dataclass
class Lock:
    """A topic's lock while held; `token` rises with every lock handed out."""

    topic: str
    owner: str
    token: int
    _table: "Table"
    _released: threading.Event
    _lost: bool = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._beat, name=f"lock-{self.topic}", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self.release()

    def require(self) -> None:
        """Raises LockLost when the lock is known to be another's: the last look before a commit."""
        if self._lost:
            raise LockLost(f"{self.topic}: the lock with token {self.token} expired")

    def extend(self) -> None:
        """Hold on for another lease. Raises LockLost when the lock is another's."""
        try:
            self._table.update_item(
                Key={"topic": self.topic},
                UpdateExpression="SET expires_at = :until",
                ConditionExpression=Attr("fencing_token").eq(self.token),
                ExpressionAttributeValues={":until": int(time.time()) + LEASE_SECONDS},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            self._lost = True
            raise LockLost(f"{self.topic}: the lock with token {self.token} is another run's") from error

    def release(self) -> None:
        """Give the lock back; one that is another's by now is left alone."""
        try:
            self._table.delete_item(Key={"topic": self.topic}, ConditionExpression=Attr("fencing_token").eq(self.token))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                logger.warning("lock of %s could not be released, it will expire: %s", self.topic, error)
        except BotoCoreError as error:
            logger.warning("lock of %s could not be released, it will expire: %s", self.topic, error)

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT_SECONDS):
            try:
                self.extend()
            except LockLost:
                return
            except (ClientError, BotoCoreError) as error:
                logger.warning("heartbeat of %s failed, the next one may do: %s", self.topic, error)


class Locks:
    """The locks table."""

    def __init__(self, table: "Table", checkpoints: Checkpoints) -> None:
        self._table = table
        self._checkpoints = checkpoints

    def acquire(self, topic: str, owner: str, above: int = 0) -> Lock:
        """Take a topic's lock with a token greater than any before, and than `above`. Raises LockHeld.

        Enter the lock to keep it alive; leaving gives it back.
        """
        now = int(time.time())
        token = self._checkpoints.next_token(topic, above)
        try:
            self._table.put_item(
                Item={"topic": topic, "owner": owner, "fencing_token": token, "expires_at": now + LEASE_SECONDS},
                ConditionExpression=Attr("topic").not_exists() | Attr("expires_at").lt(now),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise LockHeld(f"{topic} is locked by {self.holder(topic) or 'another run'}") from error
        return Lock(topic, owner, token, self._table, threading.Event())

    def holder(self, topic: str) -> str | None:
        """Who holds a topic's lock now."""
        item = self._table.get_item(Key={"topic": topic}, ConsistentRead=True).get("Item")
        return str(item["owner"]) if item and int(str(item["expires_at"])) >= time.time() else None

    def held(self) -> dict[str, str]:
        """The topics that are locked now, with their owners."""
        now = time.time()
        found: dict[str, str] = {}
        page = self._table.scan(ConsistentRead=True)
        while True:
            found |= {str(i["topic"]): str(i["owner"]) for i in page["Items"] if int(str(i["expires_at"])) >= now}
            if "LastEvaluatedKey" not in page:
                return found
            page = self._table.scan(ConsistentRead=True, ExclusiveStartKey=page["LastEvaluatedKey"])
