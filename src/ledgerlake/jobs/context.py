"""What a job works with."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from pyspark.sql import DataFrame, SparkSession

from ledgerlake.contracts import Contract, load
from ledgerlake.errors import TerminalError
from ledgerlake.jobs.session import read_range
from ledgerlake.settings import Settings
from ledgerlake.state.contracts import read_active
from ledgerlake.state.gate import Admission
from ledgerlake.state.salt import Salt
from ledgerlake.state.store import State
from ledgerlake.tables.definitions import Layer
from ledgerlake.tables.lake import Lake

T = TypeVar("T")

FEW_ROWS: Final = 100_000
# Of few rows a plan is made sooner than improved, and interpreted sooner than compiled: a quarter less time of a topic.
PLANS_OF_FEW: Final = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


class NotAdmitted(TerminalError):
    """A topic has no contract, or was stopped, since the cycle was planned."""


@dataclass(frozen=True)
class Context:
    """One run's lake, state and Spark session, for the cycle it belongs to, and what personal data is hashed with."""

    lake: Lake
    state: State
    spark: SparkSession
    cycle_id: str
    salt: Salt | None = None

    @property
    def settings(self) -> Settings:
        """The environment's settings."""
        return self.lake.settings

    def each(self, work: Callable[["Context", str], T], topics: Iterable[str]) -> list[T]:
        """Do the work for each topic, several at a time, each thread in a session of its own, so that they do not meet.

        A session for each topic would keep what its catalogue opened (clients, their connections) until the run ends.
        """
        own = threading.local()

        def begin() -> None:
            own.context = replace(self, spark=self.spark.newSession())

        with ThreadPoolExecutor(self.settings.parallel_topics, thread_name_prefix="topic", initializer=begin) as pool:
            return list(pool.map(lambda topic: work(own.context, topic), topics))

    @contextmanager
    def expecting(self, rows: int) -> Iterator[None]:
        """Have the session plan for at most so many rows in all that it reads."""
        plans, conf = PLANS_OF_FEW if rows <= FEW_ROWS else {}, self.spark.conf
        before = {name: str(conf.get(name)) for name in plans}
        for name, value in plans.items():
            conf.set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                conf.set(name, value)

    def table(self, layer: Layer, name: str) -> DataFrame:
        """A table's rows as of now."""
        return self.spark.table(self.lake.spark_name(layer, name))

    def range(self, layer: Layer, name: str, after: int, to: int) -> DataFrame:
        """The rows of a table's snapshots (after, to]."""
        return read_range(self.spark, self.lake.spark_name(layer, name), after, to)

    def contract(self, topic: str) -> tuple[Admission, Contract]:
        """The topic's contract in force, and its place in the gate. Raises NotAdmitted."""
        admission = self.state.gate.get(topic)
        if admission is None or not admission.enabled:
            raise NotAdmitted(f"{topic} is not to be processed: {admission.reason if admission else 'no contract'}")
        text = read_active(self.state.s3, self.state.contracts_bucket, admission)
        return admission, load(text, topic)

    def salt_of(self, contract: Contract) -> str | None:
        """The salt, where the contract hashes anything with it. Raises NoSalt."""
        return self.salt.text if contract.hashed and self.salt else None
