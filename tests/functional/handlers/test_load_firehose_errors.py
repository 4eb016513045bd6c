import base64
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from ledgerlake.failpoints import Crashed
from ledgerlake.handlers import load_firehose_errors
from ledgerlake.ops import firehose_errors as loading
from ledgerlake.tables import append

REGION = "eu-central-1"
PREFIX = "firehose-errors/iceberg-failed/2026/01/18/10/lake-raw-1-"


@pytest.fixture
def s3(settings):
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=settings.buckets.raw, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


@pytest.fixture
def fail(s3, settings):
    """Put an error object of these records, as Firehose does; returns its key."""

    def put(name, *records):
        body = "".join(json.dumps(record) + "\n" if isinstance(record, dict) else record for record in records)
        s3.put_object(Bucket=settings.buckets.raw, Key=PREFIX + name, Body=body.encode())
        return PREFIX + name

    return put


@pytest.fixture
def load(lake, context, monkeypatch):
    monkeypatch.setattr(load_firehose_errors, "lake", lambda: lake)
    return lambda: load_firehose_errors.handle({}, context)


@pytest.fixture
def rows(lake):
    return lambda: sorted(
        lake.load("raw", "firehose_errors").scan().to_arrow().to_pylist(), key=lambda row: str(row["message_id"])
    )


def document(data, **more):
    """A record as Firehose's error documents hold it."""
    return {
        "attemptsMade": 4,
        "arrivalTimestamp": 1768730400000,
        "errorCode": "Iceberg.NoSuchTable",
        "errorMessage": "there is no such table",
        "attemptEndingTimestamp": 1768730405123,
        "rawData": base64.b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).decode(),
        **more,
    }


def test_each_record_that_firehose_gave_up_is_a_row_with_its_reason(s3, fail, load, rows):
    record = {"message_id": "m1", "topic_name": "events", "json_payload": "{}"}
    key = fail("a", document(record), document({"message_id": "m2", "topic_name": "orders"}, lambdaArn="arn"))
    assert load() == {"objects": 1, "records": 2}
    first, second = rows()
    assert first == {
        "message_id": "m1",
        "topic_name": "events",
        "record": json.dumps(record),
        "error_code": "Iceberg.NoSuchTable",
        "error_message": "there is no such table",
        "attempts": 4,
        "object_key": key,
        "failed_at": datetime(2026, 1, 18, 10, 0, 5, 123000, tzinfo=UTC),
        "resolved_by": None,
        "resolved_at": None,
    }
    assert (second["message_id"], second["topic_name"]) == ("m2", "orders")


@pytest.mark.parametrize(
    ("line", "record", "code"),
    [
        (document(b"no JSON"), "no JSON", "Iceberg.NoSuchTable"),
        (document(b"\xff"), "base64:/w==", "Iceberg.NoSuchTable"),
        (document([1]), "[1]", "Iceberg.NoSuchTable"),
        ("not Firehose's\n", "not Firehose's", "unreadable"),
        ('{"rawData": "?"}\n', '{"rawData": "?"}', "unreadable"),
    ],
)
def test_what_names_no_message_is_kept_all_the_same(s3, fail, load, rows, line, record, code):
    fail("a", line)
    assert load()["records"] == 1
    [row] = rows()
    assert (row["message_id"], row["topic_name"], row["record"], row["error_code"]) == (None, None, record, code)
    assert row["failed_at"] is not None


def test_without_errors_the_table_is_not_even_opened(s3, load, monkeypatch):
    monkeypatch.setattr(load_firehose_errors, "lake", lambda: pytest.fail("opened"))
    assert load() == {"objects": 0, "records": 0}


def test_an_object_is_loaded_once_and_stays(s3, fail, load, rows, lake):
    fail("a", document({"message_id": "m1"}))
    load()
    assert load() == {"objects": 0, "records": 0}
    fail("b", document({"message_id": "m2"}))
    assert load() == {"objects": 1, "records": 1}
    assert [row["message_id"] for row in rows()] == ["m1", "m2"]
    assert len(lake.load("raw", "firehose_errors").snapshots()) == 2


def test_a_load_that_died_after_its_write_leaves_nothing_to_load(s3, fail, load, rows, arm):
    fail("a", document({"message_id": "m1"}))
    arm("firehose_errors.after_write_before_mark=crash*1")
    with pytest.raises(Crashed):
        load()
    assert load() == {"objects": 0, "records": 0}
    assert [row["message_id"] for row in rows()] == ["m1"]


def test_two_loads_at_once_bring_each_record_once(s3, fail, load, rows, lake, settings, monkeypatch):
    fail("a", document({"message_id": "m1"}))
    real = append.to_arrow
    other = iter([lambda: loading.load(s3, settings.buckets.raw, table, lambda: 300_000)])

    def table():
        return lake.load("raw", "firehose_errors")

    def overtaken(*arguments):
        frame = real(*arguments)
        next(other, lambda: None)()  # another run commits between the look and the commit
        return frame

    monkeypatch.setattr(append, "to_arrow", overtaken)
    assert load() == {"objects": 0, "records": 0}
    assert [row["message_id"] for row in rows()] == ["m1"]


def test_what_is_over_one_commits_size_is_loaded_by_the_next_commit(s3, fail, load, rows, lake, monkeypatch):
    monkeypatch.setattr(loading, "CHUNK_OBJECTS", 2)
    for number in range(5):
        fail(str(number), document({"message_id": f"m{number}"}))
    assert load() == {"objects": 5, "records": 5}
    assert len(lake.load("raw", "firehose_errors").snapshots()) == 3
    assert len(rows()) == 5


def test_a_load_out_of_time_leaves_the_newest_for_the_next(s3, fail, load, rows, context, monkeypatch):
    monkeypatch.setattr(loading, "CHUNK_OBJECTS", 1)
    for number in range(3):
        fail(str(number), document({"message_id": f"m{number}"}))
    times = iter([300_000, 300_000])
    context.get_remaining_time_in_millis = lambda: next(times, 1_000)
    assert load()["objects"] == 2
    context.get_remaining_time_in_millis = lambda: 300_000
    assert load()["objects"] == 1
    assert len(rows()) == 3


def test_objects_loaded_long_ago_are_not_read_again(s3, fail, load, lake, settings, monkeypatch):
    fail("a", document({"message_id": "m1"}))
    load()
    table = lake.load("raw", "firehose_errors")
    later = loading.loaded_until(table) + timedelta(days=1)
    append.append(table, [{"message_id": "m2", "object_key": "z"}], {loading.LOADED_UNTIL: later.isoformat()})
    monkeypatch.setattr(loading, "_known", lambda *_: pytest.fail("looked up"))
    assert load() == {"objects": 0, "records": 0}
