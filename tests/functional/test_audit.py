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


@pytest.fixture
def two_of_three_replaced(lakehouse: Lakehouse) -> Lakehouse:
    """Three keys in one file, two of which later messages replace one after the other."""
    lakehouse.publish(ORDERS)
    land(lakehouse, *(message(f"m{n}", {"id": f"k{n}", "amount": n}, n) for n in (1, 2, 3)))
    land(lakehouse, message("m4", {"id": "k1", "amount": 4}, 4))
    assert replaced_last(lakehouse) == 1
    land(lakehouse, message("m5", {"id": "k2", "amount": 5}, 5))
    return lakehouse


def test_earlier_deletes_of_a_file_that_are_written_anew_are_not_the_batchs(two_of_three_replaced: Lakehouse) -> None:
    table = two_of_three_replaced.lake.load("curated", TOPIC)
    assert snapshots.count(table.current_snapshot(), "removed-position-deletes") == 1
    assert replaced_last(two_of_three_replaced) == 1
    with pytest.raises(AuditFailed, match="replaces 1 rows, its batch has 2"):
        require_replaced("orders", table, table.current_snapshot(), 2)


def test_what_compaction_does_with_deletes_is_not_the_batchs(two_of_three_replaced: Lakehouse) -> None:
    compact(two_of_three_replaced, "curated", TOPIC)
    land(two_of_three_replaced, message("m6", {"id": "k3", "amount": 6}, 6))
    assert replaced_last(two_of_three_replaced) == 1
    assert amounts(two_of_three_replaced)["k3"] == ("m6", "6.00")
