"""All of the state that planner and jobs share, reached through clients made at the edge."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ledgerlake.settings import Settings
from ledgerlake.state.checkpoints import Checkpoints
from ledgerlake.state.cycles import Cycles
from ledgerlake.state.gate import Gate
from ledgerlake.state.locks import Locks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class State:
    """Checkpoints, locks, the gate, the cycles' files, and the contracts bucket."""

    checkpoints: Checkpoints
    locks: Locks
    gate: Gate
    cycles: Cycles
    s3: "S3Client"
    contracts_bucket: str

    @classmethod
    def connect(cls, settings: Settings, dynamodb: "DynamoDBServiceResource", s3: "S3Client") -> Self:
        """The state of one environment."""
        tables = settings.dynamodb_tables
        checkpoints = Checkpoints(dynamodb.Table(tables.checkpoints))
        return cls(
            checkpoints=checkpoints,
            locks=Locks(dynamodb.Table(tables.locks), checkpoints),
            gate=Gate(dynamodb.Table(tables.processing_enabled)),
            cycles=Cycles(s3, settings.buckets.ops),
            s3=s3,
            contracts_bucket=settings.buckets.contracts,
        )
