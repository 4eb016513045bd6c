"""A contract's way into force: pending → checked → its tables → active, or failed with its reasons (design 3.2).

Every step may be repeated, and the gate is set last: a try that died anywhere is finished by the next one, and until
then the jobs go on with the contract that the gate names. One contract of a topic is published at a time.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pyiceberg.exceptions import ValidationError

from ledgerlake import failpoints
from ledgerlake.contracts import Contract, ContractError, Problem, load
from ledgerlake.contracts.diff import diff, refused
from ledgerlake.contracts.document import MAX_BYTES, too_large
from ledgerlake.contracts.model import TOPIC_PATTERN
from ledgerlake.contracts.problems import did_you_mean
from ledgerlake.contracts.renames import renames
from ledgerlake.contracts.validation import better_name
from ledgerlake.ops.candidates import Candidate, InForce, Pending, Published, Rebuilds, Upload, sha256
from ledgerlake.state.contracts import ContractsBucket, Stored, active_key, object_key
from ledgerlake.state.gate import Admission, Gate, Overtaken
from ledgerlake.state.locks import LockHeld, Locks
from ledgerlake.tables.definitions import RESERVED_TOPICS
from ledgerlake.tables.ensure import Standing, ensure_contract
from ledgerlake.tables.lake import Lake, staging
from ledgerlake.tables.registry import Outcome, Registered, SchemaVersions, register

PATIENCE: Final = 120.0
"""Seconds that a contract waits for its turn: with Lambda's two retries longer than a dead publisher's lock lives."""

_PAUSE: Final = 0.5


@dataclass(frozen=True)
class Publisher:
    """Publishes the contracts of one environment; `now` is the clock.

    `patience` is how many seconds a contract waits for its turn while another of its topic is being published.
    """

    bucket: ContractsBucket
    gate: Gate
    lake: Lake
    locks: Locks
    rebuilds: Rebuilds | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    patience: float = PATIENCE

    def publish(self, pending: Pending) -> Published:
        """Bring a pending contract into force, or say in failed/error.json why not; then take it away.

        Raises TransientError, or what AWS raises, when a step could not be done: the same call again finishes it.
        """
        with self.turn(pending.topic):
            upload = self.read(pending)
            if upload is None:
                return Published(pending.topic, "superseded")
            admission = self.gate.get(pending.topic)
            if admission is not None and admission.contract_sha256 == upload.sha256:
                self._put_tables_right(admission)
                self.bucket.take_away(pending.key, upload.version_id)
                return Published(pending.topic, "unchanged", admission.contract_version)
            try:
                candidate = self.candidate(upload, admission)
                if candidate.breaking:
                    return self._start_rebuild(candidate)
                self._make_tables(candidate)
            except ContractError as error:
                if admission is not None:
                    self._put_tables_right(admission)
                return self.refuse(upload, error)
            return self.put_in_force(candidate)

    @contextmanager
    def turn(self, topic: str) -> Iterator[None]:
        """Be the only one who publishes a contract of the topic. Raises LockHeld when it takes too long."""
        until = time.monotonic() + self.patience
        while True:
            try:
                lock = self.locks.acquire(f"contract/{topic}", "publish")
                break
            except LockHeld:
                if time.monotonic() >= until:
                    raise
                time.sleep(_PAUSE)
        with lock:
            yield

    def read(self, pending: Pending) -> Upload | None:
        """The pending object; None when a newer one took its place, which ops.schema_versions then tells."""
        newest = self.bucket.newest_pending(pending.topic)
        if newest is None:
            return None
        if pending.version_id not in (None, newest.version_id):
            self._tell_superseded(pending)
            return None
        return self._upload(pending, newest)

    def candidate(self, upload: Upload, admission: Admission | None) -> Candidate:
        """The contract and what it changes of the admitted one.

        Raises ContractError when it is wrong, or lacks the consent that its changes ask for.
        """
        topic = upload.pending.topic
        if upload.text is None:
            raise ContractError([too_large(upload.size)])
        if problem := self._wrong_topic(topic):
            raise ContractError([problem])
        contract = load(upload.text, topic)
        in_force = self._in_force(topic, admission)
        if in_force is None:
            return Candidate(upload, upload.text, contract, (), None, admission)
        old = in_force.contract
        changes = diff(old, contract)
        if problems := refused(changes, old, contract):
            raise ContractError(problems)
        return Candidate(upload, upload.text, contract, tuple(changes), in_force, admission)

    def put_in_force(self, candidate: Candidate) -> Published:
        """Make a contract whose tables are ready for it the active one; again, it finishes what was begun.

        Raises Overtaken when another came into force since the candidate was made.
        """
        topic, upload = candidate.topic, candidate.upload
        version_id = self._activate(candidate)
        failpoints.hit("publish.after_active", topic)
        number = self._record(candidate, version_id)
        failpoints.hit("publish.before_gate", topic)
        self._open(candidate, number, version_id)
        failpoints.hit("publish.after_gate", topic)
        self.bucket.take_away(upload.pending.key, upload.version_id)
        failpoints.hit("publish.after_taken_away", topic)
        return Published(topic, "active", number)

    def refuse(self, upload: Upload, error: ContractError) -> Published:
        """Keep the contract with its problems and take it away; the active one stays in force.

        error.json is written last of the objects, since people and tools wait for it.
        """
        topic = upload.pending.topic
        self._tell(upload, "failed", error.problems)
        failpoints.hit("publish.after_refusal_row", topic)
        if upload.text is not None:
            self.bucket.put(object_key(topic, "failed/schema.json"), upload.text)
        document = {
            "topic": topic,
            "failed_at": self.now().isoformat(),
            "contract_sha256": upload.sha256,
            "problems": [problem.as_dict() for problem in error.problems],
            "what_to_do": f"correct these and put the contract to {upload.pending.key} again; "
            "the active one stays in force",
        }
        self.bucket.put(object_key(topic, "failed/error.json"), json.dumps(document, indent=2).encode())
        failpoints.hit("publish.after_failed", topic)
        self.bucket.take_away(upload.pending.key, upload.version_id)
        return Published(topic, "failed", problems=error.problems)

    def _upload(self, pending: Pending, stored: Stored) -> Upload:
        text = self.bucket.get(pending.key, stored.version_id) if stored.size <= MAX_BYTES else None
        who = " ".join(filter(None, (stored.said("uploaded_by"), pending.principal and f"({pending.principal})")))
        return Upload(pending, stored.version_id, stored.size, text, who or None, stored.said("reason"))

    def _tell_superseded(self, pending: Pending) -> None:
        """Add a row for a contract that was overwritten before it was published; one that was dealt with has a row."""
        stored = self.bucket.head(pending.key, pending.version_id)
        if stored is not None:
            self._tell(self._upload(pending, stored), "superseded")

    def _tell(self, upload: Upload, outcome: Outcome, problems: Sequence[Problem] = ()) -> None:
        """Add the row of an upload that is no version, unless it has one."""
        topic = upload.pending.topic
        history = SchemaVersions.of(self.lake, topic)
        if not history.knows(upload.version_id):
            history.add(upload.row(outcome, problems=problems), self.now())

    def _wrong_topic(self, topic: str) -> Problem | None:
        """What is wrong with the name itself, before any table is made for it."""
        if not re.fullmatch(TOPIC_PATTERN, topic):
            return Problem("/table_name", f"{topic[:100]!r} is no topic's name", better_name(topic))
        if topic in RESERVED_TOPICS:
            return Problem("/table_name", f"the lakehouse has a table `{topic}` of its own", "choose another name")
        if self.lake.find("raw", staging(topic)) is None:
            known = did_you_mean(topic, self.lake.topics(), "apply the environment with the file under schemas/ first")
            return Problem("/table_name", f"there is no topic `{topic}`", known)
        return None

    def _start_rebuild(self, candidate: Candidate) -> Published:
        if self.rebuilds is None:
            message = "this contract needs its tables rebuilt, and nothing here can rebuild them"
            raise ContractError([Problem("/rebuild", message, "make only changes that need no rebuild")])
        self.rebuilds.start(candidate)
        return Published(candidate.topic, "rebuilding")

    def _make_tables(self, candidate: Candidate) -> None:
        """Make or evolve the contract's tables. Raises ContractError where they cannot follow, or Overtaken."""
        topic = candidate.topic
        failpoints.hit("publish.before_tables", topic)
        try:
            ensure_contract(self.lake, candidate.contract, self._standing(candidate.in_force, candidate.contract))
        except ValidationError as error:
            self._require_unmoved(candidate)
            message = f"the topic's tables cannot follow: {error}"
            raise ContractError([Problem("/payload_columns", message, "name that column otherwise")]) from error
        failpoints.hit("publish.after_tables", topic)

    def _put_tables_right(self, admission: Admission) -> None:
        """Undo what a try of another contract did to the tables before it died: no other may ever come."""
        in_force = self._in_force(admission.topic, admission)
        if in_force is not None:
            ensure_contract(self.lake, in_force.contract, self._standing(in_force, in_force.contract))

    def _standing(self, in_force: InForce | None, contract: Contract) -> Standing:
        """What the columns of the contract in force are called in another one, and their field ids."""
        if in_force is None or not in_force.contract.curated:
            return Standing()
        old = in_force.contract
        renamed = {was: name for name, was in renames(old, contract).items()}
        ids = SchemaVersions.of(self.lake, contract.table_name).field_ids(in_force.version)
        return Standing(True, {column.name: renamed.get(column.name, column.name) for column in old.columns}, ids)

    def _in_force(self, topic: str, admission: Admission | None) -> InForce | None:
        """What the gate names; where that or the gate itself was lost, the active object, if a job ever went by it."""
        key = active_key(topic)
        if admission is not None and (text := self.bucket.find(key, admission.contract_version_id)) is not None:
            return InForce(text, admission.contract_version)
        active, standardized = self.bucket.head(key), self.lake.find("standardized", topic)
        if active is None or standardized is None or not standardized.metadata.snapshots:
            return None
        text = self.bucket.get(key, active.version_id)
        return InForce(text, SchemaVersions.of(self.lake, topic).latest(sha256(text)))

    def _activate(self, candidate: Candidate) -> str:
        """Put the contract where the active one lies, the old one in the archive; returns its S3 version.

        The put succeeds only over the object that was looked at: of two publishers at one moment one has to try again.
        """
        topic, text = candidate.topic, candidate.text
        key = active_key(topic)
        active = self.bucket.head(key)
        if active is not None and self.bucket.get(key, active.version_id) == text:
            return active.version_id  # an earlier try came this far
        if candidate.in_force is not None:
            self.bucket.put(object_key(topic, candidate.in_force.archive_name), candidate.in_force.text)
        failpoints.hit("publish.after_archive", topic)
        self._require_unmoved(candidate)
        version_id = self.bucket.put_over(key, text, active)
        if version_id is None:
            raise Overtaken(f"another contract of {topic} became active meanwhile")
        return version_id

    def _record(self, candidate: Candidate, version_id: str) -> int:
        """Write the version's row, and the topic's; a row that an earlier try wrote stays. Returns its number."""
        topic, contract = candidate.topic, candidate.contract
        history = SchemaVersions.of(self.lake, topic)
        in_force = candidate.admission.contract_version if candidate.admission else 0
        number = history.number(sha256(candidate.text), in_force)
        if not history.has(number):
            history.add(candidate.row(number, version_id, self._field_ids(contract)), self.now())
        if candidate.admission or candidate.in_force is None:
            history.supersede(range(in_force + 1, number))
        failpoints.hit("publish.after_history", topic)
        facts = Registered(topic, contract.description, contract.owner, number, contract.curated)
        register(self.lake, [facts], self.now())
        return number

    def _field_ids(self, contract: Contract) -> dict[str, int]:
        """The Iceberg field ids of the contract's columns: what stays when their names change."""
        if not contract.curated:
            return {}
        schema = self.lake.load("curated", contract.table_name).schema()
        return {column.name: schema.find_field(column.name).field_id for column in contract.columns}

    def _open(self, candidate: Candidate, number: int, version_id: str) -> None:
        """Set the gate. When another publisher was faster, our active object makes way for the one it put."""
        topic = candidate.topic
        admission = Admission(
            topic=topic,
            enabled=True,
            contract_version=number,
            contract_sha256=sha256(candidate.text),
            contract_version_id=version_id,
            curated=candidate.contract.curated,
        )
        try:
            self.gate.admit(admission, candidate.admission)
        except Overtaken:
            self.bucket.delete_version(active_key(topic), version_id)
            raise

    def _require_unmoved(self, candidate: Candidate) -> None:
        """Raise Overtaken when another contract came into force since the gate was read."""
        current, seen = self.gate.get(candidate.topic), candidate.admission
        if (current and current.contract_version_id) != (seen and seen.contract_version_id):
            raise Overtaken(f"another contract of {candidate.topic} came into force meanwhile")
