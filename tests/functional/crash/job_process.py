"""A job's driver in a process of its own, with the entry and the arguments of a Glue run, so that it can die for good.

The JVM it drives is the tests' own, as warm as it is by now: one for each driver would take minutes. A dead driver asks
nothing more of it. Where the JVM has to die as well, see test_killed_with_its_jvm.
"""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from ledgerlake.jobs.run import main
from ledgerlake.settings import Settings

DEADLINE = 300
ENVIRONMENT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "PYSPARK_PYTHON", "SPARK_LOCAL_IP")

# Processes are forked from one that has all imports done.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["ledgerlake.jobs.run", "pyarrow", "pandas", "pyiceberg.io.pyarrow"])


@dataclass(frozen=True)
class Drivers:
    """Starts drivers in one environment, on one JVM."""

    settings: Settings
    spark: SparkSession

    def run(self, request: str, failpoints: str) -> int:
        """Run what the request says, with these faults armed, and return the exit code, negative for a signal."""
        settings = self.settings.model_copy(update={"failpoints": failpoints})
        arguments = ["--request", request, "--ledgerlake_settings", settings.model_dump_json()]
        process = _processes.Process(target=_drive, args=(arguments, self._environment()), daemon=True)
        process.start()
        process.join(DEADLINE)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"{request} with {failpoints} came to no end")
        return process.exitcode or 0

    def kill(self, request: str, point: str) -> None:
        """Run what the request says up to a point, where the process kills itself."""
        assert self.run(request, f"{point}=kill") == -signal.SIGKILL

    def _environment(self) -> dict[str, str]:
        parameters = self.spark.sparkContext._gateway.java_parameters
        return {
            **{name: os.environ[name] for name in ENVIRONMENT},
            "PYSPARK_GATEWAY_PORT": str(parameters.port),
            "PYSPARK_GATEWAY_SECRET": parameters.auth_token,
        }


def _drive(arguments: list[str], environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    _attach()
    main(arguments)


def _attach() -> None:
    """Make the JVM's Spark context this process's; it outlives the process."""
    gateway: Any = launch_gateway()
    java = gateway.jvm.org.apache.spark.api.java.JavaSparkContext.fromSparkContext(
        gateway.jvm.org.apache.spark.SparkContext.getOrCreate()
    )
    SparkContext(gateway=gateway, jsc=java, conf=SparkConf(_jconf=java.getConf()))
    SparkSession.stop = lambda _session: None  # type: ignore[method-assign]
