"""The emulator's process: ministack with what it lacks, on a socket that its parent opened."""

import asyncio
import logging
import os
import signal
import sys
import time
from datetime import UTC, datetime
from typing import IO

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app

from ledgerlake.local import firehose, glue_catalog, iam, lambda_code, lambda_errors, schedules
from ledgerlake.local.glue_jobs import GlueJobs
from ledgerlake.local.instance import Home, Instance
from ledgerlake.local.processes import MARK
from ledgerlake.local.step_functions import RoleTasks
from ledgerlake.settings import LocalSettings

logger = logging.getLogger("ledgerlake.local")


def main(listener: int) -> int:
    """Serve until SIGTERM or SIGINT, then deliver what Firehose holds and end every job."""
    settings = LocalSettings.from_env()
    home = Home(settings.directory)
    alive = _hold(home)
    if alive is None:
        logger.error("another emulator lives in %s", home.directory)
        return 1
    jobs = GlueJobs(settings, home)
    deliveries = firehose.Deliveries(settings)
    jobs.install()
    deliveries.install()
    RoleTasks(settings).install()
    glue_catalog.install()
    iam.install()
    lambda_code.install(home)
    lambda_errors.install()
    schedules.install()
    Instance(
        id=settings.environment[MARK],
        pid=os.getpid(),
        port=int(settings.environment["GATEWAY_PORT"]),
        region=settings.region,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    ).write(home)
    asyncio.run(_serve(listener, jobs, deliveries))
    return 0


def _hold(home: Home) -> IO[str] | None:
    """Take the lock, also when somebody who only looks whether we live has it for a moment."""
    for _ in range(20):
        held = home.hold()
        if held:
            return held
        time.sleep(0.1)
    return None


async def _serve(listener: int, jobs: GlueJobs, deliveries: firehose.Deliveries) -> None:
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)

    async def last_things() -> None:
        """While requests are still answered: a delivery is made of them."""
        await asked_to_stop.wait()
        await asyncio.to_thread(jobs.end_all)
        await asyncio.to_thread(deliveries.flush)

    config = Config()
    config.bind = [f"fd://{listener}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "INFO"
    await serve(app, config, shutdown_trigger=last_things)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
