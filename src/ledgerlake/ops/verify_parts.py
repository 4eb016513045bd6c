"""The parts of a deployed environment, checked through AWS's own descriptions of them."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ledgerlake.ops.environment import Environment
from ledgerlake.tables.definitions import fixed_tables
from ledgerlake.tables.lake import LAYERS, Lake, staging

HANDLERS = (
    "processor",
    "probe_breakers",
    "firehose_transform",
    "ingest",
    "publish_contract",
    "ensure_tables",
    "start_cycle",
    "plan_cycle",
    "check_curated_ready",
    "reconcile",
    "reconcile_window",
    "drain_dlq",
    "load_firehose_errors",
)
FOURTEEN_DAYS = 14 * 24 * 3600

Say = Callable[[str], None]


@dataclass(frozen=True)
class Check:
    """Something that must hold, and what differs where it does not."""

    what: str
    differences: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def check(what: str, differences: Iterable[str]) -> Check:
    """A check of anything that lists its differences."""
    return Check(what, tuple(differences))


def whoami(environment: Environment, _: Say) -> Iterator[Check]:
    """The credentials are good, and are those of the account that the environment is in."""
    identity = environment.sts.get_caller_identity()
    account = environment.outputs.state_machine_arn.split(":")[4]
    region = environment.outputs.state_machine_arn.split(":")[3]
    yield check(
        f"the caller ({identity['Arn']}) is in the environment's account",
        _unequal({"account": (identity["Account"], account)}),
    )
    yield check(
        "the environment is in the region of its settings", _unequal({"region": (region, environment.settings.region)})
    )


def outputs(environment: Environment, _: Say) -> Iterator[Check]:
    """Terraform's outputs are complete and name what exists (design 3.4)."""
    found = environment.outputs
    empty = [name for name, value in found.model_dump().items() if not value]
    yield check("every output has a value", (f"{name} is empty" for name in empty))
    yield check("every handler has a function", (f"no {name}" for name in HANDLERS if name not in found.lambda_names))
    yield check("both jobs are there", (f"no {n}" for n in ("standardize", "curate") if n not in found.glue_job_names))
    yield check("every queue has a dead-letter queue", sorted(set(found.queue_urls) ^ set(found.dlq_urls)))
    yield check("every bucket exists and can be reached", _unreachable_buckets(environment))


def _unreachable_buckets(environment: Environment) -> Iterator[str]:
    for purpose, bucket in environment.settings.buckets.model_dump().items():
        try:
            environment.s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            yield f"{purpose} ({bucket}): {error}"


def lambdas(environment: Environment, _: Say) -> Iterator[Check]:
    """Every function is deployed, ready, and has the settings of this environment."""
    found = {
        handler: environment.functions.get_function_configuration(FunctionName=name)
        for handler, name in environment.outputs.lambda_names.items()
    }
    yield check(
        f"all {len(found)} functions are active, on python3.11",
        _unequal_each(found, lambda _: {"State": "Active", "Runtime": "python3.11"}),
    )
    yield check(
        "every function runs its own handler",
        _unequal_each(found, lambda f: {"Handler": f"ledgerlake.handlers.{f}.handle"}),
    )
    prefix = environment.settings.prefix
    yield check(
        "every function has this environment's settings",
        (f"{handler}: {given}" for handler, f in found.items() if (given := _given_prefix(f)) != prefix),
    )
    mappings = environment.functions.get_paginator("list_event_source_mappings").paginate(
        FunctionName=environment.function("processor")
    )
    polled = {
        m["EventSourceArn"].rsplit(":", 1)[-1]: m["State"] for page in mappings for m in page["EventSourceMappings"]
    }
    queues = {topic: f"{environment.settings.queue_prefix}{topic}" for topic in environment.topics}
    yield check(
        "the processor polls every topic's queue",
        (
            f"{topic}: {polled.get(name, 'not polled')}"
            for topic, name in queues.items()
            if polled.get(name) != "Enabled"
        ),
    )


def _given_prefix(configuration: Any) -> str:
    given = configuration.get("Environment", {}).get("Variables", {}).get("LEDGERLAKE_SETTINGS", "{}")
    return str(json.loads(given).get("prefix"))


def queues(environment: Environment, _: Say) -> Iterator[Check]:
    """Every queue hands what it cannot deliver to its own dead-letter queue, which keeps it for 14 days."""
    timeout = environment.functions.get_function_configuration(FunctionName=environment.function("processor"))[
        "Timeout"
    ]
    redrive, visible, kept = [], [], []
    for topic, url in environment.outputs.queue_urls.items():
        queue = _queue(environment, url)
        dead = _queue(environment, environment.outputs.dlq_urls[topic])
        target = json.loads(queue.get("RedrivePolicy", "{}")).get("deadLetterTargetArn")
        if target != dead["QueueArn"]:
            redrive.append(f"{topic}: {target} is not {dead['QueueArn']}")
        if int(queue["VisibilityTimeout"]) < 6 * timeout:
            visible.append(f"{topic}: {queue['VisibilityTimeout']} s, the processor may take {timeout} s")
        if int(dead["MessageRetentionPeriod"]) != FOURTEEN_DAYS:
            kept.append(f"{topic}: {dead['MessageRetentionPeriod']} s")
    yield check("every queue's dead letters go to its own dead-letter queue", redrive)
    yield check("every message stays hidden for six times the processor's timeout", visible)
    yield check("dead letters are kept for 14 days", kept)


def _queue(environment: Environment, url: str) -> dict[str, str]:
    attributes = environment.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {str(name): value for name, value in attributes.items()}


KEYS = {
    "checkpoints": ("topic", "stage"),
    "locks": ("topic",),
    "processing_enabled": ("topic",),
    "idempotency_keys": ("id",),
    "file_registry": ("object", "version"),
    "circuit_breakers": ("topic",),
}
EXPIRY = {"locks": "expires_at", "idempotency_keys": "expiration"}


def dynamodb(environment: Environment, _: Say) -> Iterator[Check]:
    """The state tables are there, with the keys that the code uses, and forget what has expired."""
    client = environment.dynamodb.meta.client
    names: dict[str, str] = environment.settings.dynamodb_tables.model_dump()
    found = {purpose: client.describe_table(TableName=name)["Table"] for purpose, name in names.items()}
    yield check(
        f"all {len(found)} tables are active",
        (f"{purpose}: {table['TableStatus']}" for purpose, table in found.items() if table["TableStatus"] != "ACTIVE"),
    )
    keys = {purpose: tuple(key["AttributeName"] for key in table["KeySchema"]) for purpose, table in found.items()}
    yield check("every table has its keys", _unequal({purpose: (keys[purpose], KEYS[purpose]) for purpose in keys}))
    expiry = {
        purpose: client.describe_time_to_live(TableName=names[purpose])["TimeToLiveDescription"] for purpose in EXPIRY
    }
    yield check(
        "what is transient expires",
        _unequal({purpose: (expiry[purpose].get("AttributeName"), EXPIRY[purpose]) for purpose in EXPIRY}),
    )


def glue(environment: Environment, _: Say) -> Iterator[Check]:
    """The databases, tables and jobs are there, and every table is an Iceberg table."""
    lake = Lake.connect(environment.settings)
    tables = {layer: lake.metadata_locations(layer) for layer in LAYERS}
    fixed = [(table.layer, table.name) for table in fixed_tables()]
    yield check(
        "the lakehouse's own tables are there", (f"no {layer}.{t}" for layer, t in fixed if t not in tables[layer])
    )
    yield check(
        "every topic has its RAW table",
        (f"no {staging(t)}" for t in environment.topics if staging(t) not in tables["raw"]),
    )
    jobs = {
        stage: environment.glue.get_job(JobName=name)["Job"]
        for stage, name in environment.outputs.glue_job_names.items()
    }
    yield check(
        "the jobs run on Glue 5.1", _unequal({stage: (job["GlueVersion"], "5.1") for stage, job in jobs.items()})
    )
    yield check("the jobs are given this environment's settings", _other_settings(jobs, environment.settings.prefix))


def _other_settings(jobs: dict[str, Any], prefix: str) -> Iterator[str]:
    for stage, job in jobs.items():
        given = json.loads(job["DefaultArguments"].get("--ledgerlake_settings", "{}")).get("prefix")
        if given != prefix:
            yield f"{stage}: {given}"


def _unequal(pairs: dict[str, tuple[Any, Any]]) -> Iterator[str]:
    return (f"{name}: {found} instead of {wanted}" for name, (found, wanted) in pairs.items() if found != wanted)


def _unequal_each(found: dict[str, Any], wanted: Callable[[str], dict[str, str]]) -> Iterator[str]:
    for name, description in found.items():
        for field, value in wanted(name).items():
            if description.get(field) != value:
                yield f"{name}: {field} is {description.get(field)} instead of {value}"
