"""The circuit breaker: when it opens, what a probe does, and what is left when one of them dies."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from tests.functional.local.cloud import package
from typer.testing import CliRunner

from ledgerlake import failpoints
from ledgerlake.cli import app
from ledgerlake.failpoints import Crashed
from ledgerlake.handlers import breaker as handlers_breaker
from ledgerlake.handlers import clients, intake, probe_breakers, processor
from ledgerlake.ops.probe import LEASE_SECONDS, Probe
from ledgerlake.settings import CircuitBreaker as Limits
from ledgerlake.state.breakers import Counts, Fault, Stand

REGION = "eu-central-1"
PREFIX = "ledgerlake-test-"
NOW = datetime(2026, 1, 18, 10, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEASE = timedelta(seconds=LEASE_SECONDS)
HALF = Counts(received=40, broken=20)
REFUSED = Counts(received=40, undelivered=40)


def good(number):
    return json.dumps({"message_id": f"m{number}", "publish_time": "2026-01-18T10:00:00Z", "json_payload": "{}"})


class Firehose:
    """A stream that keeps what it takes, or is away."""

    def __init__(self):
        self.away = False
        self.taken = []

    def put_record_batch(self, **request):
        if not self.away:
            self.taken += [json.loads(record["Data"])["message_id"] for record in request["Records"]]
        failure = [{"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "slow down"}]
        answers = failure if self.away else [{"RecordId": "r"}]
        return {
            "FailedPutCount": len(request["Records"]) if self.away else 0,
            "RequestResponses": answers * len(request["Records"]),
        }


@pytest.fixture
def firehose(monkeypatch):
    stream = Firehose()
    monkeypatch.setattr(clients, "firehose", lambda: stream)
    monkeypatch.setattr("ledgerlake.ops.forward.ATTEMPTS", 1)
    return stream


@pytest.fixture(autouse=True)
def disarmed():
    intake.dead_letters.cache_clear()
    yield
    failpoints.arm("")


@pytest.fixture
def queue(queues, settings):
    """The queue of `events`; what was received and not deleted is there again at once."""
    sqs = boto3.client("sqs", region_name=REGION)
    sqs.set_queue_attributes(QueueUrl=queues["events"], Attributes={"VisibilityTimeout": "0"})
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=settings.buckets.ops, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return queues["events"]


@pytest.fixture
def mapping(queue):
    """The state of the mapping from the queue to the processor."""
    trust = {"Version": "2012-10-17", "Statement": []}
    role = boto3.client("iam").create_role(RoleName="processor", AssumeRolePolicyDocument=json.dumps(trust))
    functions = boto3.client("lambda", region_name=REGION)
    functions.create_function(
        FunctionName=f"{PREFIX}processor",
        Runtime="python3.11",
        Role=role["Role"]["Arn"],
        Handler="fn.handle",
        Code={"ZipFile": package(fn="")},
    )
    arn = f"arn:aws:sqs:{REGION}:123456789012:{PREFIX}events"
    made = functions.create_event_source_mapping(FunctionName=f"{PREFIX}processor", EventSourceArn=arn)
    return lambda: functions.get_event_source_mapping(UUID=made["UUID"])["State"]


@pytest.fixture
def alerts(aws, received):
    """The subjects of the alerts since the last look."""
    topic = boto3.client("sns", region_name=REGION).create_topic(Name=f"{PREFIX}alerts")["TopicArn"]
    sqs = boto3.client("sqs", region_name=REGION)
    inbox = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:123456789012:inbox"
    boto3.client("sns", region_name=REGION).subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return lambda: [json.loads(body)["Subject"] for body, _ in received(inbox)]


OPENED = ["ledgerlake: events is no longer taken"]
CLOSED = ["ledgerlake: events is taken again"]


@pytest.fixture
def breaker(state_tables, mapping, alerts):
    return handlers_breaker.breaker()


@pytest.fixture
def probe(breaker, firehose):
    return Probe(breaker, clients.sqs(), PREFIX, intake.take)


@pytest.fixture
def send(queue):
    sqs = boto3.client("sqs", region_name=REGION)

    def send(*bodies):
        for body in bodies:
            sqs.send_message(QueueUrl=queue, MessageBody=body)

    return send


def stand(breaker):
    return breaker.breakers.get("events").stand


def test_a_batch_of_broken_messages_stops_its_topic_and_alerts(breaker, mapping, alerts, firehose, context):
    records = [
        {"messageId": f"s{n}", "body": body, "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:{PREFIX}events"}
        for n, body in enumerate([good(n) for n in range(10)] + ["broken"] * 10)
    ]
    assert processor.handle({"Records": records}, context) == {"batchItemFailures": []}
    assert len(firehose.taken) == 10
    assert (stand(breaker), mapping(), alerts()) == (Stand.OPEN, "Disabled", OPENED)
    assert breaker.breakers.get("events").reason == (
        "10 of 20 messages had a broken envelope, 0 could not be delivered"
    )


@pytest.mark.parametrize("counts", [Counts(19, broken=19), Counts(100, broken=49, undelivered=49)])
def test_few_messages_or_few_failures_stop_nothing(breaker, mapping, alerts, counts):
    assert breaker.record("events", counts, NOW) is None
    assert (stand(breaker), mapping(), alerts()) == (Stand.CLOSED, "Enabled", [])


def test_the_calls_of_one_window_count_together(breaker):
    assert breaker.record("events", Counts(10, undelivered=10), NOW) is None
    assert breaker.record("events", Counts(10), NOW).fault is Fault.UNDELIVERED


def test_the_calls_of_two_windows_do_not(breaker):
    assert breaker.record("events", Counts(19, broken=19), NOW) is None
    assert breaker.record("events", Counts(19, broken=19), NOW + MINUTE) is None
    assert breaker.breakers.get("events").counts == Counts(19, broken=19)


def test_a_call_that_is_late_counts_in_the_newest_window(breaker):
    breaker.record("events", Counts(1), NOW + MINUTE)
    breaker.record("events", Counts(2), NOW)
    assert breaker.breakers.get("events").counts == Counts(3)


def test_a_breaker_opens_once_and_alerts_once(breaker, alerts):
    assert breaker.record("events", HALF, NOW) is not None
    assert breaker.record("events", HALF, NOW) is None
    assert breaker.breakers.open("events", Fault.BROKEN, "late", NOW, 60) is None
    assert alerts() == OPENED


def test_messages_do_not_hang_on_the_breakers_table(firehose, queue, context):
    record = {"messageId": "s", "body": good(1), "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:{PREFIX}events"}
    assert processor.handle({"Records": [record]}, context) == {"batchItemFailures": []}
    assert firehose.taken == ["m1"]


def test_a_probe_waits_for_its_time(breaker, probe):
    breaker.record("events", HALF, NOW)
    assert probe.due(NOW + MINUTE - timedelta(seconds=1)) == []
    assert probe.due(NOW + MINUTE) == ["events"]


def test_good_messages_close_the_breaker_again(breaker, probe, mapping, alerts, send, queue, received, firehose):
    breaker.record("events", HALF, NOW)
    send(*(good(n) for n in range(3)))
    assert probe.run("events", NOW + MINUTE)
    assert sorted(firehose.taken) == ["m0", "m1", "m2"]
    assert (stand(breaker), mapping(), alerts()) == (Stand.CLOSED, "Enabled", OPENED + CLOSED)
    assert received(queue) == []
    assert breaker.record("events", Counts(19, broken=19), NOW + MINUTE) is None  # counting begins anew


def test_broken_messages_keep_it_open_for_ever_longer(breaker, probe, mapping, alerts, send, queues, received):
    breaker.record("events", HALF, NOW)
    at, pauses = NOW + MINUTE, []
    for _ in range(5):
        send(*["broken"] * 10)
        assert not probe.run("events", at)
        left = breaker.breakers.get("events")
        pauses.append(left.cool_down)
        assert left.probe_at == at + timedelta(seconds=left.cool_down)
        at = left.probe_at
    assert pauses == [120, 240, 480, 900, 900]
    assert (stand(breaker), mapping(), alerts()) == (Stand.OPEN, "Disabled", OPENED)
    assert len(received(queues["events-dlq"])) == 50


def test_while_firehose_is_away_a_probe_spends_one_try_of_one_message(breaker, probe, mapping, send, queue, firehose):
    breaker.record("events", REFUSED, NOW)
    send(*(good(n) for n in range(5)))
    firehose.away = True
    assert not probe.run("events", NOW + MINUTE)
    sqs = boto3.client("sqs", region_name=REGION)
    left = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])["Messages"]
    assert sorted(m["Attributes"]["ApproximateReceiveCount"] for m in left) == ["1", "1", "1", "1", "2"]
    assert (stand(breaker), mapping()) == (Stand.OPEN, "Disabled")


def test_an_empty_queue_closes_it(breaker, probe, mapping):
    breaker.record("events", HALF, NOW)
    assert probe.run("events", NOW + MINUTE)
    assert mapping() == "Enabled"


def test_messages_that_somebody_else_holds_prove_nothing(breaker, probe, mapping, send, queue):
    breaker.record("events", REFUSED, NOW)
    send(good(1))
    boto3.client("sqs", region_name=REGION).receive_message(QueueUrl=queue, VisibilityTimeout=600)
    assert not probe.run("events", NOW + MINUTE)
    assert breaker.breakers.get("events").probe_at == NOW + 2 * MINUTE
    assert mapping() == "Disabled"


def test_one_that_opens_again_soon_waits_longer(breaker, probe):
    breaker.record("events", HALF, NOW)
    probe.run("events", NOW + MINUTE)
    assert breaker.record("events", HALF, NOW + 2 * MINUTE).cool_down == 120
    probe.run("events", NOW + 4 * MINUTE)
    assert breaker.record("events", HALF, NOW + 60 * MINUTE).cool_down == 60


@pytest.mark.parametrize("point", ["breaker.after_open_before_stop", "breaker.before_alert"])
def test_whoever_dies_while_opening_it_the_probe_stops_the_topic_and_alerts(
    breaker, probe, mapping, alerts, send, point
):
    breaker.mappings.take("events", taken=False)
    send("broken")  # not through moto's mapping: it would look for Docker
    breaker.mappings.take("events", taken=True)
    failpoints.arm(f"{point}=crash*1")
    with pytest.raises(Crashed):
        breaker.record("events", HALF, NOW)
    assert alerts() == []
    probe.run("events", NOW + MINUTE)
    assert (stand(breaker), mapping(), alerts()) == (Stand.OPEN, "Disabled", OPENED)


def test_a_probe_that_dies_before_it_deletes_brings_copies_and_loses_nothing(breaker, probe, mapping, send, firehose):
    breaker.record("events", HALF, NOW)
    send(good(1))
    failpoints.arm("probe.after_forward_before_delete=crash*1")
    with pytest.raises(Crashed):
        probe.run("events", NOW + MINUTE)
    assert (stand(breaker), mapping()) == (Stand.HALF_OPEN, "Disabled")
    assert not probe.run("events", NOW + 2 * MINUTE)  # its claim still holds
    assert firehose.taken == ["m1"]
    assert probe.due(NOW + MINUTE + LEASE) == ["events"]
    assert probe.run("events", NOW + MINUTE + LEASE)
    assert firehose.taken == ["m1", "m1"]
    assert (stand(breaker), mapping()) == (Stand.CLOSED, "Enabled")


def test_a_probe_that_dies_while_closing_leaves_it_to_the_next(breaker, probe, mapping, alerts):
    breaker.record("events", HALF, NOW)
    failpoints.arm("breaker.after_start_before_close=crash*1")
    with pytest.raises(Crashed):
        probe.run("events", NOW + MINUTE)
    assert stand(breaker) == Stand.HALF_OPEN
    assert probe.run("events", NOW + MINUTE + LEASE)
    assert (stand(breaker), mapping(), alerts()) == (Stand.CLOSED, "Enabled", OPENED + CLOSED)


def test_one_that_a_person_opened_is_never_probed(breaker, probe, mapping, alerts):
    breaker.open_by_hand("events", "the sender is being moved", NOW)
    assert (mapping(), alerts()) == ("Disabled", [])
    assert probe.due(NOW + 1000 * MINUTE) == []
    assert not probe.run("events", NOW + 1000 * MINUTE)
    breaker.close_by_hand("events")
    assert (stand(breaker), mapping()) == (Stand.CLOSED, "Enabled")


def test_a_person_who_opens_it_during_a_probe_has_the_last_word(breaker, probe, mapping, send):
    breaker.record("events", HALF, NOW)
    send(good(1))

    def take(messages):
        breaker.open_by_hand("events", "not now", NOW)
        return intake.take(messages)

    assert not replace(probe, take=take).run("events", NOW + MINUTE)
    left = breaker.breakers.get("events")
    assert (left.stand, left.fault, left.reason, mapping()) == (Stand.OPEN, Fault.BY_HAND, "not now", "Disabled")


def test_a_person_who_closes_it_during_a_probe_has_the_last_word(breaker, probe, mapping, send):
    breaker.record("events", HALF, NOW)
    send("broken")

    def take(messages):
        result = intake.take(messages)
        breaker.close_by_hand("events")
        return result

    assert not replace(probe, take=take).run("events", NOW + MINUTE)
    assert (stand(breaker), mapping()) == (Stand.CLOSED, "Enabled")


def test_switched_off_it_opens_nothing_and_closes_what_it_had_opened(breaker, probe, mapping, send):
    breaker.record("events", HALF, NOW)
    off = replace(breaker, limits=Limits(enabled=False))
    assert replace(probe, breaker=off).run("events", NOW + MINUTE)
    assert mapping() == "Enabled"
    assert off.record("events", HALF, NOW + MINUTE) is None
    assert stand(breaker) == Stand.CLOSED


def test_a_tick_probes_what_is_due_and_a_topic_that_fails_stops_no_other(breaker, mapping, firehose, context):
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    breaker.record("events", HALF, long_ago)
    breaker.breakers.open("orders", Fault.BROKEN, "first", long_ago - MINUTE, 60)
    failpoints.arm("breaker.before_alert[orders]=transient")
    with pytest.raises(probe_breakers.ProbesFailed, match="orders"):
        probe_breakers.handle({}, context)
    assert (stand(breaker), mapping()) == (Stand.CLOSED, "Enabled")
    assert probe_breakers.handle({}, context) == {"probed": [], "closed": []}


def test_the_breaker_of_a_topic_that_was_removed_is_forgotten(breaker, probe):
    for close in (lambda: probe.run("removed", NOW + MINUTE), lambda: breaker.close_by_hand("removed")):
        breaker.breakers.open("removed", Fault.BROKEN, "its queue is gone", NOW, 60)
        close()
        assert breaker.breakers.all() == {}


def test_a_person_stops_and_starts_a_topic_from_the_command_line(breaker, mapping, monkeypatch, tmp_path):
    breaker.record("events", Counts(1), NOW)
    monkeypatch.chdir(tmp_path)  # no envs/ there: LEDGERLAKE_SETTINGS says which environment it is

    def ledgerlake(*arguments):
        result = CliRunner().invoke(app, ["breaker", *arguments], catch_exceptions=False)
        return result.exit_code, result.output

    assert ledgerlake("open", "events", "--reason", "the sender is being moved")[0] == 0
    assert mapping() == "Disabled"
    (told,) = json.loads(ledgerlake("show", "--json")[1])
    assert (told["stand"], told["fault"], told["reason"]) == ("open", "by_hand", "the sender is being moved")
    assert "none: it was opened by hand" in ledgerlake("show")[1]
    assert ledgerlake("close", "events")[0] == 0
    assert (mapping(), stand(breaker)) == ("Enabled", Stand.CLOSED)
    assert "no queue_urls['evnts']" in ledgerlake("open", "evnts")[1]
