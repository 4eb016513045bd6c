"""Glue jobs on the emulator: they really run, end as they should, and leave nothing behind."""

import io
import json
import time
import zipfile

import pytest
from botocore.exceptions import ClientError
from tests.functional.local.cloud import ACCOUNT, BUCKET, REGION, allow, until

from ledgerlake.local import processes

GLUE = f"arn:aws:glue:{REGION}:{ACCOUNT}"
ENDED = ("SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED")
SPARK = """
import argparse, os
import boto3
from our_wheel import answer
from pyspark.sql import SparkSession

parser = argparse.ArgumentParser()
parser.add_argument("--JOB_NAME")
parser.add_argument("--table")
given, _ = parser.parse_known_args()
spark = SparkSession.builder.getOrCreate()
endpoint = os.environ["AWS_ENDPOINT_URL"]
for name in ("glue.endpoint", "s3.endpoint"):
    spark.conf.set(f"spark.sql.catalog.lake.{name}", endpoint)
spark.conf.set("spark.sql.catalog.lake.s3.path-style-access", "true")
spark.sql(f"CREATE TABLE {given.table} (n BIGINT) USING iceberg LOCATION 's3://lake/tables/spark'")
spark.range(answer()).selectExpr("id AS n").writeTo(given.table).append()
doubled = spark.table(given.table).mapInArrow(lambda batches: batches, "n BIGINT")
print("rows", doubled.count(), "of", given.JOB_NAME, "by", boto3.client("sts").get_caller_identity()["Arn"])
"""
FAILING = """
print("before")
def deep():
    raise ValueError("no such thing")
deep()
"""
SLEEPING = """
import subprocess, sys, time
print("asleep")
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
time.sleep(300)
"""
BUSY = """
import sys, time
from pyspark.sql import SparkSession

def work(batches):
    sys.stderr.write("a worker works\\n")
    sys.stderr.flush()
    time.sleep(300)
    yield from batches

SparkSession.builder.getOrCreate().range(1).mapInArrow(work, "id BIGINT").count()
"""
CONFS = [
    "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.lake.type=glue",
    "spark.sql.catalog.lake.io-impl=org.apache.iceberg.aws.s3.S3FileIO",
    "spark.sql.catalog.lake.cache-enabled=false",
]


@pytest.fixture(scope="module")
def glue(cloud):
    return cloud.client("glue")


@pytest.fixture(scope="module")
def role(cloud):
    return cloud.role(
        "job",
        allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"),
        allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{BUCKET}/*"),
        allow(
            ["glue:GetDatabase", "glue:GetTable", "glue:CreateTable", "glue:UpdateTable"],
            [f"{GLUE}:catalog", f"{GLUE}:database/jobs", f"{GLUE}:table/jobs/*"],
        ),
        allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "*"),
    )


@pytest.fixture(scope="module")
def job(cloud, glue, role):
    def job(name, script, arguments=None, runs_at_once=1, timeout=60):
        glue.create_job(
            Name=name,
            Role=role,
            GlueVersion="5.1",
            Timeout=timeout,
            Command={"Name": "glueetl", "ScriptLocation": cloud.put(f"scripts/{name}.py", script)},
            DefaultArguments=arguments or {},
            ExecutionProperty={"MaxConcurrentRuns": runs_at_once},
        )
        return name

    return job


def run_of(glue, name, run_id):
    return glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]


def ended(glue, name, run_id):
    def is_over():
        run = run_of(glue, name, run_id)
        return run if run["JobRunState"] in ENDED else None

    return until(is_over)


def lines(cloud, group, run_id, wanted):
    """The run's log in CloudWatch, once there is a line that begins like this."""

    def found():
        try:
            events = cloud.client("logs").get_log_events(
                logGroupName=f"/aws-glue/jobs/{group}", logStreamName=run_id, startFromHead=True
            )["events"]
        except ClientError:
            return None
        messages = [event["message"] for event in events]
        return messages if any(message.startswith(wanted) for message in messages) else None

    return until(found)


def wheel():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("our_wheel.py", "def answer():\n    return 42\n")
    return archive.getvalue()


def test_a_spark_job_writes_an_iceberg_table_with_its_wheel_its_confs_and_its_role(cloud, glue, job):
    glue.create_database(DatabaseInput={"Name": "jobs"})
    arguments = {
        "--conf": " --conf ".join(CONFS),
        "--datalake-formats": "iceberg",
        "--extra-py-files": cloud.put("wheels/our_wheel-1.0-py3-none-any.whl", wheel()),
    }
    name = job("spark", SPARK, arguments)
    run_id = glue.start_job_run(JobName=name, Arguments={"--table": "lake.jobs.numbers"})["JobRunId"]
    run = ended(glue, name, run_id)
    assert (run["JobRunState"], run.get("ErrorMessage")) == ("SUCCEEDED", None)
    said = lines(cloud, "output", run_id, "rows")[-1]
    assert said == f"rows 42 of spark by arn:aws:sts::{ACCOUNT}:assumed-role/job/GlueJobRunnerSession-{run_id[-16:]}"
    assert glue.get_table(DatabaseName="jobs", Name="numbers")["Table"]["Parameters"]["table_type"] == "ICEBERG"


def test_a_failed_job_tells_its_traceback(cloud, glue, job):
    name = job("failing", FAILING)
    run_id = glue.start_job_run(JobName=name)["JobRunId"]
    run = ended(glue, name, run_id)
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"].startswith("Traceback")
    assert "in deep" in run["ErrorMessage"]
    assert run["ErrorMessage"].endswith("ValueError: no such thing\n")
    assert "glue_driver" not in run["ErrorMessage"]
    assert lines(cloud, "output", run_id, "before") == ["before"]
    assert lines(cloud, "error", run_id, "ValueError: no such thing")


def test_a_job_that_exits_with_a_code_failed(glue, job):
    name = job("exiting", "import sys\nsys.exit('two topics failed')\n")
    run = ended(glue, name, glue.start_job_run(JobName=name)["JobRunId"])
    assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", "SystemExit: two topics failed")


def test_a_rule_hears_how_a_job_ended(cloud, glue, job):
    events, sqs = cloud.client("events"), cloud.client("sqs")
    url = sqs.create_queue(QueueName="ended")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.glue"], "detail-type": ["Glue Job State Change"], "detail": {"state": ["FAILED"]}}
    rule = events.put_rule(Name="ended", EventPattern=json.dumps(pattern))["RuleArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule="ended", Targets=[{"Id": "queue", "Arn": queue}])
    ended(glue, "well", glue.start_job_run(JobName=job("well", "print('well')"))["JobRunId"])
    run_id = glue.start_job_run(JobName=job("badly", "raise SystemExit('no')"))["JobRunId"]
    ended(glue, "badly", run_id)
    [message] = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    detail = json.loads(message["Body"])["detail"]
    assert (detail["jobName"], detail["jobRunId"], detail["message"]) == ("badly", run_id, "SystemExit: no")


def test_a_job_whose_role_may_not_read_its_script_fails(cloud, glue):
    script = cloud.put("scripts/unreadable.py", "print('never')")
    glue.create_job(Name="poor", Role=cloud.role("poor"), Command={"Name": "glueetl", "ScriptLocation": script})
    run = ended(glue, "poor", glue.start_job_run(JobName="poor")["JobRunId"])
    assert run["JobRunState"] == "FAILED"
    assert "scripts/unreadable.py" in run["ErrorMessage"]


def test_a_stopped_job_ends_with_its_children_and_makes_room_for_the_next(cloud, glue, job):
    name = job("sleeping", SLEEPING)
    before = set(processes.marked(cloud.instance.id))
    run_id = glue.start_job_run(JobName=name)["JobRunId"]
    with pytest.raises(glue.exceptions.ConcurrentRunsExceededException):
        glue.start_job_run(JobName=name)
    assert lines(cloud, "output", run_id, "asleep") == ["asleep"]  # as it comes, not at the end
    assert run_of(glue, name, run_id)["JobRunState"] == "RUNNING"
    assert glue.batch_stop_job_run(JobName=name, JobRunIds=[run_id])["Errors"] == []
    assert ended(glue, name, run_id)["JobRunState"] == "STOPPED"
    until(lambda: set(processes.marked(cloud.instance.id)) <= before)
    again = glue.start_job_run(JobName=name)["JobRunId"]
    glue.batch_stop_job_run(JobName=name, JobRunIds=[again])
    assert ended(glue, name, again)["JobRunState"] == "STOPPED"


def test_a_stopped_spark_job_leaves_neither_java_nor_its_python_workers(cloud, glue, job):
    name = job("busy", BUSY)
    before = set(processes.marked(cloud.instance.id))
    run_id = glue.start_job_run(JobName=name)["JobRunId"]
    assert lines(cloud, "error", run_id, "a worker works")
    glue.batch_stop_job_run(JobName=name, JobRunIds=[run_id])
    assert ended(glue, name, run_id)["JobRunState"] == "STOPPED"
    until(lambda: set(processes.marked(cloud.instance.id)) <= before)


def test_a_job_past_its_timeout_is_ended(glue, job):
    name = job("slow", SLEEPING, timeout=1)
    run = ended(glue, name, glue.start_job_run(JobName=name)["JobRunId"])
    assert (run["JobRunState"], run["Timeout"]) == ("TIMEOUT", 1)


@pytest.fixture(scope="module")
def machine(cloud):
    """Deploys a state machine of one Glue task; returns a function that runs it to its end."""
    role = cloud.role(
        "machine",
        allow(["glue:StartJobRun", "glue:GetJobRun", "glue:BatchStopJobRun"], f"{GLUE}:job/step-*"),
        service="states.amazonaws.com",
    )
    states = cloud.client("stepfunctions")

    def start(name, job, **fields):
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::glue:startJobRun.sync",
            "Parameters": {"JobName": job, "Arguments.$": "$.arguments"},
            "End": True,
            **fields,
        }
        item = {"StartAt": "Run", "States": {"Run": task}}
        step = {"Type": "Map", "ItemsPath": "$.runs", "ItemProcessor": item, "End": True}
        definition = json.dumps({"StartAt": "All", "States": {"All": step}})
        machine = states.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
        runs = {"runs": [{"arguments": {"--n": "7"}}]}
        return states.start_execution(stateMachineArn=machine, input=json.dumps(runs))["executionArn"]

    return start


def outcome(cloud, execution):
    def is_over():
        described = cloud.client("stepfunctions").describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    return until(is_over)


def test_a_state_waits_for_its_job_and_gets_the_run(cloud, job, machine):
    job("step-good", "import sys\nassert sys.argv[-1] == '7' or '7' in sys.argv\n")
    ended = outcome(cloud, machine("good", "step-good"))
    assert ended["status"] == "SUCCEEDED", ended
    [run] = json.loads(ended["output"])
    assert (run["JobName"], run["JobRunState"]) == ("step-good", "SUCCEEDED")


def test_a_failed_job_fails_its_state_with_the_run_as_cause(cloud, job, machine):
    job("step-bad", FAILING)
    ended = outcome(cloud, machine("bad", "step-bad"))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    assert "ValueError: no such thing" in json.loads(ended["cause"])["ErrorMessage"]


def test_a_busy_job_is_an_error_that_a_state_can_retry(cloud, glue, job, machine):
    name = job("step-busy", "import time\ntime.sleep(4)\n")
    glue.start_job_run(JobName=name)
    retry = {
        "ErrorEquals": ["Glue.ConcurrentRunsExceededException"],
        "IntervalSeconds": 1,
        "MaxAttempts": 300,
        "BackoffRate": 1,
    }
    assert outcome(cloud, machine("busy", name, Retry=[retry]))["status"] == "SUCCEEDED"


def test_a_state_past_its_timeout_stops_its_job(cloud, glue, job, machine):
    name = job("step-slow", SLEEPING)
    ended = outcome(cloud, machine("slow", name, TimeoutSeconds=2))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    [run] = glue.get_job_runs(JobName=name)["JobRuns"]
    until(lambda: run_of(glue, name, run["Id"])["JobRunState"] == "STOPPED")


def test_a_stopped_execution_stops_its_job_and_stays_aborted(cloud, glue, job, machine):
    name = job("step-stopped", SLEEPING)
    execution = machine("stopped", name)
    [run] = until(lambda: glue.get_job_runs(JobName=name)["JobRuns"])
    cloud.client("stepfunctions").stop_execution(executionArn=execution)
    until(lambda: run_of(glue, name, run["Id"])["JobRunState"] == "STOPPED")
    time.sleep(1)
    assert outcome(cloud, execution)["status"] == "ABORTED"


def test_a_state_machine_starts_only_the_jobs_its_role_may_start(cloud, job, machine):
    job("forbidden", "print('never')\n")
    ended = outcome(cloud, machine("forbidden", "forbidden"))
    assert (ended["status"], ended["error"]) == ("FAILED", "Glue.AccessDeniedException")
