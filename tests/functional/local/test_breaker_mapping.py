"""The circuit breaker with a real event source mapping: what is on its queue stays there, and all of it arrives."""

import json
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.functional.local.cloud import ACCOUNT, REGION, allow, package, until

import ledgerlake
from ledgerlake.ops import accepted
from ledgerlake.ops.breaker import Alerts, CircuitBreaker
from ledgerlake.ops.mappings import Mappings
from ledgerlake.settings import CircuitBreaker as Limits
from ledgerlake.state.breakers import Breakers, Counts, Stand

PREFIX = "breaker-"
# One window and no pause: nothing here depends on when it happens.
LIMITS = {"window_seconds": 10**9, "cool_down_seconds": 0, "max_cool_down_seconds": 0}
PATHS = [str(Path(ledgerlake.__file__).parents[1]), sysconfig.get_path("purelib")]
HANDLER = "import sys\nsys.path += {paths}\nfrom ledgerlake.handlers.{module} import handle\n"


def arn(service, name):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def message(message_id):
    return json.dumps({"message_id": message_id, "publish_time": "2026-01-18T10:00:00Z", "json_payload": "{}"})


# As modules/ingest gives them to processor and probe.
STATEMENTS = [
    allow(
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
        arn("sqs", "breaker-*"),
    ),
    allow("sqs:SendMessage", arn("sqs", "breaker-*-dlq")),
    allow("firehose:PutRecordBatch", arn("firehose", "deliverystream/breaker-raw")),
    allow("s3:PutObject", "arn:aws:s3:::breaker-ops/accepted/*"),
    allow(
        ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Scan", "dynamodb:DeleteItem"],
        arn("dynamodb", "table/breaker-stands"),
    ),
    allow("lambda:ListEventSourceMappings", "*"),
    allow("lambda:UpdateEventSourceMapping", arn("lambda", "event-source-mapping:*"))
    | {"Condition": {"ArnEquals": {"lambda:FunctionArn": arn("lambda", "function:breaker-processor")}}},
    allow("sns:Publish", arn("sns", "breaker-alerts")),
]


@pytest.fixture(scope="module")
def lake(cloud):
    """Two topics, `events` and `orders`, from their queues to Firehose, and what tests ask of them."""
    clients = {name: cloud.client(name) for name in ("sqs", "lambda", "dynamodb", "sns", "s3", "firehose")}
    sqs = clients["sqs"]
    urls = {
        name: sqs.create_queue(QueueName=PREFIX + name)["QueueUrl"]
        for name in ("events", "events-dlq", "orders", "orders-dlq", "inbox")
    }
    clients["s3"].create_bucket(Bucket="breaker-ops")
    clients["dynamodb"].create_table(
        TableName="breaker-stands",
        KeySchema=[{"AttributeName": "topic", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "topic", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    clients["sns"].create_topic(Name="breaker-alerts")
    from_sns = allow("sqs:SendMessage", arn("sqs", "breaker-inbox")) | {"Principal": {"Service": "sns.amazonaws.com"}}
    policy = {"Version": "2012-10-17", "Statement": [from_sns]}
    sqs.set_queue_attributes(QueueUrl=urls["inbox"], Attributes={"Policy": json.dumps(policy)})
    clients["sns"].subscribe(
        TopicArn=arn("sns", "breaker-alerts"), Protocol="sqs", Endpoint=arn("sqs", "breaker-inbox")
    )
    destination = {"BucketARN": "arn:aws:s3:::breaker-ops", "RoleARN": cloud.role("breaker-firehose")}
    clients["firehose"].create_delivery_stream(
        DeliveryStreamName="breaker-raw", ExtendedS3DestinationConfiguration=destination
    )
    role = cloud.role("breaker", *STATEMENTS, service="lambda.amazonaws.com")
    for module in ("processor", "probe_breakers"):
        clients["lambda"].create_function(
            FunctionName=PREFIX + module,
            Runtime="python3.11",
            Role=role,
            Handler="fn.handle",
            Timeout=120,
            Code={"ZipFile": package(fn=HANDLER.format(paths=PATHS, module=module))},
            Environment={"Variables": {"LEDGERLAKE_SETTINGS": json.dumps(settings())}},
        )
    return SimpleNamespace(**clients, urls=urls, functions=clients["lambda"])


def settings():
    layers = ("landing", "raw", "standardized", "curated", "gold", "ops", "contracts", "artifacts")
    tables = ("checkpoints", "locks", "processing_enabled", "idempotency_keys", "file_registry")
    return {
        "prefix": "breaker",
        "region": REGION,
        "buckets": {layer: f"breaker-{layer}" for layer in layers},
        "databases": {layer: f"breaker_{layer}" for layer in ("raw", "standardized", "curated", "gold", "ops")},
        "dynamodb_tables": {table: f"breaker-{table}" for table in tables} | {"circuit_breakers": "breaker-stands"},
        "firehose_name": "breaker-raw",
        "queue_prefix": PREFIX,
        "alerts_topic_arn": arn("sns", "breaker-alerts"),
        "circuit_breaker": LIMITS,
    }


@pytest.fixture(scope="module")
def breaker(cloud, lake):
    """The breaker as a person's command line sees it."""
    dynamodb = boto3.resource(
        "dynamodb",
        region_name=REGION,
        endpoint_url=cloud.instance.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return CircuitBreaker(
        limits=Limits(**LIMITS),
        breakers=Breakers(dynamodb.Table("breaker-stands")),
        mappings=Mappings(lake.functions, lake.sqs, PREFIX),
        alerts=Alerts(lake.sns, arn("sns", "breaker-alerts")),
    )


@pytest.fixture(scope="module")
def mapped(lake):
    """The mappings of both topics, disabled; the poller looks at `events` before it looks at `orders`."""
    return {
        topic: lake.functions.create_event_source_mapping(
            FunctionName="breaker-processor",
            EventSourceArn=arn("sqs", PREFIX + topic),
            Enabled=False,
            BatchSize=100,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )["UUID"]
        for topic in ("events", "orders")
    }


def send(lake, queue, *bodies):
    for body in bodies:
        lake.sqs.send_message(QueueUrl=lake.urls[queue], MessageBody=body)


def taken(lake, topic):
    """What the accept log says of a topic: the message_ids that Firehose took, and how many messages were broken."""
    now = datetime.now(UTC)
    log = list(accepted.read(lake.s3, "breaker-ops", now - timedelta(hours=6), now + timedelta(hours=1), [topic]))
    return sorted(m.message_id for m in log if m.message_id), sum(m.handed_to == "dlq" for m in log)


def waiting(lake, queue):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = lake.sqs.get_queue_attributes(QueueUrl=lake.urls[queue], AttributeNames=names)["Attributes"]
    return tuple(int(found[name]) for name in names)


class Alerted:
    """The subjects of all alerts so far."""

    def __init__(self, lake):
        self.lake = lake
        self.subjects = []

    def __call__(self):
        inbox = {"QueueUrl": self.lake.urls["inbox"]}
        while got := self.lake.sqs.receive_message(**inbox, MaxNumberOfMessages=10).get("Messages"):
            for alert in got:
                self.subjects.append(json.loads(alert["Body"])["Subject"])
                self.lake.sqs.delete_message(**inbox, ReceiptHandle=alert["ReceiptHandle"])
        return self.subjects


@pytest.fixture(scope="module")
def alerted(lake):
    return Alerted(lake)


def test_a_topic_of_broken_messages_stops_and_a_probe_takes_it_again(lake, breaker, mapped, alerted):
    def state():
        return lake.functions.get_event_source_mapping(UUID=mapped["events"])["State"]

    def poller_was_round(message_id):
        """A message of `orders` is taken by the pass that looked at `events` before."""
        send(lake, "orders", message(message_id))
        until(lambda: message_id in taken(lake, "orders")[0])

    send(lake, "events", *["broken"] * 20)
    breaker.mappings.take("events", taken=True)
    breaker.mappings.take("orders", taken=True)
    until(lambda: state() == "Disabled")
    until(lambda: taken(lake, "events") == ([], 20))

    poller_was_round("o1")  # a pass that still thought it enabled is over
    ids = [f"e{n:02}" for n in range(15)]
    send(lake, "events", *map(message, ids))
    poller_was_round("o2")
    poller_was_round("o3")
    assert waiting(lake, "events") == (15, 0)
    assert breaker.breakers.get("events").stand is Stand.OPEN
    assert until(alerted) == ["ledgerlake: events is no longer taken"]
    until(lambda: breaker.breakers.get("events").alerted)  # else the probe would alert again

    answer = lake.functions.invoke(FunctionName="breaker-probe_breakers", Payload=b"{}")
    assert json.loads(answer["Payload"].read()) == {"probed": ["events"], "closed": ["events"]}
    until(lambda: taken(lake, "events")[0] == ids)  # the probe took ten, the mapping the others
    until(lambda: waiting(lake, "events") == (0, 0))
    assert breaker.breakers.get("events").stand is Stand.CLOSED
    until(lambda: alerted()[1:] == ["ledgerlake: events is taken again"])


def test_of_many_at_once_one_opens_the_breaker_and_alerts(lake, breaker, mapped, alerted):
    breaker.close_by_hand("orders")  # its past is forgotten
    now = datetime.now(UTC)
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: breaker.record("orders", Counts(10, broken=10), now), range(16)))
    assert sum(found is not None for found in opened) == 1
    left = breaker.breakers.get("orders")
    assert (left.stand, left.counts) == (Stand.OPEN, Counts(160, broken=160))
    assert lake.functions.get_event_source_mapping(UUID=mapped["orders"])["State"] == "Disabled"
    until(lambda: [s for s in alerted() if "orders" in s] == ["ledgerlake: orders is no longer taken"])


def test_a_breaker_may_not_stop_another_functions_mapping(cloud, lake, mapped):
    lake.functions.create_function(
        FunctionName="breaker-other",
        Runtime="python3.11",
        Role=f"arn:aws:iam::{ACCOUNT}:role/breaker",
        Handler="fn.handle",
        Code={"ZipFile": package(fn="")},
    )
    url = lake.sqs.create_queue(QueueName="another")["QueueUrl"]
    other = lake.functions.create_event_source_mapping(
        FunctionName="breaker-other", EventSourceArn=arn("sqs", "another")
    )
    functions = cloud.as_role(f"arn:aws:iam::{ACCOUNT}:role/breaker", "lambda")
    functions.update_event_source_mapping(UUID=mapped["events"], Enabled=False)
    with pytest.raises(ClientError, match="AccessDenied"):
        functions.update_event_source_mapping(UUID=other["UUID"], Enabled=False)
    lake.sqs.delete_queue(QueueUrl=url)
