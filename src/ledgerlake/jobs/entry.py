"""How every Glue run begins: its arguments, the environment's settings and state, and a Spark session."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

import boto3

from ledgerlake import failpoints
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.session import connect
from ledgerlake.settings import Settings
from ledgerlake.state.requests import Document, Requests
from ledgerlake.state.salt import Salt
from ledgerlake.state.store import State
from ledgerlake.tables.lake import Lake

Tell = Callable[[str], None]
"""Says to whoever waits for the job what it is at."""


@dataclass(frozen=True)
class Run:
    """A run that was just started: `request` is the S3 URI of what it has to do."""

    request: str
    settings: Settings
    state: State

    @contextmanager
    def context(self, name: str, owner: str) -> Iterator[Context]:
        """What the job works with; `owner` is who takes the locks. The Spark session ends with it."""
        spark = connect(self.settings, f"ledgerlake {name} {owner}")
        try:
            yield Context(Lake.connect(self.settings), self.state, spark, owner, self._salt())
        finally:
            spark.stop()

    def _salt(self) -> Salt:
        settings = self.settings
        secrets = boto3.client("secretsmanager", region_name=settings.region, endpoint_url=settings.endpoint_url)
        return Salt(secrets, settings.pii_salt_secret)


def begin(arguments: Sequence[str] | None = None) -> Run:
    """Read the run's arguments: --request <S3 URI>, --ledgerlake_settings <JSON>; Glue adds some of its own."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser()
    parser.add_argument("--request", required=True)
    parser.add_argument("--ledgerlake_settings", required=True)
    given, _ = parser.parse_known_args(arguments)
    settings = Settings.from_json(given.ledgerlake_settings)
    failpoints.arm(settings.failpoints)
    state = State.connect(
        settings,
        boto3.resource("dynamodb", region_name=settings.region, endpoint_url=settings.endpoint_url),
        boto3.client("s3", region_name=settings.region, endpoint_url=settings.endpoint_url),
    )
    return Run(given.request, settings, state)


def serve(
    work: Callable[[Context, Document, Tell], Document],
    arguments: Sequence[str] | None = None,
    absent: Document | None = None,
) -> None:
    """Do what a person asked for with ops.job_runs: read the request, work on it, and leave the report beside it.

    The locks' owner is `<kind>-<id>`, which is also how the request's work is called elsewhere. `absent` is what a
    request asks for that does not lie there: a schedule names one, and writes none.
    """
    run = begin(arguments)
    requests = Requests(run.state.s3, run.settings.buckets.ops)
    place = PurePosixPath(run.request)
    kind, request_id = place.parent.name, place.stem
    with run.context(kind, f"{kind}-{request_id}") as context:
        request = requests.get(run.request) if absent is None else requests.find(run.request) or absent
        report = work(context, request, lambda step: requests.tell(run.request, step))
    requests.put_report(run.request, report)
