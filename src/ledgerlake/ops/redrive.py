"""Send messages that never became a RAW row to their topic's queue again, and mark them as put right (design 3.6).

Sent first, marked after: a message that is sent twice keeps its message_id and becomes a duplicate. So a redrive that
dies anywhere may be started again, and goes on with what is not marked yet.
"""

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyiceberg.expressions import (
    And,
    BooleanExpression,
    EqualTo,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Reference,
)
from pyiceberg.expressions.literals import literal

from ledgerlake import failpoints
from ledgerlake.errors import TerminalError
from ledgerlake.ops.drain import drain
from ledgerlake.ops.enqueue import Message, Queue, QueueSender, batches
from ledgerlake.ops.undelivered import EPOCH, PLACES, Place, Row, require_readable
from ledgerlake.records.envelope import BrokenEnvelope
from ledgerlake.tables import append
from ledgerlake.tables.definitions import DLQ_ERRORS
from ledgerlake.tables.lake import Lake

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Rows that are read, sent and marked together: their bodies are in memory at the same time, and each costs a commit.
CHUNK = 500
SAMPLES = 3
# One drain's time; the messages that it received are invisible for longer.
DRAIN_MS = 600_000
PASSES = "can be read now"


class NoQueue(TerminalError):
    """A topic has no queue to send to."""


@dataclass(frozen=True)
class Selection:
    """Which open records: all that match. `since` and `until` bound when they failed, `limit` takes the first ones."""

    topics: Sequence[str] = ()
    codes: Sequence[str] = ()
    message_ids: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Found:
    """An open record, known by its key until its chunk's turn comes."""

    place: Place
    topic: str | None
    key: str
    at: datetime | None


@dataclass(frozen=True)
class Group:
    """Records of one topic that failed for one reason, and what becomes of them: `fate` is PASSES or what is wrong."""

    topic: str
    place: str
    code: str
    fate: str

    @property
    def passes(self) -> bool:
        """Whether the messages would become RAW rows."""
        return self.fate == PASSES


@dataclass
class Report:
    """What a redrive found: records and samples (message_ids, else the body's beginning) by group; and what it sent."""

    records: Counter[Group] = field(default_factory=Counter)
    samples: dict[Group, list[str]] = field(default_factory=lambda: defaultdict(list))
    sent: int = 0

    @property
    def would_pass(self) -> int:
        """How many can be sent again as they are."""
        return sum(count for group, count in self.records.items() if group.passes)

    @property
    def stay(self) -> int:
        """How many would only come back, and so are not sent."""
        return self.records.total() - self.would_pass

    def add(self, group: Group, sample: str) -> None:
        """Count one record."""
        self.records[group] += 1
        if len(self.samples[group]) < SAMPLES:
            self.samples[group].append(sample)


class Pace:
    """At most so many messages a second."""

    def __init__(
        self, rate: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._free = clock()

    def wait(self, count: int) -> None:
        """Wait until `count` messages more may go out."""
        now = self._clock()
        if self._free > now:
            self._sleep(self._free - now)
        self._free = max(self._free, now) + count / self._rate


def drain_first(sqs: "SQSClient", queue_prefix: str, lake: Lake) -> int:
    """Empty the dead-letter queues into `dlq_errors`, so that nothing which waits there is left out; how many came."""
    written = 0
    while (drained := drain(sqs, queue_prefix, lambda: lake.load("raw", DLQ_ERRORS), lambda: DRAIN_MS)).deleted:
        written += drained.written
    return written


def look(lake: Lake, selection: Selection, told: Callable[[int], object] = lambda _: None) -> Report:
    """What a redrive of these records would do. Nothing is changed; `told` gets how many were looked at."""
    report = Report()
    for chunk in chunks(find(lake, selection)):
        for row in rows(lake, chunk):
            _judge(chunk[0].place, row, report)
        told(len(chunk))
    return report


def redrive(
    lake: Lake,
    queues: QueueSender,
    selection: Selection,
    redrive_id: str,
    pace: Pace,
    told: Callable[[int], object] = lambda _: None,
) -> Report:
    """Send what can be read to the topics' queues, at that pace, and mark it resolved by `redrive-<redrive_id>`.

    What would only come back stays as it is. Raises NoQueue, NotSent.
    """
    report = Report()
    found = find(lake, selection)
    targets = {topic: require_queue(queues, topic) for topic in {one.topic for one in found if one.topic}}
    for chunk in chunks(found):
        place, topic = chunk[0].place, chunk[0].topic or ""
        judged = [(row, _judge(place, row, report)) for row in rows(lake, chunk)]
        letters = {place.key(row): letter for row, letter in judged if letter}
        for batch in batches(letters.values()):
            pace.wait(len(batch))
            queues.send(targets[topic], batch)
        failpoints.hit("redrive.after_send_before_mark", topic)
        mark(lake, [one for one in chunk if one.key in letters], redrive_id)
        report.sent += len(letters)
        told(len(chunk))
    return report


def find(lake: Lake, selection: Selection, places: Sequence[Place] = PLACES) -> list[Found]:
    """The open records that are selected, by table, topic and time; of a record only what names it is in memory."""
    found = itertools.chain.from_iterable(_find(lake, place, selection) for place in places)
    return list(itertools.islice(found, selection.limit))


def mark(lake: Lake, found: Sequence[Found], redrive_id: str) -> int:
    """Mark records of one table and topic as resolved by a redrive; those resolved already stay as they are."""
    if not found:
        return 0
    keys = {one.key for one in found}
    now = datetime.now(UTC)
    place = found[0].place

    def change(row: Row) -> Row:
        return row | {"resolved_by": f"redrive-{redrive_id}", "resolved_at": now} if place.key(row) in keys else row

    return append.amend(lake.load("raw", place.table), _around(found), change)


def require_queue(queues: QueueSender, topic: str) -> Queue:
    """The topic's queue. Raises NoQueue."""
    queue = queues.find(topic)
    if queue is None:
        raise NoQueue(f"there is no queue for topic {topic}; add its contract or an extra topic")
    return queue


def _find(lake: Lake, place: Place, selection: Selection) -> Iterator[Found]:
    table = lake.find("raw", place.table)
    if table is None or table.current_snapshot() is None:
        return
    where: BooleanExpression = IsNull(term="resolved_by")
    for column, wanted in (
        ("topic_name", selection.topics),
        ("error_code", selection.codes),
        ("message_id", selection.message_ids),
    ):
        if wanted:
            where = And(where, In(term=column, literals=set(wanted)))
    if selection.since:
        where = And(where, GreaterThanOrEqual(term=Reference(place.time), value=literal(selection.since)))
    if selection.until:
        where = And(where, LessThan(term=Reference(place.time), value=literal(selection.until)))
    rows = table.scan(
        row_filter=where, selected_fields=("topic_name", place.time, *place.names)
    ).to_arrow_batch_reader()
    found = [
        Found(place, row["topic_name"], place.key(row), row[place.time]) for batch in rows for row in batch.to_pylist()
    ]
    yield from sorted(found, key=lambda one: (one.topic or "", one.at or EPOCH, one.key))


def chunks(found: Sequence[Found]) -> Iterator[list[Found]]:
    """Records of one table and topic, near in time, few at once."""
    for _, group in itertools.groupby(found, key=lambda one: (one.place.table, one.topic, one.at is None)):
        rest = list(group)
        for start in range(0, len(rest), CHUNK):
            yield rest[start : start + CHUNK]


def _around(found: Sequence[Found]) -> BooleanExpression:
    """A condition that files can be left out by: the records of a chunk, and perhaps others beside them."""
    place, topic = found[0].place, found[0].topic
    of_topic = IsNull(term="topic_name") if topic is None else EqualTo(term="topic_name", value=topic)
    times = [one.at for one in found if one.at]
    if not times:
        return And(IsNull(term="resolved_by"), of_topic, IsNull(term=place.time))
    return And(
        IsNull(term="resolved_by"),
        of_topic,
        GreaterThanOrEqual(term=Reference(place.time), value=literal(min(times))),
        LessThanOrEqual(term=Reference(place.time), value=literal(max(times))),
    )


def rows(lake: Lake, chunk: Sequence[Found]) -> list[Row]:
    """A chunk's rows, whole."""
    place = chunk[0].place
    keys = {one.key for one in chunk}
    found = lake.load("raw", place.table).scan(row_filter=_around(chunk)).to_arrow().to_pylist()
    return [row for row in found if place.key(row) in keys]


def _judge(place: Place, row: Row, report: Report) -> Message | None:
    """The message that a row was, if the processor would take it now; the report learns what becomes of it."""
    topic = row["topic_name"] or ""
    letter, fate = None, PASSES
    try:
        letter = place.letter(row)
        require_readable(letter.body, topic)
    except BrokenEnvelope as broken:
        letter, fate = None, f"would come back: {broken.code}"
    sample = row["message_id"] or " ".join((row[place.text] or "").split())[:60]
    report.add(Group(topic, f"raw.{place.table}", row["error_code"] or "", fate), sample)
    return letter
