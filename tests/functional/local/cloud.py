"""The emulator as tests see it, and the pieces they deploy to it."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from pyiceberg.catalog import Catalog, load_catalog

from ledgerlake.local.instance import Instance
from ledgerlake.settings import LocalSettings

ACCOUNT = "000000000000"
REGION = "us-east-1"
BUCKET = "lake"


def local_settings(directory: Path, **changes: Any) -> LocalSettings:
    return LocalSettings.from_env().model_copy(update={"directory": directory, "region": REGION, **changes})


@dataclass(frozen=True)
class Cloud:
    """The emulator as its root user sees it."""

    instance: Instance
    settings: LocalSettings

    def client(self, service: str, **credentials: str) -> Any:
        given = credentials or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=self.instance.endpoint,
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
            **given,
        )

    def role(self, name: str, *statements: dict[str, Any], service: str = "glue.amazonaws.com") -> str:
        """Make a role with just these statements. Returns its ARN."""
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_policy(*statements))
        return made["Role"]["Arn"]

    def as_role(self, arn: str, service: str) -> Any:
        """A client with the credentials of an assumed role."""
        given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return self.client(
            service,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    def put(self, key: str, body: str | bytes) -> str:
        """Store an object in the lake's bucket. Returns its URI."""
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"


def root_catalog(cloud: Cloud) -> Catalog:
    """The Glue catalogue as the account's root sees it."""
    return load_catalog(
        "lake",
        **{
            "type": "glue",
            "glue.endpoint": cloud.instance.endpoint,
            "s3.endpoint": cloud.instance.endpoint,
            "client.region": REGION,
            "client.access-key-id": "test",
            "client.secret-access-key": "test",
        },
    )


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str | list[str], resources: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def package(**files: str) -> bytes:
    """A Lambda package of these modules."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        for name, text in files.items():
            written.writestr(zipfile.ZipInfo(f"{name}.py"), text)  # without a time: the same text is the same package
    return archive.getvalue()


def until(found: Callable[[], Any], seconds: float = 300) -> Any:
    """Wait for something to be there; on a busy machine that may take long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")
