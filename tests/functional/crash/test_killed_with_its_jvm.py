"""A whole run, its JVM with it, dies in the middle of one of Iceberg's own commits."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orders
from aws import Aws
from crash.steps import TOPIC, begin, finish
from lakehouse import Lakehouse

from ledgerlake.jobs.plan import plan

# What Glue tells a session by --conf, and a laptop by its size.
INHERITED = (
    "spark.driver.extraClassPath",
    "spark.driver.extraJavaOptions",
    "spark.driver.host",
    "spark.driver.bindAddress",
)


def test_a_run_whose_machine_is_gone_while_iceberg_commits_is_done_by_the_next_cycle(
    lakehouse: Lakehouse, server: Aws, tmp_path: Path, uninterrupted: Callable[..., object]
) -> None:
    begin(lakehouse, (*orders.FIRST, *orders.SECOND))
    (request,) = plan(lakehouse.lake, lakehouse.state, "cycle", [TOPIC]).requests
    process = start(lakehouse, lakehouse.state.cycles.put_request(request), tmp_path)

    def the_machine_is_gone(table: str) -> None:
        if table == "parse_errors":
            os.killpg(process.pid, signal.SIGKILL)
            raise ConnectionError

    with server.commits(after=the_machine_is_gone), process:
        assert process.wait(timeout=500) == -signal.SIGKILL
    assert lakehouse.lake.load("standardized", TOPIC).snapshots() == []
    finish(lakehouse)

    assert orders.told(lakehouse, TOPIC) == uninterrupted([(*orders.FIRST, *orders.SECOND)])


def start(house: Lakehouse, request: str, folder: Path) -> subprocess.Popen[bytes]:
    """A Glue run in a process group of its own, with its own JVM."""
    confs = {name: house.spark.sparkContext.getConf().get(name) for name in INHERITED}
    confs |= {"spark.master": "local[1]", "spark.ui.enabled": "false", "spark.local.dir": str(folder / "local")}
    (folder / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in confs.items()))
    script = "from ledgerlake.jobs.run import main; main()"
    settings = house.lake.settings.model_dump_json()
    return subprocess.Popen(
        [sys.executable, "-c", script, "--request", request, "--ledgerlake_settings", settings],
        env={**os.environ, "SPARK_CONF_DIR": str(folder)},
        cwd=folder,
        start_new_session=True,
    )
