"""What became of every file that landed: one item per object and version, so that each is ingested once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ledgerlake.errors import LedgerlakeError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

# An owner that did not report for so long is taken to be dead; it reports every few seconds.
LEASE_SECONDS = 120


class AlreadyIngested(LedgerlakeError):
    """The object's version is done: there is nothing to do."""


class Busy(TransientError):
    """Another invocation is at work on the object's version, or took it over: try again later."""


@dataclass(frozen=True)
class Version:
    """One version of an object: `object` is "bucket/key", `version` the version id, or the ETag where there is none."""

    object: str
    version: str

    @property
    def key(self) -> dict[str, str]:
        """The registry's key."""
        return {"object": self.object, "version": self.version}


@dataclass(frozen=True)
class Progress:
    """How far an ingest is: the last record number dealt with, and what the records up to it became."""

    position: int = 0
    sent: int = 0
    too_large: int = 0


@dataclass(frozen=True)
class Known:
    """What the registry says of an object's version: `status` is started, done or failed, `code` why it failed."""

    status: str
    progress: Progress
    code: str = ""


@dataclass(frozen=True)
class RefusedFile:
    """An object that was not ingested: `object` is "bucket/key", `code` for machines, `reason` for people."""

    object: str
    code: str
    reason: str
    at: datetime


class FileRegistry:
    """The file_registry table. An item is `started` (with owner, lease and progress), then `done` or `failed`.

    `failed` items carry error_code and failure; they are tried again only when somebody invokes the ingest again.
    """

    def __init__(self, table: "Table") -> None:
        self._table = table

    def claim(self, version: Version, owner: str, now: datetime, **facts: str | int) -> Progress:
        """Start, or take over, an ingest and return from where. Raises AlreadyIngested or Busy.

        A retry carries its first try's owner and goes on at once; others wait until the lease has run out.
        """
        try:
            item = self._update(
                version,
                {
                    "status": "started",
                    "owner": owner,
                    "lease_until": _lease(now),
                    "updated_at": now.isoformat(),
                    **facts,
                },
                condition="attribute_not_exists(#object) OR #status = :failed"
                " OR (#status = :started AND (#owner = :owner OR #lease_until < :now))",
                names=["object", "status", "owner", "lease_until"],
                values={":failed": "failed", ":started": "started", ":now": int(now.timestamp())},
                remove=" REMOVE error_code, failure",
            )
        except Busy:
            if self._status(version) == "done":
                raise AlreadyIngested from None
            raise
        return _progress(item)

    def find(self, version: Version) -> Known | None:
        """What is known of an object's version; None when nobody has tried it."""
        item = self._table.get_item(Key=version.key, ConsistentRead=True).get("Item")
        return Known(str(item["status"]), _progress(item), str(item.get("error_code", ""))) if item else None

    def reopen(self, version: Version, now: datetime) -> None:
        """Have a version that is done ingested from its beginning by whoever claims it next. Raises Busy."""
        self._update(
            version,
            {**vars(Progress()), "status": "started", "owner": "", "lease_until": 0, "updated_at": now.isoformat()},
            condition="#status = :done",
            names=["status"],
            values={":done": "done"},
        )

    def advance(self, version: Version, owner: str, progress: Progress, now: datetime) -> None:
        """Record how far the owner is, and prolong its lease. Raises Busy when another has taken over."""
        self._owned(version, owner, {**vars(progress), "lease_until": _lease(now), "updated_at": now.isoformat()})

    def release(self, version: Version, owner: str, now: datetime) -> None:
        """Let any other go on from where the owner last reported to be. Raises Busy when another has taken over."""
        self._owned(version, owner, {"lease_until": 0, "updated_at": now.isoformat()})

    def finish(self, version: Version, owner: str, progress: Progress, now: datetime) -> None:
        """Mark the object done, with its counts. Raises Busy when another has taken over."""
        self._owned(version, owner, {**vars(progress), "status": "done", "updated_at": now.isoformat()})

    def fail(self, version: Version, owner: str, code: str, reason: str, now: datetime) -> None:
        """Mark the object failed, with what a person must know to repair it."""
        facts = {"status": "failed", "error_code": code, "failure": reason, "updated_at": now.isoformat()}
        self._owned(version, owner, facts)

    def refused(self) -> Iterator[RefusedFile]:
        """Every object that failed. It reads the whole registry: for people's questions, not for the pipeline."""
        request: dict[str, Any] = {
            "FilterExpression": "#status = :failed",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":failed": "failed"},
        }
        while True:
            page = self._table.scan(**request)
            for item in page["Items"]:
                at = datetime.fromisoformat(str(item["updated_at"]))
                yield RefusedFile(str(item["object"]), str(item["error_code"]), str(item["failure"]), at)
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _owned(self, version: Version, owner: str, changes: dict[str, Any]) -> None:
        self._update(
            version,
            changes,
            condition="#owner = :me AND #status = :started",
            names=["owner", "status"],
            values={":me": owner, ":started": "started"},
        )

    def _update(
        self,
        version: Version,
        changes: dict[str, Any],
        condition: str,
        names: list[str],
        values: dict[str, Any],
        remove: str = "",
    ) -> dict[str, Any]:
        try:
            answer = self._table.update_item(
                Key=version.key,
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in changes) + remove,
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in {*changes, *names}},
                ExpressionAttributeValues={f":{name}": value for name, value in changes.items()} | values,
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise Busy(f"{version.object} ({version.version}) belongs to another invocation") from error
            raise
        return answer["Attributes"]

    def _status(self, version: Version) -> object:
        return self._table.get_item(Key=version.key, ConsistentRead=True).get("Item", {}).get("status")


def _progress(item: Mapping[str, Any]) -> Progress:
    return Progress(*(int(item.get(name, 0)) for name in ("position", "sent", "too_large")))


def _lease(now: datetime) -> int:
    return int(now.astimezone(UTC).timestamp()) + LEASE_SECONDS
