"""One Glue Spark run on this machine: its workspace, its Spark configuration and its process."""

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from ledgerlake.errors import TerminalError
from ledgerlake.local import glue_driver, processes
from ledgerlake.local.credentials import RoleSession
from ledgerlake.local.jars import jars
from ledgerlake.local.job_logs import JobLogs
from ledgerlake.settings import LocalSettings

Ending = Literal["SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED"]

# What Glue itself reads; a script never sees these.
CONSUMED = frozenset(
    {
        "--additional-python-modules",
        "--conf",
        "--datalake-formats",
        "--enable-auto-scaling",
        "--enable-continuous-cloudwatch-log",
        "--enable-glue-datacatalog",
        "--enable-job-insights",
        "--enable-metrics",
        "--enable-observability-metrics",
        "--enable-spark-ui",
        "--extra-files",
        "--extra-jars",
        "--extra-py-files",
        "--job-language",
        "--python-modules-installer-option",
        "--spark-event-logs-path",
        "--user-jars-first",
    }
)

# Sizes of a laptop. The job's own --conf may change them.
SIZES = {
    "spark.driver.memory": "3g",
    "spark.sql.shuffle.partitions": "4",
    # Local runs are short: they end before what the optimizing compiler would cost them is earned back.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}

MESSAGE_LENGTH = 10_000


class UnreadableFile(TerminalError):
    """The run cannot start: its script or another file is missing, or its role may not read it."""


@dataclass
class GlueRun:
    """A run from its preparation to its end. `stop` and `wait` may be called from other threads."""

    job_name: str
    script: str
    arguments: Mapping[str, str]
    timeout_seconds: float | None
    role: RoleSession
    logs: JobLogs
    work: Path
    settings: LocalSettings
    _process: "subprocess.Popen[str] | None" = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End the run's processes, now or as soon as they exist."""
        self._stopped.set()
        if self._process:
            processes.end_group(self._process, grace=5)

    def execute(self, started: Callable[[], None]) -> tuple[Ending, str]:
        """Run to the end. Returns how it ended and the error message ("" when it succeeded)."""
        try:
            self.work.mkdir(parents=True)
            command = self._prepare()
            if self._stopped.is_set():
                return "STOPPED", ""
            self._process = self._spawn(command)
            started()
            if self._stopped.is_set():  # between the check and the start
                self.stop()
            return self._wait(self._process)
        except Exception as failure:  # a run always ends in a state, whatever went wrong with it
            return "FAILED", f"{type(failure).__name__}: {failure}"[-MESSAGE_LENGTH:]
        finally:
            self.logs.close()
            shutil.rmtree(self.work, ignore_errors=True)

    def _wait(self, process: "subprocess.Popen[str]") -> tuple[Ending, str]:
        pumps = [
            self._pump(process.stdout, self.logs.output),
            self._pump(process.stderr, self.logs.error),
        ]
        try:
            process.wait(self.timeout_seconds)
            timed_out = False
        except subprocess.TimeoutExpired:
            timed_out = True
        processes.end_group(process, grace=5)  # also what a finished driver left behind
        for pump in pumps:
            pump.join(timeout=5)
        if self._stopped.is_set():
            return "STOPPED", ""
        if timed_out:
            return "TIMEOUT", "Job run exceeded its timeout"
        if process.returncode == 0:
            return "SUCCEEDED", ""
        return "FAILED", self._message(process.returncode)

    def _message(self, code: int) -> str:
        try:
            return self._error_file.read_text()[-MESSAGE_LENGTH:]
        except FileNotFoundError:
            return f"Command failed with exit code {code}"

    @property
    def _error_file(self) -> Path:
        return self.work / "error.txt"

    def _prepare(self) -> list[str]:
        self._write_spark_defaults()
        driver = [sys.executable, "-P", str(Path(glue_driver.__file__)), str(self._error_file)]
        given = {name: value for name, value in self.arguments.items() if name not in CONSUMED}
        return [*driver, str(self._fetch(self.script)), *(text for pair in given.items() for text in pair)]

    def _write_spark_defaults(self) -> None:
        """Confs reach any session that the script makes, as on Glue."""
        confs = {
            **SIZES,
            **_confs(self.arguments.get("--conf", "")),
            "spark.app.name": self.job_name,
            "spark.master": "local[*]",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": str(self.work / "spark"),
            "spark.sql.warehouse.dir": str(self.work / "warehouse"),
        }
        on_class_path = [str(self._fetch(jar)) for jar in _listed(self.arguments.get("--extra-jars", ""))]
        if "iceberg" in _listed(self.arguments.get("--datalake-formats", "")):
            on_class_path += [str(jar) for jar in jars(settings=self.settings)]
        if on_class_path:
            # Not spark.jars: those Spark copies, and loads in a slower way, for executors that are not there.
            confs["spark.driver.extraClassPath"] = os.pathsep.join(on_class_path)
        lines = [f"{name} {value}\n" for name, value in confs.items()]
        (self.work / "spark-defaults.conf").write_text("".join(lines))

    def _python_path(self) -> str:
        """The run's own wheels, before what is installed here; archives of third-party wheels are: they are skipped."""
        files = _listed(self.arguments.get("--extra-py-files", ""))
        files += [m for m in _listed(self.arguments.get("--additional-python-modules", "")) if m.endswith(".whl")]
        return ":".join(str(self._importable(file)) for file in files)

    def _importable(self, file: str) -> Path:
        here = self._fetch(file)
        if here.suffix == ".py":
            return here.parent
        if here.suffix != ".whl":
            return here
        unpacked = here.parent / "unpacked"
        with zipfile.ZipFile(here) as wheel:
            wheel.extractall(unpacked)
        return unpacked

    def _fetch(self, uri: str) -> Path:
        """Download a file as the job's role, as Glue does, each into a folder of its own."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        folder = self.work / "files" / str(len(list((self.work / "files").glob("*"))))
        folder.mkdir(parents=True)
        target = folder / Path(key).name
        try:
            self.role.client("s3").download_file(bucket, key, str(target))
        except Exception as refused:
            raise UnreadableFile(f"{uri}: {refused}") from refused
        return target

    def _spawn(self, command: list[str]) -> "subprocess.Popen[str]":
        scratch = self.work / "tmp"
        scratch.mkdir()
        inherited = {k: v for k, v in self.settings.environment.items() if not k.startswith("AWS_")}
        environment = {
            **inherited,
            **self.role.environment(),
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": self._python_path(),
            "PYTHONUNBUFFERED": "1",
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "SPARK_CONF_DIR": str(self.work),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "TMPDIR": str(scratch),
        }
        return subprocess.Popen(
            command,
            env=environment,
            cwd=scratch,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    @staticmethod
    def _pump(pipe: IO[str] | None, write: Callable[[str], None]) -> threading.Thread:
        def pump() -> None:
            for line in pipe or ():
                write(line.rstrip("\n"))

        thread = threading.Thread(target=pump, daemon=True)
        thread.start()
        return thread


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _confs(value: str) -> dict[str, str]:
    """Glue takes one --conf argument; more are chained as `a=1 --conf b=2`."""
    pairs = (part.strip().partition("=") for part in value.split(" --conf ") if part.strip())
    return {name.strip(): setting.strip() for name, _, setting in pairs}
