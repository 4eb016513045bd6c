"""An environment is known by Terraform's outputs."""

import json
import shutil

import pytest

from ledgerlake.ops.environment import Environment, EnvironmentNotReady, Outputs, find_directory, terraform_output


def outputs(settings, **values):
    values = {"settings": settings.model_dump_json(), "queue_urls": {"events": "http://q/events"}} | values
    return json.dumps({name: {"value": value, "type": "x"} for name, value in values.items()})


def test_the_outputs_of_an_applied_environment_are_read(settings):
    found = Outputs.from_terraform(outputs(settings, state_machine_arn="arn:x", unknown="later"))
    assert found.settings.prefix == settings.prefix
    assert found.state_machine_arn == "arn:x"


def test_an_environment_that_is_not_applied_is_told_as_such():
    with pytest.raises(EnvironmentNotReady, match="local is not applied; apply it with: make up"):
        Outputs.from_terraform("{}")
    with pytest.raises(EnvironmentNotReady, match="dev is not applied; apply it with: make tf-apply ENV=dev"):
        Outputs.from_terraform("{}", "dev")


@pytest.mark.skipif(shutil.which("terraform") is None, reason="needs terraform on PATH")
def test_terraforms_wish_for_an_init_is_told_as_not_applied(tmp_path):
    script = tmp_path / "scripts" / "terraform"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\necho 'Error: Backend initialization required, please run' >&2\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(EnvironmentNotReady, match="apply it with: make up"):
        terraform_output(tmp_path / "envs" / "local")


def test_an_unknown_topic_is_answered_with_those_there_are(settings):
    environment = Environment("local", Outputs.from_terraform(outputs(settings)))
    assert environment.queue_url("events") == "http://q/events"
    with pytest.raises(EnvironmentNotReady, match=r"no queue_urls\['orders'\]; it has events"):
        environment.queue_url("orders")


def test_the_environments_folder_is_found_from_anywhere_below_the_repository(tmp_path):
    folder = tmp_path / "envs" / "dev"
    folder.mkdir(parents=True)
    (folder / "main.tf").touch()
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    assert find_directory("dev", below) == folder
    assert find_directory("prod", below) is None


def test_outside_a_repository_the_settings_document_is_enough(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("LEDGERLAKE_SETTINGS", settings.model_dump_json())
    assert Environment.load("local", tmp_path).settings.prefix == settings.prefix


def test_without_both_the_user_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("LEDGERLAKE_SETTINGS", raising=False)
    with pytest.raises(EnvironmentNotReady, match="run this inside the repository"):
        Environment.load("local", tmp_path)
