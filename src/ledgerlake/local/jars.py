"""The jars that Spark needs here and Glue brings itself: resolved once per user, then named by path."""

import fcntl
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyspark

from ledgerlake.errors import TransientError
from ledgerlake.local.java import java_home
from ledgerlake.settings import LocalSettings

ICEBERG = (
    "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0",
    "org.apache.iceberg:iceberg-aws-bundle:1.10.0",
)
SQLITE = ("org.xerial:sqlite-jdbc:3.46.1.3",)


class JarsNotResolved(TransientError):
    """Maven Central did not answer, or not with these jars."""


def jars(coordinates: Sequence[str] = ICEBERG, settings: LocalSettings | None = None) -> list[Path]:
    """The jars of these Maven coordinates (of ICEBERG and SQLITE), downloaded by Spark's resolver the first time.

    Safe to call from several processes at once. Raises JarsNotResolved with what the resolver said.
    """
    settings = settings or LocalSettings.from_env()
    home = settings.cache / "jars"
    wanted = [home / _file_name(coordinate) for coordinate in coordinates]
    if not all(jar.exists() for jar in wanted):
        home.mkdir(parents=True, exist_ok=True)
        with _only_one(home / ".lock"):
            missing = [each for each in (*ICEBERG, *SQLITE) if not (home / _file_name(each)).exists()]
            if missing:
                _resolve(missing, home, settings)
    return wanted


def _file_name(coordinate: str) -> str:
    group, artifact, version = coordinate.split(":")
    return f"{group}_{artifact}-{version}.jar"


def _resolve(coordinates: Sequence[str], home: Path, settings: LocalSettings) -> None:
    """Let spark-submit resolve them for an empty program, and move in only what is whole."""
    with tempfile.TemporaryDirectory(dir=home, prefix=".resolving-") as work:
        program = Path(work, "nothing.py")
        program.touch()
        submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
        done = subprocess.run(
            [
                *(submit, "--master", "local[1]", "--packages", ",".join(coordinates)),
                *("--conf", f"spark.jars.ivy={work}/ivy", "--conf", "spark.ui.enabled=false", program),
            ],
            env={
                **settings.environment,
                "JAVA_HOME": str(java_home(settings)),
                "PYSPARK_PYTHON": sys.executable,
                "SPARK_LOCAL_IP": "127.0.0.1",
            },
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
        )
        found = [Path(work, "ivy", "jars", _file_name(each)) for each in coordinates]
        if done.returncode or not all(jar.exists() for jar in found):
            raise JarsNotResolved(f"{', '.join(coordinates)} could not be fetched:\n{done.stderr[-3000:]}")
        for jar in found:
            jar.replace(home / jar.name)


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for left_over in lock.parent.glob(".resolving-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        yield
