"""Put failed records right by hand: what a person changed in an exported file goes out as new messages.

An edited record is a message of its own: its id is made of the original's and of the new payload, so the same file
again sends the same ids. The original's error row says which message replaces it (`replaced_by`) before that is sent,
and is resolved by the batch that took it in (ledgerlake.ops.replacements). A message that never came to RAW has no
error to answer: it is sent corrected under its own id, and its row is resolved as by a redrive.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyiceberg.expressions import And, BooleanExpression, EqualTo, In

from ledgerlake import failpoints
from ledgerlake.ops import redrive
from ledgerlake.ops.edit_lines import CHUNK, TABLES, BadEdits, Edit, Errors, iso, key_of, originals, read
from ledgerlake.ops.enqueue import Letter, Message, Outgoing, Queue, QueueSender, batches
from ledgerlake.ops.redrive import Pace, require_queue
from ledgerlake.ops.undelivered import PLACES, Place, Row, require_readable
from ledgerlake.records.envelope import BrokenEnvelope
from ledgerlake.records.flatten import ERROR_CODE, ERROR_MESSAGE, flatten
from ledgerlake.records.keys import replacement_id
from ledgerlake.records.layout import Layout
from ledgerlake.tables import append
from ledgerlake.tables.lake import Lake

REPLACES = "ledgerlake.replaces"
"""The attribute of an edited message that names its original."""
# Of a record that was no text; an edited one is.
ENCODING = "ledgerlake.encoding"


@dataclass(frozen=True)
class Replacement:
    """A new message for an edited one of RAW: the error row that it answers, and its id."""

    edit: Edit
    table: Errors
    new_id: str
    message: Message


@dataclass
class Plan:
    """What an edited file comes to: new messages, corrected ones, and lines with nothing to do."""

    replacements: list[Replacement] = field(default_factory=list)
    corrected: list[tuple[redrive.Found, Message]] = field(default_factory=list)
    unchanged: int = 0
    answered: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """How many messages it sends."""
        return len(self.replacements) + len(self.corrected)


def plan(lake: Lake, queues: QueueSender, lines: Iterable[str], told: Callable[[int], object] = lambda _: None) -> Plan:
    """What an edited file would send. Nothing is changed. Raises BadEdits with every line that cannot be used."""
    edits, unchanged = read(lines)
    found = Plan(unchanged=unchanged)
    targets = {topic: require_queue(queues, topic) for topic in {edit.topic for edit in edits}}
    for chunk in _chunks(edits):
        _plan(lake, targets[chunk[0].topic], chunk, found)
        told(len(chunk))
    if found.problems:
        raise BadEdits(found.problems)
    return found


def send(
    lake: Lake,
    queues: QueueSender,
    planned: Plan,
    replay_id: str,
    pace: Pace,
    told: Callable[[int], object] = lambda _: None,
) -> None:
    """Send a plan's messages; broken off anywhere, the same file again goes on. Raises NoQueue, NotSent."""
    for replacements in _groups(planned.replacements, lambda one: (one.edit.topic, one.table.name)):
        topic, table = replacements[0].edit.topic, replacements[0].table
        _announce(lake, table, replacements)
        failpoints.hit("replay.after_mark_before_send", topic)
        _send(queues, topic, [one.message for one in replacements], pace)
        told(len(replacements))
    for corrected in _groups(planned.corrected, lambda one: (one[0].topic, one[0].place.table)):
        topic = corrected[0][0].topic or ""
        _send(queues, topic, [message for _, message in corrected], pace)
        failpoints.hit("redrive.after_send_before_mark", topic)
        redrive.mark(lake, [row for row, _ in corrected], replay_id)
        told(len(corrected))


def _send(queues: QueueSender, topic: str, messages: Sequence[Message], pace: Pace) -> None:
    queue = require_queue(queues, topic)
    for batch in batches(messages):
        pace.wait(len(batch))
        queues.send(queue, batch)


def _announce(lake: Lake, table: Errors, replacements: Sequence[Replacement]) -> None:
    """Write down which message replaces which: the rows stay open until a batch has taken it in."""
    new_ids = {one.edit.key: one.new_id for one in replacements}
    where = _of(replacements[0].edit.topic, [str(one.edit.message_id) for one in replacements])

    def change(row: Row) -> Row:
        new_id = new_ids.get(key_of(row))
        return row | {"replaced_by": new_id} if new_id and row["resolved_by"] is None else row

    append.amend(lake.load(table.layer, table.table), where, change)


def _chunks(edits: Sequence[Edit]) -> Iterator[list[Edit]]:
    return _groups(edits, lambda edit: (edit.topic, edit.place))


def _groups(items: Sequence[Any], name: Callable[[Any], Any]) -> Iterator[list[Any]]:
    """Items of one name together, at most CHUNK at once, in their order."""
    found: dict[Any, list[Any]] = {}
    for item in items:
        found.setdefault(name(item), []).append(item)
    for group in found.values():
        for start in range(0, len(group), CHUNK):
            yield group[start : start + CHUNK]


def _plan(lake: Lake, queue: Queue, edits: Sequence[Edit], planned: Plan) -> None:
    """Add edits of one topic and place to the plan."""
    for table in TABLES:
        if table.name == edits[0].place:
            _plan_replacements(lake, queue, table, edits, planned)
    for place in PLACES:
        if f"raw.{place.table}" == edits[0].place:
            _plan_corrected(lake, queue, place, edits, planned)


def _plan_replacements(lake: Lake, queue: Queue, table: Errors, edits: Sequence[Edit], planned: Plan) -> None:
    topic = edits[0].topic
    where = _of(topic, [str(edit.message_id) for edit in edits])
    scan = lake.load(table.layer, table.table).scan(row_filter=where)
    rows = {key_of(row): row for row in scan.to_arrow().to_pylist()}
    raw = originals(lake, topic, list(rows.values())) if rows else {}
    flat = flatten(pa.array([edit.text for edit in edits], pa.string()), Layout((), frozenset()))
    defects = zip(flat.column(ERROR_CODE).to_pylist(), flat.column(ERROR_MESSAGE).to_pylist(), strict=True)
    for edit, (code, words) in zip(edits, defects, strict=True):
        row, original = rows.get(edit.key), raw.get(edit.key)
        new_id = replacement_id(str(edit.message_id), edit.text)
        if row is None or original is None:
            planned.problems.append(edit.problem(f"there is no such record in {table.name}"))
        elif row["resolved_by"] is not None:
            planned.answered += 1
        elif row["replaced_by"] not in (None, new_id):
            planned.problems.append(edit.problem(f"an earlier edit is on its way: {row['replaced_by']}"))
        elif code is not None:
            planned.problems.append(edit.problem(f"the payload cannot be read: {code}: {words}"))
        else:
            message = _edited(edit, original, new_id)
            if _readable(edit, message, queue, planned):
                planned.replacements.append(Replacement(edit, table, new_id, message))


def _edited(edit: Edit, original: Row, new_id: str) -> Message:
    """The message that takes an original's place: the same but for its id, its payload and what it says it replaces."""
    given = json.loads(original["attributes"] or "{}")
    attributes = {name: value for name, value in given.items() if name != ENCODING} | {REPLACES: edit.message_id}
    envelope = {
        "message_id": new_id,
        "publish_time": iso(original["publish_time"]),
        "topic_name": edit.topic,
        "idempotency_key": original["idempotency_key"],
        "attributes": attributes,
        "json_payload": edit.text,
    }
    return Outgoing(0, original["source"] or "sqs", 0, envelope)


def _plan_corrected(lake: Lake, queue: Queue, place: Place, edits: Sequence[Edit], planned: Plan) -> None:
    wanted = {edit.key: edit for edit in edits}
    found = {one.key: one for one in redrive.find(lake, redrive.Selection(topics=[edits[0].topic]), [place])}
    for key, edit in wanted.items():
        if key not in found:
            planned.answered += 1
            continue
        message = Letter(edit.text, {"source": "sqs"})
        if _readable(edit, message, queue, planned):
            planned.corrected.append((found[key], message))


def _readable(edit: Edit, message: Message, queue: Queue, planned: Plan) -> bool:
    """Whether the message would become a RAW row; the plan learns why not."""
    try:
        require_readable(message.body, edit.topic)
    except BrokenEnvelope as broken:
        planned.problems.append(edit.problem(f"the message would come back: {broken}"))
        return False
    if message.bytes > queue.max_message_bytes:
        planned.problems.append(
            edit.problem(f"the message has {message.bytes} bytes, its queue takes {queue.max_message_bytes}")
        )
        return False
    return True


def _of(topic: str, message_ids: Iterable[str]) -> BooleanExpression:
    return And(EqualTo(term="topic_name", value=topic), In(term="message_id", literals=set(message_ids)))
