"""Runs one lane in a process of its own and watches what its whole process tree takes."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledgerlake.local.java import java_home
from ledgerlake.settings import LocalSettings

SAMPLE_SECONDS = 0.2
# moto answers for AWS; should anything get past it, it must not find an account.
NOBODY = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_ENDPOINT_URL": ""}


@dataclass(frozen=True)
class Finished:
    """What the process reported on its last line, and what its whole tree took.

    `peak_memory` is the most its processes held at one time, in bytes; `cpu_seconds` is what they computed.
    """

    report: dict[str, Any]
    peak_memory: int
    cpu_seconds: int


def run(module: str, request: dict[str, Any], log: Path) -> Finished:
    """Run `python -m <module> <request as JSON>` to its end. Raises RuntimeError with the log's end when it fails."""
    settings = LocalSettings.from_env()
    spark = {"JAVA_HOME": str(java_home(settings)), "PYSPARK_PYTHON": sys.executable}
    environment = {**os.environ, **spark, **NOBODY, "PYTHONPATH": str(Path.cwd())}
    with log.open("w") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(request)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            start_new_session=True,
        )
        try:
            watch = _Watch(child.pid)
            watch.start()
            output, _ = child.communicate()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            watch.done.set()
    if child.returncode:
        raise RuntimeError(f"{module} failed, see {log}:\n{log.read_text()[-8000:]}")
    return Finished(json.loads(output.strip().splitlines()[-1]), watch.peak, sum(watch.cpu.values()))


class _Watch(threading.Thread):
    """Samples the memory and CPU time of a process and all it started: the JVM and the Python workers with it."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.peak = 0
        self.cpu: dict[int, int] = {}
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(SAMPLE_SECONDS):
            tree = processes(self.root)
            self.peak = max(self.peak, sum(memory(process) for process in tree))
            self.cpu |= {process.pid: process.cpu_seconds for process in tree}


@dataclass(frozen=True)
class Process:
    """One process: its resident memory in bytes (pages it shares included) and the CPU time it used so far."""

    pid: int
    parent: int
    resident: int
    cpu_seconds: int


def processes(root: int) -> list[Process]:
    """Return `root` and its descendants, as they are now."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss=,time="], capture_output=True, text=True, check=True)
    running = [_process(line) for line in listing.stdout.splitlines()]
    tree, grown = {root}, True
    while grown:
        found = {process.pid for process in running if process.parent in tree} - tree
        tree |= found
        grown = bool(found)
    return [process for process in running if process.pid in tree]


def memory(process: Process) -> int:
    """Return a process's memory in bytes, of shared pages only its share (PSS) where the system tells that."""
    try:
        shares = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except OSError:
        return process.resident
    return next((1024 * int(line.split()[1]) for line in shares.splitlines() if line.startswith("Pss:")), 0)


def _process(line: str) -> Process:
    pid, parent, kilobytes, time = line.split()
    days, _, clock = time.rpartition("-")  # [[dd-]hh:]mm:ss
    seconds = 0
    for part in clock.split(":"):
        seconds = 60 * seconds + int(float(part))
    return Process(int(pid), int(parent), 1024 * int(kilobytes), seconds + 86_400 * int(days or 0))
