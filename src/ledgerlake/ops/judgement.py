"""From a message's rows to its steps and its ending; a pure function of what the tables hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from shlex import quote
from typing import Any

from ledgerlake.ops.drain import REDRIVEN
from ledgerlake.ops.evidence import Evidence, Row, recency
from ledgerlake.ops.places import Ending, Step, Terminal, Trace
from ledgerlake.tables.commits import Commit
from ledgerlake.tables.definitions import DLQ_ERRORS, ERRORS, FIREHOSE_ERRORS, PARSE_ERRORS
from ledgerlake.tables.lake import staging
from ledgerlake.tables.lookup import Found

Told = tuple[list[Step], Ending]

_BY_KIND = {
    "cde": Terminal.CDE_ERROR,
    "cast": Terminal.CAST_ERROR,
    "check": Terminal.CHECK_ERROR,
    "rule": Terminal.RULE_ERROR,
}


def judge(evidence: Evidence) -> Trace:
    """Tell where a message has been and where it ended: with its latest occurrence, when its id came more than once."""
    counted = list(_counted(evidence))
    steps = [*_originals(evidence), *_before_raw(evidence), *_copies(evidence, counted)]
    occurrences = [_unreadable(evidence, row) for row in sorted(_unparsed(evidence), key=recency)]
    occurrences += [_flattened(evidence, row) for row in sorted(evidence.standardized, key=recency)]
    for told, _ in occurrences:
        steps += told
    return Trace(
        message_id=evidence.message_id,
        topic=evidence.topic,
        steps=sorted(steps, key=lambda step: step.at),
        ending=occurrences[-1][1] if occurrences else _unfinished(evidence),
        duplicates=sum(step.facts.get("copy") == "duplicate" for step in steps),
        replaces=sorted({row["message_id"] for row in evidence.originals}),
    )


def _facts(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names if row[name] is not None}


def _originals(evidence: Evidence) -> Iterator[Step]:
    for row in evidence.originals:
        facts = {"replaces": row["message_id"]} | _facts(row, "resolved_by")
        at = row["resolved_at"] or row["failed_at"]
        yield Step(at, "replay", f"made by editing {row['message_id']}", facts=facts)


def _before_raw(evidence: Evidence) -> Iterator[Step]:
    for row in evidence.dead_letters:
        facts = _facts(row, "reason", "queue", "receive_count", "sent_at")
        yield Step(row["drained_at"], f"raw.{DLQ_ERRORS}", f"dead letter: {row['error_code']}", facts=facts)
        yield from _sent_again(row)
    for row in evidence.undelivered:
        facts = _facts(row, "error_message", "attempts", "object_key")
        event = f"Firehose gave it up: {row['error_code']}"
        yield Step(row["failed_at"], f"raw.{FIREHOSE_ERRORS}", event, facts=facts)
        yield from _sent_again(row)


def _sent_again(row: Row) -> Iterator[Step]:
    if row["resolved_by"]:
        yield Step(row["resolved_at"], "redrive", "sent again", facts=_facts(row, "resolved_by"))


def _copies(evidence: Evidence, counted: Sequence[Found]) -> Iterator[Step]:
    place = f"raw.{staging(evidence.topic)}"
    for copy in evidence.raw:
        role = _role(evidence, copy, counted)
        event = "landed again, as a copy" if role == "duplicate" else "landed"
        facts = _facts(copy.row, "source", "publish_time") | {"copy": role}
        yield Step(copy.row["ingestion_ts"], place, event, _commit(copy), facts)


def _commit(copy: Found) -> Commit | None:
    return Commit.of(copy.snapshot) if copy.snapshot else None


def _role(evidence: Evidence, copy: Found, counted: Sequence[Found]) -> str:
    if any(copy is one for one in counted):
        return "counted"
    commit, ended = _commit(copy), bool(_ended(evidence))
    # Compaction moves old rows into new snapshots: then what became of the message tells whether a row still waits.
    if commit and evidence.commits.waits_in_raw(commit.snapshot_id) and not (commit.compaction and ended):
        return "waiting"
    return "duplicate" if ended else "lost"


def _ended(evidence: Evidence) -> list[Row]:
    return [*evidence.standardized, *_unparsed(evidence)]


def _counted(evidence: Evidence) -> Iterator[Found]:
    """The copy that each occurrence is: rows that are equal in time and source are the same to whoever looks."""
    by_source = sorted(evidence.raw, key=lambda copy: copy.row["source"] or "")
    for row in _ended(evidence):
        times = row["publish_time"], row["ingestion_ts"]
        yield from [copy for copy in by_source if (copy.row["publish_time"], copy.row["ingestion_ts"]) == times][:1]


def _unparsed(evidence: Evidence) -> list[Row]:
    """The parse errors that count: those of a batch that was never committed are written anew with it."""
    is_standardized = evidence.commits.is_standardized
    return [row for row in evidence.parse_errors if is_standardized(row["batch_id"], row["failed_at"])]


def _unreadable(evidence: Evidence, row: Row) -> Told:
    commit = evidence.commits.standardized(row["batch_id"])
    event, facts = f"parse error: {row['error_code']}", _facts(row, "error_message", "batch_id")
    failed = Step(row["failed_at"], f"standardized.{PARSE_ERRORS}", event, commit, facts)
    open_ending = Ending(Terminal.PARSE_ERROR, f"{row['error_code']}: {row['error_message']}", _edit(evidence))
    steps, ending = _answered(evidence, row, open_ending)
    return [failed, *steps], ending


def _flattened(evidence: Evidence, row: Row) -> Told:
    commit = evidence.commits.standardized(row["batch_id"])
    at = commit.committed_at if commit else row["ingestion_ts"]
    place, facts = f"standardized.{evidence.topic}", _facts(row, "batch_id", "idempotency_key")
    steps, ending = _judged(evidence, row, at)
    return [Step(at, place, "standardized", commit, facts), *steps], ending


def _judged(evidence: Evidence, row: Row, at: datetime) -> Told:
    """What curate made of a standardized row."""
    if not evidence.curates:
        remedy = f"add payload_columns to its contract; then: {_publish(evidence.topic)}"
        return [], Ending(Terminal.STANDARDIZED_ONLY, "its contract has no columns to curate", remedy)
    if (error := _error(evidence, row)) is not None:
        return _broken(evidence, row, error)
    if not evidence.commits.is_curated(row["batch_id"]):
        return [], _waits(evidence, "standardized, not curated yet")
    commit = evidence.commits.curated(row["batch_id"])
    return _current(evidence, row, commit, commit.committed_at if commit else at)


def _error(evidence: Evidence, row: Row) -> Row | None:
    """The error that a standardized row ended in. One of a run that never committed is none: it is written anew."""
    commits = evidence.commits
    for error in evidence.errors:
        if (error["message_id"], error["batch_id"]) == (row["message_id"], row["batch_id"]) and (
            commits.is_curated(error["batch_id"]) or commits.took_in(error["reported_by"])
        ):
            return error
    return None


def _broken(evidence: Evidence, row: Row, error: Row) -> Told:
    violations = sorted(error["violations"] or (), key=lambda violation: list(_BY_KIND).index(violation["kind"]))
    state = _BY_KIND[violations[0]["kind"]] if violations else Terminal.UNKNOWN
    why = "; ".join(map(violation_text, violations))
    commit = evidence.commits.took_in(error["reported_by"]) or evidence.commits.curated(error["batch_id"])
    facts = _facts(error, "violations", "batch_id", "contract_version")
    failed = Step(error["failed_at"], f"curated.{ERRORS}", f"{state}: {why}", commit, facts)
    steps, ending = _answered(evidence, error, Ending(state, why, _correct(evidence)))
    if ending.state is not Terminal.REPLAYED or ending.replaced_by:
        return [failed, *steps], ending
    # Taken in as it is, after its contract was mended: it stands where any good record stands.
    taken, last = _current(evidence, row, steps[-1].commit, error["resolved_at"])
    return [failed, *steps, *taken], replace(last, resolved_by=ending.resolved_by)


def violation_text(violation: Mapping[str, Any]) -> str:
    """One violation in words."""
    if violation["kind"] == "cde":
        return f"{violation['column']} is missing"
    if violation["kind"] == "cast":
        return f"{violation['column']} is no {violation['rule']}: {violation['value']!r}"
    if violation["kind"] == "check":
        return f"{violation['column'] or 'an unknown field'} breaks {violation['rule']}: {violation['value']!r}"
    return f"breaks rule {violation['rule']}"


def _answered(evidence: Evidence, row: Row, still_open: Ending) -> Told:
    """What became of a failed record: open, or taken in by a replay. A mark of one that never committed is none."""
    by, edited = row["resolved_by"], row["replaced_by"]
    if edited and not by:
        remedy = f"its edited form is on its way: ledgerlake trace {quote(edited)}"
        return [], replace(still_open, remedy=remedy, replaced_by=edited)
    commit = evidence.commits.took_in(by)
    if not by or not (edited or commit or evidence.commits.may_have_taken_in(row["resolved_at"])):
        return [], still_open
    event = f"answered by its edited form {edited}" if edited else "taken in by a replay"
    step = Step(row["resolved_at"], "replay", event, commit, _facts(row, "resolved_by", "replaced_by"))
    why = f"as {edited}" if edited else f"by {by}"
    remedy = f"follow it: ledgerlake trace {quote(edited)}" if edited else ""
    return [step], Ending(Terminal.REPLAYED, why, remedy, resolved_by=by, replaced_by=edited)


def _current(evidence: Evidence, row: Row, commit: Commit | None, at: datetime) -> Told:
    """Whether a curated record is its key's current one."""
    place, key = f"curated.{evidence.topic}", row["idempotency_key"]
    current = evidence.current.get(key)
    if current is None or recency(current) < recency(row):
        return [], _lost(evidence, f"it was curated, but is not the current record of its key {key}")
    if recency(current) == recency(row):
        return [Step(at, place, f"the current record of {key}", commit)], Ending(Terminal.CURATED)
    by, remedy = (
        _successor(evidence, row, commit),
        f"all versions: ledgerlake trace --key {quote(key)} --topic {evidence.topic}",
    )
    event = f"superseded by {by}" if by == current["message_id"] else f"superseded by {by}; now {current['message_id']}"
    step = Step(at, place, event, commit, {"superseded_by": by, "current": current["message_id"]})
    return [step], Ending(Terminal.SUPERSEDED, f"by {by}", remedy, superseded_by=by)


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _successor(evidence: Evidence, row: Row, commit: Commit | None) -> str:
    """The record that took a superseded one's place first: the latest of its key when the first later one was in."""
    later = [evidence.current[row["idempotency_key"]]]
    later += [rival for rival in evidence.rivals if _good(evidence, rival) and recency(rival) > recency(row)]
    since = {recency(rival): _since(_entered(evidence, rival)) for rival in later}
    when = max(_since(commit), min(since.values()))
    return max(found for found, entered in since.items() if entered <= when)[2]


def _since(commit: Commit | None) -> datetime:
    return commit.committed_at if commit else _LONG_AGO


def _good(evidence: Evidence, row: Row) -> bool:
    error = _error(evidence, row)
    return error is None or (
        error["replaced_by"] is None and evidence.commits.took_in(error["resolved_by"]) is not None
    )


def _entered(evidence: Evidence, row: Row) -> Commit | None:
    """The commit that brought a good row to CURATED, or would have, had there been no later one."""
    error = _error(evidence, row)
    return evidence.commits.took_in(error["resolved_by"]) if error else evidence.commits.curated(row["batch_id"])


def _unfinished(evidence: Evidence) -> Ending:
    """The ending of a message that is in neither STANDARDIZED nor parse_errors."""
    commits = [_commit(copy) for copy in evidence.raw]
    waiting = [commit for commit in commits if commit and evidence.commits.waits_in_raw(commit.snapshot_id)]
    if waiting:
        return _waits(evidence, "in RAW, not standardized yet")
    if evidence.raw:
        return _lost(evidence, "it is in RAW, in a batch that was standardized, and stands nowhere")
    open_errors = [row for row in (*evidence.undelivered, *evidence.dead_letters) if not row["resolved_by"]]
    if not open_errors:
        return Ending(Terminal.IN_FLIGHT, "sent again, not in RAW yet", "it lands within minutes: look again")
    row = open_errors[-1]
    if "queue" not in row:
        why = f"{row['error_code']}: {row['error_message']}"
        return Ending(Terminal.FIREHOSE_ERROR, why, _redrive(evidence))
    # What SQS gave up may pass now; a broken envelope is as broken as before.
    remedy = _redrive(evidence) if row["error_code"] == REDRIVEN else _edit(evidence)
    return Ending(Terminal.DLQ, f"{row['error_code']}: {row['reason']}", remedy)


def _waits(evidence: Evidence, why: str) -> Ending:
    admission, topic = evidence.admission, evidence.topic
    if admission is None:
        return Ending(Terminal.WAITING, f"{why}: the topic has no contract", _publish(topic))
    if not admission.enabled:
        reason = admission.reason or "no reason given"
        remedy = 'open its gate: docs/runbook.md, "A topic is skipped"'
        return Ending(Terminal.WAITING, f"{why}: the topic is stopped ({reason})", remedy)
    return Ending(Terminal.WAITING, why, f"the next cycle takes it: ledgerlake cycle start --topic {topic} --wait")


def _lost(evidence: Evidence, why: str) -> Ending:
    return Ending(
        Terminal.UNKNOWN, why, f"see what else is amiss: ledgerlake reconcile --topic {evidence.topic} --full"
    )


def _publish(topic: str) -> str:
    return f"ledgerlake schema publish schemas/{topic}/schema.json"


def _this(evidence: Evidence) -> str:
    return f"--topic {evidence.topic} --message-id {quote(evidence.message_id)}"


def _edit(evidence: Evidence) -> str:
    return (
        f"correct it: ledgerlake replay export {_this(evidence)} --to edit.jsonl; "
        "then: ledgerlake replay import edit.jsonl --apply"
    )


def _correct(evidence: Evidence) -> str:
    return (
        f"when its contract was wrong, publish a better one; then: ledgerlake replay errors {_this(evidence)} --apply; "
        f"when the record is, {_edit(evidence)}"
    )


def _redrive(evidence: Evidence) -> str:
    return f"when its cause is mended: ledgerlake redrive {_this(evidence)} --apply"
