"""The salt that personal data is hashed with: a secret of the environment, made by Terraform (ADR 0017)."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, Protocol

from botocore.exceptions import ClientError

from ledgerlake.records.privacy import NoSalt

MIN_CHARACTERS: Final = 16
"""A shorter salt could be guessed."""


class Secrets(Protocol):
    """What is used of AWS Secrets Manager's client."""

    def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803 — the API's own name
        """The secret of this name: its text is `SecretString`."""


class Salt:
    """Read once, at the first use: topics without hashed columns never ask for it."""

    def __init__(self, secrets: Secrets, name: str) -> None:
        self._secrets, self._name = secrets, name

    @cached_property
    def text(self) -> str:
        """The salt. Raises NoSalt when the environment has none, or one that hides nothing."""
        if not self._name:
            raise NoSalt("this environment keeps no salt: apply it with pii_salt_enabled = true")
        try:
            text = self._secrets.get_secret_value(SecretId=self._name).get("SecretString", "")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            raise NoSalt(
                f"there is no secret {self._name}: apply the environment with pii_salt_enabled = true"
            ) from error
        if len(text) < MIN_CHARACTERS:
            raise NoSalt(f"the secret {self._name} has fewer than {MIN_CHARACTERS} characters: it would hide nothing")
        return str(text)
