"""Maintenance rewrites the very tables that a run works on; files then hold rows of several batches (ADR 0009)."""

from collections.abc import Callable

import orders
import pytest
from crash.steps import STAGES, TOPIC, Meanwhile, begin, finish, work
from lakehouse import Lakehouse

from ledgerlake import failpoints
from ledgerlake.failpoints import Crashed
from ledgerlake.state.checkpoints import Stage
from ledgerlake.tables.definitions import Layer
from ledgerlake.tables.lake import CATALOG, staging
from ledgerlake.tables.sql import literal

BATCHES = (orders.FIRST, orders.SECOND[:8], orders.SECOND[8:])
TARGETS: dict[Stage, tuple[Layer, str]] = {
    "standardize": ("standardized", "parse_errors"),
    "curate": ("curated", "errors"),
}


def compact(house: Lakehouse, layer: Layer, table: str) -> None:
    """Rewrite all of a table's files, as many rows to a file as fit."""
    name = literal(".".join(house.lake.identifier(layer, table)))
    done = house.spark.newSession().sql(
        f"CALL {CATALOG}.system.rewrite_data_files(table => {name}, options => map('rewrite-all', 'true'))"
    )
    assert done.first()["rewritten_data_files_count"] > 0


def compact_targets(house: Lakehouse, stage: Stage) -> None:
    """Rewrite the stage's main table and its errors."""
    layer, errors = TARGETS[stage]
    compact(house, layer, TOPIC)
    compact(house, layer, errors)


def two_batches(house: Lakehouse) -> None:
    begin(house)
    for batch in BATCHES[:2]:
        house.land(TOPIC, *batch)
        finish(house)
    house.land(TOPIC, *BATCHES[2])


@pytest.mark.parametrize("point", ["before_errors_write", "after_stage"])
def test_compaction_while_a_batch_is_written_changes_nothing(
    lakehouse: Lakehouse, uninterrupted: Callable[..., object], meanwhile: Meanwhile, point: str
) -> None:
    two_batches(lakehouse)
    for stage in STAGES:
        meanwhile(f"{stage}.{point}", lambda stage=stage: compact_targets(lakehouse, stage))  # type: ignore[misc]
        work(lakehouse, stage)

    assert orders.told(lakehouse, TOPIC) == uninterrupted(*([batch] for batch in BATCHES))


def test_compaction_between_a_death_and_the_next_try_changes_nothing(
    lakehouse: Lakehouse, uninterrupted: Callable[..., object]
) -> None:
    """The files of the dead run's batch are merged with those of others before anybody goes on with it."""
    two_batches(lakehouse)
    for stage, point in (("standardize", "after_commit"), ("curate", "after_errors_write")):
        failpoints.arm(f"{stage}.{point}=crash")
        with pytest.raises(Crashed):
            work(lakehouse, stage)
        failpoints.arm("")
        compact_targets(lakehouse, stage)
        lakehouse.expire_locks()
        work(lakehouse, stage)

    assert orders.told(lakehouse, TOPIC) == uninterrupted(*([batch] for batch in BATCHES))


def test_compaction_of_raw_leaves_what_waits_where_it_was(
    lakehouse: Lakehouse, uninterrupted: Callable[..., object]
) -> None:
    begin(lakehouse, orders.FIRST)
    finish(lakehouse)
    for batch in BATCHES[1:]:
        lakehouse.land(TOPIC, *batch)
        compact(lakehouse, "raw", staging(TOPIC))
        finish(lakehouse)

    assert orders.told(lakehouse, TOPIC) == uninterrupted(*([batch] for batch in BATCHES))
