"""What a cycle finds to do (design 3.5, 5)."""

from lakehouse import Lakehouse, message

from ledgerlake.jobs.plan import Work, plan, plan_curate, split
from ledgerlake.state.checkpoints import Checkpoint
from ledgerlake.tables import append, snapshots
from ledgerlake.tables.history import Result

PLAIN = {"envelope_columns": [], "payload_columns": []}
CURATED = {"envelope_columns": [], "payload_columns": [{"name": "v", "type": "int"}]}


def commit_batch(bare: Lakehouse, topic: str, stage: str = "standardize", layer: str = "standardized") -> None:
    """Commit the pinned batch as a job would, without Spark, and finish its checkpoint."""
    pinned = checkpoint(bare, topic, stage)
    append.append(
        bare.lake.load(layer, topic),  # type: ignore[arg-type]
        [{"message_id": pinned.batch_id, "batch_id": pinned.batch_id}],
        {
            snapshots.BATCH_ID: pinned.batch_id,
            snapshots.SOURCE_SNAPSHOT_ID: str(pinned.to_snapshot_id),
            snapshots.ROWS + "standardized": "1",
        },
    )
    bare.state.checkpoints.done(pinned)


def checkpoint(bare: Lakehouse, topic: str, stage: str = "standardize") -> Checkpoint:
    found = bare.state.checkpoints.get(topic, stage)  # type: ignore[arg-type]
    assert found is not None
    return found


def skips(bare: Lakehouse, cycle_id: str) -> dict[str, Result]:
    return {one.topic_name: one.outcome for one in plan(bare.lake, bare.state, cycle_id).skipped}


def test_topics_that_cannot_or_need_not_be_processed_are_skipped_with_a_reason(bare: Lakehouse) -> None:
    for topic in ("none", "stopped", "locked", "idle", "busy"):
        bare.land(topic, message("m1", {}))
        if topic != "none":
            bare.publish({"table_name": topic, **PLAIN})
    plan(bare.lake, bare.state, "first", ["idle"])
    commit_batch(bare, "idle")
    bare.state.gate.set_enabled("stopped", False, "on holiday")
    with bare.state.locks.acquire("locked", "another cycle"):
        found = plan(bare.lake, bare.state, "second")

    assert {one.topic_name: one.outcome for one in found.skipped} == {
        "none": Result.SKIPPED_NO_SCHEMA,
        "stopped": Result.SKIPPED_DISABLED,
        "locked": Result.SKIPPED_LOCKED,
        "idle": Result.SKIPPED_IDLE,
    }
    assert [request.topics for request in found.requests] == [("busy",)]


def test_a_backlog_is_one_batch_once_the_contract_is_there(bare: Lakehouse) -> None:
    for number in range(3):
        bare.land("waits", message(f"m{number}", {}))
    assert skips(bare, "before") == {"waits": Result.SKIPPED_NO_SCHEMA}

    bare.publish({"table_name": "waits", **PLAIN})
    assert plan(bare.lake, bare.state, "after").requests[0].topics == ("waits",)
    assert checkpoint(bare, "waits").from_snapshot_id == 0


def test_a_pinned_batch_is_finished_before_a_newer_one_is_pinned(bare: Lakehouse) -> None:
    bare.publish({"table_name": "t", **PLAIN})
    bare.land("t", message("m1", {}))
    plan(bare.lake, bare.state, "one")
    pinned = checkpoint(bare, "t")
    bare.land("t", message("m2", {}))
    plan(bare.lake, bare.state, "two")
    assert checkpoint(bare, "t").batch_id == pinned.batch_id

    commit_batch(bare, "t")
    plan(bare.lake, bare.state, "three")
    assert checkpoint(bare, "t").from_snapshot_id == pinned.to_snapshot_id


def test_a_cycle_planned_twice_keeps_its_plan(bare: Lakehouse) -> None:
    bare.publish({"table_name": "t", **PLAIN})
    bare.land("t", message("m1", {}))
    first = plan(bare.lake, bare.state, "cycle")
    commit_batch(bare, "t")
    assert plan(bare.lake, bare.state, "cycle") == first


def test_what_waits_in_standardized_is_curated_although_raw_is_idle(bare: Lakehouse) -> None:
    bare.publish({"table_name": "t", **PLAIN})
    bare.land("t", message("m1", {}))
    plan(bare.lake, bare.state, "one")
    commit_batch(bare, "t")
    assert skips(bare, "two") == {"t": Result.SKIPPED_IDLE}

    bare.publish({"table_name": "t", **CURATED}, version=2)
    found = plan(bare.lake, bare.state, "three")
    assert (found.requests, found.curate_waits, found.work) == ((), ("t",), True)
    assert plan_curate(bare.lake, bare.state, "three").requests[0].topics == ("t",)
    commit_batch(bare, "t", "curate", "curated")
    assert skips(bare, "four") == {"t": Result.SKIPPED_IDLE}


def test_work_is_spread_over_runs_by_topics_and_bytes(bare: Lakehouse) -> None:
    size = bare.lake.settings.bytes_per_run
    works = [Work(topic="big", bytes=size), *(Work(topic=f"t{n:03}", bytes=1) for n in range(201))]
    runs = split("standardize", "cycle", works, bare.lake)
    assert [len(run.topics) for run in runs] == [1, bare.lake.settings.topics_per_run, 1]
    assert [run.number for run in runs] == [0, 1, 2]
