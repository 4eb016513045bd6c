"""Named points at which a process can be made to fail, so that what follows a failure can be proven.

Off unless `Settings.failpoints` arms them. One line per fault, joined by `;`:

    <point>[<topic>]=<action>[:<argument>][@<probability>][*<times>]

for example `standardize.before_commit[events]=kill*1;processor.before_put=transient@0.1`. The topic, the probability
(else always) and the number of times (else every time) may be left out. `*` counts within one process.
"""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ledgerlake.errors import TerminalError, TransientError


class BadFailpoints(TerminalError):
    """The setting that arms failpoints cannot be read."""


class FailedOnPurpose(TransientError):
    """A failpoint's transient error."""


class FailedForGood(TerminalError):
    """A failpoint's terminal error."""


class ReplyLost(TransientError):
    """What was asked for was done, but nobody was told."""


class Crashed(BaseException):
    """A process's death, for tests that must outlive it. Only a test catches it; unlike a death it frees its locks."""


@dataclass(frozen=True)
class _Fault:
    action: str
    argument: str
    topic: str
    probability: float
    times: float


_SPEC = re.compile(
    r"(?P<point>[a-z_.]+)(?:\[(?P<topic>[a-z0-9_]+)\])?=(?P<action>[a-z_]+)(?::(?P<argument>[\d.]+))?"
    r"(?:@(?P<probability>[\d.]+))?(?:\*(?P<times>\d+))?"
)
_armed: dict[str, list[_Fault]] = {}
_lock = threading.Lock()


def arm(faults: str) -> None:
    """Arm these faults and no others; an empty text disarms all. Raises BadFailpoints."""
    armed: dict[str, list[_Fault]] = {}
    for line in filter(None, (part.strip() for part in faults.split(";"))):
        match = _SPEC.fullmatch(line)
        if match is None or match["action"] not in _ACTIONS:
            raise BadFailpoints(f"{line!r} is no fault; write <point>=<action>, actions are {', '.join(_ACTIONS)}")
        fault = _Fault(
            action=match["action"],
            argument=match["argument"] or "",
            topic=match["topic"] or "",
            probability=float(match["probability"] or 1),
            times=float(match["times"] or "inf"),
        )
        armed.setdefault(match["point"], []).append(fault)
    with _lock:
        _armed.clear()
        _armed.update(armed)


def hit(point: str, topic: str = "") -> None:
    """Pass a point: nothing happens unless a fault is armed there, for this topic or for any."""
    if _armed and (fault := _due(point, topic)):
        _ACTIONS[fault.action](f"{point}{f'[{topic}]' if topic else ''}", fault.argument)


def _due(point: str, topic: str) -> _Fault | None:
    """The fault that strikes here and now; its count goes down."""
    with _lock:
        faults = _armed.get(point, [])
        for place, fault in enumerate(faults):
            if fault.topic not in ("", topic) or not fault.times or random.random() >= fault.probability:  # noqa: S311
                continue
            faults[place] = replace(fault, times=fault.times - 1)
            return fault
    return None


def _kill(_place: str, _argument: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(kind: type[BaseException]) -> Callable[[str, str], None]:
    def fail(place: str, _argument: str) -> None:
        raise kind(f"failpoint {place}")

    return fail


_ACTIONS: dict[str, Callable[[str, str], None]] = {
    "kill": _kill,
    "transient": _raise(FailedOnPurpose),
    "terminal": _raise(FailedForGood),
    "lost_reply": _raise(ReplyLost),
    "crash": _raise(Crashed),
    "delay": lambda _place, seconds: time.sleep(float(seconds or 1)),
}
