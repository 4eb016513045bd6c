"""Lambda functions on the emulator: what they see, and what they cost."""

import json

import pytest
from tests.functional.local.cloud import package

HANDLER = """
import os, sys

def handle(event, context):
    import boto3
    return {
        "endpoint": os.environ.get("AWS_ENDPOINT_URL"),
        "who": boto3.client("sts").get_caller_identity()["Arn"],
        "here": os.path.dirname(os.path.abspath(__file__)),
        "setting": os.environ.get("SETTING"),
    }
"""
MORTAL = """
import os, signal

def handle(event, context):
    if event.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"
"""
NEEDS_MORE = "def handle(event, context):\n    import pyarrow\n"


@pytest.fixture(scope="module")
def deploy(cloud):
    role = cloud.role("functions", service="lambda.amazonaws.com")

    def deploy(name, text, runtime="python3.11"):
        cloud.client("lambda").create_function(
            FunctionName=name,
            Runtime=runtime,
            Role=role,
            Handler="fn.handle",
            Timeout=60,
            Code={"ZipFile": package(fn=text)},
            Environment={"Variables": {"SETTING": name}},
        )

        def invoke(event=None):
            answer = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}))
            return answer.get("FunctionError"), json.loads(answer["Payload"].read())

        return invoke

    return deploy


def test_a_function_finds_the_emulator_and_acts_as_its_role(cloud, deploy):
    error, seen = deploy("one", HANDLER)()
    assert error is None
    assert seen["endpoint"] == cloud.instance.endpoint
    assert seen["who"] == "arn:aws:sts::000000000000:assumed-role/functions/one"
    assert seen["setting"] == "one"


def test_functions_with_the_same_package_share_its_unpacked_code(deploy):
    _, first = deploy("first", HANDLER + "# same\n")()
    _, second = deploy("second", HANDLER + "# same\n")()
    _, other = deploy("other", HANDLER + "# other\n")()
    assert first["here"] == second["here"] != other["here"]


def test_a_function_sees_no_package_that_its_zip_lacks(deploy):
    error, told = deploy("lacking", NEEDS_MORE)()
    assert error == "Unhandled"
    assert "No module named 'pyarrow'" in told["errorMessage"]


def test_a_killed_process_fails_its_call_as_on_aws_and_the_next_call_has_a_new_one(deploy):
    invoke = deploy("mortal", MORTAL)
    error, told = invoke({"die": True})
    assert (error, told["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert invoke() == (None, "alive")
