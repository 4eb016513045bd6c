"""Known records through the deployed pipeline, each looked for by its identity in every place there is."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pyiceberg.expressions import BooleanExpression, EqualTo, In, StartsWith

from ledgerlake.errors import TerminalError
from ledgerlake.ops import cycle as cycles
from ledgerlake.ops import seed
from ledgerlake.ops.environment import Environment
from ledgerlake.ops.events import EXACT_TEXTS, Message, Place, Story, story
from ledgerlake.ops.events import TOPIC as EVENTS
from ledgerlake.ops.identities import ledger
from ledgerlake.ops.status import failed_topics
from ledgerlake.ops.upload_contract import Contracts
from ledgerlake.ops.verify_parts import Check, Say, check
from ledgerlake.state.gate import Gate
from ledgerlake.tables.definitions import DLQ_ERRORS, ERRORS, PARSE_ERRORS, Layer
from ledgerlake.tables.lake import Lake, staging

ORDERS = 40
SHOWN = 10
ARRIVAL_SECONDS = 240
# A cycle works on one batch per topic: a pending one of before, ours, and one that finds nothing more.
MOST_CYCLES = 5


class CycleFailed(TerminalError):
    """A cycle that verify started did not end well."""


@dataclass
class Probe:
    """One verification's view of the topic `events`: what it sends bears its run's name, all else is left alone."""

    environment: Environment
    say: Say
    run: str = field(default_factory=lambda: f"verify-{datetime.now(UTC):%m%d%H%M%S}-{uuid.uuid4().hex[:6]}")

    def __post_init__(self) -> None:
        self.lake = Lake.connect(self.environment.settings)

    def publish_contract(self) -> None:
        """Make sure that the topic has its contract."""
        gate = Gate(self.environment.dynamodb.Table(self.environment.settings.dynamodb_tables.processing_enabled))
        contracts = Contracts(self.environment.s3, self.environment.settings.buckets.contracts, gate)
        contracts.publish(EVENTS, self.environment.dataset(EVENTS, "schema.json").read_bytes())

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages to the topic's queue."""
        self.say(f"sending {len(messages)} messages to {EVENTS}")
        seed.send(self.environment.sqs, self.environment.queue_url(EVENTS), [message.body for message in messages])

    def drop(self, name: str, lines: Sequence[str]) -> str:
        """Drop a file for the topic; returns the prefix that its rows' `source` has in RAW."""
        bucket = self.environment.settings.buckets.landing
        key = seed.drop(self.environment.s3, bucket, EVENTS, f"{self.run}-{name}", lines)
        self.say(f"dropped {key} with {len(lines)} lines")
        return f"s3://{bucket}/{key}#"

    def rows(
        self, layer: Layer, table: str, where: BooleanExpression, columns: Sequence[str] = ("*",)
    ) -> list[dict[str, Any]]:
        """Rows of a table as it is now; none where there is no such table."""
        found = self.lake.find(layer, table)
        if found is None or found.current_snapshot() is None:
            return []
        rows: list[dict[str, Any]] = found.scan(row_filter=where, selected_fields=tuple(columns)).to_arrow().to_pylist()
        return rows

    def landed(self, where: BooleanExpression) -> list[dict[str, Any]]:
        """Rows of the topic in RAW."""
        return self.rows("raw", staging(EVENTS), where, ("message_id", "source", "json_payload"))

    def wait_for_copies(self, copies: Mapping[str, int]) -> None:
        """Wait until RAW holds every id at least as often as it was sent."""
        self.say(f"waiting for {sum(copies.values())} rows of {len(copies)} ids in RAW")

        def missing() -> list[str]:
            found = Counter(row["message_id"] for row in self.landed(In(term="message_id", literals=set(copies))))
            return sorted(i for i, count in copies.items() if found[i] < count)

        self._until(missing, "RAW does not hold", ARRIVAL_SECONDS)

    def wait_for_file(self, source: str, lines: Sequence[str]) -> dict[str, str]:
        """Wait until RAW holds every line of a file; returns the message_id that each was given."""
        self.say(f"waiting for {len(lines)} lines of {source.rpartition('/')[2]} in RAW")

        def missing() -> list[str]:
            return sorted(set(lines) - {row["json_payload"] for row in self.landed(_from(source))})

        self._until(missing, "RAW does not hold", ARRIVAL_SECONDS)
        return {row["json_payload"]: row["message_id"] for row in self.landed(_from(source))}

    def _until(self, missing: Callable[[], list[str]], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while left := missing():
            if time.monotonic() > deadline:
                raise NotArrived(f"after {seconds:.0f} s {what} {len(left)} records: {', '.join(left[:SHOWN])}")
            time.sleep(1)

    def settle(self) -> None:
        """Run cycles over the topic until one finds nothing to do. Raises CycleFailed."""
        client = self.environment.state_machines
        for _ in range(MOST_CYCLES):
            arn = cycles.start(client, self.environment.outputs.state_machine_arn, [EVENTS])
            told: list[str] = []

            def seen(cycle: cycles.Cycle, told: list[str] = told) -> None:
                for step in cycle.steps[len(told) :]:
                    told.append(step.name)
                    self.say(f"cycle {cycle.cycle_id}: {step.name}")

            ended = cycles.wait(client, arn, seen=seen)
            if not ended.succeeded:
                reasons = failed_topics(self.lake, ended.cycle_id) or cycles.failures(ended)
                raise CycleFailed(f"cycle {ended.cycle_id} {ended.status}: {'; '.join(reasons)}")
            if cycles.did_nothing(ended):
                return

    def drain(self, bodies: Sequence[str], times: int) -> list[str]:
        """Drain the dead-letter queues into dlq_errors; returns the bodies that do not stand there `times` times."""
        self.say("draining the dead-letter queues")
        deadline = time.monotonic() + 90
        while True:
            self.environment.functions.invoke(FunctionName=self.environment.function("drain_dlq"), Payload=b"{}")
            rows = self.rows(
                "raw", DLQ_ERRORS, EqualTo(term="topic_name", value=EVENTS), ("body", "error_code", "reason")
            )
            found = Counter(row["body"] for row in rows)
            wrong = [f"{body[:80]} stands {found[body]} times, not {times}" for body in bodies if found[body] != times]
            unexplained = [
                f"{r['body'][:80]} has no reason" for r in rows if r["body"] in bodies and not r["error_code"]
            ]
            if not wrong or time.monotonic() > deadline:
                return wrong + unexplained
            time.sleep(1)


def _from(source: str) -> BooleanExpression:
    return StartsWith(term="source", value=source)


class NotArrived(TerminalError):
    """Records that were sent did not reach RAW."""


PLACES: Mapping[tuple[Layer, str], Place | None] = {
    ("standardized", EVENTS): None,
    ("standardized", PARSE_ERRORS): Place.PARSE_ERRORS,
    ("curated", EVENTS): Place.CURATED,
    ("curated", ERRORS): Place.ERRORS,
}


@dataclass(frozen=True)
class Standing:
    """All rows of some ids, by table. Two are equal when not one value differs."""

    tables: Mapping[tuple[Layer, str], Sequence[Mapping[str, Any]]]

    @classmethod
    def of(cls, probe: Probe, ids: set[str]) -> "Standing":
        """Read every table for the ids."""
        where = In(term="message_id", literals=ids)
        return cls({name: sorted(probe.rows(*name, where), key=lambda r: str(r["message_id"])) for name in PLACES})

    def misplaced(self, expected: Mapping[str, Place], kinds: Mapping[str, str]) -> list[str]:
        """The ids that do not stand once in exactly their place, and where they stand instead."""
        wrong = []
        for message_id, place in expected.items():
            where = self._where(message_id)
            if where != WANTED[place]:
                found = ", ".join(f"{'.'.join(table)} x {n}" for table, n in sorted(where.items())) or "nowhere"
                wrong.append(f"{message_id} ({kinds.get(message_id, 'by file')}) must be {place} and stands in {found}")
        return wrong

    def _where(self, message_id: str) -> Counter[tuple[Layer, str]]:
        found = {name: sum(r["message_id"] == message_id for r in rows) for name, rows in self.tables.items()}
        return Counter({name: count for name, count in found.items() if count})

    def changes(self, later: "Standing") -> list[str]:
        """What differs in a later look at the same ids."""
        changed = []
        for name, rows in self.tables.items():
            before = Counter(json.dumps(row, default=str, sort_keys=True) for row in rows)
            after = Counter(json.dumps(row, default=str, sort_keys=True) for row in later.tables[name])
            changed += [f"{'.'.join(name)} lost {row[:200]}" for row in (before - after)]
            changed += [f"{'.'.join(name)} got {row[:200]}" for row in (after - before)]
        return changed


WANTED: Mapping[Place, Counter[tuple[Layer, str]]] = {
    Place.CURATED: Counter([("standardized", EVENTS), ("curated", EVENTS)]),
    Place.SUPERSEDED: Counter([("standardized", EVENTS)]),
    Place.ERRORS: Counter([("standardized", EVENTS), ("curated", ERRORS)]),
    Place.PARSE_ERRORS: Counter([("standardized", PARSE_ERRORS)]),
}


def dropped_file(environment: Environment, say: Say) -> Iterator[Check]:
    """Files in the landing bucket and pending contracts call their functions; one such file lands."""
    buckets = environment.settings.buckets
    for bucket, handler in ((buckets.landing, "ingest"), (buckets.contracts, "publish_contract")):
        found = environment.s3.get_bucket_notification_configuration(Bucket=bucket)
        called = [f["LambdaFunctionArn"] for f in found.get("LambdaFunctionConfigurations", [])]
        name = environment.function(handler)
        yield check(
            f"a new object in {bucket} calls {handler}",
            [] if any(arn.endswith(f":{name}") for arn in called) else [f"it calls {called or 'nothing'}"],
        )
    probe = Probe(environment, say)
    lines = [_line(probe.run, "dropped")]
    source = probe.drop("drop", lines)
    ids = probe.wait_for_file(source, lines)
    yield check("a dropped line lands in RAW as it is", _unequal_sets(set(ids), set(lines)))


def idempotency(environment: Environment, say: Say) -> Iterator[Check]:
    """The same message three times, the same object twice and the same scheduled time twice: each counts once."""
    probe = Probe(environment, say)
    probe.publish_contract()
    started = _start_twice(probe)
    yield check(
        "a scheduled time that is delivered twice starts one cycle",
        [] if len(started) == 1 else [f"it started {', '.join(sorted(started))}"],
    )
    told = story(probe.run, orders=0, start=_recently())
    message = next(m for m in told.messages if m.kind == "plain")
    lines = [_line(probe.run, "twice")]
    source = probe.drop("twice", lines)
    for _ in range(3):
        probe.send([message])
    ids = probe.wait_for_file(source, lines)
    probe.wait_for_copies({message.message_id: 3})
    _announce_again(environment, source)
    probe.settle()
    standing = Standing.of(probe, {message.message_id, *ids.values()})
    expected = {message.message_id: Place.CURATED} | dict.fromkeys(ids.values(), Place.CURATED)
    yield check("three copies of a message are one row", standing.misplaced(expected, {message.message_id: "3 copies"}))
    again = probe.landed(_from(source))
    yield check(
        "an object that is announced twice is ingested once",
        [] if len(again) == len(lines) else [f"RAW has {len(again)} rows of {len(lines)} lines"],
    )


def _start_twice(probe: Probe) -> set[str]:
    """Call start_cycle twice for this second, as the scheduler may, and wait for the end; returns what it started."""
    environment = probe.environment
    event = {
        "state_machine_arn": environment.outputs.state_machine_arn,
        "scheduled_time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    probe.say("starting the cycle of one scheduled time twice")
    started = set()
    for _ in range(2):
        answer = environment.functions.invoke(
            FunctionName=environment.function("start_cycle"), Payload=json.dumps(event).encode()
        )
        started.add(str(json.loads(answer["Payload"].read()).get("execution_arn")))
    for arn in started:
        cycles.wait(environment.state_machines, arn)
    return started


def _announce_again(environment: Environment, source: str) -> None:
    """Call the ingest function with the object's event once more, as S3 may."""
    bucket, _, key = source.removeprefix("s3://").removesuffix("#").partition("/")
    head = environment.s3.head_object(Bucket=bucket, Key=key)
    described = {"key": key, "size": head["ContentLength"], "eTag": head["ETag"].strip('"')}
    if "VersionId" in head:
        described["versionId"] = head["VersionId"]
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": environment.settings.region,
        "eventName": "ObjectCreated:Put",
        "eventTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "s3": {"bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"}, "object": described},
    }
    environment.functions.invoke(
        FunctionName=environment.function("ingest"), Payload=json.dumps({"Records": [record]}).encode()
    )


def end_to_end(environment: Environment, say: Say) -> Iterator[Check]:
    """Two days of records of every kind, each in exactly its place; nothing changes when all is run and sent again."""
    probe = Probe(environment, say)
    say(f"this run is {probe.run}")
    probe.publish_contract()
    told = story(probe.run, orders=ORDERS, start=_recently())
    kinds = {message.message_id: message.kind for message in told.messages}

    probe.send(told.of_day(1))
    dropped = Dropped(probe)
    dropped.drop("file-1")
    probe.wait_for_copies(told.copies(1))
    by_file = dropped.expected()
    probe.settle()
    first = Standing.of(probe, {*told.expected(1), *by_file})
    yield check(
        f"after day 1 each of {len(told.expected(1) | by_file)} ids stands in exactly its place",
        first.misplaced(told.expected(1) | by_file, kinds)[:SHOWN],
    )

    probe.send(told.of_day(2))
    probe.wait_for_copies(told.copies(2))
    probe.settle()
    expected = told.expected(2) | by_file
    second = Standing.of(probe, set(expected))
    yield check(f"after day 2 each of {len(expected)} ids does", second.misplaced(expected, kinds)[:SHOWN])
    yield check("the text of numbers is unchanged", _changed_numbers(told, second))
    broken = [message.body for message in told.broken_envelopes()]
    yield check(f"{len(broken)} broken envelopes are in dlq_errors, whole, with their reason", probe.drain(broken, 1))

    probe.settle()
    yield check("another cycle changes nothing", second.changes(Standing.of(probe, set(expected)))[:SHOWN])

    probe.send(told.messages)
    dropped.drop("file-2")
    probe.wait_for_copies({message_id: 2 * count for message_id, count in told.copies().items()})
    dropped.expected()
    probe.settle()
    yield check("everything sent again changes nothing", second.changes(Standing.of(probe, set(expected)))[:SHOWN])
    yield check("broken envelopes sent again are kept again", probe.drain(broken, 2))
    books = ledger(probe.lake, EVENTS)
    yield check("the whole topic balances by identity", [] if books.balanced else _imbalance(books))


class Dropped:
    """Lines that go by file: good ones, a correction of one of them, one that is no JSON."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._source = ""
        self._lines = {
            _line(probe.run, "file-1"): Place.CURATED,
            _line(probe.run, "file-2"): Place.SUPERSEDED,
            _line(probe.run, "file-2", amount="2.00"): Place.CURATED,
            f'{{"broken": "{probe.run}"': Place.PARSE_ERRORS,
        }

    def drop(self, name: str) -> None:
        """Drop the file under a new name."""
        self._source = self._probe.drop(name, list(self._lines))

    def expected(self) -> dict[str, Place]:
        """Wait until the file has landed; returns where the id of each line must stand."""
        ids = self._probe.wait_for_file(self._source, list(self._lines))
        return {ids[line]: place for line, place in self._lines.items()}


def _line(run: str, order: str, amount: str = "1.10") -> str:
    """A payload of the topic as one line of a file."""
    return (
        f'{{"_metadata": {{"idempotencyKeyResource": "{run}-{order}"}}, '
        f'"event": {{"timestamp": "2026-01-18T10:00:00Z", "userId": "{run}", "amount": {amount}}}}}'
    )


def _recently() -> datetime:
    """Yesterday morning: both days of the story lie in the past, and far within the look-up's window."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=2)


def _changed_numbers(told: Story, standing: Standing) -> list[str]:
    """Where STANDARDIZED does not hold the source's text, or CURATED not all digits."""
    wrong = []
    for message in told.messages:
        if not message.kind.startswith("exact numbers"):
            continue
        for row in standing.tables["standardized", EVENTS]:
            if row["message_id"] == message.message_id:
                found = {name: row.get(name) for name in EXACT_TEXTS}
                wrong += [f"{message.message_id}: {found}"] if found != EXACT_TEXTS else []
        for row in standing.tables["curated", EVENTS]:
            if row["message_id"] == message.message_id and row.get("exact_number") != Decimal(EXACT_TEXTS["c"]):
                wrong.append(f"{message.message_id}: exact_number is {row.get('exact_number')}")
    return wrong


def _imbalance(books: Any) -> list[str]:
    return [str(books.counts()), *(str(variance) for variance in books.variances)]


def _unequal_sets(found: set[str], wanted: set[str]) -> list[str]:
    return [f"{item} is missing" for item in wanted - found] + [f"{item} is not ours" for item in found - wanted]
