"""What a job that was started by hand has to do, how far it is, and what it did: three documents in the ops bucket."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Document = Mapping[str, Any]


class Requests:
    """`requests/<kind>/<id>.json` in the ops bucket; beside each, `<id>.step.json` and `<id>.report.json`."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def uri(self, kind: str, request_id: str) -> str:
        """Where a request lies."""
        return f"s3://{self._bucket}/requests/{kind}/{request_id}.json"

    def put(self, kind: str, request_id: str, request: Document) -> str:
        """Write a request; returns its URI."""
        return self._put(self.uri(kind, request_id), request)

    def get(self, uri: str) -> Document:
        """Read a request. Raises NoSuchKey when it is not there."""
        return self._get(uri)

    def tell(self, uri: str, step: str) -> None:
        """Say what the job that works on a request is at."""
        self._put(_beside(uri, "step"), {"step": step})

    def step(self, uri: str) -> str:
        """What the job was at when it last said so."""
        return str((self.find(_beside(uri, "step")) or {}).get("step", ""))

    def put_report(self, uri: str, report: Document) -> None:
        """Write what was done."""
        self._put(_beside(uri, "report"), report)

    def report(self, uri: str) -> Document | None:
        """What was done; None while nothing is known of it."""
        return self.find(_beside(uri, "report"))

    def find(self, uri: str) -> Document | None:
        """Read a document, or None when it is not there."""
        try:
            return self._get(uri)
        except self._s3.exceptions.NoSuchKey:
            return None

    def _get(self, uri: str) -> Document:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        document: Document = json.loads(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return document

    def _put(self, uri: str, document: Document) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        text = json.dumps(document, ensure_ascii=False, indent=1, default=str)
        self._s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/json")
        return uri


def _beside(uri: str, what: str) -> str:
    return f"{uri.removesuffix('.json')}.{what}.json"
