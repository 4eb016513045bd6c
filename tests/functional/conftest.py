"""One Spark session and one AWS (moto) for all functional tests, and a fresh lakehouse for each."""

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from aws import Aws
from lakehouse import Lakehouse, settings
from pyspark.sql import SparkSession

from ledgerlake.jobs.context import PLANS_OF_FEW
from ledgerlake.jobs.session import configuration, glue_catalog
from ledgerlake.local.jars import ICEBERG, jars
from ledgerlake.local.java import java_home
from ledgerlake.settings import LocalSettings
from ledgerlake.state.store import State
from ledgerlake.tables.lake import CATALOG, Lake

REGION = "eu-west-1"
NewLakehouse = Callable[[], Lakehouse]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": REGION}


@pytest.fixture(scope="session")
def server() -> Iterator[Aws]:
    """AWS over HTTP: Spark's Java is not within reach of a patched boto3."""
    started = Aws(REGION)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def endpoint(server: Aws) -> str:
    return server.endpoint


@pytest.fixture(scope="session")
def spark(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    local = LocalSettings.from_env()
    java = {"JAVA_HOME": str(java_home(local)), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    before = {name: os.environ.get(name) for name in (*CREDENTIALS, *java)}
    os.environ.update(CREDENTIALS | java)  # Java reads its environment when it starts
    scratch = tmp_path_factory.mktemp("spark")
    confs = configuration(glue_catalog(settings("any", REGION, endpoint))) | {
        "spark.driver.extraClassPath": os.pathsep.join(map(str, jars(ICEBERG, local))),
        f"spark.sql.catalog.{CATALOG}.io-impl": "org.apache.iceberg.io.ResolvingFileIO",  # S3, or this machine's disk
        "spark.sql.shuffle.partitions": "2",
        **PLANS_OF_FEW,
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.memory": "2g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.warehouse.dir": f"file://{scratch}/hive",
    }
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for name, value in confs.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def bare(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Lakehouse:
    """A lakehouse without Spark: tables and state only."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return build(endpoint)


@pytest.fixture
def lakehouse(spark: SparkSession, bare: Lakehouse) -> Lakehouse:
    """A lakehouse whose jobs can run."""
    bare.spark = spark
    return bare


@pytest.fixture(scope="module")
def shared_lakehouse(spark: SparkSession, endpoint: str) -> Lakehouse:
    """One lakehouse for a file whose tests look at the same long story; each topic has a run of its own in it."""
    house = build(endpoint, topics_per_run=1)
    house.spark = spark
    return house


@pytest.fixture
def new_lakehouse_on_disk(bare: Lakehouse, spark: SparkSession, endpoint: str, tmp_path: Path) -> NewLakehouse:
    """Makes lakehouses for many small jobs; their tables' files lie on disk, which spares S3's requests."""

    def make() -> Lakehouse:
        house = build(endpoint, (tmp_path / uuid.uuid4().hex).as_uri())
        house.spark = spark
        return house

    return make


def build(endpoint: str, root: str | None = None, **changes: object) -> Lakehouse:
    """Make the tables and the state of an environment that no other test has; `root` is where the files lie if not in
    S3.
    """
    chosen = settings(f"t{uuid.uuid4().hex[:8]}", REGION, endpoint).model_copy(update=changes)
    dynamodb = boto3.resource("dynamodb", region_name=REGION, endpoint_url=endpoint)
    s3 = boto3.client("s3", region_name=REGION, endpoint_url=endpoint)
    lake = Lake.connect(chosen)
    if root:
        lake = replace(lake, roots={layer: f"{root}/{layer}" for layer in lake.roots})
    house = Lakehouse(lake, State.connect(chosen, dynamodb, s3), None)
    house.set_up(dynamodb)
    return house
