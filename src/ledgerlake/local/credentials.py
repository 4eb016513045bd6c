"""Role credentials for what AWS runs on a role's behalf: Glue jobs, Firehose, Step Functions."""

import hashlib
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from ministack import app
from ministack.core import responses
from ministack.services import sts

from ledgerlake.settings import LocalSettings


@dataclass(frozen=True)
class RoleSession:
    """Credentials of one assumed role, as the emulator's IAM knows them."""

    access_key: str
    secret_key: str
    token: str
    region: str
    endpoint: str

    @classmethod
    def of(cls, role: str, session: str, settings: LocalSettings) -> "RoleSession":
        """Assume the role (an ARN or a name) as the service does, without the service's own call to STS."""
        account = responses.get_account_id()
        role_name = role.rpartition("/")[2]
        digest = hashlib.sha256(f"{account}/{role}/{session}".encode()).hexdigest()
        made = cls(
            access_key=f"ASIA{digest[:16].upper()}" if app.AUTH else account,
            secret_key=hashlib.sha256(f"secret {digest}".encode()).hexdigest(),
            token=hashlib.sha256(f"token {digest}".encode()).hexdigest(),
            region=responses.get_region(),
            endpoint=settings.environment["AWS_ENDPOINT_URL"],
        )
        if app.AUTH:
            known_as = {
                "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session[:64]}",
                "UserId": f"{role_name}:{session[:64]}",
                "SecretAccessKey": made.secret_key,
                "SessionToken": made.token,
            }
            sts.register_session(made.access_key, known_as)
        return made

    def client(self, service: str) -> Any:
        """A boto3 client that acts as the role. Safe to share between threads."""
        with _making:
            return _client(self, service)

    def environment(self) -> dict[str, str]:
        """The variables by which AWS's SDKs act as the role."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": self.token,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def catalog_properties(self) -> dict[str, str]:
        """The same for pyiceberg's Glue catalogue and its file access."""
        return {
            "type": "glue",
            "glue.endpoint": self.endpoint,
            "s3.endpoint": self.endpoint,
            "s3.force-virtual-addressing": "false",
            "client.region": self.region,
            "client.access-key-id": self.access_key,
            "client.secret-access-key": self.secret_key,
            "client.session-token": self.token,
        }


@lru_cache(maxsize=64)
def _client(role: RoleSession, service: str) -> Any:
    return _session().client(
        service,  # type: ignore[call-overload]
        region_name=role.region,
        endpoint_url=role.endpoint,
        aws_access_key_id=role.access_key,
        aws_secret_access_key=role.secret_key,
        aws_session_token=role.token,
        config=Config(s3={"addressing_style": "path"}, read_timeout=900, retries={"max_attempts": 3}),
    )


@lru_cache(maxsize=1)
def _session() -> boto3.session.Session:
    """One for all: reading the service models takes longer than most requests."""
    return boto3.session.Session()


_making = threading.Lock()  # boto3's sessions, unlike its clients, are not made for threads
