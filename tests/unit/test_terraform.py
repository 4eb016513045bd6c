import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for path in (ROOT / "modules").iterdir() if (path / "main.tf").exists())
ENVIRONMENTS = sorted(path for path in (ROOT / "envs").iterdir() if (path / "main.tf").exists())


def declared(folder: Path, kind: str) -> dict[str, str]:
    """The blocks of a kind in a folder's .tf files: name → body."""
    text = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    return dict(re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', text, flags=re.MULTILINE | re.DOTALL))


def by_name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_a_modules_readme_names_every_input_and_output(module):
    readme = (module / "README.md").read_text()
    names = [*declared(module, "variable"), *declared(module, "output")]
    assert names
    assert [name for name in names if f"| `{name}` |" not in readme] == []


def test_the_readmes_tables_are_up_to_date():
    subprocess.run([sys.executable, ROOT / "scripts/module_readme.py", "--check"], check=True)


@pytest.mark.parametrize("folder", MODULES + ENVIRONMENTS, ids=by_name)
def test_every_input_says_what_it_is_and_takes_no_null(folder):
    incomplete = [
        name
        for name, body in declared(folder, "variable").items()
        if not re.search(r'^  description\s+= "\S', body, re.MULTILINE)
        or not re.search(r"^  nullable\s+= false$", body, re.MULTILINE)
        or not re.search(r"^  type\s+= ", body, re.MULTILINE)
    ]
    assert incomplete == []


@pytest.mark.parametrize("folder", MODULES + ENVIRONMENTS, ids=by_name)
def test_every_output_says_what_it_is(folder):
    assert [name for name, body in declared(folder, "output").items() if 'description = "' not in body] == []


def test_environments_are_alike():
    files = {env.name: {p.name for p in env.iterdir() if p.suffix == ".tf"} for env in ENVIRONMENTS}
    assert set(files) == {"local", "dev", "prod"}
    assert files["local"] == files["dev"] == files["prod"]
    for name in ("variables.tf", "outputs.tf", "versions.tf", ".terraform.lock.hcl"):
        assert len({(env / name).read_text() for env in ENVIRONMENTS}) == 1, f"{name} differs between environments"


def test_an_environment_puts_out_what_the_lakehouse_does():
    lakehouse = declared(ROOT / "modules/lakehouse", "output").keys()
    assert all(declared(env, "output").keys() == lakehouse for env in ENVIRONMENTS)


def test_a_dataset_is_a_topic_of_every_environment_without_being_listed():
    found = 'fileset("${path.module}/../../schemas", "*/schema.json")'
    assert [env.name for env in ENVIRONMENTS if found not in (env / "main.tf").read_text()] == []


def test_only_the_local_environment_leaves_tls_out():
    loose = {env.name for env in ENVIRONMENTS if re.search(r"require_tls\s+= false", (env / "main.tf").read_text())}
    assert loose == {"local"}


def test_only_the_local_environment_may_be_thrown_away_with_its_data():
    loose = {env.name for env in ENVIRONMENTS if re.search(r"force_destroy\s+= true", (env / "main.tf").read_text())}
    assert loose == {"local"}


def test_every_part_of_a_module_is_tested():
    assert [module.name for module in MODULES if not list((module / "tests").glob("*.tftest.hcl"))] == []


def stand_in_terraform(folder: Path) -> dict[str, str]:
    """An environment whose `terraform` only says how it was called."""
    folder.mkdir(parents=True)
    (folder / "terraform").write_text('#!/bin/sh\necho "config=${TF_CLI_CONFIG_FILE-none} $*"\n')
    (folder / "terraform").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}


def mirror(folder: Path) -> Path:
    (folder / "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64").mkdir(parents=True)
    return folder


def terraform(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts/terraform", *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_a_mirror_that_was_named_is_used(tmp_path):
    folder = mirror(tmp_path / "mirror")
    said = terraform(stand_in_terraform(tmp_path / "bin") | {"TF_PLUGIN_DIR": str(folder)}, "init", "local")
    assert f"-plugin-dir={folder}" in said.stdout


def test_a_named_mirror_without_the_provider_is_an_error(tmp_path):
    said = terraform(stand_in_terraform(tmp_path / "bin") | {"TF_PLUGIN_DIR": str(tmp_path)}, "init", "local")
    assert said.returncode != 0
    assert "holds no registry.terraform.io/hashicorp/aws" in said.stderr


def test_terraform_is_left_to_find_what_lies_in_its_own_folders(tmp_path):
    environment = stand_in_terraform(tmp_path / "bin")
    mirror(tmp_path / "bin/.terraform.d/plugins")
    assert "-plugin-dir" not in terraform(environment, "init", "local").stdout


def test_a_configuration_file_that_is_missing_is_not_passed_on(tmp_path):
    environment = stand_in_terraform(tmp_path / "bin") | {"TF_CLI_CONFIG_FILE": str(tmp_path / "missing")}
    assert "config=none" in terraform(environment, "init", "local").stdout


def test_a_configuration_file_that_exists_decides(tmp_path):
    config = tmp_path / "terraform.rc"
    config.write_text("")
    said = terraform(stand_in_terraform(tmp_path / "bin") | {"TF_CLI_CONFIG_FILE": str(config)}, "init", "local")
    assert f"config={config}" in said.stdout
    assert "-plugin-dir" not in said.stdout


def test_an_unknown_environment_is_refused_with_those_there_are(tmp_path):
    said = terraform(stand_in_terraform(tmp_path / "bin"), "plan", "staging")
    assert said.returncode == 2
    assert "envs/ holds: dev local prod" in said.stderr
