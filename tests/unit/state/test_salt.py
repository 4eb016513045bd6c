import pytest
from botocore.exceptions import ClientError

from ledgerlake.records.privacy import NoSalt
from ledgerlake.state.salt import Salt


class Secrets:
    """A Secrets Manager that holds one secret."""

    def __init__(self, **answer: str) -> None:
        self.answer, self.asked = answer, []

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:
        self.asked.append(SecretId)
        if code := self.answer.get("code"):
            raise ClientError({"Error": {"Code": code, "Message": ""}}, "GetSecretValue")
        return self.answer


def test_the_salt_is_asked_for_once_and_not_before_it_is_needed():
    secrets = Secrets(SecretString="0123456789abcdef")
    salt = Salt(secrets, "dev-pii-salt")
    assert secrets.asked == []
    assert salt.text == salt.text == "0123456789abcdef"
    assert secrets.asked == ["dev-pii-salt"]


@pytest.mark.parametrize(
    ("name", "answer", "told"),
    [
        ("", {}, "keeps no salt: apply it with pii_salt_enabled = true"),
        ("s", {"code": "ResourceNotFoundException"}, "there is no secret s"),
        ("s", {"SecretString": "0123456789abcde"}, "fewer than 16 characters"),
        ("s", {}, "fewer than 16 characters"),
    ],
)
def test_an_environment_without_a_good_salt_says_what_to_do(name, answer, told):
    with pytest.raises(NoSalt, match=told):
        assert Salt(Secrets(**answer), name).text


def test_what_secrets_manager_refuses_is_not_taken_for_a_missing_salt():
    with pytest.raises(ClientError, match="AccessDenied"):
        assert Salt(Secrets(code="AccessDeniedException"), "s").text
