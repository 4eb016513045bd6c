"""The contracts bucket: a topic's active contract, read by its S3 version."""

from typing import TYPE_CHECKING

from ledgerlake.state.gate import Admission, Gate

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def active_key(topic: str) -> str:
    """Where a topic's contract in force lies."""
    return f"schemas/{topic}/active/schema.json"


def read_active(s3: "S3Client", bucket: str, admission: Admission) -> bytes:
    """The bytes of the contract that a topic's gate names."""
    answer = s3.get_object(Bucket=bucket, Key=active_key(admission.topic), VersionId=admission.contract_version_id)
    return answer["Body"].read()


def in_force(s3: "S3Client", bucket: str, gate: Gate, topic: str) -> tuple[int, bytes] | None:
    """A topic's contract in force as its version and bytes, also of one that is switched off; None without one."""
    admission = gate.get(topic)
    return (admission.contract_version, read_active(s3, bucket, admission)) if admission else None
