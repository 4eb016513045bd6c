import base64
import json
from types import SimpleNamespace

import pytest

from ledgerlake.handlers import firehose_transform
from ledgerlake.handlers.firehose_transform import handle, route


def record(text: str | bytes, number: int = 1) -> dict[str, str]:
    data = text.encode() if isinstance(text, str) else text
    return {"recordId": f"r{number}", "data": base64.b64encode(data).decode()}


def test_a_row_goes_to_its_topics_staging_table_unchanged():
    row = record('{"message_id":"m1","topic_name":"events","json_payload":"{\\"a\\": 1.10}"}')
    assert route(row, "lake_raw") == {
        "recordId": "r1",
        "result": "Ok",
        "data": row["data"],
        "metadata": {
            "otfMetadata": {
                "destinationDatabaseName": "lake_raw",
                "destinationTableName": "events_staging",
                "operation": "insert",
            }
        },
    }


def test_a_topic_name_inside_the_payload_routes_nothing():
    row = record('{"topic_name":"events","json_payload":"{\\"topic_name\\": \\"orders\\"}"}')
    assert route(row, "raw")["metadata"]["otfMetadata"]["destinationTableName"] == "events_staging"


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "{}",
        '{"topic_name": 7}',
        '{"topic_name": null}',
        '{"topic_name": "../events"}',
        '{"topic_name": "events\\n"}',
        b"\xff",
        "[" * 100_000,
    ],
)
def test_what_names_no_topic_is_marked_failed_and_kept(text):
    row = record(text)
    assert route(row, "raw") == {"recordId": "r1", "result": "ProcessingFailed", "data": row["data"]}


def test_data_that_is_no_base64_is_marked_failed():
    assert route({"recordId": "r1", "data": "%%%"}, "raw")["result"] == "ProcessingFailed"


def test_every_record_is_answered_once_and_in_order(lambda_environment):
    rows = [record('{"topic_name":"events"}', 1), record("broken", 2), record('{"topic_name":"orders"}', 3)]
    answers = handle({"records": rows}, SimpleNamespace(**lambda_environment))["records"]
    assert [(a["recordId"], a["result"]) for a in answers] == [("r1", "Ok"), ("r2", "ProcessingFailed"), ("r3", "Ok")]


def test_an_answer_stays_within_6_mb_by_failing_what_does_not_fit(lambda_environment, monkeypatch):
    monkeypatch.setattr(firehose_transform, "MAX_ANSWER_BYTES", 1500)
    rows = [record('{"topic_name":"events","pad":"' + "x" * 200 + '"}', n) for n in range(10)]
    answers = handle({"records": rows}, SimpleNamespace(**lambda_environment))["records"]
    assert [a["recordId"] for a in answers] == [row["recordId"] for row in rows]
    assert {a["result"] for a in answers} == {"Ok", "ProcessingFailed"}
    assert len(json.dumps(answers)) <= 1500
