"""A cycle's files in the ops bucket: what each run has to do, and what became of each topic."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from ledgerlake.state.checkpoints import Stage
from ledgerlake.tables.history import Outcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Request(BaseModel):
    """What one Glue run has to do: these topics, in this order, one stage."""

    model_config = ConfigDict(frozen=True)

    cycle_id: str
    stage: Stage
    number: int
    topics: tuple[str, ...]


class Cycles:
    """`cycles/<cycle_id>/…` in the ops bucket."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put_request(self, request: Request) -> str:
        """Write a run's request; returns its URI."""
        key = f"cycles/{request.cycle_id}/{request.stage}-{request.number}.json"
        return self._put(key, request.model_dump_json())

    def get_request(self, uri: str) -> Request:
        """Read a run's request."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return Request.model_validate_json(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def put_plan(self, cycle_id: str, document: str) -> str:
        """Write a cycle's plan; returns its URI."""
        return self._put(f"cycles/{cycle_id}/plan.json", document)

    def get_plan(self, cycle_id: str) -> str | None:
        """A cycle's plan, or None when it has none yet."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=f"cycles/{cycle_id}/plan.json")
        except self._s3.exceptions.NoSuchKey:
            return None
        return answer["Body"].read().decode()

    def requests(self, cycle_id: str, stage: Stage) -> list[Request]:
        """The requests that a cycle planned for a stage."""
        prefix = f"cycles/{cycle_id}/{stage}-"
        found = [Request.model_validate_json(text) for text in self._read_all(self._keys(prefix))]
        return sorted(found, key=lambda request: request.number)

    def put_outcome(self, outcome: Outcome) -> None:
        """Write what became of a topic in a stage, as soon as that is known."""
        key = f"cycles/{outcome.cycle_id}/outcomes/{outcome.stage}/{outcome.topic_name}.json"
        self._put(key, outcome.model_dump_json())

    def outcomes(self, cycle_id: str, stage: Stage) -> list[Outcome]:
        """The outcomes of a stage so far, by topic."""
        keys = self._keys(f"cycles/{cycle_id}/outcomes/{stage}/")
        return [Outcome.model_validate_json(text) for text in self._read_all(keys)]

    def _put(self, key: str, text: str) -> str:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=text.encode(), ContentType="application/json")
        return f"s3://{self._bucket}/{key}"

    def _keys(self, prefix: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def _read_all(self, keys: Iterable[str]) -> list[str]:
        def read(key: str) -> str:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read().decode()

        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(pool.map(read, keys))
