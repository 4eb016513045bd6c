"""The never-rules of the architecture (design 6), held against what the modules import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ledgerlake

ROOT = Path(ledgerlake.__file__).parent
RULES = {
    "records": {"boto3", "botocore", "pyspark", "pyiceberg"},
    "contracts": {"boto3", "botocore", "pyspark", "pyiceberg"},
    "inference": {"boto3", "botocore", "pyspark", "pyiceberg", "ledgerlake.ops"},
    "transform": {"boto3", "botocore", "ledgerlake.state", "ledgerlake.tables", "ledgerlake.jobs"},
    "handlers": {"pyspark"},
    "tables": {"pyspark"},
    "state": {"pyspark"},
    "ops": {"pyspark"},
    "jobs/plan.py": {"pyspark"},
}


def modules(part: str = "") -> list[Path]:
    place = ROOT / part
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """The full names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide who knows whom"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def reached(module: Path, seen: set[Path]) -> Iterator[str]:
    """What a module imports, and what those modules of ours import that it imports."""
    seen.add(module)
    for name in imported(module):
        yield name
        for ours in (ROOT.parent / name.replace(".", "/"), ROOT.parent / name.rpartition(".")[0].replace(".", "/")):
            file = ours.with_suffix(".py")
            if file.is_file() and file not in seen:
                yield from reached(file, seen)


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("part", RULES)
def test_a_part_imports_nothing_that_it_must_not_know(part: str) -> None:
    found = {
        f"{module.name} imports {name}"
        for module in modules(part)
        for name in imported(module)
        if within(name, RULES[part])
    }
    assert modules(part)
    assert not found


@pytest.mark.parametrize("part", ["handlers", "records", "contracts", "inference"])
def test_no_part_that_runs_without_spark_reaches_it_by_a_detour(part: str) -> None:
    found = {module.name for module in modules(part) for name in reached(module, set()) if within(name, {"pyspark"})}
    assert not found


def test_only_settings_reads_the_environment() -> None:
    readers = [m for m in modules() if any(within(n, {"os.environ", "os.getenv"}) for n in imported(m))]
    readers += [m for m in modules() if "os.environ" in m.read_text() or "os.getenv" in m.read_text()]
    assert {module.name for module in readers} == {"settings.py"}


def test_nothing_outside_local_knows_of_the_emulator() -> None:
    outside = [module for module in modules() if "local" not in module.relative_to(ROOT).parts]
    knowing = {m.name for m in outside if any(within(n, {"ministack", "ledgerlake.local"}) for n in imported(m))}
    assert knowing <= {"cli.py"}  # `ledgerlake local …` is the door to it
