"""Firehose to Iceberg tables: routing, AWS's refusals and what becomes of refused records."""

import base64
import json

import pytest
from botocore.exceptions import ClientError
from pyiceberg.schema import Schema
from pyiceberg.types import DecimalType, LongType, NestedField, StringType, TimestamptzType
from tests.functional.local.cloud import ACCOUNT, BUCKET, REGION, allow, package, root_catalog, until

DATABASE = "raw"
VISIBLE = ("events", "others", "old", "none")
SCHEMA = Schema(
    NestedField(1, "id", StringType(), required=True),
    NestedField(2, "at", TimestamptzType()),
    NestedField(3, "n", LongType()),
    NestedField(4, "price", DecimalType(6, 2)),
)
TRANSFORM = f"""
import base64, json

def handle(event, context):
    return {{"records": [answer for record in event["records"] for answer in answers(record)]}}

def answers(record):
    row = json.loads(base64.b64decode(record["data"]))
    do = row.pop("do", "")
    table = row.pop("table", "events")
    if do == "crash":
        raise ValueError("boom")
    if do == "lose":
        return []
    if do == "fail":
        return [{{"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}}]
    if do == "drop":
        return [{{"recordId": record["recordId"], "result": "Dropped"}}]
    route = {{"destinationDatabaseName": "{DATABASE}", "destinationTableName": table, "operation": "insert"}}
    data = base64.b64encode(json.dumps(row).encode()).decode()
    return [{{"recordId": record["recordId"], "result": "Ok", "data": data, "metadata": {{"otfMetadata": route}}}}]
"""


@pytest.fixture(scope="module")
def lake(cloud):
    catalog = root_catalog(cloud)
    catalog.create_namespace(DATABASE)
    for name, version in (("events", "2"), ("others", "2"), ("hidden", "2"), ("old", "1")):
        catalog.create_table(
            (DATABASE, name), SCHEMA, location=f"s3://{BUCKET}/{name}", properties={"format-version": version}
        )
    return catalog


@pytest.fixture(scope="module")
def stream(cloud, lake):
    role = cloud.role(
        "delivery",
        allow("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:transform"),
        allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"),
        allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{BUCKET}/*"),
        allow(
            ["glue:GetTable", "glue:UpdateTable"],
            [
                f"arn:aws:glue:{REGION}:{ACCOUNT}:{resource}"
                for resource in (
                    "catalog",
                    "database/raw",
                    "table/raw/events",
                    "table/raw/others",
                    "table/raw/old",
                    "table/raw/none",
                )
            ],
        ),
        service="firehose.amazonaws.com",
    )
    function = cloud.client("lambda").create_function(
        FunctionName="transform",
        Runtime="python3.11",
        Role=cloud.role("transformer", service="lambda.amazonaws.com"),
        Handler="fn.handle",
        Timeout=60,
        Code={"ZipFile": package(fn=TRANSFORM)},
    )["FunctionArn"]
    parameters = [
        {"ParameterName": "LambdaArn", "ParameterValue": function},
        {"ParameterName": "NumberOfRetries", "ParameterValue": "1"},
    ]
    cloud.client("firehose").create_delivery_stream(
        DeliveryStreamName="raw",
        IcebergDestinationConfiguration={
            "RoleARN": role,
            "CatalogConfiguration": {"CatalogARN": f"arn:aws:glue:{REGION}:{ACCOUNT}:catalog"},
            "BufferingHints": {"IntervalInSeconds": 60, "SizeInMBs": 5},
            "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": parameters}]},
            "S3Configuration": {
                "RoleARN": role,
                "BucketARN": f"arn:aws:s3:::{BUCKET}",
                "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/",
            },
        },
    )
    return cloud.client("firehose")


def put(stream, *rows):
    answer = stream.put_record_batch(
        DeliveryStreamName="raw", Records=[{"Data": row if isinstance(row, bytes) else json.dumps(row)} for row in rows]
    )
    assert answer["FailedPutCount"] == 0


def rows(lake, table, *ids):
    """The table's rows with these ids, once all are there."""

    def found():
        all_rows = lake.load_table((DATABASE, table)).scan().to_arrow().to_pylist()
        wanted = [row for row in all_rows if row["id"] in ids]
        return wanted if len(wanted) >= len(ids) else None

    return until(found)


def errors(cloud, kind, row_id):
    """The error documents of this kind whose record names this id, once there are any."""
    s3 = cloud.client("s3")

    def found():
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"errors/{kind}/").get("Contents", [])
        bodies = [s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed]
        documents = [json.loads(line) for body in bodies for line in body.splitlines()]
        return [each for each in documents if row_id.encode() in base64.b64decode(each["rawData"])]

    return until(found)


def test_records_go_to_the_tables_they_are_routed_to_in_one_append_each(lake, stream):
    before = len(lake.load_table((DATABASE, "events")).snapshots())
    put(stream, {"id": "a", "at": 1_768_730_400_123_456}, {"id": "b", "table": "others"}, {"id": "c", "price": 1.10})
    a, c = sorted(rows(lake, "events", "a", "c"), key=lambda row: row["id"])
    assert a["at"].isoformat() == "2026-01-18T10:00:00.123456+00:00"
    assert str(c["price"]) == "1.10"
    assert [row["id"] for row in rows(lake, "others", "b")] == ["b"]
    assert len(lake.load_table((DATABASE, "events")).snapshots()) == before + 1


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"id": "r1", "at": "2026-01-18T10:00:00Z"}, "Iceberg.SchemaTypeMismatch"),
        ({"id": "r2", "unknown": 1}, "Iceberg.MissingColumnWithinRecord"),
        ({"id": None, "n": 33}, "Iceberg.MissingColumnWithinRecord"),
        ({"id": "r4", "n": "12"}, "Iceberg.SchemaTypeMismatch"),
        ({"id": "r5", "n": 2**63}, "Iceberg.SchemaTypeMismatch"),
        ({"id": "r6", "price": 1.105}, "Iceberg.SchemaTypeMismatch"),
        ({"id": "r7", "ID": "x"}, "Iceberg.MissingColumnWithinRecord"),
        ({"id": "r8", "table": "none"}, "Iceberg.GlueTableNotFound"),
        ({"id": "r9", "table": "hidden"}, "Iceberg.AccessDenied"),
        ({"id": "r10", "table": "old"}, "Iceberg.UnsupportedFormatVersion"),
    ],
)
def test_what_does_not_fit_the_table_goes_to_the_error_prefix_and_the_rest_arrives(cloud, lake, stream, row, code):
    neighbour = f"next to {row}"
    put(stream, row, {"id": neighbour})
    assert rows(lake, "events", neighbour)
    [document] = errors(cloud, "iceberg-failed", f'"id": {json.dumps(row["id"])}')
    assert document["errorCode"] == code
    assert document["attemptsMade"] >= 1
    assert document["arrivalTimestamp"] <= document["attemptEndingTimestamp"]
    assert json.loads(base64.b64decode(document["rawData"])) == {k: v for k, v in row.items() if k != "table"}


@pytest.mark.parametrize(
    ("do", "code"),
    [
        ("fail", "Lambda.ProcessingFailedStatus"),
        ("lose", "Lambda.MissingRecordId"),
        ("crash", "Lambda.FunctionError"),
    ],
)
def test_what_the_transform_refuses_is_kept_as_it_was_put(cloud, stream, do, code):
    put(stream, {"id": f"x-{do}", "do": do})
    [document] = errors(cloud, "processing-failed", f"x-{do}")
    assert document["errorCode"] == code
    assert document["lambdaArn"].endswith(":function:transform")
    assert json.loads(base64.b64decode(document["rawData"])) == {"id": f"x-{do}", "do": do}


def test_a_dropped_record_is_no_error_and_not_delivered(cloud, lake, stream):
    put(stream, {"id": "gone", "do": "drop"}, {"id": "stays"})
    rows(lake, "events", "stays")
    assert not [
        row for row in lake.load_table((DATABASE, "events")).scan().to_arrow().to_pylist() if row["id"] == "gone"
    ]


def test_a_batch_over_four_mebibytes_is_refused(stream):
    with pytest.raises(ClientError, match="InvalidArgumentException"):
        put(stream, *[b"x" * 900_000] * 5)


def test_the_stream_is_described_with_its_error_bucket(stream):
    described = stream.describe_delivery_stream(DeliveryStreamName="raw")["DeliveryStreamDescription"]
    iceberg = described["Destinations"][0]["IcebergDestinationDescription"]
    assert iceberg["S3DestinationDescription"]["ErrorOutputPrefix"].startswith("errors/")
    assert iceberg["BufferingHints"] == {"IntervalInSeconds": 60, "SizeInMBs": 5}
