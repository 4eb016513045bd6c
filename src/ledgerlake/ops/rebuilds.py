"""Hand a contract with breaking changes over to the Glue job that rebuilds its tables for it (ADR 0015)."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

from ledgerlake.ops.candidates import Candidate
from ledgerlake.ops.job_runs import JobRuns

KIND: Final = "rebuild"
"""The job, and the kind of its requests."""


class RebuildRequest(BaseModel):
    """Which pending contract the job has to bring into force; `version_id` and `principal` as its S3 event had them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str
    version_id: str
    principal: str | None = None


@dataclass(frozen=True)
class StartedRebuilds:
    """Rebuilds by the Glue job: it reads the pending contract again, and publishes it when its tables are ready."""

    runs: JobRuns

    def ready(self, candidate: Candidate) -> bool:
        """Start the job; its contract waits. Two runs for one upload do no harm: the second finds it dealt with.

        Raises JobBusy, to be tried again, and NotDeployed.
        """
        upload = candidate.upload
        request = RebuildRequest(
            topic=candidate.topic, version_id=upload.version_id, principal=upload.pending.principal
        )
        self.runs.start(KIND, request.model_dump(), f"{candidate.topic}-{upload.version_id}")
        return False
