"""Where is my message? Its way through the tables, and all versions of a key."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ledgerlake.ops import accepted
from ledgerlake.ops.evidence import Evidence, collect, current, errors_of, of_keys, recency
from ledgerlake.ops.judgement import judge
from ledgerlake.ops.places import Ending, Step, Terminal, Trace
from ledgerlake.state.store import State
from ledgerlake.tables.commits import Commit, Commits
from ledgerlake.tables.lake import Lake, staging

# Firehose holds a record for a quarter of an hour at most; a dead letter is drained within minutes.
IN_FLIGHT = timedelta(hours=1)


@dataclass(frozen=True)
class Version:
    """One record of a key, and its trace from STANDARDIZED on."""

    publish_time: datetime
    ingestion_ts: datetime
    batch_id: str
    trace: Trace

    @property
    def curated(self) -> Commit | None:
        """The commit that took it into CURATED, or found a later one there."""
        good = self.trace.ending.state in (Terminal.CURATED, Terminal.SUPERSEDED)
        return self.trace.steps[-1].commit if good else None


def trace(lake: Lake, state: State, message_id: str, topic: str | None = None) -> list[Trace]:
    """Follow a message through every topic that knows its id, or through one. Raises UnknownTopics.

    Where no table knows it, the log of accepted messages is asked for the last hour.
    """
    found = [judge(evidence) for evidence in collect(lake, state, message_id, topic)]
    return found or _in_flight(lake, state, message_id, topic)


def _in_flight(lake: Lake, state: State, message_id: str, topic: str | None) -> list[Trace]:
    now = datetime.now(UTC)
    topics = None if topic is None else [topic]
    log = accepted.read(state.s3, lake.settings.buckets.ops, now - IN_FLIGHT, now, topics)
    taken = {one.topic: one for one in log if message_id in (one.message_id, one.sqs_id)}
    return [_handed(message_id, one) for one in taken.values()]


def _handed(message_id: str, one: accepted.Accepted) -> Trace:
    at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=one.accepted_at)
    to = "Firehose" if one.handed_to == "firehose" else "the dead-letter queue"
    step = Step(at, "processor", f"accepted, and handed to {to}", facts={"sqs_id": one.sqs_id})
    ending = Ending(Terminal.IN_FLIGHT, f"handed to {to}, in no table yet", "look again in a few minutes")
    return Trace(message_id, one.topic, [step], ending)


def versions(lake: Lake, state: State, key: str, topic: str) -> list[Version]:
    """Every record of an idempotency key that was standardized, the latest first. Raises UnknownTopics."""
    lake.require_topics([topic])
    standardized, curated = lake.find("standardized", topic), lake.find("curated", topic)
    flat = of_keys(standardized, [key])
    shared = Evidence(
        message_id="",
        topic=topic,
        commits=Commits(lake.find("raw", staging(topic)), standardized, curated),
        admission=state.gate.get(topic),
        curates=curated is not None,
        errors=errors_of(lake, topic, flat),
        current=current(curated, flat),
        rivals=flat,
    )
    return [
        Version(
            publish_time=row["publish_time"],
            ingestion_ts=row["ingestion_ts"],
            batch_id=row["batch_id"],
            trace=judge(replace(shared, message_id=row["message_id"], standardized=[row])),
        )
        for row in sorted(flat, key=recency, reverse=True)
    ]


def searched(lake: Lake, topic: str | None = None) -> str:
    """Where a trace looks, in words."""
    topics = lake.topics() if topic is None else [topic]
    of = f"the topic {topics[0]}" if len(topics) == 1 else f"{len(topics)} topics"
    return (
        f"RAW, STANDARDIZED and CURATED of {of}, dlq_errors, firehose_errors, parse_errors and errors, "
        "nor among what the processor accepted within the last hour"
    )
