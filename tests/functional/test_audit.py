"""What must hold of a batch before it is written, and of its staged commit before that is published."""

import pytest
from concurrency.test_compaction import compact
from lakehouse import Lakehouse, message
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from reprocessing import ORDERS, TOPIC, amounts, land

from ledgerlake.jobs.commit import AuditFailed, ConservationError, require_added, require_conserved, require_replaced
from ledgerlake.tables import deletes, snapshots
from ledgerlake.transform.identity import Identity

BATCH = Identity(3, 60, 6)


def test_parts_that_are_the_batch_pass() -> None:
    require_conserved("events", BATCH, {"standardized": Identity(2, 30, 3), "duplicates": Identity(1, 30, 3)})


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(Identity(1, 10, 1), id="a row is missing"),
        pytest.param(Identity(3, 60, 6), id="rows are there twice"),
        pytest.param(Identity(2, 31, 3), id="as many rows, but not the same"),
    ],
)
def test_parts_that_are_not_the_batch_stop_it(part: Identity) -> None:
    with pytest.raises(ConservationError, match="not the sum of its parts"):
        require_conserved("events", BATCH, {"standardized": part, "duplicates": Identity(1, 30, 3)})


def staged(records: int) -> Snapshot:
    summary = Summary(Operation.OVERWRITE, **{"added-records": str(records)})
    return Snapshot(snapshot_id=1, sequence_number=1, timestamp_ms=0, manifest_list="m", summary=summary)


def test_a_staged_commit_that_adds_other_rows_is_not_published() -> None:
    require_added("events", staged(3), 3)
    with pytest.raises(AuditFailed, match="adds 3 rows, its batch has 2"):
        require_added("events", staged(3), 2)


def test_a_staged_commit_without_a_word_holds_nothing() -> None:
    bare = Snapshot(snapshot_id=1, sequence_number=1, timestamp_ms=0, manifest_list="m")
    require_added("events", bare, 0)
    with pytest.raises(AuditFailed):
        require_added("events", bare, 1)


def replaced_last(house: Lakehouse) -> int:
    table = house.lake.load("curated", TOPIC)
    return deletes.replaced(table, table.current_snapshot())


def test_only_the_batchs_own_deletes_count_as_its(lakehouse: Lakehouse) -> None:
    """Three keys in one file, replaced one after the other: Iceberg writes a file's earlier deletes anew each time."""
    lakehouse.publish(ORDERS)
    land(lakehouse, *(message(f"m{n}", {"id": f"k{n}", "amount": n}, n) for n in (1, 2, 3)))
    land(lakehouse, message("m4", {"id": "k1", "amount": 4}, 4))
    assert replaced_last(lakehouse) == 1
    land(lakehouse, message("m5", {"id": "k2", "amount": 5}, 5))
    table = lakehouse.lake.load("curated", TOPIC)
    assert snapshots.count(table.current_snapshot(), "removed-position-deletes") == 1
    assert replaced_last(lakehouse) == 1
    with pytest.raises(AuditFailed, match="replaces 1 rows, its batch has 2"):
        require_replaced("orders", table, table.current_snapshot(), 2)

    compact(lakehouse, "curated", TOPIC)
    land(lakehouse, message("m6", {"id": "k3", "amount": 6}, 6))

    assert replaced_last(lakehouse) == 1
    assert amounts(lakehouse) == {"k1": ("m4", "4.00"), "k2": ("m5", "5.00"), "k3": ("m6", "6.00")}
