"""A whole run: several topics, one of them in trouble (design 1, 3.5)."""

import pytest
from lakehouse import Lakehouse, message
from py4j.protocol import Py4JJavaError

from ledgerlake import failpoints
from ledgerlake.jobs import context
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.plan import plan, plan_curate
from ledgerlake.jobs.run import RunFailed, run
from ledgerlake.jobs.standardize import standardize
from ledgerlake.tables.history import Result
from ledgerlake.tables.lake import CATALOG, staging

TOPICS = ("apples", "pears")
COMPILED = "spark.sql.codegen.wholeStage"


def contract(topic: str) -> dict[str, object]:
    return {
        "table_name": topic,
        "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id"}],
        "payload_columns": [{"name": "weight", "type": "int"}],
    }


def test_a_topic_whose_file_is_gone_fails_alone_and_goes_on_when_it_is_back(lakehouse: Lakehouse) -> None:
    for topic in TOPICS:
        lakehouse.publish(contract(topic))
        lakehouse.land(topic, message("m1", {"id": "k1", "weight": 7}))
    table = lakehouse.lake.load("raw", staging("pears"))
    bucket, _, key = next(iter(table.scan().plan_files())).file.file_path.removeprefix("s3://").partition("/")
    s3 = lakehouse.state.s3
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.delete_object(Bucket=bucket, Key=key)

    planned = plan(lakehouse.lake, lakehouse.state, "cycle-1")
    with pytest.raises(RunFailed, match="pears"):
        run(lakehouse.context("cycle-1"), planned.requests[0])
    curated = plan_curate(lakehouse.lake, lakehouse.state, "cycle-1")
    assert curated.requests[0].topics == ("apples",)
    run(lakehouse.context("cycle-1"), curated.requests[0])

    history = {(row["topic_name"], row["stage"]): row for row in lakehouse.rows("ops", "job_run_history")}
    assert history["apples", "curate"]["outcome"] == Result.CURATED
    failed = history["pears", "standardize"]
    assert failed["outcome"] == Result.FAILED
    assert key.rsplit("/", 1)[-1] in failed["error"]

    s3.put_object(Bucket=bucket, Key=key, Body=body)
    lakehouse.land("pears", message("m2", {"id": "k2", "weight": 8}))
    planned = plan(lakehouse.lake, lakehouse.state, "cycle-2")
    (outcome,) = run(lakehouse.context("cycle-2"), planned.requests[0])
    assert (outcome.batch_id, outcome.rows_standardized) == (failed["batch_id"], 1)
    planned = plan(lakehouse.lake, lakehouse.state, "cycle-3")
    run(lakehouse.context("cycle-3"), planned.requests[0])
    run(lakehouse.context("cycle-3"), plan_curate(lakehouse.lake, lakehouse.state, "cycle-3").requests[0])
    assert lakehouse.ids("curated", "pears") == ["m1", "m2"]


def test_a_catalogue_that_does_not_answer_is_not_taken_for_a_missing_table(lakehouse: Lakehouse) -> None:
    lakehouse.publish(contract("apples"))
    lakehouse.land("apples", message("m1", {"id": "k1", "weight": 7}))
    cut_off = lakehouse.context()
    cut_off.spark.conf.set(f"spark.sql.catalog.{CATALOG}.glue.endpoint", "http://127.0.0.1:1")
    with pytest.raises(Py4JJavaError, match=r"127\.0\.0\.1:1 "):
        standardize(cut_off, "apples")
    standardize(lakehouse.context(), "apples")
    assert lakehouse.ids("standardized", "apples") == ["m1"]


@pytest.mark.parametrize(("few", "compiled"), [(3, "false"), (1, "true")])
def test_plans_are_compiled_only_where_there_are_rows_enough(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch, few: int, compiled: str
) -> None:
    monkeypatch.setattr(context, "FEW_ROWS", few)
    lakehouse.publish(contract("apples"))
    seen = {}

    def work(own: Context, topic: str) -> str:
        conf = own.spark.conf
        conf.set(COMPILED, "true")
        monkeypatch.setattr(failpoints, "hit", lambda point, _topic="": seen.update({point: conf.get(COMPILED)}))
        standardize(own, topic)
        curate(own, topic)
        return conf.get(COMPILED)

    for number in range(2):  # the second time there is one row to read and one to look up
        lakehouse.land("apples", message(f"m{number}", {"id": f"k{number}", "weight": 7}))
        assert lakehouse.context().each(work, ["apples"]) == ["true"]
    assert {seen["standardize.before_commit"], seen["curate.before_commit"]} == {compiled}
    assert lakehouse.ids("curated", "apples") == ["m0", "m1"]


def test_each_topic_is_worked_on_in_a_session_of_its_thread(lakehouse: Lakehouse) -> None:
    shared = lakehouse.context()
    used = shared.each(lambda own, topic: (topic, id(own.spark)), [f"topic_{number}" for number in range(9)])
    assert [topic for topic, _ in used] == [f"topic_{number}" for number in range(9)]
    sessions = {session for _, session in used}
    assert 1 <= len(sessions) <= shared.settings.parallel_topics
    assert id(shared.spark) not in sessions


def test_a_session_plans_as_before_after_a_topic_with_few_rows(lakehouse: Lakehouse) -> None:
    def fail(own: Context) -> None:
        with own.expecting(1):
            assert own.spark.conf.get(COMPILED) == "false"
            raise ZeroDivisionError

    def work(own: Context, _topic: str) -> str:
        own.spark.conf.set(COMPILED, "true")
        with pytest.raises(ZeroDivisionError):
            fail(own)
        return own.spark.conf.get(COMPILED)

    assert lakehouse.context().each(work, ["apples"]) == ["true"]
