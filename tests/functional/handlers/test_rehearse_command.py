"""`ledgerlake schema diff` and `rehearse` against an environment: what is compared, and what the exit codes say."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from typer.testing import CliRunner

from ledgerlake.cli import app
from ledgerlake.jobs.rehearsal import Ends, RehearsalReport, RehearsalRequest
from ledgerlake.ops.environment import Environment, Outputs
from ledgerlake.state.contracts import active_key
from ledgerlake.state.gate import Admission, Gate
from ledgerlake.state.requests import Requests
from ledgerlake.tables.lake import Lake
from ledgerlake.tables.registry import SchemaTry, SchemaVersions

REGION = "eu-central-1"
FIRST = {
    "table_name": "events",
    "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
    "payload_columns": [{"name": "amount", "type": "int", "source": "amount"}],
}
WIDER = FIRST | {"payload_columns": [{"name": "amount", "type": "bigint", "source": "amount"}]}
ENDS = Ends(curated=9, superseded=0, rejected=1, parse_errors=0, warned=0)
REPORT = RehearsalReport(
    topic="events",
    contract_version=2,
    days=7,
    since=datetime(2026, 1, 11, tzinfo=UTC),
    in_window=10,
    looked_at=10,
    duplicates=0,
    before=ENDS,
    after=ENDS,
    newly_rejected=1,
    offences=(),
    newly_accepted=1,
    answered=(),
    changed=0,
    columns=(),
    new_columns=(),
    rules=(),
)


class Glue:
    """Glue with one job, which is done at once and leaves the report."""

    exceptions = SimpleNamespace(ConcurrentRunsExceededException=RuntimeError)

    def __init__(self, requests):
        self.requests = requests
        self.asked = []

    def start_job_run(self, JobName, Arguments):
        uri = Arguments["--request"]
        self.asked.append(RehearsalRequest.model_validate(self.requests.get(uri)))
        self.requests.put_report(uri, REPORT.model_dump(mode="json"))
        return {"JobRunId": "run"}

    def get_job_run(self, JobName, RunId):
        return {"JobRun": {"JobRunState": "SUCCEEDED"}}


@pytest.fixture
def glue(lake, state_tables, settings, monkeypatch):
    """An environment with version 2 in force, and its Glue."""
    s3 = boto3.client("s3", region_name=REGION)
    for bucket in (settings.buckets.contracts, settings.buckets.ops):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=settings.buckets.contracts, VersioningConfiguration={"Status": "Enabled"})
    for number, document in enumerate((FIRST, WIDER), 1):
        text = json.dumps(document).encode()
        put = s3.put_object(Bucket=settings.buckets.contracts, Key=active_key("events"), Body=text)
        tried = SchemaTry("events", "active", text, f"u{number}", number)
        SchemaVersions.of(lake, "events").add(tried, datetime.now(UTC))
        admission = Admission("events", False, number, "", put["VersionId"], curated=True)
        Gate(state_tables["processing_enabled"]).put(admission)
    environment = Environment("test", Outputs(settings=settings, glue_job_names={"rehearse": "lake-rehearse"}))
    environment.glue = Glue(Requests(s3, settings.buckets.ops))
    monkeypatch.setattr(Environment, "load", lambda _name: environment)
    monkeypatch.setattr(Lake, "connect", lambda _settings, _glue=None: lake)
    return environment.glue


@pytest.fixture
def run(glue, tmp_path):
    """A command with a proposed contract; its exit code and output."""

    def command(name, document, *arguments, topic="events"):
        file = tmp_path / topic / "schema.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(document))
        result = CliRunner().invoke(app, ["schema", name, str(file), *arguments], catch_exceptions=False)
        return result.exit_code, result.stdout

    return command


def test_a_proposal_is_reviewed_against_the_contract_in_force_also_of_a_topic_that_is_switched_off(run):
    code, told = run("diff", WIDER)
    assert (code, "events against version 2" in told, "nothing changes" in told) == (0, True, True)
    code, told = run("diff", FIRST)
    assert code == 1
    assert "type_changed:amount" in told


def test_a_proposal_is_reviewed_against_an_earlier_version(run):
    code, told = run("diff", WIDER, "--against", "1", "--json")
    assert code == 0
    document = json.loads(told)
    assert (document["against"], [change["id"] for change in document["changes"]]) == (
        "version 1",
        ["type_widened:amount"],
    )


def test_a_version_that_never_was_is_an_error_and_a_new_dataset_has_nothing_to_be_held_against(run):
    assert run("diff", WIDER, "--against", "7")[0] == 1
    code, told = run("diff", WIDER | {"table_name": "orders"}, topic="orders")
    assert code == 0
    assert "orders is a new dataset: no contract of it is in force" in told


def test_a_rehearsal_sends_the_contract_as_it_is_and_ends_by_what_it_found(run, glue):
    code, told = run("rehearse", WIDER)
    assert code == 1
    assert "newly rejected: 1 (10.00 %)" in told
    code, told = run("rehearse", WIDER, "--days", "30", "--all", "--allow-rejected", "10", "--json")
    assert code == 0
    assert (json.loads(told)["newly_rejected"], json.loads(told)["failures"]) == (1, [])
    assert [(asked.days, asked.sample) for asked in glue.asked] == [(7, 100_000), (30, None)]
    assert {asked.contract for asked in glue.asked} == {json.dumps(WIDER)}


def test_a_topic_without_a_raw_table_has_nothing_to_rehearse_on(run, glue):
    assert run("rehearse", WIDER | {"table_name": "orders"}, topic="orders")[0] == 1
    assert glue.asked == []
