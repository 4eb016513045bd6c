"""`python -m ledgerlake.local up | down | env | status | logs`."""

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from ledgerlake.errors import LedgerlakeError
from ledgerlake.local import control
from ledgerlake.local.instance import Home, Instance
from ledgerlake.local.jars import jars
from ledgerlake.settings import LocalSettings


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code says whether it did what was asked."""
    parser = argparse.ArgumentParser(prog="python -m ledgerlake.local", description=__doc__)
    parser.add_argument("command", choices=sorted(_COMMANDS))
    parser.add_argument("-f", "--follow", action="store_true", help="logs: go on as new lines come")
    parser.add_argument("-n", "--lines", type=int, default=50, help="logs: how many to begin with")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        return _COMMANDS[asked.command](LocalSettings.from_env(), asked)
    except LedgerlakeError as failed:
        _complain(str(failed))
        return 1
    except KeyboardInterrupt:
        return 130


def _up(settings: LocalSettings, _: argparse.Namespace) -> int:
    jars(settings=settings)
    result = control.up(settings)
    verb = "is up" if result.started else "was up already"
    _say(f"local AWS {verb} at {result.instance.endpoint} (pid {result.instance.pid})")
    return 0


def _down(settings: LocalSettings, _: argparse.Namespace) -> int:
    _say("local AWS is down" if control.down(settings) else "local AWS was not up")
    return 0


def _env(settings: LocalSettings, _: argparse.Namespace) -> int:
    instance = control.running(settings)
    if instance is None:
        _complain("local AWS is not up; start it with: make up")
        return 1
    _say("unset AWS_PROFILE AWS_SESSION_TOKEN AWS_SECURITY_TOKEN")
    for name, value in credentials(instance).items():
        _say(f"export {name}={shlex.quote(value)}")
    return 0


def credentials(instance: Instance) -> dict[str, str]:
    """What any AWS tool needs to speak to the emulator as the account's root."""
    return {
        "AWS_ENDPOINT_URL": instance.endpoint,
        "AWS_REGION": instance.region,
        "AWS_DEFAULT_REGION": instance.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _status(settings: LocalSettings, _: argparse.Namespace) -> int:
    instance = control.running(settings)
    if instance is None:
        _say("down")
        return 3  # as `systemctl status` does for a stopped service
    home = Home(settings.directory)
    _say(f"up since {instance.started_at}\nendpoint {instance.endpoint}\npid {instance.pid}\nlog {home.log}")
    return 0


def _logs(settings: LocalSettings, asked: argparse.Namespace) -> int:
    home = Home(settings.directory)
    if not home.log.exists():
        _complain("there is no log yet")
        return 1
    _say(control.tail(home, asked.lines))
    if asked.follow:
        with home.log.open(errors="replace") as log:
            log.seek(0, 2)
            while True:
                sys.stdout.write(log.read())
                sys.stdout.flush()
                time.sleep(0.2)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(line + "\n")


def _as_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


_COMMANDS: dict[str, Callable[[LocalSettings, argparse.Namespace], int]] = {
    "up": _up,
    "down": _down,
    "env": _env,
    "status": _status,
    "logs": _logs,
}

if __name__ == "__main__":
    sys.exit(main())
