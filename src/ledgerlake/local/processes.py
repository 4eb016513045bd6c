"""Ending processes that we started, and only those."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

MARK = "LEDGERLAKE_LOCAL_INSTANCE"
"""The environment variable by which every descendant of one emulator is known."""


def marked(instance: str) -> list[int]:
    """The living processes that carry this instance's mark (Linux only: elsewhere pipes and groups must do)."""
    wanted = f"{MARK}={instance}".encode()
    return [pid for pid, environment in _environments() if wanted in environment.split(b"\0") and pid != os.getpid()]


def _environments() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield int(entry.parent.name), entry.read_bytes()
        except OSError:  # gone meanwhile, a zombie, or another user's
            continue


def end(pids: Iterable[int], grace: float) -> None:
    """Ask these processes to stop, and kill those that have not after `grace` seconds."""
    waiting = [pid for pid in pids if _signal(pid, signal.SIGTERM)]
    deadline = time.monotonic() + grace
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        waiting = [pid for pid in waiting if running(pid)]
    for pid in waiting:
        _signal(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5  # the kernel needs a moment, too
    while any(running(pid) for pid in waiting) and time.monotonic() < deadline:
        time.sleep(0.02)


def running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
    return _signal(pid, 0)


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_group(leader: "subprocess.Popen[str]", grace: float) -> None:
    """End a child that leads its own process group, with the whole group."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(leader.pid, signal.SIGTERM)
        leader.wait(grace)
    # Also when the leader has gone: others of its group may not have.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()
