"""processing_enabled: which topics may be processed, and by which contract."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from ledgerlake.errors import TerminalError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


class Overtaken(TransientError):
    """Another contract of the topic was published at the same moment; the next try builds on it."""


class NoContract(TerminalError):
    """A topic has no contract in force: there is nothing to stop, and nothing to let go on."""


@dataclass(frozen=True)
class Admission:
    """A topic's item: whether it is processed, and its active contract, named by S3 version so that a publish in
    mid-air is never half seen. `curated` says whether the contract has payload columns.
    """

    topic: str
    enabled: bool
    contract_version: int
    contract_sha256: str
    contract_version_id: str
    curated: bool
    reason: str = ""
    updated_at: str = ""

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Self:
        """Read a DynamoDB item."""
        return cls(
            topic=item["topic"],
            enabled=bool(item["enabled"]),
            contract_version=int(item["contract_version"]),
            contract_sha256=item["contract_sha256"],
            contract_version_id=item["contract_version_id"],
            curated=bool(item["curated"]),
            reason=item.get("reason", ""),
            updated_at=item.get("updated_at", ""),
        )


class Gate:
    """The processing_enabled table. A topic without an item has no contract."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def get(self, topic: str) -> Admission | None:
        """A topic's item, read consistently."""
        item = self._table.get_item(Key={"topic": topic}, ConsistentRead=True).get("Item")
        return Admission.from_item(item) if item else None

    def all(self) -> dict[str, Admission]:
        """Every item by topic, in one paged scan."""
        page = self._table.scan(ConsistentRead=True)
        items = list(page["Items"])
        while "LastEvaluatedKey" in page:
            page = self._table.scan(ConsistentRead=True, ExclusiveStartKey=page["LastEvaluatedKey"])
            items += page["Items"]
        return {str(item["topic"]): Admission.from_item(item) for item in items}

    def put(self, admission: Admission) -> None:
        """Write a topic's item: the last step of publishing its contract."""
        written = replace(admission, updated_at=datetime.now(UTC).isoformat())
        item = {name: getattr(written, name) for name in Admission.__dataclass_fields__}
        self._table.put_item(Item=item)

    def admit(self, admission: Admission, instead_of: Admission | None) -> None:
        """Put a contract into force in the place of the one that was looked at: the last step of publishing it.

        Whether a person has disabled the topic stays as it is. Raises Overtaken.
        """
        facts = ("contract_version", "contract_sha256", "contract_version_id", "curated")
        values = {f":{name}": getattr(admission, name) for name in facts}
        # The SDK repeats a call whose answer was lost: what is in force already is no other contract.
        condition = "contract_version_id = :contract_version_id OR "
        if instead_of is None:
            condition += "attribute_not_exists(topic)"
        else:
            condition += "contract_version_id = :before"
            values[":before"] = instead_of.contract_version_id
        try:
            self._table.update_item(
                Key={"topic": admission.topic},
                UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in facts) + ", updated_at = :now"
                ", #enabled = if_not_exists(#enabled, :enabled), #reason = if_not_exists(#reason, :reason)",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#enabled": "enabled", "#reason": "reason"},
                ExpressionAttributeValues={
                    **values,
                    ":now": datetime.now(UTC).isoformat(),
                    ":enabled": admission.enabled,
                    ":reason": admission.reason,
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise Overtaken(f"another contract of {admission.topic} came into force meanwhile") from error
            raise

    def set_enabled(self, topic: str, enabled: bool, reason: str = "") -> None:
        """Stop a topic's processing, or let it go on; its messages keep landing in RAW meanwhile. Raises NoContract."""
        try:
            self._table.update_item(
                Key={"topic": topic},
                UpdateExpression="SET #enabled = :enabled, #reason = :reason, updated_at = :now",
                ExpressionAttributeNames={"#enabled": "enabled", "#reason": "reason"},
                ConditionExpression="attribute_exists(topic)",
                ExpressionAttributeValues={
                    ":enabled": enabled,
                    ":reason": reason,
                    ":now": datetime.now(UTC).isoformat(),
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise NoContract(f"{topic} has no contract in force, so it is not processed anyway") from error
            raise
