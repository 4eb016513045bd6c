import copy
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote_plus

import boto3
import pytest

from ledgerlake.contracts.document import MAX_BYTES
from ledgerlake.failpoints import Crashed
from ledgerlake.handlers import ensure_tables, lakehouse, publish_contract
from ledgerlake.ops import publish
from ledgerlake.ops.candidates import Pending
from ledgerlake.state.contracts import ContractsBucket, as_metadata
from ledgerlake.state.gate import Gate, Overtaken
from ledgerlake.state.locks import LockHeld
from ledgerlake.state.store import State
from ledgerlake.tables import ensure

SOURCES = "".join(Path(module.__file__).read_text() for module in (publish, ensure))
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
    """Many changes in one."""
    document = copy.deepcopy(FIRST)
    document["payload_columns"][1]["type"] = "decimal(20,2)"
    document["payload_columns"][2]["type"] = "bigint"
    document["payload_columns"].insert(1, {"name": "kind", "type": "string", "source": "event.kind", "cde": True})
    document["rules"] = []
    document["accept"] = ["column_added:kind"]
    return json.dumps(document, indent=1).encode()


def renaming():
    """A rename and a wider type in one, another wider type, a new column."""
    document = copy.deepcopy(FIRST)
    document["payload_columns"][1] |= {"name": "total", "renamed_from": "amount", "type": "decimal(20,2)"}
    document["payload_columns"][2]["type"] = "bigint"
    document["payload_columns"].append({"name": "kind", "type": "string", "source": "event.kind"})
    document["rules"][0]["expression"] = "total >= 0"
    document["accept"] = ["column_renamed:total"]
    return json.dumps(document).encode()


def behind(publisher, gate):
    """The publisher with another gate."""
    return replace(publisher, gate=gate(publisher.gate._table))


def expire(publisher):
    """Let a publisher's turn run out while it works."""
    table = publisher.locks._table
    for item in table.scan()["Items"]:
        table.put_item(Item=item | {"expires_at": 0})


def submit(bucket, text, **options):
    """Put a contract where it waits; what announces it."""
    return Pending(TOPIC, bucket.put_object(Key=PENDING, Body=text, **options).version_id)


def read(bucket, key):
    return bucket.Object(key).get()["Body"].read()


def keys(bucket):
    return sorted(each.key for each in bucket.objects.all())


def columns(lake, layer="curated"):
    return {field.name: str(field.field_type) for field in lake.load(layer, TOPIC).schema().fields}


def fields(lake):
    """CURATED's columns by their field ids."""
    return {field.name: field.field_id for field in lake.load("curated", TOPIC).schema().fields}


def told(lake):
    """Each upload's version and outcome, in the order of their end."""
    found = sorted(rows(lake, "schema_versions"), key=lambda row: row["published_at"])
    return [(row["contract_version"], row["outcome"]) for row in found]


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
    assert {change["id"]: change["impact"] for change in json.loads(row["changes"])} == {
        "column_added:kind": "guarded",
        "type_widened:amount": "safe",
        "type_widened:pieces": "safe",
        "rule_removed:amount_not_negative": "safe",
    }


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


def test_a_guarded_change_is_refused_with_what_accepts_it(bucket, publisher):
    publisher.publish(submit(bucket, version()))
    changed = version(rules=[{"name": "few", "expression": "pieces < 9", "action": "quarantine"}])
    problems = {problem.pointer: problem for problem in publisher.publish(submit(bucket, changed)).problems}
    assert set(problems) == {"/rules/0", "/accept"}
    assert problems["/accept"].remedy == 'write "accept": ["rule_added:few"]'
    accepted = json.dumps(json.loads(changed) | json.loads(f"{{{problems['/accept'].remedy.removeprefix('write ')}}}"))
    assert publisher.publish(submit(bucket, accepted.encode())).status == "active"


class Rebuilds:
    """Remembers what it was asked to rebuild."""

    def __init__(self):
        self.started = []

    def ready(self, candidate):
        self.started.append(candidate)
        return False


def dropping(**fields):
    return version(payload_columns=FIRST["payload_columns"][:2], **fields)


def test_a_breaking_change_needs_a_reason(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    before = columns(lake)
    (problem,) = replace(publisher, rebuilds=Rebuilds()).publish(submit(bucket, dropping())).problems
    assert problem.pointer == "/payload_columns"
    assert "`pieces` is gone" in problem.message
    assert '"rebuild": {"reason": "…"}' in problem.remedy
    assert columns(lake) == before


def test_a_breaking_change_with_a_reason_waits_for_its_rebuild(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    before = (publisher.gate.get(TOPIC), lake.metadata_locations("curated"))
    rebuilding = replace(publisher, rebuilds=Rebuilds())
    pending = submit(bucket, dropping(rebuild={"reason": "nobody counts pieces"}))
    assert rebuilding.publish(pending).status == "rebuilding"
    assert (publisher.gate.get(TOPIC), lake.metadata_locations("curated")) == before
    assert PENDING in keys(bucket)
    (candidate,) = rebuilding.rebuilds.started
    with publisher.turn(TOPIC):
        assert publisher.put_in_force(candidate).version == 2
    assert PENDING not in keys(bucket)
    last = max(rows(lake, "schema_versions"), key=lambda row: row["contract_version"])
    assert (last["outcome"], last["reason"]) == ("active", "nobody counts pieces")


def test_where_nothing_can_rebuild_a_breaking_change_is_refused(bucket, publisher):
    publisher.publish(submit(bucket, version()))
    (problem,) = publisher.publish(submit(bucket, dropping(rebuild={"reason": "x"}))).problems
    assert problem.pointer == "/rebuild"


def test_a_rename_keeps_the_field_id_and_the_partition(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    before = fields(lake)
    document = json.loads(renaming())
    document["payload_columns"][0] |= {"name": "happened_at", "renamed_from": "event_time"}
    document["partition_by"] = ["day(happened_at)"]
    document["accept"] += ["column_renamed:happened_at"]
    assert publisher.publish(submit(bucket, json.dumps(document).encode())).version == 2
    after = fields(lake)
    assert (after["total"], after["happened_at"]) == (before["amount"], before["event_time"])
    assert columns(lake)["total"] == "decimal(20, 2)"
    assert not {"amount", "event_time"} & after.keys()
    assert [each.source_id for each in lake.load("curated", TOPIC).spec().fields] == [before["event_time"]]


def test_a_column_called_like_what_partitions_the_rows_is_refused(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    moved = copy.deepcopy(FIRST) | {"partition_by": ["day(happened_at)"], "accept": ["column_renamed:happened_at"]}
    moved["payload_columns"][0] |= {"name": "happened_at", "renamed_from": "event_time"}
    publisher.publish(submit(bucket, json.dumps(moved).encode()))
    before = columns(lake)
    moved["payload_columns"].append({"name": "event_time_day", "type": "string"})
    (problem,) = publisher.publish(submit(bucket, json.dumps(moved).encode())).problems
    assert (problem.pointer, problem.remedy) == ("/payload_columns", "name that column otherwise")
    assert "partitioned by a field `event_time_day`" in problem.message
    assert columns(lake) == before
    assert publisher.gate.get(TOPIC).contract_version == 2


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[]", b'"\\ud800"', b"null"])
def test_what_is_no_contract_at_all_fails_too(bucket, publisher, raw):
    assert publisher.publish(submit(bucket, raw)).status == "failed"
    assert keys(bucket) == sorted(FAILED)
    assert read(bucket, FAILED[0]) == raw
    assert publisher.gate.get(TOPIC) is None


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("errors", "has a table `errors` of its own"),
        ("Events", "is no topic's name"),
        ("my events", "is no topic's name"),
        ("%2e%2e", "is no topic's name"),
        ("event", "there is no topic `event`"),
    ],
)
def test_a_name_that_is_no_topics_is_refused_before_any_table_is_made(bucket, publisher, lake, topic, message):
    before = [*lake.metadata_locations("raw"), *lake.metadata_locations("standardized")]
    bucket.put_object(Key=f"schemas/{topic}/pending/schema.json", Body=version(table_name=topic))
    published = publisher.publish(Pending(topic))
    (problem,) = published.problems
    assert problem.pointer == "/table_name"
    assert message in problem.message
    assert keys(bucket) == [f"schemas/{topic}/failed/error.json", f"schemas/{topic}/failed/schema.json"]
    assert [*lake.metadata_locations("raw"), *lake.metadata_locations("standardized")] == before


def test_a_contract_of_another_topic_is_refused(bucket, publisher):
    (problem,) = publisher.publish(submit(bucket, version(table_name="orders"))).problems
    assert (problem.pointer, publisher.gate.get(TOPIC)) == ("/table_name", None)


def test_a_huge_file_is_refused_by_its_size(bucket, publisher, lake):
    class Unread(ContractsBucket):
        def get(self, key, version_id):
            raise AssertionError("it was read")

    pending = submit(bucket, b" " * (MAX_BYTES + 1))
    unread = replace(publisher, bucket=Unread(publisher.bucket.s3, bucket.name))
    (problem,) = unread.publish(pending).problems
    assert "358,401 bytes" in problem.message
    assert keys(bucket) == [FAILED[1]]
    (row,) = rows(lake, "schema_versions")
    assert (row["outcome"], row["contract"], row["contract_sha256"]) == ("failed", None, None)


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


def test_an_event_of_an_overwritten_contract_leaves_the_newer_one_alone(bucket, publisher, lake):
    stale, newer = submit(bucket, version()), submit(bucket, second())
    assert publisher.publish(stale).status == "superseded"
    assert keys(bucket) == [PENDING]
    assert publisher.publish(newer).status == "active"
    assert publisher.publish(stale).status == "superseded"
    assert read(bucket, ACTIVE) == second()
    assert keys(bucket) == [ACTIVE]
    assert told(lake) == [(None, "superseded"), (1, "active")]


def test_a_second_upload_waits_for_its_turn(bucket, publisher, lake):
    """While the first is at work the second is not begun; then it finds the first in force. Both are told."""
    first, waits = submit(bucket, version()), []

    class Interrupted(Gate):
        def admit(self, *arguments):
            waits.append(submit(bucket, version(owner="the second")))
            with pytest.raises(LockHeld):
                publisher.publish(waits[0])
            super().admit(*arguments)

    assert behind(publisher, Interrupted).publish(first).version == 1
    assert publisher.publish(waits[0]).version == 2
    assert json.loads(read(bucket, ACTIVE))["owner"] == "the second"
    assert publisher.publish(first).status == "superseded"
    assert told(lake) == [(1, "active"), (2, "active")]


def test_two_uploads_at_one_moment_are_published_one_after_the_other(bucket, publisher, lake):
    patient = replace(publisher, patience=30)
    pending = [submit(bucket, version(owner=owner)) for owner in ("one", "two")]
    with ThreadPoolExecutor(2) as both:
        ends = [end.status for end in both.map(patient.publish, pending)]
    assert ends == ["superseded", "active"]
    assert json.loads(read(bucket, ACTIVE))["owner"] == "two"
    assert sorted(told(lake), key=str) == [(1, "active"), (None, "superseded")]


def test_the_history_tells_who_why_and_what(bucket, publisher, lake):
    publisher.publish(submit(bucket, version()))
    said = as_metadata(uploaded_by="arn:aws:iam::1:user/ann", reason="no müsli")
    pending = submit(bucket, version(owner="ann"), Metadata=said)
    publisher.publish(replace(pending, principal="AWS:AIDA1"))
    publisher.publish(replace(submit(bucket, b"{"), principal="AWS:AIDA2"))
    _, second_row, refusal = sorted(rows(lake, "schema_versions"), key=lambda row: row["published_at"])
    assert second_row["uploaded_by"] == "arn:aws:iam::1:user/ann (AWS:AIDA1)"
    assert second_row["reason"] == "no müsli"
    assert json.loads(second_row["changes"])[0]["id"] == "owner_changed"
    assert second_row["field_ids"] == json.dumps({n: fields(lake)[n] for n in ("event_time", "amount", "pieces")})
    assert (refusal["uploaded_by"], refusal["contract_version"]) == ("(AWS:AIDA2)", None)
    assert "not JSON" in json.loads(refusal["problems"])[0]["message"]


def test_a_contract_put_in_while_another_is_published_is_not_taken_away(bucket, publisher):
    first = submit(bucket, version())

    class PutIn(Gate):
        def admit(self, *arguments):
            super().admit(*arguments)
            submit(bucket, second())

    behind(publisher, PutIn).publish(first)
    assert keys(bucket) == [ACTIVE, PENDING]
    assert read(bucket, PENDING) == second()


def test_a_contract_hidden_by_the_taking_away_of_another_is_still_published(bucket, publisher):
    hidden = submit(bucket, version())
    bucket.Object(PENDING).delete()
    assert publisher.publish(hidden).status == "active"


@pytest.mark.parametrize("theirs", [second(), version(owner="theirs")], ids=["other tables", "same tables"])
@pytest.mark.parametrize("moment", ["get", "admit"])
def test_of_two_publishers_whose_turn_ran_out_one_tries_again(bucket, publisher, moment, theirs):
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
                expire(publisher)
                assert publisher.publish(submit(bucket, theirs)).status == "active"

    with pytest.raises(Overtaken):
        behind(publisher, Slow).publish(mine)
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

    repeating = behind(publisher, Repeated)
    assert repeating.publish(submit(bucket, version())).status == "active"
    assert repeating.publish(submit(bucket, second())).status == "active"
    assert read(bucket, ACTIVE) == second()


POINTS = sorted(set(re.findall(r'failpoints\.hit\("(publish\.[a-z_]+)"', SOURCES)))
REFUSING = {"publish.after_refusal_row", "publish.after_failed"}
OPENED = {"publish.after_gate", "publish.after_taken_away"}


def dies(publisher, arm, pending, point):
    """Publish, and die at the point; whether the point was passed at all."""
    arm(f"{point}=crash*1")
    with pytest.raises(Crashed):
        publisher.publish(pending)
    arm("")


@pytest.mark.parametrize("point", [point for point in POINTS if point not in REFUSING])
def test_whatever_step_a_try_dies_at_the_next_one_finishes_it(bucket, publisher, lake, arm, point):
    publisher.publish(submit(bucket, version()))
    in_force = publisher.gate.get(TOPIC)
    pending = submit(bucket, second())
    dies(publisher, arm, pending, point)
    assert (publisher.gate.get(TOPIC) == in_force) == (point not in OPENED)
    assert publisher.publish(pending).status in {"active", "unchanged"}
    archived = f"schemas/events/archive/1-{in_force.contract_sha256}.json"
    assert keys(bucket) == [ACTIVE, archived]
    assert read(bucket, ACTIVE) == second()
    assert read(bucket, archived) == version()
    assert publisher.gate.get(TOPIC).contract_version == 2
    assert publisher.gate.get(TOPIC).contract_version_id == bucket.Object(ACTIVE).version_id
    assert told(lake) == [(1, "active"), (2, "active")]
    assert [row["contract_version"] for row in rows(lake, "topic_registry")] == [2]


@pytest.mark.parametrize("point", [point for point in POINTS if point not in REFUSING])
def test_whatever_step_a_try_dies_at_another_contract_takes_its_place(bucket, publisher, lake, arm, point):
    """It leaves renamed, wider and new columns behind; what comes next wants the column as it was, and another type."""
    publisher.publish(submit(bucket, version()))
    before = fields(lake)
    dies(publisher, arm, submit(bucket, renaming()), point)
    other = copy.deepcopy(FIRST)
    other["payload_columns"].append({"name": "kind", "type": "date", "source": "event.kind"})
    in_force = publisher.gate.get(TOPIC).contract_version == 2
    if in_force:  # then the other one is compared with it, and goes back
        other["payload_columns"][1] |= {"renamed_from": "total", "type": "decimal(20,2)"}
        other["payload_columns"][3]["name"] = "day_of"
        other["payload_columns"].append({"name": "kind", "type": "string", "source": "event.kind"})
        other["payload_columns"][2]["type"] = "bigint"
        other["accept"] = ["column_renamed:amount"]
    published = publisher.publish(submit(bucket, json.dumps(other).encode()))
    assert published.status == "active", published.problems
    assert keys(bucket)[0] == ACTIVE
    assert PENDING not in keys(bucket)
    after = fields(lake)
    assert after | before == after  # each column is the one that it was
    assert "total" not in after
    assert columns(lake)["day_of" if in_force else "kind"] == "date"
    numbers = [number for number, outcome in told(lake) if outcome == "active"]
    assert numbers[-1] == publisher.gate.get(TOPIC).contract_version == published.version
    assert len(numbers) == (3 if in_force else 2)


@pytest.mark.parametrize(("again", "status"), [(version(), "unchanged"), (b"{", "failed")], ids=["same", "wrong"])
def test_what_a_try_left_is_undone_where_no_other_contract_comes(bucket, publisher, lake, arm, again, status):
    publisher.publish(submit(bucket, version()))
    before = fields(lake)
    dies(publisher, arm, submit(bucket, renaming()), "publish.after_tables")
    assert "amount" not in fields(lake)
    assert publisher.publish(submit(bucket, again)).status == status
    assert fields(lake).items() >= before.items()
    assert "total" not in fields(lake)


def test_a_chain_of_renames_moves_each_name_on_by_one(bucket, publisher, lake, arm):
    """Also where a try of it died, and its author thought better of it and came back to it later."""
    publisher.publish(submit(bucket, version()))
    before = fields(lake)
    chain = copy.deepcopy(FIRST)
    chain["payload_columns"][1] |= {"name": "pieces", "renamed_from": "amount"}
    chain["payload_columns"][2] |= {"name": "count", "renamed_from": "pieces"}
    chain["rules"][0]["expression"] = "pieces >= 0"
    chain["accept"] = ["column_renamed:pieces", "column_renamed:count"]
    dies(publisher, arm, submit(bucket, json.dumps(chain).encode()), "publish.after_tables")
    assert publisher.publish(submit(bucket, version(owner="sales"))).version == 2
    assert fields(lake) == before
    assert publisher.publish(submit(bucket, json.dumps(chain).encode())).version == 3
    after = fields(lake)
    assert (after["pieces"], after["count"]) == (before["amount"], before["pieces"])
    assert "amount" not in after


def test_what_a_first_contract_left_makes_way_for_another(bucket, publisher, lake, arm):
    """Its table was never written; the next contract wants other partitions, and another type under the same name."""
    for point in ("publish.before_curated", "publish.after_tables", "publish.before_gate"):
        dies(publisher, arm, submit(bucket, version()), point)
    other = json.loads(version(partition_by=["month(amount)"]))
    other["payload_columns"][1] = {"name": "amount", "type": "date", "source": "event.day"}
    other["rules"] = []
    published = publisher.publish(submit(bucket, json.dumps(other).encode()))
    assert published.status == "active", published.problems
    assert columns(lake)["amount"] == "date"
    assert [field.name for field in lake.load("curated", TOPIC).spec().fields] == ["amount_month"]
    assert told(lake) == [(1, "superseded"), (2, "active")]


@pytest.mark.parametrize("point", sorted(REFUSING))
def test_a_refusal_that_died_is_told_once(bucket, publisher, lake, arm, point):
    pending = submit(bucket, b"{")
    dies(publisher, arm, pending, point)
    assert publisher.publish(pending).status == "failed"
    assert keys(bucket) == sorted(FAILED)
    assert told(lake) == [(None, "failed")]


@pytest.fixture
def function(publisher, settings, lake, monkeypatch):
    """The handlers, with this test's lake and state."""
    state = State.connect(settings, boto3.resource("dynamodb", region_name=REGION), publisher.bucket.s3)
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


@pytest.mark.parametrize("folder", ["..", ".", "", "events/../orders", "a/b"])
def test_a_key_without_a_topics_folder_is_logged_and_counted(function, bucket, context, monkeypatch, capsys, folder):
    key = f"schemas/{folder}/pending/schema.json"
    record = {"s3": {"bucket": {"name": bucket.name}, "object": {"key": quote_plus(key)}}}
    logged = []
    monkeypatch.setattr(publish_contract.logger, "error", lambda _message, extra: logged.append(extra["key"]))
    assert publish_contract.handle({"Records": [record]}, context) == {"contracts": []}
    assert logged == [key]
    assert "ContractsMisplaced" in capsys.readouterr().out
    assert keys(bucket) == []


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
