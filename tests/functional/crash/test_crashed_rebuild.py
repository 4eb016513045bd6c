"""A contract whose tables are rebuilt dies at each point of its way into force, and is put there again (ADR 0015)."""

import uuid
from collections import Counter
from collections.abc import Sequence

import pytest
from lakehouse import Lakehouse
from rebuilding import FIRST, KEYED, NARROWER, TOPIC, begin, bring, order, temporary, upload
from reprocessing import cycle, open_errors, refs, require_balanced

from ledgerlake import failpoints
from ledgerlake.failpoints import Crashed
from ledgerlake.jobs.commit import ContractOutdated
from ledgerlake.jobs.curate import HalfPublished, curate
from ledgerlake.jobs.rebuild_for_contract import publish
from ledgerlake.jobs.replay import look
from ledgerlake.jobs.selection import Selection
from ledgerlake.jobs.standardize import standardize
from ledgerlake.ops.candidates import Pending
from ledgerlake.tables.registry import SchemaVersions

ALL_IN_ONE = {**KEYED, "accept": NARROWER["accept"]}
"""From the first contract to other types, partitions and keys at once: both tables are rebuilt."""

UNTIL_STANDARDIZED = (
    "rebuild.after_begin",
    "reprocess.after_standardized",
    "rebuild.after_build",
    "reprocess.after_commit",
)
FROM_THEN_ON = (
    "reprocess.after_errors_write",
    "reprocess.before_commit",
    "reprocess.before_checkpoint",
    "rebuild.after_tables",
    "publish.after_archive",
    "publish.after_active",
    "publish.after_history",
    "publish.before_gate",
    "publish.after_gate",
    "rebuild.before_unlock",
)


@pytest.mark.timeout(1800)
def test_it_may_die_anywhere_and_never_is_a_half_made_table_worked_on(lakehouse: Lakehouse) -> None:
    begin(lakehouse)
    pending, died = upload(lakehouse, ALL_IN_ONE), []
    try:
        arm(UNTIL_STANDARDIZED)
        while True:
            try:
                publish(lakehouse.context(uuid.uuid4().hex), pending, patience=0)
                break
            except Crashed as crash:
                died.append(str(crash).split()[1].removesuffix(f"[{TOPIC}]"))
            meanwhile(lakehouse, died)
            # Now and then somebody uploads it again.
            pending = upload(lakehouse, ALL_IN_ONE) if len(died) % 5 == 0 else Pending(TOPIC)
    finally:
        failpoints.arm("")

    assert Counter(died) == Counter((*UNTIL_STANDARDIZED, *FROM_THEN_ON))
    versions = SchemaVersions.of(lakehouse.lake, TOPIC)
    assert (versions.has(2), versions.has(3)) == (True, False)
    assert temporary(lakehouse) == []
    assert len(refs(lakehouse)) == 2  # each table was published by a try of its own
    cycle(lakehouse)
    assert lakehouse.ids("curated", TOPIC) == ["k5", "k8"]
    assert open_errors(lakehouse) == ["k2", "k3", "k4"]
    require_balanced(lakehouse)


def arm(points: Sequence[str]) -> None:
    failpoints.arm(";".join(f"{point}=crash*1" for point in points))


def meanwhile(house: Lakehouse, died: list[str]) -> None:
    """The topic goes on by the old contract until a table is the new one's, and from then on waits for it."""
    match died:
        case ["rebuild.after_begin"]:
            house.land(TOPIC, order("k7", 8, 7))
            cycle(house)
            require_balanced(house)
        case [*_, "reprocess.after_commit"]:
            arm(FROM_THEN_ON)
            house.land(TOPIC, order("k8", 9, 8))
            with pytest.raises(HalfPublished, match="CURATED was not yet"):
                look(house.context(), TOPIC, Selection(), "early")
            with pytest.raises(ContractOutdated):
                standardize(house.context(), TOPIC)
        case [*_, "publish.before_gate"]:
            with pytest.raises(ContractOutdated):
                standardize(house.context(), TOPIC)


def test_another_contract_ends_what_died_too(lakehouse: Lakehouse) -> None:
    begin(lakehouse)
    failpoints.arm("rebuild.after_tables=crash*1")
    try:
        with pytest.raises(Crashed):
            bring(lakehouse, NARROWER)
    finally:
        failpoints.arm("")
    lakehouse.land(TOPIC, order("k7", 8, 7))
    standardize(lakehouse.context(), TOPIC)
    with pytest.raises(ContractOutdated):
        curate(lakehouse.context(), TOPIC)

    assert (bring(lakehouse, FIRST).version, bring(lakehouse, FIRST).status) == (3, "unchanged")

    assert lakehouse.ids("curated", TOPIC) == ["k1-new", "k2", "k3", "k7"]
    assert open_errors(lakehouse) == ["k4", "k5"]
    require_balanced(lakehouse)
    cycle(lakehouse)
    require_balanced(lakehouse)
