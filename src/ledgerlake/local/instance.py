"""What one running emulator is known by: its folder, its lock and its state file."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self


@dataclass(frozen=True)
class Instance:
    """A running emulator, as its state file tells it.

    `id` marks the environment of every process it starts; the state file is written by the emulator itself.
    """

    id: str
    pid: int
    port: int
    region: str
    started_at: str

    @property
    def endpoint(self) -> str:
        """Where the AWS API answers."""
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    def read(cls, home: "Home") -> Self | None:
        """The instance that was last started here, whether or not it still runs."""
        try:
            return cls(**json.loads(home.state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, home: "Home") -> None:
        """Record the instance in one step, so that no reader sees half of it."""
        partial = home.state.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=2))
        partial.replace(home.state)


@dataclass(frozen=True)
class Home:
    """The folder of one local environment. `aws/` and `terraform/` live and die with one emulator; logs outlive it."""

    directory: Path

    @property
    def aws(self) -> Path:
        """What belongs to the running emulator and is worthless without it."""
        return self.directory / "aws"

    @property
    def state(self) -> Path:
        """The state file."""
        return self.aws / "instance.json"

    @property
    def log(self) -> Path:
        """What the emulator and its shims say."""
        return self.directory / "emulator.log"

    def clear(self) -> None:
        """Forget all that belonged to the last emulator; Terraform's state would tell of resources that are gone."""
        for belonging in (self.aws, self.directory / "terraform"):
            shutil.rmtree(belonging, ignore_errors=True)

    def prepare(self) -> None:
        """Make an empty folder for a new emulator, and keep the last one's log beside the new one."""
        self.clear()
        if self.log.exists():
            self.log.replace(self.log.with_name("emulator.previous.log"))
        (self.aws / "tmp").mkdir(parents=True)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Hold the right to start or stop the environment; a second caller waits until the first is done."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def hold(self) -> IO[str] | None:
        """Take the lock that a living emulator holds; None when one does. The kernel gives it back when it dies."""
        self.directory.mkdir(parents=True, exist_ok=True)
        held = (self.directory / "alive").open("w")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            return None
        os.set_inheritable(held.fileno(), False)
        return held

    def is_held(self) -> bool:
        """Whether an emulator lives here."""
        held = self.hold()
        if held is None:
            return True
        held.close()
        return False
