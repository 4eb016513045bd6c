"""One topic of the real lakehouse, driven in this process; any step of it may die, as a killed process does."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from conservation.model import Contract, Message
from lakehouse import START, Lakehouse
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sqs.models import sqs_backends
from publishing import offer

from ledgerlake import failpoints
from ledgerlake.jobs.replay import replay
from ledgerlake.jobs.run import run
from ledgerlake.jobs.selection import Selection
from ledgerlake.ops import forward, steps
from ledgerlake.ops.dead_letters import DeadLetters
from ledgerlake.ops.drain import drain
from ledgerlake.ops.enqueue import MAX_BATCH_BYTES, Letter, Queue, QueueSender, batches
from ledgerlake.ops.redrive import Pace, redrive
from ledgerlake.ops.redrive import Selection as Undelivered
from ledgerlake.state.checkpoints import FENCE
from ledgerlake.tables import append
from ledgerlake.tables.definitions import DLQ_ERRORS
from ledgerlake.tables.ensure import ensure_topic
from ledgerlake.tables.lake import staging

STREAM = "raw"
DRAIN_MS = 60_000
AT_ONCE = 1_000_000


class Firehose:
    """A stream that holds what it takes until it is delivered to RAW."""

    def __init__(self) -> None:
        self.held: list[dict[str, Any]] = []

    def put_record_batch(self, **request: Any) -> dict[str, Any]:
        self.held += [json.loads(record["Data"]) for record in request["Records"]]
        return {"FailedPutCount": 0}


class Pipeline:
    """A topic with its queues, from its producers to CURATED. `died` is the point at which the last step died."""

    def __init__(self, house: Lakehouse, topic: str) -> None:
        self.house, self.topic = house, topic
        endpoint, region = house.lake.settings.endpoint_url, house.lake.settings.region
        self.sqs = boto3.client("sqs", region_name=region, endpoint_url=endpoint)
        self.prefix = f"{house.lake.settings.queue_prefix}{topic}-"  # drains look at all queues of a prefix
        self.queue, self.dead_letters = (
            self.sqs.create_queue(QueueName=self.prefix + topic + suffix)["QueueUrl"] for suffix in ("", "-dlq")
        )
        self.queues = QueueSender(self.sqs, self.prefix)
        self.firehose = Firehose()
        self.arrived = self.steps = self.replays = 0
        ensure_topic(house.lake, topic)

    def close(self) -> None:
        for url in (self.queue, self.dead_letters):
            self.sqs.delete_queue(QueueUrl=url)

    def dying(self, point: str | None, step: Callable[[], object]) -> bool:
        """Do a step; whether it died at the point. Its lock, if it took one, is there until time has passed."""
        failpoints.arm(f"{point}=crash*1" if point else "")
        died = True
        try:
            with suppress(failpoints.Crashed):
                step()
                died = False
        finally:
            failpoints.arm("")
        if died:
            self._leave_an_expired_lock()
        return died

    def _leave_an_expired_lock(self) -> None:
        fence = self.house.state.checkpoints._table.get_item(Key={"topic": self.topic, "stage": FENCE}).get("Item", {})
        held = {"topic": self.topic, "owner": "died", "fencing_token": fence.get("token", 0), "expires_at": 0}
        self.house.state.locks._table.put_item(Item=held)

    # Before RAW.

    def publish(self, contract: Contract) -> None:
        published = offer(self.house, contract.document(self.topic))
        assert published.status in ("active", "unchanged"), published

    def send(self, messages: Iterable[Message]) -> None:
        self._send(self.queue, map(letter, messages))

    def send_broken(self, message_id: str) -> None:
        """Send an envelope that has an id but no readable time."""
        broken = {"message_id": message_id, "publish_time": "noon", "json_payload": "{}"}
        self._send(self.queue, [Letter(json.dumps(broken), {})])

    def give_up(self, message: Message) -> None:
        """Have SQS move a message to the dead-letter queue, as it does once its receives have failed too often."""
        self._send(self.dead_letters, [letter(message)])

    def _send(self, url: str, letters: Iterable[Letter]) -> None:
        for batch in batches(letters):
            self.queues.send(Queue(url, MAX_BATCH_BYTES), batch)

    def deliver(self, *, acknowledged: bool = True) -> None:
        """Forward what is queued, each message at a moment of its own, and flush the stream to RAW."""
        letters = DeadLetters(self.sqs, self.prefix)
        received = self._received()
        for one in sorted(received, key=_source):
            message = forward.Message(one["MessageId"], self.topic, one["Body"], _source(one) or "sqs")
            now = START + timedelta(seconds=self.arrived)
            result = forward.forward([message], now, self.firehose, STREAM, letters)  # type: ignore[arg-type]
            assert not result.retry
            self.arrived += result.delivered
        append.append(self.house.lake.load("raw", staging(self.topic)), self.firehose.held)
        self.firehose.held = []
        if acknowledged:
            self._delete(received)
        else:
            self._let_time_pass()

    def _delete(self, received: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(received), 10):
            chosen = enumerate(received[start : start + 10])
            entries = [{"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]} for number, one in chosen]
            self.sqs.delete_message_batch(QueueUrl=self.queue, Entries=entries)  # type: ignore[arg-type]

    def _received(self) -> list[dict[str, Any]]:
        received: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, VisibilityTimeout=600, MessageAttributeNames=["All"]
        ).get("Messages"):
            received += messages  # type: ignore[arg-type]
        return received

    def _let_time_pass(self) -> None:
        """Make messages visible again that were received and not deleted."""
        backend = sqs_backends[DEFAULT_ACCOUNT_ID][self.house.lake.settings.region]
        for url in (self.queue, self.dead_letters):
            for message in backend.queues[url.rpartition("/")[2]]._messages:
                message.visible_at = 0

    def drain(self, die_at: str | None = None) -> bool:
        def step() -> None:
            table = self.house.lake.load("raw", DLQ_ERRORS)
            drain(self.sqs, self.prefix, lambda: table, lambda: DRAIN_MS)

        died = self.dying(die_at, step)
        if died:
            self._let_time_pass()
        return died

    def redrive(self, die_at: str | None = None) -> bool:
        self.steps += 1
        redrive_id, chosen = f"r{self.steps}", Undelivered(topics=(self.topic,))
        return self.dying(die_at, lambda: redrive(self.house.lake, self.queues, chosen, redrive_id, Pace(AT_ONCE)))

    # From RAW on.

    def begin(self, die_at: str | None = None) -> bool:
        """Plan a new cycle of this topic."""
        self.steps += 1
        self.cycle_id = f"{self.topic}-c{self.steps}"
        self.runs: steps.Runs = []
        return self._planning(
            die_at, lambda: steps.begin(self.house.lake, self.house.state, self.cycle_id, [self.topic])
        )

    def go_on(self, die_at: str | None = None) -> bool:
        """Plan the cycle's second stage."""
        return self._planning(die_at, lambda: steps.go_on(self.house.lake, self.house.state, self.cycle_id, self.runs))

    def _planning(self, die_at: str | None, plan: Callable[[], tuple[object, steps.Runs]]) -> bool:
        def step() -> None:
            _, self.runs = plan()

        return self.dying(die_at, step)

    def work(self, die_at: str | None = None) -> bool:
        """Do the planned stage's runs."""

        def step() -> None:
            for one in self.runs:
                run(self.house.context(self.cycle_id), self.house.state.cycles.get_request(one["request"]))

        return self.dying(die_at, step)

    def finish(self) -> None:
        """Close the cycle: it is green, and it balances."""
        ended = steps.finish(self.house.lake, self.house.state, self.cycle_id, self.runs)
        assert not ended.failed
        assert not ended.variances

    def replay(self, die_at: str | None = None, *, again: bool = False) -> bool:
        """Replay all open errors, as a new request or as the last one."""
        self.replays += not again
        request_id = f"{self.topic}-{self.replays}"
        context = self.house.context(f"replay-{request_id}")
        return self.dying(die_at, lambda: replay(context, self.topic, Selection(), request_id))


def letter(message: Message) -> Letter:
    """The message as its producer sends it; in the order of `source` what is queued is taken."""
    envelope = {
        "message_id": message.message_id,
        "publish_time": (START + timedelta(minutes=message.minute)).isoformat(),
        "json_payload": message.payload,
    }
    return Letter(json.dumps(envelope), {"source": f"producer#{message.number:04}"})


def _source(received: dict[str, Any]) -> str:
    given: str = received.get("MessageAttributes", {}).get("source", {}).get("StringValue", "")
    return given


def arrival(ingested: datetime) -> int:
    """Which row of RAW it was, as `deliver` counts them."""
    return (ingested.astimezone(UTC) - START) // timedelta(seconds=1)
