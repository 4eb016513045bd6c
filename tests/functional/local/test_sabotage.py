"""Failures armed in deployed functions and jobs, and everything as it was afterwards."""

import json

import pytest
from tests.functional.local.cloud import BUCKET, REGION, package

from ledgerlake.ops.environment import Environment, Outputs
from ledgerlake.ops.sabotage import ARGUMENT, VARIABLE, Saboteur
from ledgerlake.settings import Buckets, Databases, DynamodbTables, Settings

FUNCTION = "def handle(event, context):\n    return __import__('os').environ['LEDGERLAKE_SETTINGS']\n"
FAULT = "processor.before_put=transient@0.1"


@pytest.fixture(scope="module")
def environment(cloud):
    settings = Settings(
        prefix="sabotage",
        region=REGION,
        buckets=Buckets(**dict.fromkeys(Buckets.model_fields, BUCKET)),
        databases=Databases(**dict.fromkeys(Databases.model_fields, "d")),
        dynamodb_tables=DynamodbTables(**dict.fromkeys(DynamodbTables.model_fields, "t")),
        firehose_name="f",
        queue_prefix="q-",
        endpoint_url=cloud.instance.endpoint,
    )
    document = json.dumps({"prefix": "sabotage"}, separators=(",", ":"))
    cloud.client("lambda").create_function(
        FunctionName="sabotage-processor",
        Runtime="python3.11",
        Role=cloud.role("sabotage", service="lambda.amazonaws.com"),
        Handler="fn.handle",
        Code={"ZipFile": package(fn=FUNCTION)},
        Environment={"Variables": {VARIABLE: document, "POWERTOOLS_SERVICE_NAME": "processor"}},
    )
    cloud.client("glue").create_job(
        Name="sabotage-standardize",
        Role=cloud.role("sabotage-job"),
        GlueVersion="5.1",
        WorkerType="G.1X",
        NumberOfWorkers=2,
        Timeout=60,
        Command={"Name": "glueetl", "ScriptLocation": cloud.put("scripts/sabotage.py", "pass")},
        DefaultArguments={ARGUMENT: document, "--conf": "a=b"},
        ExecutionProperty={"MaxConcurrentRuns": 3},
    )
    with pytest.MonkeyPatch.context() as credentials:
        credentials.setenv("AWS_ACCESS_KEY_ID", "test")
        credentials.setenv("AWS_SECRET_ACCESS_KEY", "test")
        names = {"lambda_names": {"processor": "sabotage-processor"}}
        jobs = {"glue_job_names": {"standardize": "sabotage-standardize"}}
        yield Environment("local", Outputs(settings=settings, **names, **jobs))


def function_settings(cloud):
    answer = cloud.client("lambda").invoke(FunctionName="sabotage-processor", Payload=b"{}")
    return json.loads(json.loads(answer["Payload"].read()))


def job(cloud):
    described = cloud.client("glue").get_job(JobName="sabotage-standardize")["Job"]
    return {name: value for name, value in described.items() if name != "LastModifiedOn"}


def test_what_is_armed_fails_from_the_next_call_on_and_everything_is_as_it_was_in_the_end(cloud, environment):
    before = job(cloud)
    with Saboteur.at_work(environment) as saboteur:
        saboteur.arm_function("processor", FAULT)
        saboteur.arm_job("standardize", "standardize.before_commit=kill")
        assert function_settings(cloud) == {"prefix": "sabotage", "failpoints": FAULT}
        armed = job(cloud)
        assert json.loads(armed["DefaultArguments"][ARGUMENT])["failpoints"] == "standardize.before_commit=kill"
        assert {**armed, "DefaultArguments": before["DefaultArguments"]} == before
    assert function_settings(cloud) == {"prefix": "sabotage"}
    assert job(cloud) == before
    variables = cloud.client("lambda").get_function_configuration(FunctionName="sabotage-processor")["Environment"]
    assert variables["Variables"] == {VARIABLE: '{"prefix":"sabotage"}', "POWERTOOLS_SERVICE_NAME": "processor"}
