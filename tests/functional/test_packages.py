"""Each Lambda package by itself: what a function needs must be in its zip, not on this machine."""

import json
import platform
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD_PACKAGES = ROOT / "scripts/build_packages.py"
ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
# What Lambda's Python runtime brings besides the standard library.
RUNTIME = ("boto3", "botocore", "s3transfer")
UNZIPPED_LIMIT = 250 * 1024 * 1024

IMPORT_ALONE = """
import importlib, sys
sys.path[:0] = [{package!r}, {runtime!r}]
module = importlib.import_module({module!r})
assert callable(module.handle)
outside = sorted(
    name for name, found in sys.modules.items()
    if (getattr(found, "__file__", None) or "").find("site-packages") >= 0
)
assert not outside, outside
"""


def handlers() -> dict[str, str]:
    """Each function's handler module and package, as the Terraform modules name them."""
    found = {}
    for path in sorted((ROOT / "modules").glob("*/*.tf")):
        for block in re.split(r'^module "', path.read_text(), flags=re.MULTILINE)[1:]:
            handler = re.search(r'handler\s+= "ledgerlake\.handlers\.([\w${}.]+)\.handle"', block)
            package = re.search(r"package\s+= var\.(light|lake)_package", block)
            if handler and package:
                names = re.findall(r"^    (\w+)\s+= \{ description", path.read_text(), re.MULTILINE)
                found |= dict.fromkeys(names if "each.key" in handler[1] else [handler[1]], package[1])
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages for this machine; the cache of `make build` serves here too."""
    subprocess.run([sys.executable, BUILD_PACKAGES, "--arch", ARCHITECTURE], check=True, capture_output=True)
    return ROOT / "build" / ARCHITECTURE


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory) -> dict[str, Path]:
    """Each package as a function finds it: unpacked, and nothing else."""
    folders = {}
    for name in ("light", "lake"):
        folders[name] = tmp_path_factory.mktemp(name)
        with zipfile.ZipFile(built / f"{name}.zip") as package:
            package.extractall(folders[name])
    return folders


@pytest.fixture(scope="module")
def runtime(tmp_path_factory) -> Path:
    """A folder with the libraries of Lambda's runtime, and none of this environment's others."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        spec = find_spec(name)
        assert spec
        assert spec.origin
        (folder / name).symlink_to(Path(spec.origin).parent)
    return folder


def test_the_modules_name_all_handlers():
    existing = {
        path.stem for path in (ROOT / "src/ledgerlake/handlers").glob("*.py") if "\ndef handle(" in path.read_text()
    }
    assert set(handlers()) == existing


@pytest.mark.parametrize(("handler", "package"), handlers().items())
def test_a_handler_imports_with_only_its_package(handler, package, unpacked, runtime):
    script = IMPORT_ALONE.format(
        package=str(unpacked[package]), runtime=str(runtime), module=f"ledgerlake.handlers.{handler}"
    )
    # -I and -S: neither this folder, nor PYTHONPATH, nor any site-packages.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False, env={}
    )
    assert done.returncode == 0, done.stderr


def test_packages_hold_the_wheel_and_no_platform_libraries(unpacked):
    for folder in unpacked.values():
        assert (folder / "ledgerlake/__init__.py").exists()
        assert [name for name in (*RUNTIME, "pyspark", "ministack") if (folder / name).exists()] == []
    assert not (unpacked["light"] / "pyarrow").exists()


def test_packages_are_within_lambdas_limit(built):
    for name in ("light", "lake"):
        with zipfile.ZipFile(built / f"{name}.zip") as package:
            assert sum(entry.file_size for entry in package.infolist()) <= UNZIPPED_LIMIT


def test_a_second_build_gives_the_same_bytes(built):
    before = (built / "packages.json").read_bytes()
    subprocess.run([sys.executable, BUILD_PACKAGES, "--arch", ARCHITECTURE], check=True, capture_output=True)
    assert (built / "packages.json").read_bytes() == before


def test_the_manifest_names_what_terraform_deploys(built):
    manifest = json.loads((built / "packages.json").read_text())
    assert {"wheel", "glue_wheels", "light", "lake", "glue_standardize", "glue_curate"} <= set(manifest)
    assert all((built / package["file"]).is_file() for package in manifest.values())


def test_glues_zip_of_wheels_lists_exactly_what_it_holds(built):
    with zipfile.ZipFile(built / "dependencies.gluewheels.zip") as wheels:
        pins = wheels.read("wheels/requirements.txt").decode().split()
        held = {Path(name).name.split("-")[0].lower() for name in wheels.namelist() if name.endswith(".whl")}
    assert {pin.split("==")[0].replace("-", "_").lower() for pin in pins} == held
    assert held.isdisjoint({"pyspark", "boto3", "pyarrow", "pandas"})


@pytest.mark.parametrize("lock", ["lambda-light", "lambda-lake", "glue"])
def test_deployed_versions_are_the_tested_ones(lock):
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / f"requirements/{name}.txt").read_text()
        return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", text, re.MULTILINE))

    tested = pins("dev")
    assert {name: version for name, version in pins(lock).items() if tested.get(name) != version} == {}
