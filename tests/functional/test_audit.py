"""What must hold of a batch before it is written, and of its staged commit before that is published."""

import pytest
from pyiceberg.table.snapshots import Operation, Snapshot, Summary

from ledgerlake.jobs.commit import AuditFailed, ConservationError, require_conserved, require_counts
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


def staged(**counted: str) -> Snapshot:
    summary = Summary(Operation.OVERWRITE, **counted)
    return Snapshot(snapshot_id=1, sequence_number=1, timestamp_ms=0, manifest_list="m", summary=summary)


def test_a_staged_commit_that_holds_other_counts_is_not_published() -> None:
    snapshot = staged(**{"added-records": "3", "added-position-deletes": "1"})
    require_counts("events", snapshot, added=3, replaced=1)
    for added, replaced in ((2, 1), (3, 0)):
        with pytest.raises(AuditFailed, match="adds 3 rows and replaces 1"):
            require_counts("events", snapshot, added=added, replaced=replaced)


def test_earlier_deletes_of_a_file_that_are_written_anew_are_not_the_batchs() -> None:
    counted = {"added-records": "5", "added-position-deletes": "39", "removed-position-deletes": "22"}
    require_counts("events", staged(**counted), added=5, replaced=17)


def test_a_staged_commit_without_a_word_holds_nothing() -> None:
    require_counts("events", staged(), added=0)
    with pytest.raises(AuditFailed):
        require_counts("events", staged(), added=1)
