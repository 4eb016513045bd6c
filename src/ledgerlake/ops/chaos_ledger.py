"""Where the messages of one run stand, each by its identity, beside where they must: told from how they were made.

This asks none of the pipeline's own books: it looks for every id in every table.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyiceberg.expressions import And, BooleanExpression, EqualTo, IsNull, NotNull, StartsWith

from ledgerlake.ops.events import TOPIC, Message, Place
from ledgerlake.tables.definitions import DLQ_ERRORS, ERRORS, FIREHOSE_ERRORS, PARSE_ERRORS, Layer
from ledgerlake.tables.lake import Lake, staging

# What a message's rows are, wherever it ended: nothing more and nothing less.
ENDED: Mapping[Place, Counter[str]] = {
    Place.CURATED: Counter(["raw", "standardized", "curated"]),
    Place.SUPERSEDED: Counter(["raw", "standardized"]),
    Place.ERRORS: Counter(["raw", "standardized", "errors"]),
    Place.PARSE_ERRORS: Counter(["raw", "parse_errors"]),
    Place.DLQ_ERRORS: Counter(["dlq_errors"]),
}
# Delivery into these is at least once: copies there are told and counted, but are the same message.
AT_LEAST_ONCE = ("raw", "dlq_errors")


@dataclass(frozen=True)
class Standing:
    """The rows of one run: per table, how often each message_id stands in it.

    `dlq_errors` and `firehose_errors` are those that nobody put right yet; `put_right` were, by table.
    """

    rows: Mapping[str, Counter[str]]
    put_right: Mapping[str, int]

    def where(self, message_id: str) -> Counter[str]:
        """The tables that a message stands in; copies before STANDARDIZED count once."""
        found = {table: ids[message_id] for table, ids in self.rows.items() if ids[message_id]}
        return Counter({table: 1 if table in AT_LEAST_ONCE else count for table, count in found.items()})


@dataclass(frozen=True)
class Reckoning:
    """What was sent, beside where it stands.

    `sent` and `lands` count messages, copies included, and those of them that become RAW rows; the places count ids.
    `wrong`: each id that is not exactly where it must be, and where it is.
    """

    sent: int
    lands: int
    expected: Counter[Place]
    found: Counter[Place]
    standing: Standing
    wrong: Sequence[str]

    @property
    def balanced(self) -> bool:
        """Whether every id stands in exactly its place."""
        return not self.wrong


def look(lake: Lake, run: str, messages: Sequence[Message]) -> Standing:
    """Read where the ids of a run stand. `messages` tell whose a dead letter is that lost its id."""
    mine = StartsWith(term="message_id", value=f"{run}-")
    of_topic = EqualTo(term="topic_name", value=TOPIC)
    here, unresolved = And(of_topic, mine), IsNull(term="resolved_by")
    rows = {
        "raw": _ids(lake, "raw", staging(TOPIC), mine),
        "standardized": _ids(lake, "standardized", TOPIC, mine),
        "parse_errors": _ids(lake, "standardized", PARSE_ERRORS, here),
        "curated": _ids(lake, "curated", TOPIC, mine),
        "errors": _ids(lake, "curated", ERRORS, here),
        "dlq_errors": _dead_letters(lake, And(of_topic, unresolved), messages),
        "firehose_errors": _ids(lake, "raw", FIREHOSE_ERRORS, And(here, unresolved)),
    }
    resolved = And(here, NotNull(term="resolved_by"))
    return Standing(
        rows, {table: _ids(lake, "raw", table, resolved).total() for table in (DLQ_ERRORS, FIREHOSE_ERRORS)}
    )


def missing(standing: Standing, messages: Sequence[Message]) -> set[str]:
    """The ids that stand nowhere yet: in flight, or lost."""
    seen = set().union(*standing.rows.values())
    return {message.message_id for message in messages} - seen


def reckon(standing: Standing, messages: Sequence[Message]) -> Reckoning:
    """Compare where each id stands with where it must."""
    expected = {message.message_id: message.place for message in messages}
    found: Counter[Place] = Counter()
    wrong: list[str] = []
    for message_id, place in sorted(expected.items()):
        where = standing.where(message_id)
        if where == ENDED[place]:
            found[place] += 1
        else:
            stands = ", ".join(f"{table} x {count}" for table, count in sorted(where.items())) or "nowhere"
            wrong.append(f"{message_id} must be {place} and stands in {stands}")
    strangers = set().union(*standing.rows.values()) - set(expected)
    wrong += [f"{stranger} was never sent" for stranger in sorted(strangers)]
    lands = sum(message.lands for message in messages)
    return Reckoning(len(messages), lands, Counter(expected.values()), found, standing, wrong)


def _dead_letters(lake: Lake, where: BooleanExpression, messages: Sequence[Message]) -> Counter[str]:
    """Dead letters by the id of the message whose body they are: a broken envelope may have none that can be read."""
    owners = {message.body: message.message_id for message in messages}
    bodies = _column(lake, "raw", DLQ_ERRORS, where, "body")
    return Counter(owners[body] for body in bodies if body in owners)


def _ids(lake: Lake, layer: Layer, table: str, where: BooleanExpression) -> Counter[str]:
    return Counter(_column(lake, layer, table, where, "message_id"))


def _column(lake: Lake, layer: Layer, table: str, where: BooleanExpression, column: str) -> list[str]:
    found = lake.find(layer, table)
    if found is None or found.current_snapshot() is None:
        return []
    values: list[str] = found.scan(row_filter=where, selected_fields=(column,)).to_arrow()[column].to_pylist()
    return values
