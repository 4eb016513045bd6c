import copy
import hashlib
import json

import boto3
import pytest

from ledgerlake.handlers import ensure_tables, lakehouse, publish_contract
from ledgerlake.ops import publish
from ledgerlake.ops.publish import Pending, Publisher
from ledgerlake.state.gate import Gate, Overtaken
from ledgerlake.state.store import State
from ledgerlake.tables.registry import SchemaVersions

REGION = "eu-central-1"
TOPIC = "events"
PENDING = "schemas/events/pending/schema.json"
ACTIVE = "schemas/events/active/schema.json"
FAILED = ("schemas/events/failed/schema.json", "schemas/events/failed/error.json")

FIRST = {
    "table_name": "events",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "event.id"}],
    "payload_columns": [
        {"name": "event_time", "type": "timestamp", "source": "event.timestamp", "cde": True},
        {"name": "amount", "type": "decimal(12,2)", "source": "event.amount", "default": "0.00"},
        {"name": "pieces", "type": "int", "source": "event.pieces"},
    ],
    "partition_by": ["day(event_time)"],
    "rules": [{"name": "amount_not_negative", "expression": "amount >= 0", "action": "fail"}],
}


def version(**fields):
    return json.dumps(FIRST | fields).encode()


def second():
    """Every change that is allowed in one."""
    document = copy.deepcopy(FIRST)
    document["payload_columns"][1]["type"] = "decimal(20,2)"
    document["payload_columns"][2]["type"] = "bigint"
    document["payload_columns"].insert(1, {"name": "kind", "type": "string", "source": "event.kind", "cde": True})
    document["rules"] = []
    return json.dumps(document, indent=1).encode()


@pytest.fixture
def bucket(settings):
    s3 = boto3.client("s3", region_name=REGION)
    name = settings.buckets.contracts
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return boto3.resource("s3", region_name=REGION).Bucket(name)


@pytest.fixture
def publisher(bucket, state_tables, lake):
    return Publisher(boto3.client("s3", region_name=REGION), Gate(state_tables["processing_enabled"]), lake)


def submit(bucket, text):
    """Put a contract where it waits; what announces it."""
    return Pending(bucket.name, TOPIC, bucket.put_object(Key=PENDING, Body=text).version_id)


def read(bucket, key):
    return bucket.Object(key).get()["Body"].read()


def keys(bucket):
    return sorted(each.key for each in bucket.objects.all())


def columns(lake, layer="curated"):
    return {field.name: str(field.field_type) for field in lake.load(layer, TOPIC).schema().fields}


def rows(lake, table):
    return lake.load("ops", table).scan().to_arrow().to_pylist()


def test_a_first_contract_comes_into_force(bucket, publisher, lake):
    text = version()
    published = publisher.publish(submit(bucket, text))
    assert (published.status, published.version) == ("active", 1)
    assert keys(bucket) == [ACTIVE]
    assert read(bucket, ACTIVE) == text
    admission = publisher.gate.get(TOPIC)
    assert admission.enabled
    assert admission.curated
    assert admission.contract_version == 1
    assert admission.contract_sha256 == hashlib.sha256(text).hexdigest()
    assert admission.contract_version_id == bucket.Object(ACTIVE).version_id
    assert columns(lake)["amount"] == "decimal(12, 2)"
    (row,) = rows(lake, "schema_versions")
    assert (row["contract_version"], row["contract"], row["changes"]) == (1, text.decode(), "[]")
    (registered,) = rows(lake, "topic_registry")
    assert (registered["topic_name"], registered["contract_version"], registered["curated"]) == (TOPIC, 1, True)


def test_a_new_version_evolves_the_tables_and_archives_the_old_one(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    published = publisher.publish(submit(bucket, second()))
    assert (published.status, published.version) == ("active", 2)
    archived = f"schemas/events/archive/1-{hashlib.sha256(version()).hexdigest()}.json"
    assert keys(bucket) == [ACTIVE, archived]
    assert read(bucket, ACTIVE) == second()
    assert read(bucket, archived) == version()
    assert columns(lake) | {"kind": "string", "pieces": "long", "amount": "decimal(20, 2)"} == columns(lake)
    row = max(rows(lake, "schema_versions"), key=lambda row: row["contract_version"])
    assert {change["kind"] for change in json.loads(row["changes"])} == {"column_added", "type_widened", "rule_removed"}


def test_the_same_bytes_again_change_nothing(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    before = (publisher.gate.get(TOPIC), bucket.Object(ACTIVE).version_id, lake.metadata_locations("curated"))
    assert publisher.publish(submit(bucket, version())).status == "unchanged"
    assert (publisher.gate.get(TOPIC), bucket.Object(ACTIVE).version_id, lake.metadata_locations("curated")) == before
    assert keys(bucket) == [ACTIVE]
    assert len(rows(lake, "schema_versions")) == 1


def test_a_wrong_contract_fails_with_what_to_do_and_the_active_one_stays_in_force(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    before = publisher.gate.get(TOPIC)
    wrong = version(partition_by=["day(event_tme)"], rules=[{"name": "a", "expression": "amount >", "action": "warn"}])
    assert publisher.publish(submit(bucket, wrong)).status == "failed"
    assert keys(bucket) == sorted([ACTIVE, *FAILED])
    assert read(bucket, FAILED[0]) == wrong
    error = json.loads(read(bucket, FAILED[1]))
    assert error["topic"] == TOPIC
    assert error["failed_at"]
    assert {problem["pointer"] for problem in error["problems"]} == {"/partition_by/0", "/rules/0/expression"}
    assert any("`event_time`" in problem["remedy"] for problem in error["problems"])
    assert read(bucket, ACTIVE) == version()
    assert publisher.gate.get(TOPIC) == before


def test_a_change_that_the_tables_cannot_follow_fails_with_its_reason(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    before = columns(lake)
    assert publisher.publish(submit(bucket, version(payload_columns=FIRST["payload_columns"][:2]))).status == "failed"
    (problem,) = json.loads(read(bucket, FAILED[1]))["problems"]
    assert problem["pointer"] == "/payload_columns"
    assert "`pieces` is gone" in problem["message"]
    assert columns(lake) == before


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[]", b'"\\ud800"', b"null"])
def test_what_is_no_contract_at_all_fails_too(bucket, publisher, raw):
    assert publisher.publish(submit(bucket, raw)).status == "failed"
    assert keys(bucket) == sorted(FAILED)
    assert read(bucket, FAILED[0]) == raw
    assert publisher.gate.get(TOPIC) is None


def test_a_topic_named_like_one_of_the_lakes_own_tables_is_refused(bucket, publisher):
    bucket.put_object(Key="schemas/errors/pending/schema.json", Body=version(table_name="errors"))
    published = publisher.publish(Pending(bucket.name, "errors"))
    assert [problem.pointer for problem in published.problems] == ["/table_name"]


def test_columns_may_come_after_a_time_of_standardizing_only(bucket, publisher, lake):
    publisher.publish(submit(bucket, version(payload_columns=[], partition_by=[], rules=[])))
    assert not publisher.gate.get(TOPIC).curated
    assert lake.find("curated", TOPIC) is None
    assert publisher.publish(submit(bucket, version())).status == "active"
    assert publisher.gate.get(TOPIC).curated
    assert [field.name for field in lake.load("curated", TOPIC).spec().fields] == ["event_time_day"]


def test_a_disabled_topic_stays_disabled_when_its_contract_changes(bucket, publisher):
    publisher.publish(submit(bucket, version()))
    publisher.gate.set_enabled(TOPIC, enabled=False, reason="being repaired")
    publisher.publish(submit(bucket, second()))
    admission = publisher.gate.get(TOPIC)
    assert (admission.contract_version, admission.enabled, admission.reason) == (2, False, "being repaired")


def test_an_event_of_an_overwritten_contract_leaves_the_newer_one_alone(bucket, publisher):
    stale, newer = submit(bucket, version()), submit(bucket, second())
    assert publisher.publish(stale).status == "superseded"
    assert keys(bucket) == [PENDING]
    assert publisher.publish(newer).status == "active"
    assert publisher.publish(stale).status == "superseded"
    assert read(bucket, ACTIVE) == second()
    assert keys(bucket) == [ACTIVE]


def test_a_contract_put_in_while_another_is_published_is_not_taken_away(bucket, publisher):
    first = submit(bucket, version())

    class PutIn(Gate):
        def admit(self, *arguments):
            super().admit(*arguments)
            submit(bucket, second())

    Publisher(publisher.s3, PutIn(publisher.gate._table), publisher.lake).publish(first)
    assert keys(bucket) == [ACTIVE, PENDING]
    assert read(bucket, PENDING) == second()


def test_a_contract_hidden_by_the_taking_away_of_another_is_still_published(bucket, publisher):
    hidden = submit(bucket, version())
    bucket.Object(PENDING).delete()
    assert publisher.publish(hidden).status == "active"


@pytest.mark.parametrize("theirs", [second(), version(owner="theirs")], ids=["other tables", "same tables"])
@pytest.mark.parametrize("moment", ["get", "admit"])
def test_of_two_publishers_at_one_moment_one_tries_again(bucket, publisher, moment, theirs):
    publisher.publish(submit(bucket, version()))
    mine = submit(bucket, version(owner="mine"))
    calls = []

    class Slow(Gate):
        def get(self, topic):
            admission = super().get(topic)
            self.overtake("get")
            return admission

        def admit(self, *arguments):
            self.overtake("admit")
            super().admit(*arguments)

        def overtake(self, now):
            if now == moment and not calls:
                calls.append(now)
                assert publisher.publish(submit(bucket, theirs)).status == "active"

    with pytest.raises(Overtaken):
        Publisher(publisher.s3, Slow(publisher.gate._table), publisher.lake).publish(mine)
    assert publisher.publish(mine).status == "superseded"
    assert read(bucket, ACTIVE) == theirs
    assert publisher.gate.get(TOPIC).contract_version_id == bucket.Object(ACTIVE).version_id


def test_a_lost_gate_is_restored_by_publishing_again(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    publisher.publish(submit(bucket, second()))
    publisher.gate._table.delete_item(Key={"topic": TOPIC})
    published = publisher.publish(submit(bucket, second()))
    assert (published.status, published.version) == ("active", 2)
    assert publisher.gate.get(TOPIC).contract_version_id == bucket.Object(ACTIVE).version_id
    assert len(rows(lake, "schema_versions")) == 2


def test_an_answer_that_got_lost_is_no_other_publisher(bucket, publisher):
    class Repeated(Gate):
        def admit(self, *arguments):
            super().admit(*arguments)
            super().admit(*arguments)

    repeating = Publisher(publisher.s3, Repeated(publisher.gate._table), publisher.lake)
    assert repeating.publish(submit(bucket, version())).status == "active"
    assert repeating.publish(submit(bucket, second())).status == "active"
    assert read(bucket, ACTIVE) == second()


class Crash(Exception):
    """The process dies here."""


class Fuse:
    """Counts the steps that change something, and dies before or after one of them."""

    def __init__(self, at=-1, after=False):
        self.steps, self.at, self.after = 0, at, after

    def guard(self, step):
        def guarded(*arguments, **options):
            number, self.steps = self.steps, self.steps + 1
            if number == self.at and not self.after:
                raise Crash
            result = step(*arguments, **options)
            if number == self.at:
                raise Crash
            return result

        return guarded


class Fused:
    def __init__(self, inner, fuse, names):
        self._inner, self._fuse, self._names = inner, fuse, names

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        return self._fuse.guard(found) if name in self._names else found


def fused(publisher, monkeypatch, fuse):
    monkeypatch.setattr(publish, "ensure_contract", fuse.guard(publish.ensure_contract))
    monkeypatch.setattr(publish, "register", fuse.guard(publish.register))
    monkeypatch.setattr(SchemaVersions, "add", fuse.guard(SchemaVersions.add))
    return Publisher(
        Fused(publisher.s3, fuse, ("put_object", "delete_object")),
        Fused(publisher.gate, fuse, ("admit",)),
        publisher.lake,
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(7))
def test_whatever_step_a_try_dies_at_the_next_one_finishes_it(bucket, publisher, lake, monkeypatch, step, after):
    publisher.publish(submit(bucket, version()))
    in_force = publisher.gate.get(TOPIC)
    pending = submit(bucket, second())
    with monkeypatch.context() as patches, pytest.raises(Crash):
        fused(publisher, patches, Fuse(step, after)).publish(pending)
    if step < 5 or (step == 5 and not after):  # the gate is the sixth step
        assert publisher.gate.get(TOPIC) == in_force
    published = publisher.publish(pending)
    assert published.status in {"active", "unchanged"}
    archived = f"schemas/events/archive/1-{in_force.contract_sha256}.json"
    assert keys(bucket) == [ACTIVE, archived]
    assert read(bucket, ACTIVE) == second()
    assert read(bucket, archived) == version()
    assert publisher.gate.get(TOPIC).contract_version == 2
    assert publisher.gate.get(TOPIC).contract_version_id == bucket.Object(ACTIVE).version_id
    assert sorted(row["contract_version"] for row in rows(lake, "schema_versions")) == [1, 2]
    assert [row["contract_version"] for row in rows(lake, "topic_registry")] == [2]


def test_the_steps_of_publishing_are_those_that_the_crashes_cover(bucket, publisher, monkeypatch):
    publisher.publish(submit(bucket, version()))
    fuse = Fuse()
    fused(publisher, monkeypatch, fuse).publish(submit(bucket, second()))
    assert fuse.steps == 7


@pytest.fixture
def function(publisher, settings, lake, monkeypatch):
    """The handlers, with this test's lake and state."""
    state = State.connect(settings, boto3.resource("dynamodb", region_name=REGION), publisher.s3)
    for module in (publish_contract, ensure_tables, lakehouse):
        monkeypatch.setattr(module, "lake", lambda: lake, raising=False)
        monkeypatch.setattr(module, "state", lambda: state, raising=False)


def test_the_function_publishes_what_a_notification_announces(bucket, function, publisher, context):
    pending = submit(bucket, version())
    obj = {"key": "schemas%2Fevents%2Fpending%2Fschema.json", "versionId": pending.version_id}
    answer = publish_contract.handle({"Records": [{"s3": {"bucket": {"name": bucket.name}, "object": obj}}]}, context)
    assert answer["contracts"] == [{"topic": TOPIC, "status": "active", "version": 1, "problems": []}]


def test_the_function_publishes_what_eventbridge_announces(bucket, function, publisher, context):
    submit(bucket, version(rules=[{"name": "a", "expression": "sum(amount) > 0", "action": "warn"}]))
    event = {"detail": {"bucket": {"name": bucket.name}, "object": {"key": PENDING}}}
    (told,) = publish_contract.handle(event, context)["contracts"]
    assert told["status"] == "failed"
    assert told["problems"][0]["pointer"] == "/rules/0/expression"


def test_other_objects_of_the_bucket_announce_nothing(function, context):
    record = {"s3": {"bucket": {"name": "b"}, "object": {"key": ACTIVE}}}
    assert publish_contract.handle({"Records": [record]}, context) == {"contracts": []}


def test_ensure_tables_makes_what_is_missing_and_tells_the_same_each_time(function, lake, context):
    answer = ensure_tables.handle({"topics": ["orders", "events"]}, context)
    assert answer == {"topics": ["events", "orders"]}
    assert {"orders_staging", "events_staging", "dlq_errors"} <= set(lake.metadata_locations("raw"))
    assert {row["topic_name"] for row in rows(lake, "topic_registry")} == {"events", "orders"}
    before = lake.metadata_locations("ops")
    assert ensure_tables.handle({"topics": ["orders", "events"]}, context) == answer
    assert lake.metadata_locations("ops") == before
