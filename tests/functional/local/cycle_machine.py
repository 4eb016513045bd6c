"""The deployed cycle, quick enough to be made to fail: Terraform's own state machine around the real step handlers.

Only the Glue jobs are stand-ins: they take the lock, commit and tell their outcome as the real ones do, without Spark.
A step or a topic's job is made to fail by an object `faults/<step or topic>` in the ops bucket; the first call of a
step that meets its fault takes it away.
"""

import json
import re
import sysconfig
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from tests.functional.local.cloud import ACCOUNT, REGION, Cloud, allow, package, until

import ledgerlake
from ledgerlake.ops import cycle as cycles
from ledgerlake.settings import DynamodbTables, Settings
from ledgerlake.state.gate import Admission
from ledgerlake.state.store import State
from ledgerlake.tables import append, definitions
from ledgerlake.tables.ensure import ensure_ops, ensure_topic, evolve
from ledgerlake.tables.lake import LAYERS, Lake, staging

MODULE = Path(__file__).parents[3] / "modules/orchestration"
NAME = "faulty"
JOB_NAME = f"{NAME}-standardize"
STEPS = ("plan_cycle", "check_curated_ready", "reconcile")
TOPICS = ("apples", "pears")
BUCKETS = ("landing", "raw", "standardized", "curated", "gold", "ops", "contracts", "artifacts")
STATE = {"checkpoints": ("topic", "stage"), "locks": ("topic",), "processing_enabled": ("topic",)}
STEP = """
import os, signal, sys
sys.path[:0] = {paths}
import boto3
from ledgerlake.errors import TerminalError
from ledgerlake.handlers import {step}, clients
from ledgerlake.handlers.transient import transient_by_name
from ledgerlake.state.checkpoints import CheckpointMoved

def strike(bucket, key):
    s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    if not s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"):
        return
    fault = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    s3.delete_object(Bucket=bucket, Key=key)
    if fault == "transient":
        raise CheckpointMoved("another run was faster")
    if fault == "terminal":
        raise TerminalError("it said no")
    os.kill(os.getpid(), signal.SIGKILL)

@transient_by_name
def handle(event, context):
    strike(clients.settings().buckets.ops, "faults/{step}")
    return {step}.handle(event, context)
"""
JOB = """
import argparse, os, signal, sys, time
from datetime import UTC, datetime
import boto3
from ledgerlake.settings import Settings
from ledgerlake.state.store import State
from ledgerlake.tables import append, history, snapshots
from ledgerlake.tables.history import Outcome
from ledgerlake.tables.lake import Lake, staging

parser = argparse.ArgumentParser()
parser.add_argument("--request")
parser.add_argument("--ledgerlake_settings")
given, _ = parser.parse_known_args()
settings = Settings.from_json(given.ledgerlake_settings)
lake = Lake.connect(settings)
state = State.connect(settings, boto3.resource("dynamodb"), boto3.client("s3"))
request = state.cycles.get_request(given.request)

def fault(topic):
    found = state.s3.list_objects_v2(Bucket=settings.buckets.ops, Prefix=f"faults/{topic}").get("Contents")
    return found and state.s3.get_object(Bucket=settings.buckets.ops, Key=f"faults/{topic}")["Body"].read().decode()

def standardize(topic):
    pinned = state.checkpoints.get(topic, "standardize")
    table = lake.load("standardized", topic)
    if pinned.pending:
        have = set(table.scan().to_arrow()["message_id"].to_pylist())
        rows = [row for row in lake.load("raw", staging(topic)).scan(snapshot_id=pinned.to_snapshot_id)
                .to_arrow().to_pylist() if row["message_id"] not in have]
        append.append(table, [{"message_id": row["message_id"], "batch_id": pinned.batch_id} for row in rows], {
            snapshots.BATCH_ID: pinned.batch_id, snapshots.SOURCE_SNAPSHOT_ID: str(pinned.to_snapshot_id),
            snapshots.ROWS + "standardized": str(len(rows)),
            snapshots.TOTAL + "standardized": str(len(rows) + len(have)),
        })
    state.checkpoints.done(pinned)
    now = datetime.now(UTC)
    outcome = Outcome(cycle_id=request.cycle_id, topic_name=topic, stage="standardize",
        outcome="STANDARDIZED", batch_id=pinned.batch_id, started_at=now, ended_at=now)
    state.cycles.put_outcome(outcome)
    history.record(lake, [outcome])

for topic in request.topics:
    with state.locks.acquire(topic, request.cycle_id):
        if fault(topic) == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault(topic) == "hang":
            time.sleep(300)
        standardize(topic)
"""


def render(**values: Any) -> str:
    """The module's template as Terraform renders it; only the waits before another try are cut short."""
    policies = json.loads((MODULE / "retries.json").read_text())
    for what, retriers in policies.items():
        for retrier in retriers:
            retrier |= {"IntervalSeconds": 1, "BackoffRate": 1 if what == "alert" else 1.5}
    given = values | {f"retries.{what}": json.dumps(policy) for what, policy in policies.items()}
    return re.sub(r"\$\{([\w.]+)\}", lambda name: str(given[name[1]]), (MODULE / "cycle.asl.json.tftpl").read_text())


@dataclass(frozen=True)
class CycleMachine:
    """One deployed cycle over the topics apples and pears, each in a run of its own."""

    cloud: Cloud
    settings: Settings
    lake: Lake
    state: State
    machine: str
    alerts: str

    @classmethod
    def deploy(cls, cloud: Cloud) -> "CycleMachine":
        settings = _settings(cloud)
        for bucket in BUCKETS:
            cloud.client("s3").create_bucket(Bucket=f"{NAME}-{bucket}")
        for layer in LAYERS:
            cloud.client("glue").create_database(DatabaseInput={"Name": f"{NAME}_{layer}"})
        for table, keys in STATE.items():
            cloud.client("dynamodb").create_table(
                TableName=f"{NAME}-{table}",
                KeySchema=[{"AttributeName": k, "KeyType": t} for k, t in zip(keys, ("HASH", "RANGE"), strict=False)],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                BillingMode="PAY_PER_REQUEST",
            )
        lake = Lake.connect(settings)
        state = State.connect(
            settings, boto3.Session().resource("dynamodb", endpoint_url=cloud.instance.endpoint), cloud.client("s3")
        )
        ensure_ops(lake)
        for topic in TOPICS:
            ensure_topic(lake, topic)
            evolve(lake, definitions.standardized(topic))
            state.gate.put(Admission(topic, True, 1, "sha", "version", curated=False))
        topic_arn = cloud.client("sns").create_topic(Name=f"{NAME}-alerts")["TopicArn"]
        queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}-alerts"
        may_send = allow("sqs:SendMessage", queue_arn) | {"Principal": {"Service": "sns.amazonaws.com"}}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
        queue = cloud.client("sqs").create_queue(QueueName=f"{NAME}-alerts", Attributes={"Policy": policy})["QueueUrl"]
        cloud.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn)
        machine = _deploy_machine(cloud, settings, topic_arn)
        return cls(cloud, settings, lake, state, machine, queue)

    def land(self, topic: str, message_id: str) -> None:
        """Put a row into the topic's RAW table."""
        now = datetime.now(UTC)
        row = {"message_id": message_id, "topic_name": topic, "publish_time": now, "ingestion_ts": now}
        append.append(self.lake.load("raw", staging(topic)), [row | {"json_payload": "{}"}])

    def fault(self, where: str, what: str) -> None:
        """Make a step, or a topic's job, fail."""
        self.state.s3.put_object(Bucket=self.settings.buckets.ops, Key=f"faults/{where}", Body=what.encode())

    def mend(self, where: str) -> None:
        """Take a fault away."""
        self.state.s3.delete_object(Bucket=self.settings.buckets.ops, Key=f"faults/{where}")

    def start(self) -> str:
        """Start a cycle; returns its ARN."""
        return cycles.start(self.cloud.client("stepfunctions"), self.machine)

    def muted(self) -> "CycleMachine":
        """The same cycle, but its alerts go to a topic that is gone."""
        states = self.cloud.client("stepfunctions")
        found = states.describe_state_machine(stateMachineArn=self.machine)
        definition = found["definition"].replace(f"{NAME}-alerts", f"{NAME}-gone")
        made = states.create_state_machine(name=f"{NAME}-muted", definition=definition, roleArn=found["roleArn"])
        return replace(self, machine=made["stateMachineArn"])

    def wait(self, arn: str) -> cycles.Cycle:
        """Follow a cycle to its end."""
        return cycles.wait(self.cloud.client("stepfunctions"), arn, seconds=180, pause=0.2)

    def run(self) -> cycles.Cycle:
        """A whole cycle."""
        return self.wait(self.start())

    def tries(self, arn: str) -> list[str]:
        """The errors of the tasks that failed in a cycle, each try one."""
        events = self.cloud.client("stepfunctions").get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return [event["taskFailedEventDetails"]["error"] for event in events if event["type"] == "TaskFailed"]

    def history(self, cycle_id: str) -> dict[str, tuple[str, str]]:
        """Each topic's outcome until it was standardized, and its error."""
        rows = self.lake.load("ops", "job_run_history").scan().to_arrow().to_pylist()
        told = [row for row in rows if row["cycle_id"] == cycle_id and row["stage"] != "curate"]
        return {row["topic_name"]: (row["outcome"], row["error"] or "") for row in told}

    def standardized(self, topic: str) -> list[str]:
        """The message ids that stand in STANDARDIZED."""
        return sorted(self.lake.load("standardized", topic).scan().to_arrow()["message_id"].to_pylist())

    def expire_locks(self) -> None:
        """Let five minutes pass for every lock."""
        table = self.cloud.client("dynamodb")
        for topic in self.state.locks.held():
            table.update_item(
                TableName=f"{NAME}-locks",
                Key={"topic": {"S": topic}},
                UpdateExpression="SET expires_at = :past",
                ExpressionAttributeValues={":past": {"N": "0"}},
            )

    def alert(self) -> dict[str, Any]:
        """The next alert that was sent."""
        sqs = self.cloud.client("sqs")
        received = until(lambda: sqs.receive_message(QueueUrl=self.alerts, WaitTimeSeconds=1).get("Messages"))
        sqs.delete_message(QueueUrl=self.alerts, ReceiptHandle=received[0]["ReceiptHandle"])
        alert: dict[str, Any] = json.loads(json.loads(received[0]["Body"])["Message"])
        return alert

    def stop_job(self) -> None:
        """Stop the job that is at work by hand, once it holds a lock."""
        until(self.state.locks.held, 120)
        glue = self.cloud.client("glue")
        runs = glue.get_job_runs(JobName=JOB_NAME)["JobRuns"]
        at_work = [run["Id"] for run in runs if run["JobRunState"] == "RUNNING"]
        glue.batch_stop_job_run(JobName=JOB_NAME, JobRunIds=at_work)

    def set_job_timeout(self, minutes: int) -> None:
        """Give the job so much time; the tests' minutes are short."""
        glue = self.cloud.client("glue")
        job = glue.get_job(JobName=JOB_NAME)["Job"]
        fields = ("Role", "Command", "DefaultArguments", "GlueVersion", "ExecutionProperty")
        glue.update_job(JobName=JOB_NAME, JobUpdate={name: job[name] for name in fields} | {"Timeout": minutes})

    def set_concurrency(self, step: str, calls: int | None) -> None:
        """Let a step be called so often at a time, or without a limit."""
        functions = self.cloud.client("lambda")
        if calls is None:
            functions.delete_function_concurrency(FunctionName=f"{NAME}-{step}")
        else:
            functions.put_function_concurrency(FunctionName=f"{NAME}-{step}", ReservedConcurrentExecutions=calls)


def _settings(cloud: Cloud) -> Settings:
    return Settings.model_validate(
        {
            "prefix": NAME,
            "region": REGION,
            "buckets": {bucket: f"{NAME}-{bucket}" for bucket in BUCKETS},
            "databases": {layer: f"{NAME}_{layer}" for layer in LAYERS},
            "dynamodb_tables": {name: f"{NAME}-{name}" for name in DynamodbTables.model_fields},
            "firehose_name": NAME,
            "queue_prefix": f"{NAME}-",
            "topics_per_run": 1,
            "endpoint_url": cloud.instance.endpoint,
        }
    )


def _deploy_machine(cloud: Cloud, settings: Settings, topic_arn: str) -> str:
    document = settings.model_dump_json()
    all_of_it = allow("*", "*")
    paths = [str(Path(ledgerlake.__file__).parents[1]), sysconfig.get_path("purelib")]
    lambda_role = cloud.role(f"{NAME}-step", all_of_it, service="lambda.amazonaws.com")
    arns = {
        step: cloud.client("lambda").create_function(
            FunctionName=f"{NAME}-{step}",
            Runtime="python3.11",
            Role=lambda_role,
            Handler="fn.handle",
            Timeout=60,
            Code={"ZipFile": package(fn=STEP.format(step=step, paths=paths))},
            Environment={"Variables": {"LEDGERLAKE_SETTINGS": document}},
        )["FunctionArn"]
        for step in STEPS
    }
    cloud.client("s3").put_object(Bucket=settings.buckets.artifacts, Key="standardize.py", Body=JOB.encode())
    cloud.client("glue").create_job(
        Name=JOB_NAME,
        Role=cloud.role(f"{NAME}-job", all_of_it),
        GlueVersion="5.1",
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{settings.buckets.artifacts}/standardize.py"},
        DefaultArguments={"--ledgerlake_settings": document},
        ExecutionProperty={"MaxConcurrentRuns": 5},
    )
    definition = render(
        **{f"lambdas.{step}": arn for step, arn in arns.items()},
        **{f"glue_jobs.{stage}": f"{NAME}-{stage}" for stage in ("standardize", "curate")},
        name=NAME,
        partition="aws",
        alerts_topic_arn=topic_arn,
        max_concurrent_runs=2,
        run_timeout_seconds=600,
    )
    role = cloud.role(f"{NAME}-cycle", all_of_it, service="states.amazonaws.com")
    arn: str = cloud.client("stepfunctions").create_state_machine(name=NAME, definition=definition, roleArn=role)[
        "stateMachineArn"
    ]
    return arn
