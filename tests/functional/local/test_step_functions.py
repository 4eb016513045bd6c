"""State machines act as their role when they call functions and publish."""

import json

import pytest
from tests.functional.local.cloud import ACCOUNT, REGION, allow, package, until

FUNCTION = """
class Refused(Exception):
    pass

def handle(event, context):
    if event["n"] < 0:
        raise Refused("negative")
    return {"twice": event["n"] * 2}
"""


@pytest.fixture(scope="module")
def run(cloud):
    function = cloud.client("lambda").create_function(
        FunctionName="twice",
        Runtime="python3.11",
        Role=cloud.role("twice", service="lambda.amazonaws.com"),
        Handler="fn.handle",
        Timeout=60,
        Code={"ZipFile": package(fn=FUNCTION)},
    )["FunctionArn"]
    topic = cloud.client("sns").create_topic(Name="alerts")["TopicArn"]
    states = {
        "Twice": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": function, "Payload.$": "$"},
            "ResultSelector": {"said.$": "$.Payload.twice"},
            "Next": "Tell",
        },
        "Tell": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish",
            "Parameters": {"TopicArn": topic, "Message.$": "$"},
            "ResultPath": "$.told",
            "End": True,
        },
    }
    definition = json.dumps({"StartAt": "Twice", "States": states})
    client = cloud.client("stepfunctions")

    def run(name, event, *statements):
        role = cloud.role(name, *statements, service="states.amazonaws.com")
        machine = client.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
        execution = client.start_execution(stateMachineArn=machine, input=json.dumps(event))["executionArn"]

        def is_over():
            described = client.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None

        return until(is_over)

    return run


INVOKE = allow("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:twice")
PUBLISH = allow("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts")


def test_a_role_that_may_is_enough(run):
    ended = run("may", {"n": 21}, INVOKE, PUBLISH)
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["said"] == 42


def test_a_function_s_error_is_the_state_s_error(run):
    ended = run("negative", {"n": -1}, INVOKE, PUBLISH)
    assert (ended["error"], json.loads(ended["cause"])["errorMessage"]) == ("Refused", "negative")


def test_a_role_that_may_not_invoke_fails(run):
    assert run("no-invoke", {"n": 1}, PUBLISH)["error"] == "Lambda.AWSLambdaException"


def test_a_role_that_may_not_publish_fails(run):
    assert run("no-publish", {"n": 1}, INVOKE)["error"].startswith("SNS.")
