"""The life of the emulator's process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StringType
from tests.functional.local.cloud import Cloud, allow, local_settings, package, root_catalog, until

from ledgerlake.local import control, processes
from ledgerlake.local.instance import Home, Instance


@pytest.fixture
def settings(tmp_path):
    made = local_settings(tmp_path / "local")
    yield made
    control.down(made)


def run(settings, *command):
    environment = {**os.environ, "LEDGERLAKE_LOCAL_DIR": str(settings.directory)}
    return subprocess.Popen(
        [sys.executable, "-m", "ledgerlake.local", *command], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_up_twice_is_one_emulator_and_down_leaves_no_process(settings):
    first = control.up(settings)
    second = control.up(settings)
    assert (first.started, second.started) == (True, False)
    assert first.instance == second.instance
    cloud = Cloud(first.instance, settings)
    role = cloud.role("fn", service="lambda.amazonaws.com")
    cloud.client("lambda").create_function(
        FunctionName="fn",
        Runtime="python3.11",
        Role=role,
        Handler="fn.handle",
        Timeout=60,
        Code={"ZipFile": package(fn="def handle(event, context):\n    return event")},
    )
    cloud.client("lambda").invoke(FunctionName="fn", Payload=b"{}")
    assert len(processes.marked(first.instance.id)) == 2  # the emulator and the function's environment
    assert control.down(settings)
    assert processes.marked(first.instance.id) == []
    assert not processes.running(first.instance.pid)
    assert not control.down(settings)


def test_a_killed_emulator_is_noticed_and_replaced_on_the_same_port(settings):
    first = control.up(settings).instance
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: control.running(settings) is None)
    second = control.up(settings)
    assert second.started
    assert second.instance.id != first.id
    assert second.instance.port == first.port


def test_down_clears_up_after_a_killed_emulator(settings):
    instance = control.up(settings).instance
    os.kill(instance.pid, signal.SIGKILL)
    control.down(settings)
    assert processes.marked(instance.id) == []
    assert Instance.read(Home(settings.directory)) is None


def test_two_starts_at_once_make_one_emulator(settings):
    started = [run(settings, "up") for _ in range(2)]
    said = [process.communicate()[0] for process in started]
    assert sorted("already" in line for line in said) == [False, True]
    assert len({line.split(" at ")[1] for line in said}) == 1


def emulators(settings):
    """The processes that are an emulator of this folder, or were started by one."""
    here = f"LEDGERLAKE_LOCAL_DIR={settings.directory.resolve()}".encode()
    found = ((pid, environment.split(b"\0")) for pid, environment in processes._environments())
    return [pid for pid, env in found if here in env and any(v.startswith(processes.MARK.encode()) for v in env)]


# Where the signal meets the start is up to the machine; what is asserted holds wherever that is.
@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.6])
def test_an_interrupted_start_leaves_nothing_or_all_of_it_and_the_next_one_works(settings, seconds):
    starting = run(settings, "up")
    time.sleep(seconds)
    starting.send_signal(signal.SIGINT)
    starting.communicate()
    left = Instance.read(Home(settings.directory))
    until(lambda: emulators(settings) == ([left.pid] if left else []))
    found = control.up(settings)
    assert found.started == (left is None)
    assert left in (None, found.instance)


def test_env_is_what_a_shell_needs_to_speak_to_it(settings, tmp_path: Path):
    endpoint = control.up(settings).instance.endpoint
    exports = run(settings, "env").communicate()[0]
    script = exports + f"\n{sys.executable} -c 'import boto3; print(boto3.client(\"s3\").meta.endpoint_url)'"
    shell = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    assert shell.stdout.strip() == endpoint


def test_env_and_status_say_when_it_is_down(settings):
    assert run(settings, "env").wait() == 1
    status = run(settings, "status")
    assert (status.communicate()[0], status.returncode) == ("down\n", 3)


def test_roles_may_do_nothing_that_no_policy_allows(settings):
    cloud = Cloud(control.up(settings).instance, settings)
    cloud.client("s3").create_bucket(Bucket="mine")
    reader = cloud.as_role(cloud.role("reader", allow("s3:ListBucket", "arn:aws:s3:::mine")), "s3")
    assert reader.list_objects_v2(Bucket="mine")["KeyCount"] == 0
    with pytest.raises(reader.exceptions.ClientError, match="AccessDenied"):
        reader.put_object(Bucket="mine", Key="x", Body=b"")


def test_terraform_s_state_goes_with_the_emulator_it_describes(settings):
    instance = control.up(settings).instance
    state = settings.directory / "terraform" / "local.tfstate"
    state.parent.mkdir()
    state.write_text("{}")
    control.up(settings)
    assert state.exists()
    os.kill(instance.pid, signal.SIGKILL)
    control.up(settings)
    assert not state.exists()


def test_down_delivers_what_firehose_still_holds(settings):
    cloud = Cloud(control.up(settings).instance, settings)
    cloud.client("s3").create_bucket(Bucket="lake")
    catalog = root_catalog(cloud)
    catalog.create_namespace("raw")
    schema = Schema(NestedField(1, "id", StringType()))
    catalog.create_table(("raw", "events"), schema, location="s3://lake/events")
    role = cloud.role("delivery", allow(["s3:*", "glue:*"], "*"), service="firehose.amazonaws.com")
    cloud.client("firehose").create_delivery_stream(
        DeliveryStreamName="raw",
        IcebergDestinationConfiguration={
            "RoleARN": role,
            "CatalogConfiguration": {"CatalogARN": "arn:aws:glue:us-east-1:000000000000:catalog"},
            "DestinationTableConfigurationList": [{"DestinationDatabaseName": "raw", "DestinationTableName": "events"}],
            "S3Configuration": {"RoleARN": role, "BucketARN": "arn:aws:s3:::lake"},
        },
    )
    cloud.client("firehose").put_record(DeliveryStreamName="raw", Record={"Data": b'{"id": "last"}'})
    control.down(settings)
    assert "raw: 1 records to 1 tables, 0 refused" in Home(settings.directory).log.read_text()


SLEEPING = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
time.sleep(300)
"""


def test_a_killed_emulator_takes_its_jobs_with_it(settings):
    instance = control.up(settings).instance
    cloud = Cloud(instance, settings)
    cloud.client("s3").create_bucket(Bucket="lake")
    role = cloud.role("job", allow(["s3:ListBucket", "s3:GetObject"], "*"))
    script = cloud.put("sleeping.py", SLEEPING)
    cloud.client("glue").create_job(Name="sleeping", Role=role, Command={"Name": "glueetl", "ScriptLocation": script})
    cloud.client("glue").start_job_run(JobName="sleeping")
    until(lambda: len(processes.marked(instance.id)) == 3)  # the emulator, the job and the job's child
    os.kill(instance.pid, signal.SIGKILL)
    until(lambda: not processes.marked(instance.id))


def test_a_start_whose_starter_was_killed_is_found_by_the_next(settings):
    starting = run(settings, "up")
    until(lambda: Home(settings.directory).is_held())
    starting.kill()
    starting.communicate()
    found = control.up(settings)
    assert not found.started
    assert control.down(settings)
    assert processes.marked(found.instance.id) == []
