"""What the tables hold of one message, read by its id and, once its time is known, from the days around it only."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo, GreaterThanOrEqual, In, Or
from pyiceberg.table import Table

from ledgerlake.contracts import Contract, load
from ledgerlake.state.contracts import read_active
from ledgerlake.state.gate import Admission
from ledgerlake.state.store import State
from ledgerlake.tables.commits import Commits
from ledgerlake.tables.definitions import DLQ_ERRORS, ERRORS, FIREHOSE_ERRORS, PARSE_ERRORS
from ledgerlake.tables.lake import Lake, staging
from ledgerlake.tables.lookup import Found, find, near, rows

Row = dict[str, Any]

# Topics are looked at side by side; each opens three tables.
READERS = 8

RAW = ("message_id", "idempotency_key", "publish_time", "ingestion_ts", "source")
STANDARDIZED = ("message_id", "idempotency_key", "publish_time", "ingestion_ts", "batch_id")
CURATED = STANDARDIZED
PARSE_ERROR = (
    *("message_id", "topic_name", "publish_time", "ingestion_ts", "error_code", "error_message", "batch_id"),
    *("failed_at", "resolved_by", "resolved_at", "replaced_by"),
)
ERROR = (
    *("message_id", "topic_name", "idempotency_key", "publish_time", "violations", "contract_version", "batch_id"),
    *("failed_at", "reported_by", "resolved_by", "resolved_at", "replaced_by"),
)
DEAD_LETTER = (
    *("message_id", "topic_name", "queue", "error_code", "reason", "receive_count", "sent_at", "drained_at"),
    *("resolved_by", "resolved_at"),
)
UNDELIVERED = (
    *("message_id", "topic_name", "error_code", "error_message", "attempts", "object_key", "failed_at"),
    *("resolved_by", "resolved_at"),
)


@dataclass(frozen=True)
class Evidence:
    """One message in one topic: its rows in every table, and the commits that brought them.

    `current`: the rows of CURATED by idempotency_key, for the keys the message has. `rivals`: where it is not current,
    the standardized rows of those keys that may have taken its place; `errors` are theirs too. `originals`: the failed
    records that it is the edited form of. `curates`: whether the topic has a CURATED table at all.
    """

    message_id: str
    topic: str
    commits: Commits = field(default_factory=lambda: Commits(None, None, None))
    admission: Admission | None = None
    curates: bool = False
    raw: Sequence[Found] = ()
    standardized: Sequence[Row] = ()
    parse_errors: Sequence[Row] = ()
    errors: Sequence[Row] = ()
    dead_letters: Sequence[Row] = ()
    undelivered: Sequence[Row] = ()
    originals: Sequence[Row] = ()
    current: Mapping[str, Row] = field(default_factory=dict)
    rivals: Sequence[Row] = ()

    def __bool__(self) -> bool:
        places = (self.raw, self.standardized, self.parse_errors, self.dead_letters, self.undelivered, self.originals)
        return any(places)


def collect(lake: Lake, state: State, message_id: str, topic: str | None = None) -> list[Evidence]:
    """What there is of a message in each topic that knows its id (or in this one). Raises UnknownTopics."""
    if topic is not None:
        lake.require_topics([topic])
    topics = [topic] if topic is not None else lake.topics()
    with ThreadPoolExecutor(READERS) as pool:
        shared = _Shared(*pool.map(lambda read: read(lake, message_id, topic), _SHARED))
        found = list(pool.map(lambda one: _collect(lake, state, shared, message_id, one), topics))
    # A dead-letter queue or Firehose may know it for a topic that has no table, or for none.
    strays = sorted(shared.topics() - set(topics))
    return [one for one in (*found, *(shared.evidence(message_id, stray) for stray in strays)) if one]


def current(curated: Table | None, flat: Sequence[Row]) -> dict[str, Row]:
    """The rows of CURATED that have the keys of these standardized rows, by key: none of them can be older."""
    keyed = [row for row in flat if row["idempotency_key"] is not None]
    if not keyed:
        return {}
    keys = In(term="idempotency_key", literals={row["idempotency_key"] for row in keyed})
    where = And(keys, _from(min(row["publish_time"] for row in keyed)))
    return {row["idempotency_key"]: row for row in rows(curated, where, "idempotency_key", CURATED)}


def of_keys(standardized: Table | None, keys: Iterable[str], since: datetime | None = None) -> list[Row]:
    """The standardized rows of these keys, published at or after a time, when one is given."""
    where: BooleanExpression = In(term="idempotency_key", literals=set(keys))
    if since is not None:
        where = And(where, _from(since))
    return rows(standardized, where, "idempotency_key", STANDARDIZED)


def _from(since: datetime) -> BooleanExpression:
    return GreaterThanOrEqual(term="publish_time", value=since.isoformat())


def errors_of(lake: Lake, topic: str, flat: Iterable[Row]) -> list[Row]:
    """The errors that these standardized rows of a topic ended in, looked for in their batches only."""
    ids, batches = {row["message_id"] for row in flat}, {row["batch_id"] for row in flat}
    where = And(In(term="batch_id", literals=batches), In(term="message_id", literals=ids))
    if not ids:
        return []
    where = And(EqualTo(term="topic_name", value=topic), where)
    return rows(lake.find("curated", ERRORS), where, "message_id", ERROR)


def recency(row: Row) -> tuple[datetime, datetime, str]:
    """What the latest record of a key is the greatest in (design 4.3)."""
    return row["publish_time"], row["ingestion_ts"], row["message_id"]


@dataclass(frozen=True)
class _Shared:
    """A message's rows in the tables that topics share and that are asked by its id alone."""

    dead_letters: Sequence[Row]
    undelivered: Sequence[Row]
    parse_errors: Sequence[Row]
    edited: Sequence[Row]

    def topics(self) -> set[str]:
        return {row["topic_name"] or "" for row in (*self.dead_letters, *self.undelivered, *self.parse_errors)}

    def evidence(self, message_id: str, topic: str, **more: Any) -> Evidence:
        unparsed = _of(topic, self.parse_errors)
        originals = [row for row in unparsed if row["replaced_by"] == message_id]
        return Evidence(
            message_id=message_id,
            topic=topic,
            dead_letters=_of(topic, self.dead_letters),
            undelivered=_of(topic, self.undelivered),
            parse_errors=[row for row in unparsed if row["message_id"] == message_id],
            originals=[*originals, *_of(topic, self.edited)],
            **more,
        )


def _of(topic: str, found: Iterable[Row]) -> list[Row]:
    return [row for row in found if (row["topic_name"] or "") == topic]


def _here(topic: str | None) -> BooleanExpression:
    return AlwaysTrue() if topic is None else EqualTo(term="topic_name", value=topic)


def _dead_letters(lake: Lake, message_id: str, topic: str | None) -> list[Row]:
    where = And(_here(topic), EqualTo(term="message_id", value=message_id))
    return rows(lake.find("raw", DLQ_ERRORS), where, "message_id", DEAD_LETTER)


def _undelivered(lake: Lake, message_id: str, topic: str | None) -> list[Row]:
    where = And(_here(topic), EqualTo(term="message_id", value=message_id))
    return rows(lake.find("raw", FIREHOSE_ERRORS), where, "message_id", UNDELIVERED)


def _parse_errors(lake: Lake, message_id: str, topic: str | None) -> list[Row]:
    same = Or(EqualTo(term="message_id", value=message_id), EqualTo(term="replaced_by", value=message_id))
    return rows(lake.find("standardized", PARSE_ERRORS), And(_here(topic), same), "message_id", PARSE_ERROR)


def _edited(lake: Lake, message_id: str, topic: str | None) -> list[Row]:
    where = And(_here(topic), EqualTo(term="replaced_by", value=message_id))
    return rows(lake.find("curated", ERRORS), where, "replaced_by", ERROR)


_SHARED = (_dead_letters, _undelivered, _parse_errors, _edited)


def _collect(lake: Lake, state: State, shared: _Shared, message_id: str, topic: str) -> Evidence:
    """STANDARDIZED first: its files are few, and its row tells the days and the batch to look at in the others."""
    same = EqualTo(term="message_id", value=message_id)
    raw, standardized = lake.find("raw", staging(topic)), lake.find("standardized", topic)
    flat = rows(standardized, same, "message_id", STANDARDIZED)
    ended = [*flat, *(row for row in _of(topic, shared.parse_errors) if row["message_id"] == message_id)]
    copies = find(raw, _copies(state, topic, same, ended), "message_id", RAW)
    if not (ended or copies):
        return shared.evidence(message_id, topic)
    curated = lake.find("curated", topic)
    now = current(curated, flat)
    rivals = _rivals(standardized, flat, now)
    return shared.evidence(
        message_id,
        topic,
        commits=Commits(raw, standardized, curated),
        admission=state.gate.get(topic),
        curates=curated is not None,
        raw=copies,
        standardized=flat,
        errors=errors_of(lake, topic, [*flat, *rivals]),
        current=now,
        rivals=rivals,
    )


def _rivals(standardized: Table | None, flat: Sequence[Row], now: Mapping[str, Row]) -> list[Row]:
    late = [row for row in flat if (one := now.get(row["idempotency_key"])) and recency(one) > recency(row)]
    if not late:
        return []
    return of_keys(standardized, [row["idempotency_key"] for row in late], min(row["publish_time"] for row in late))


def _copies(state: State, topic: str, same: BooleanExpression, ended: Sequence[Row]) -> BooleanExpression:
    """Which rows of RAW are copies of what ended there: beyond the look-up's days an id is another message's."""
    admission = state.gate.get(topic) if ended else None
    if admission is None:
        return same
    contract: Contract = load(read_active(state.s3, state.contracts_bucket, admission), topic)
    return And(same, near("publish_time", (row["publish_time"] for row in ended), contract.dedup_window_days))
