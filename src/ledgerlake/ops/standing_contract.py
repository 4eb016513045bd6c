"""The contract that a proposed one is held against: the one in force, or an earlier version."""

from pyiceberg.expressions import And, EqualTo

from ledgerlake.errors import TerminalError
from ledgerlake.ops.environment import Environment
from ledgerlake.state.contracts import in_force
from ledgerlake.state.gate import Gate
from ledgerlake.tables.lake import Lake
from ledgerlake.tables.registry import SCHEMA_VERSIONS


class NoSuchVersion(TerminalError):
    """A topic never had a contract of this version."""


def standing(environment: Environment, gate: Gate, topic: str, version: int | None) -> tuple[int, bytes] | None:
    """A version of a topic's contract with its text, the one in force unless another is named; None without any.

    Raises NoSuchVersion.
    """
    settings = environment.settings
    if version is None:
        return in_force(environment.s3, settings.buckets.contracts, gate, topic)
    table = Lake.connect(settings).load("ops", SCHEMA_VERSIONS)
    wanted = And(EqualTo("topic_name", topic), EqualTo("contract_version", version))
    found = table.scan(wanted, selected_fields=("contract",)).to_arrow()["contract"].to_pylist()
    if not found:
        raise NoSuchVersion(f"{topic} has no contract version {version}; ops.schema_versions lists those there were")
    return version, found[0].encode()
