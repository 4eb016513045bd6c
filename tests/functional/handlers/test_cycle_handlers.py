"""The cycle's Lambdas over a lake in SQLite; what the Glue runs do is committed by pyiceberg."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest

from ledgerlake.handlers import check_curated_ready, clients, plan_cycle, reconcile
from ledgerlake.ops import ledger
from ledgerlake.ops.close_stage import SILENT, error_of
from ledgerlake.state.gate import Admission
from ledgerlake.state.store import State
from ledgerlake.tables import append, definitions, snapshots
from ledgerlake.tables.ensure import ensure_topic, evolve
from ledgerlake.tables.history import Outcome, Result
from ledgerlake.tables.lake import UnknownTopics

NOW = datetime(2026, 1, 18, 10, tzinfo=UTC)
CYCLE = "cycle-1"


@pytest.fixture
def state(settings, state_tables):
    boto3.client("s3", region_name="eu-central-1").create_bucket(
        Bucket=settings.buckets.ops, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return State.connect(settings, clients.dynamodb(), clients.s3())


@pytest.fixture
def call(lake, state, context, monkeypatch):
    """Call a step's handler with this test's lake and state."""

    def step(module, **event):
        monkeypatch.setattr(module, "lake", lambda: lake)
        monkeypatch.setattr(module, "state", lambda: state)
        return module.handle({"cycle_id": CYCLE, **event}, context)

    return step


@pytest.fixture
def events(lake, state):
    """The topic `events` with a contract and STANDARDIZED and CURATED tables."""
    evolve(lake, definitions.standardized("events"))
    columns = SimpleNamespace(table_name="events", columns=(), partition_by=(), tags=())
    evolve(lake, definitions.curated(columns))
    state.gate.put(Admission("events", True, 1, "sha", "version", curated=True))


def raw(lake, *ids, topic="events"):
    row = {"topic_name": topic, "publish_time": NOW, "ingestion_ts": NOW, "json_payload": "{}"}
    append.append(lake.load("raw", f"{topic}_staging"), [row | {"message_id": i} for i in ids])


def standardize(lake, ids, batch_id, *, duplicate=0, errors=()):
    """Commit as the standardize job does: errors first, then the rows with the ledger in the summary."""
    parse_error(lake, errors, batch_id)
    rows = [{"message_id": i, "topic_name": "events", "publish_time": NOW, "batch_id": batch_id} for i in ids]
    source = lake.load("raw", "events_staging").current_snapshot().snapshot_id
    commit(lake, "standardized", rows, batch_id, source, {"standardized": len(rows), "duplicate": duplicate})


def curate(lake, ids, batch_id, *, superseded=0):
    rows = [{"message_id": i, "idempotency_key": i, "publish_time": NOW, "batch_id": batch_id} for i in ids]
    source = lake.load("standardized", "events").current_snapshot().snapshot_id
    commit(lake, "curated", rows, batch_id, source, {"superseded": superseded})


def commit(lake, layer, rows, batch_id, source, totals):
    properties = {snapshots.BATCH_ID: batch_id, snapshots.SOURCE_SNAPSHOT_ID: str(source)}
    properties |= {kind + name: str(n) for name, n in totals.items() for kind in (snapshots.ROWS, snapshots.TOTAL)}
    append.append(lake.load(layer, "events"), rows, properties)


def parse_error(lake, ids, batch_id):
    rows = [{"message_id": i, "topic_name": "events", "batch_id": batch_id} for i in ids]
    append.append(lake.load("standardized", "parse_errors"), rows)


def tell(state, stage, outcome, topic="events", error=None, drift=None):
    told = {"cycle_id": CYCLE, "topic_name": topic, "stage": stage, "outcome": outcome, "error": error, "drift": drift}
    state.cycles.put_outcome(Outcome(**told, started_at=NOW, ended_at=NOW))


def history(lake):
    rows = lake.load("ops", "job_run_history").scan().to_arrow().to_pylist()
    return sorted((row["topic_name"], row["stage"], row["outcome"], row["error"]) for row in rows)


def balances(lake, state):
    return {balance.formula: balance for balance in ledger.balances(lake, state.checkpoints, ["events"])}


def test_a_cycle_for_topics_that_do_not_exist_names_them_and_pins_nothing(call, events, lake, state):
    raw(lake, "m1")
    with pytest.raises(UnknownTopics, match=r"no such topics: evnts, ghosts; there are events"):
        call(plan_cycle, topics=["events", "ghosts", "evnts"])
    assert state.checkpoints.all() == {}


def test_a_topic_without_a_contract_is_skipped_and_leaves_nothing_to_do(call, lake):
    raw(lake, "m1")
    assert call(plan_cycle) == {"cycle_id": CYCLE, "work": False, "runs": []}
    assert history(lake) == [("events", "plan", "SKIPPED_NO_SCHEMA", None)]


def test_a_topic_with_news_is_planned_in_a_run_that_finds_its_request(call, events, lake, state):
    raw(lake, "m1")
    answer = call(plan_cycle)
    [run] = answer["runs"]
    assert (answer["work"], run["stage"], run["number"]) == (True, "standardize", 0)
    assert state.cycles.get_request(run["request"]).topics == ("events",)
    assert state.checkpoints.get("events", "standardize").pending


def test_only_the_topics_asked_for_are_planned(call, events, lake, state):
    ensure_topic(lake, "orders")
    state.gate.put(Admission("orders", True, 1, "sha", "version", curated=True))
    raw(lake, "m1")
    raw(lake, "m2", topic="orders")
    [run] = call(plan_cycle, topics=["orders"])["runs"]
    assert state.cycles.get_request(run["request"]).topics == ("orders",)


def test_planning_a_cycle_again_gives_the_same_answer(call, events, lake):
    raw(lake, "m1")
    first = call(plan_cycle)
    raw(lake, "m2")
    assert call(plan_cycle) == first


def test_a_topic_whose_table_cannot_be_read_is_left_to_its_job_and_holds_no_other_up(call, events, lake, state):
    ensure_topic(lake, "orders")
    state.gate.put(Admission("orders", True, 1, "sha", "version", curated=True))
    raw(lake, "m1")
    raw(lake, "m2", topic="orders")
    Path(lake.load("raw", "orders_staging").metadata_location.removeprefix("file://")).unlink()
    [run] = call(plan_cycle)["runs"]
    assert state.cycles.get_request(run["request"]).topics == ("events", "orders")
    assert state.checkpoints.get("events", "standardize").pending


def test_a_dead_runs_topic_is_skipped_while_its_lock_stands_and_done_on_the_same_batch_after(
    call, events, lake, state, state_tables
):
    raw(lake, "m1")
    call(plan_cycle)
    pinned = state.checkpoints.get("events", "standardize").batch_id
    state.locks.acquire("events", CYCLE)  # its run was stopped, and gave nothing back
    raw(lake, "m2")

    assert call(plan_cycle, cycle_id="cycle-2") == {"cycle_id": "cycle-2", "work": False, "runs": []}
    assert history(lake) == [("events", "plan", "SKIPPED_LOCKED", CYCLE)]

    expire(state_tables["locks"], "events")
    [run] = call(plan_cycle, cycle_id="cycle-3")["runs"]
    assert state.cycles.get_request(run["request"]).topics == ("events",)
    assert state.checkpoints.get("events", "standardize").batch_id == pinned
    with state.locks.acquire("events", "cycle-3"):
        assert state.locks.holder("events") == "cycle-3"


def expire(locks, topic):
    """As time does."""
    locks.update_item(
        Key={"topic": topic}, UpdateExpression="SET expires_at = :past", ExpressionAttributeValues={":past": 0}
    )


def test_what_was_standardized_is_planned_to_be_curated(call, events, lake, state):
    raw(lake, "m1")
    planned = call(plan_cycle)
    standardize(lake, ["m1"], "b1")
    tell(state, "standardize", Result.STANDARDIZED)
    answer = call(check_curated_ready, standardize=planned["runs"])
    assert (answer["ready"], answer["failed"]) == (True, 0)
    assert [run["stage"] for run in answer["runs"]] == ["curate"]


def test_a_topic_that_its_dead_run_said_nothing_about_is_failed_with_the_runs_error(call, events, lake):
    raw(lake, "m1")
    [run] = call(plan_cycle)["runs"]
    cause = json.dumps({"Id": "jr_1", "JobRunState": "FAILED", "ErrorMessage": "out of memory"})
    dead = run | {"error": {"Error": "States.TaskFailed", "Cause": cause}}
    answer = call(check_curated_ready, standardize=[dead])
    assert (answer["ready"], answer["failed"]) == (False, 1)
    assert history(lake) == [("events", "standardize", "FAILED", "Glue run jr_1 FAILED: out of memory")]


def test_what_a_dead_run_told_before_it_died_is_recorded(call, events, lake, state):
    raw(lake, "m1")
    [run] = call(plan_cycle)["runs"]
    standardize(lake, ["m1"], "b1")
    tell(state, "standardize", Result.STANDARDIZED)
    answer = call(check_curated_ready, standardize=[run | {"error": {"Error": "States.Timeout", "Cause": ""}}])
    assert (answer["ready"], answer["failed"]) == (True, 0)
    assert history(lake) == [("events", "standardize", "STANDARDIZED", None)]


def test_a_run_that_ended_well_and_forgot_a_topic_failed_it(call, events, lake):
    raw(lake, "m1")
    runs = call(plan_cycle)["runs"]
    assert call(check_curated_ready, standardize=runs)["failed"] == 1
    assert history(lake) == [("events", "standardize", "FAILED", SILENT)]


@pytest.mark.parametrize("cause", ["no JSON", "7", ""])
def test_an_error_that_is_no_job_run_is_told_as_it_is(cause):
    assert error_of({"error": {"Error": "States.Timeout", "Cause": cause}}) == f"States.Timeout: {cause}"


def test_a_cycle_that_went_well_balances_and_says_so_in_the_log(call, events, lake, state):
    raw(lake, "m1", "m2", "m2", "bad")
    runs = call(plan_cycle)["runs"]
    standardize(lake, ["m1", "m2"], "b1", duplicate=1, errors=["bad"])
    tell(state, "standardize", Result.STANDARDIZED, drift=3)
    curating = call(check_curated_ready, standardize=runs)["runs"]
    curate(lake, ["m1"], "b1", superseded=1)
    tell(state, "curate", Result.CURATED)
    answer = call(reconcile, curate=curating)
    published = clients.cloudwatch().list_metrics(Namespace="ledgerlake")["Metrics"]
    assert [one["Dimensions"] for one in published if one["MetricName"] == "Drift"] == [
        [{"Name": "environment", "Value": "ledgerlake_test"}],
        [{"Name": "environment", "Value": "ledgerlake_test"}, {"Name": "topic", "Value": "events"}],
    ]
    assert answer == {"cycle_id": CYCLE, "failed": [], "failed_count": 0, "balanced": True, "variances": []}
    log = lake.load("ops", "reconciliation_log").scan().to_arrow().to_pylist()
    assert {row["formula"]: (row["expected"], row["actual"], row["balanced"]) for row in log} == {
        ledger.ARRIVAL: (None, 4, None),
        ledger.STANDARDIZE: (4, 4, True),
        ledger.CURATE: (2, 2, True),
    }


def test_reconciling_again_replaces_the_cycles_rows(call, events, lake, state):
    raw(lake, "m1")
    standardize(lake, ["m1"], "b1")
    tell(state, "standardize", Result.STANDARDIZED)
    call(reconcile, curate=[])
    first = lake.load("ops", "reconciliation_log").scan().to_arrow().num_rows
    call(reconcile, curate=[])
    assert lake.load("ops", "reconciliation_log").scan().to_arrow().num_rows == first == 2


def test_failures_of_both_stages_are_named(call, events, lake, state):
    tell(state, "standardize", Result.FAILED, error="no such file")
    tell(state, "curate", Result.FAILED, topic="orders", error="x" * 5000)
    answer = call(reconcile, curate=[])
    assert answer["failed_count"] == 2
    assert answer["failed"][0] == {"topic": "events", "stage": "standardize", "error": "no such file"}
    assert len(answer["failed"][1]["error"]) == 1000


def test_many_failures_still_fit_an_alert(call, state):
    for number in range(30):
        tell(state, "standardize", Result.FAILED, topic=f"t{number}", error="e")
    answer = call(reconcile, curate=[])
    assert (answer["failed_count"], len(answer["failed"])) == (30, 20)


def test_a_row_that_is_missing_in_standardized_is_a_variance(call, events, lake, state):
    raw(lake, "m1", "m2", "m3")
    standardize(lake, ["m1"], "b1", errors=["m2"])
    tell(state, "standardize", Result.STANDARDIZED)
    answer = call(reconcile, curate=[])
    assert answer["balanced"] is False
    [variance] = answer["variances"]
    assert (variance["topic"], variance["formula"], variance["expected"], variance["actual"]) == (
        "events",
        ledger.STANDARDIZE,
        3,
        2,
    )
    assert variance["parts"] == {"standardized": 1, "duplicates": 0, "parse_errors": 1}


def test_a_row_twice_in_curated_is_a_variance(events, lake, state):
    raw(lake, "m1")
    standardize(lake, ["m1"], "b1")
    curate(lake, ["m1", "m1"], "b1")
    found = balances(lake, state)[ledger.CURATE]
    assert (found.expected, found.actual, found.balanced) == (1, 2, False)


def test_rows_that_wait_for_their_batch_do_not_count(events, lake, state):
    raw(lake, "m1")
    standardize(lake, ["m1"], "b1")
    curate(lake, ["m1"], "b1")
    raw(lake, "m2", "m3")
    assert [balance.balanced for balance in balances(lake, state).values()] == [None, True, True]
    standardize(lake, ["m2", "m3"], "b2")
    assert balances(lake, state)[ledger.CURATE].balanced


def test_errors_of_a_batch_that_was_not_committed_do_not_count(call, events, lake, state):
    raw(lake, "m1")
    standardize(lake, ["m1"], "b1")
    raw(lake, "bad")
    call(plan_cycle)
    parse_error(lake, ["bad"], state.checkpoints.get("events", "standardize").batch_id)
    assert balances(lake, state)[ledger.STANDARDIZE].balanced


def test_curated_errors_of_a_batch_that_was_not_curated_yet_do_not_count(events, lake, state):
    raw(lake, "m1")
    standardize(lake, ["m1"], "b1")
    curate(lake, ["m1"], "b1")
    raw(lake, "m2")
    standardize(lake, ["m2"], "b2")
    error = {"message_id": "m2", "topic_name": "events", "batch_id": "b2"}
    append.append(lake.load("curated", "errors"), [error])
    assert balances(lake, state)[ledger.CURATE].balanced


def test_an_errors_table_whose_commits_brought_no_rows_counts_none(events, lake, state):
    parse_errors = lake.load("standardized", "parse_errors")
    parse_errors.append(append.to_arrow(parse_errors, []))
    raw(lake, "m1")
    standardize(lake, ["m1"], "b1")
    assert balances(lake, state)[ledger.STANDARDIZE].balanced


def test_rows_that_no_batch_accounts_for_are_a_variance(events, lake, state):
    raw(lake, "m1")
    append.append(lake.load("standardized", "events"), [{"message_id": "m1", "topic_name": "events"}])
    found = balances(lake, state)[ledger.STANDARDIZE]
    assert found.balanced is False
    assert "no snapshot" in found.problem
