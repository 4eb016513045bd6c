"""Starting and stopping the emulator: one background process, known by a lock and a state file."""

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ledgerlake.errors import TerminalError
from ledgerlake.local import processes
from ledgerlake.local.instance import Home, Instance
from ledgerlake.local.java import java_home
from ledgerlake.settings import LocalSettings

START_SECONDS = 120
# What Firehose holds is delivered first.
STOP_SECONDS = 60


class NotStarted(TerminalError):
    """The emulator ended, or did not answer, before it was ready."""


@dataclass(frozen=True)
class Up:
    """The emulator that answers now, and whether this call started it."""

    instance: Instance
    started: bool


def up(settings: LocalSettings) -> Up:
    """Make sure that one emulator runs for this folder. Raises NotStarted with the end of its log."""
    home = Home(settings.directory)
    with home.starting():
        found = _answering(home)
        if found:
            return Up(found, started=False)
        last = Instance.read(home)
        _end_what_is_left(home, last)
        return Up(_start(home, settings, preferred_port=last.port if last else 0), started=True)


def down(settings: LocalSettings) -> bool:
    """Stop the emulator and all that it started, also what a dead one left behind. False when there was none."""
    home = Home(settings.directory)
    if not home.directory.exists():
        return False
    with home.starting():
        was_up = home.is_held()
        _end_what_is_left(home, _introduced(home))
        home.clear()
    return was_up


def running(settings: LocalSettings) -> Instance | None:
    """The instance whose process lives, whether or not it answers yet."""
    home = Home(settings.directory)
    return Instance.read(home) if home.directory.exists() and home.is_held() else None


def _answering(home: Home) -> Instance | None:
    """The living instance once it answers; a busy one gets time, since to replace it is to lose all that is in it."""
    deadline = time.monotonic() + START_SECONDS
    while home.is_held() and time.monotonic() < deadline:
        instance = Instance.read(home)
        if instance and _healthy(instance):
            return instance
        time.sleep(0.1)
    return None


def _introduced(home: Home) -> Instance | None:
    """What the state file tells; one whose starter was killed writes it in a moment."""
    deadline = time.monotonic() + STOP_SECONDS
    while home.is_held() and not home.state.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return Instance.read(home)


def _end_what_is_left(home: Home, last: Instance | None) -> None:
    if last is None:
        return
    if home.is_held():  # so the pid is still the emulator's
        processes.end([last.pid], STOP_SECONDS)
    processes.end(processes.marked(last.id), grace=2)


def _start(home: Home, settings: LocalSettings, preferred_port: int) -> Instance:
    home.prepare()
    identity = uuid.uuid4().hex
    child = None
    try:
        with _listening(preferred_port) as listener, home.log.open("ab") as log, _uninterrupted():
            child = subprocess.Popen(
                [sys.executable, "-m", "ledgerlake.local.emulator", str(listener.fileno())],
                env=_environment(home, settings, identity, listener.getsockname()[1]),
                cwd=home.aws,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        return _wait_until_healthy(child, home)
    except BaseException:  # also Ctrl-C: nothing stays behind
        if child:
            processes.end([child.pid], grace=2)
            child.wait()
        processes.end(processes.marked(identity), grace=0)
        home.clear()
        raise


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put a Ctrl-C off until the end: it must not come between a child's birth and our knowing it."""
    if threading.current_thread() is not threading.main_thread():  # only that one hears signals
        yield
        return
    heard: list[int] = []
    before = {n: signal.signal(n, lambda n, _: heard.append(n)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard:
        raise KeyboardInterrupt


def _wait_until_healthy(child: "subprocess.Popen[bytes]", home: Home) -> Instance:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        instance = Instance.read(home)
        if instance and _healthy(instance):
            return instance
        time.sleep(0.05)
    raise NotStarted(f"the emulator did not start; its log ({home.log}) ends with:\n{tail(home, 30)}")


def _healthy(instance: Instance) -> bool:
    try:
        with urllib.request.urlopen(f"{instance.endpoint}/_ministack/health", timeout=5) as answer:  # noqa: S310  # ours
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _listening(preferred_port: int) -> socket.socket:
    """A listening socket, handed to the child as it is: no port is free in between for somebody else to take."""
    for port in (preferred_port, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen(1024)
        return listener
    raise NotStarted("no port is free on 127.0.0.1")


def _environment(home: Home, settings: LocalSettings, identity: str, port: int) -> dict[str, str]:
    """The emulator's environment: the user's, without what would lead its children to another AWS."""
    inherited = {k: v for k, v in settings.environment.items() if not k.startswith(("AWS_", "PYTHON", "SPARK_"))}
    return {
        **inherited,
        processes.MARK: identity,
        "LEDGERLAKE_LOCAL_DIR": str(home.directory),
        "LEDGERLAKE_CACHE_DIR": str(settings.cache),
        "LEDGERLAKE_LOCAL_JOB_MINUTE": str(settings.job_minute),
        "JAVA_HOME": str(java_home(settings)),
        "AUTH": "true" if settings.enforce_iam else "false",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "TMPDIR": str(home.aws / "tmp"),
        "S3_DATA_DIR": str(home.aws / "s3"),
        "STATE_DIR": str(home.aws / "state"),
        # What the lakehouse does not use and would only open ports or look for containers.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{home.aws}/no-docker.sock",
        "PYTHONUNBUFFERED": "1",
    }


def tail(home: Home, lines: int) -> str:
    """The last lines of the emulator's log."""
    try:
        return "\n".join(home.log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
