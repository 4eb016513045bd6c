"""The deployed environment as one typed document; the only module that reads os.environ."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from ledgerlake.errors import TerminalError


class MissingSettings(TerminalError):
    """No settings document was given to this process."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Buckets(_Frozen):
    """Bucket names by purpose."""

    landing: str
    raw: str
    standardized: str
    curated: str
    gold: str
    ops: str
    contracts: str
    artifacts: str


class Databases(_Frozen):
    """Glue database names by layer."""

    raw: str
    standardized: str
    curated: str
    gold: str
    ops: str


class DynamodbTables(_Frozen):
    """DynamoDB table names by purpose."""

    checkpoints: str
    locks: str
    processing_enabled: str
    idempotency_keys: str
    file_registry: str
    circuit_breakers: str


class CircuitBreaker(_Frozen):
    """When a topic's messages are no longer taken, and when it is tried again.

    It opens when, of at least `min_messages` in `window_seconds`, the share of broken envelopes or that of messages
    Firehose did not take reaches `failure_rate`. After `cool_down_seconds` it is probed; each probe that fails doubles
    the pause up to `max_cool_down_seconds`. Not `enabled`, none opens by itself, and those that did are closed.
    """

    enabled: bool = True
    failure_rate: float = 0.5
    min_messages: int = 20
    window_seconds: int = 60
    cool_down_seconds: int = 60
    max_cool_down_seconds: int = 900


class Reconciliation(_Frozen):
    """What the ledger is checked over after each cycle: the last `window_minutes`.

    An accepted message may be on its way for `in_flight_minutes` before it is missed: Firehose tries for an hour, and
    what it gives up then is loaded within minutes.
    """

    window_minutes: int = 180
    in_flight_minutes: int = 90


class Settings(_Frozen):
    """What a function or job must know of its environment: Terraform writes it, LEDGERLAKE_SETTINGS carries it.

    `pii_salt_secret` names the secret that personal data is hashed with; none where the environment keeps no salt.
    `topics_per_run` and `bytes_per_run` bound one Glue run; `parallel_topics` is how many topics a run works on at a
    time; `rebuild_job` is the Glue job for contracts with breaking changes, if there is one; `failpoints` are faults to
    make on purpose (ledgerlake.failpoints); `endpoint_url` is the AWS SDKs' own AWS_ENDPOINT_URL, passed on to the
    clients that do not read it themselves.
    """

    prefix: str
    region: str
    buckets: Buckets
    databases: Databases
    dynamodb_tables: DynamodbTables
    firehose_name: str
    queue_prefix: str
    rebuild_job: str = ""
    alerts_topic_arn: str = ""
    pii_salt_secret: str = ""
    max_payload_columns: int = 1000
    topics_per_run: int = 200
    bytes_per_run: int = 50 * 1024**3
    parallel_topics: int = 4
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    reconciliation: Reconciliation = Reconciliation()
    failpoints: str = ""
    endpoint_url: str | None = None

    @classmethod
    def from_json(cls, document: str) -> Self:
        """Read the document; the SDK's endpoint comes from the process, since it differs between a laptop and AWS."""
        settings = cls.model_validate_json(document)
        return settings.model_copy(update={"endpoint_url": os.environ.get("AWS_ENDPOINT_URL") or settings.endpoint_url})

    @classmethod
    def from_env(cls) -> Self:
        """Read LEDGERLAKE_SETTINGS. Raises MissingSettings when it is not set."""
        document = os.environ.get("LEDGERLAKE_SETTINGS")
        if not document:
            raise MissingSettings("LEDGERLAKE_SETTINGS is not set; Terraform's output `settings` holds its value")
        return cls.from_json(document)


class LocalSettings(_Frozen):
    """How this machine runs the whole lakehouse locally; nothing of it reaches a deployed environment.

    `directory` holds the state of one local environment and may be deleted when it is down; `cache` holds downloads
    that every project of the user shares; `job_minute` is how many seconds a minute of a Glue job's timeout lasts;
    `environment` is what child processes inherit.
    """

    directory: Path
    cache: Path
    region: str
    enforce_iam: bool
    java_home: Path | None
    job_minute: float
    environment: dict[str, str]

    @classmethod
    def from_env(cls) -> Self:
        """Read LEDGERLAKE_LOCAL_DIR, LEDGERLAKE_CACHE_DIR, AUTH, JAVA_HOME and the region; all have defaults."""
        env = os.environ
        user_cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cls(
            directory=Path(env.get("LEDGERLAKE_LOCAL_DIR") or ".local").resolve(),
            cache=Path(env.get("LEDGERLAKE_CACHE_DIR") or user_cache / "ledgerlake").resolve(),
            region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
            enforce_iam=(env.get("AUTH") or "true").lower() != "false",
            java_home=Path(env["JAVA_HOME"]) if env.get("JAVA_HOME") else None,
            job_minute=float(env.get("LEDGERLAKE_LOCAL_JOB_MINUTE") or 60),
            environment=dict(env),
        )
