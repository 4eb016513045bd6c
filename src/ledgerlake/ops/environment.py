"""A deployed environment as its user sees it: Terraform's outputs, and the AWS clients that reach it."""

import json
import shutil
import subprocess
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config
from pydantic import BaseModel, ConfigDict, ValidationError

from ledgerlake.errors import TerminalError
from ledgerlake.settings import MissingSettings, Settings

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBServiceResource
    from mypy_boto3_firehose import FirehoseClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

TIMEOUTS = Config(connect_timeout=5, read_timeout=300, retries={"max_attempts": 4, "mode": "standard"})


class EnvironmentNotReady(TerminalError):
    """The environment is not applied, or cannot be asked; the message says what to run."""


class Outputs(BaseModel):
    """What every environment's Terraform gives out (design 3.4), and `settings`, the document its functions get."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    settings: Settings
    queue_urls: dict[str, str] = {}
    dlq_urls: dict[str, str] = {}
    lambda_names: dict[str, str] = {}
    glue_job_names: dict[str, str] = {}
    state_machine_arn: str = ""
    firehose_name: str = ""
    alerts_topic_arn: str = ""

    @classmethod
    def from_terraform(cls, document: str, name: str = "local") -> Self:
        """Read `terraform output -json` of an environment. Raises EnvironmentNotReady when it is not applied."""
        values: dict[str, Any] = {key: output["value"] for key, output in json.loads(document).items()}
        if "settings" not in values:
            raise EnvironmentNotReady(not_applied(name))
        settings = values.pop("settings")
        text = settings if isinstance(settings, str) else json.dumps(settings)
        try:
            return cls.model_validate({**values, "settings": Settings.from_json(text)})
        except ValidationError as error:
            raise EnvironmentNotReady(f"the environment's outputs are not those of this version: {error}") from error


class Environment:
    """One applied environment: its outputs and one client per service, each made when first asked for.

    `root` is the repository it was found in, where schemas/ is; None when only its settings are known.
    """

    def __init__(self, name: str, outputs: Outputs, root: Path | None = None) -> None:
        self.name = name
        self.root = root
        self.outputs = outputs
        self.settings = outputs.settings
        self._session = boto3.Session(region_name=outputs.settings.region)

    @classmethod
    def load(cls, name: str, root: Path | None = None) -> Self:
        """The environment of that name: Terraform's outputs of envs/<name>, else LEDGERLAKE_SETTINGS alone.

        Raises EnvironmentNotReady when neither is there.
        """
        directory = find_directory(name, root or Path.cwd())
        if directory is not None:
            return cls(name, Outputs.from_terraform(terraform_output(directory), name), directory.parent.parent)
        try:
            return cls(name, Outputs(settings=Settings.from_env()))
        except MissingSettings as error:
            raise EnvironmentNotReady(
                f"there is no envs/{name} here or above, and LEDGERLAKE_SETTINGS is not set: "
                "run this inside the repository, or set that variable to Terraform's output `settings`"
            ) from error

    def dataset(self, topic: str, file: str) -> Path:
        """A file of a dataset under schemas/. Raises EnvironmentNotReady outside a repository."""
        if self.root is None:
            raise EnvironmentNotReady("schemas/ is in the repository: run this there")
        return self.root / "schemas" / topic / file

    @property
    def topics(self) -> list[str]:
        """All topics that have a queue, by name."""
        return sorted(self.outputs.queue_urls)

    def queue_url(self, topic: str) -> str:
        """The URL of a topic's queue. Raises EnvironmentNotReady when the environment has no such topic."""
        return self._output("queue_urls", self.outputs.queue_urls, topic)

    def function(self, handler: str) -> str:
        """The name of a handler's Lambda function. Raises EnvironmentNotReady when it is not deployed."""
        return self._output("lambda_names", self.outputs.lambda_names, handler)

    def job(self, stage: str) -> str:
        """The name of a stage's Glue job. Raises EnvironmentNotReady when it is not deployed."""
        return self._output("glue_job_names", self.outputs.glue_job_names, stage)

    def _output(self, output: str, values: dict[str, str], key: str) -> str:
        if key in values:
            return values[key]
        known = ", ".join(sorted(values)) or "nothing (LEDGERLAKE_SETTINGS holds no such outputs: use envs/<env>)"
        raise EnvironmentNotReady(f"environment {self.name} has no {output}[{key!r}]; it has {known}")

    @cached_property
    def s3(self) -> "S3Client":
        """Amazon S3."""
        return self._session.client("s3", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)

    @cached_property
    def sqs(self) -> "SQSClient":
        """Amazon SQS."""
        return self._session.client("sqs", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)

    @cached_property
    def functions(self) -> "LambdaClient":
        """AWS Lambda."""
        return self._session.client("lambda", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)

    @cached_property
    def state_machines(self) -> "SFNClient":
        """AWS Step Functions."""
        return self._session.client("stepfunctions", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)

    @cached_property
    def glue(self) -> "GlueClient":
        """AWS Glue."""
        return self._session.client("glue", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)

    @cached_property
    def firehose(self) -> "FirehoseClient":
        """Amazon Data Firehose."""
        return self._session.client("firehose", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)

    @cached_property
    def sns(self) -> "SNSClient":
        """Amazon SNS."""
        return self._session.client("sns", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)

    @cached_property
    def cloudwatch(self) -> "CloudWatchClient":
        """Amazon CloudWatch."""
        return self._session.client("cloudwatch", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)

    @cached_property
    def sts(self) -> "STSClient":
        """AWS STS."""
        return self._session.client("sts", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)

    @cached_property
    def dynamodb(self) -> "DynamoDBServiceResource":
        """Amazon DynamoDB."""
        return self._session.resource("dynamodb", endpoint_url=self.settings.endpoint_url, config=TIMEOUTS)


def find_directory(name: str, start: Path) -> Path | None:
    """envs/<name> at or above `start`, where the environment's Terraform configuration is."""
    for folder in (start, *start.parents):
        if (folder / "envs" / name / "main.tf").is_file():
            return folder / "envs" / name
    return None


def not_applied(name: str) -> str:
    """Say that an environment is not applied, and what applies it."""
    remedy = "make up" if name == "local" else f"make tf-apply ENV={name}"
    return f"the environment {name} is not applied; apply it with: {remedy}"


def terraform_output(directory: Path) -> str:
    """`terraform output -json` of an environment's directory. Raises EnvironmentNotReady."""
    if shutil.which("terraform") is None:
        raise EnvironmentNotReady("terraform is not on PATH; it knows what is deployed")
    script = directory.parent.parent / "scripts" / "terraform"
    done = subprocess.run(
        [script, "output", directory.name, "-json", "-no-color"], capture_output=True, text=True, check=False
    )
    # Terraform's own advice, to run init, would not help somebody whose environment was never applied.
    if done.returncode != 0 and "initialization required" in done.stderr:
        raise EnvironmentNotReady(not_applied(directory.name))
    if done.returncode != 0:
        raise EnvironmentNotReady(f"terraform output fails in envs/{directory.name}: {done.stderr.strip()}")
    return done.stdout
