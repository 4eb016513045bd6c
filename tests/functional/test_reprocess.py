"""Tables rebuilt from RAW: compared on branches, published or discarded (ADR 0010)."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from lakehouse import START, Lakehouse, message
from pyiceberg.expressions import In
from reprocessing import (
    MESSAGES,
    ORDERS,
    TOPIC,
    WIDER,
    amounts,
    land,
    layers,
    mains,
    objects,
    open_errors,
    refs,
    reprocess,
    require_balanced,
    spoil,
)

from ledgerlake import failpoints
from ledgerlake.errors import LedgerlakeError
from ledgerlake.failpoints import Crashed
from ledgerlake.jobs.reprocess import UnknownReprocess
from ledgerlake.tables.branches import BEFORE
from ledgerlake.tables.publish import MainMoved


@pytest.fixture
def orders(lakehouse: Lakehouse) -> Lakehouse:
    lakehouse.publish(ORDERS)
    land(lakehouse, *MESSAGES)
    return lakehouse


@pytest.fixture(autouse=True)
def nothing_armed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_a_table_that_is_as_it_would_be_built_today_stays_as_it_is(orders: Lakehouse) -> None:
    before = mains(orders)
    report = reprocess(orders, "build", "same")
    assert report.same
    assert (layers(report)["standardized"].equal, layers(report)["curated"].equal) == (5, 2)
    assert mains(orders) == before
    assert reprocess(orders, "publish", "same").published == ("standardized", "curated")
    require_balanced(orders)
    assert amounts(orders) == {"k1": ("m2", "2.00"), "k2": ("m3", "3.00")}


def test_a_new_contract_reaches_back_to_the_rows_that_were_there_before_it(orders: Lakehouse) -> None:
    orders.publish(WIDER, version=2)
    before, rows = mains(orders), orders.rows("curated", TOPIC)

    found = layers(reprocess(orders, "build", "wider"))["curated"]

    assert mains(orders) == before
    assert sorted(map(str, orders.rows("curated", TOPIC))) == sorted(map(str, rows))
    assert (found.equal, found.changed, found.failed_no_longer, found.fails_now) == (0, 2, 2, 1)  # one fails otherwise
    changes = {one.column: [(s.id, s.before, s.after) for s in one.samples] for one in found.columns}
    assert changes["note"] == [("k1", None, "none"), ("k2", None, "none")]
    assert changes["amount"] == [("k2", "3.00", "-4.00")]

    reprocess(orders, "publish", "wider")

    assert amounts(orders) == {"k1": ("m2", "2.00"), "k2": ("negative", "-4.00")}
    assert orders.ids("curated", "errors", "resolved_by = 'orders-reprocess-wider'") == ["negative", "worse"]
    assert orders.ids("curated", "errors", "reported_by = 'orders-reprocess-wider'") == ["worse"]
    assert open_errors(orders) == ["worse"]
    assert refs(orders) == {BEFORE + "wider"}
    table = orders.lake.load("curated", TOPIC)
    kept = table.scan(snapshot_id=table.metadata.refs[BEFORE + "wider"].snapshot_id).to_arrow()
    assert sorted(kept["message_id"].to_pylist()) == ["m2", "m3"]
    require_balanced(orders)

    land(orders, message("m7", {"id": "k1", "amount": 7}, 7))
    assert amounts(orders)["k1"] == ("m7", "7.00")
    require_balanced(orders)


def test_what_went_wrong_is_put_right_from_raw_and_named(orders: Lakehouse) -> None:
    spoil(orders)

    found = layers(reprocess(orders, "build", "repair"))["standardized"]

    assert (found.equal, found.changed, found.added, found.removed) == (3, 1, 2, 0)
    assert [(one.column, one.samples[0].before, one.samples[0].after) for one in found.columns] == [
        ("amount", "9", "1")
    ]
    assert (found.lost, found.lost_samples, found.failed_no_longer) == (1, ("m3",), 1)
    reprocess(orders, "publish", "repair")
    assert orders.ids("standardized", TOPIC) == ["good", "m1", "m2", "m3", "negative", "worse"]
    assert open_errors(orders, "parse_errors") == ["broken"]
    assert amounts(orders) == {"k1": ("m2", "2.00"), "k2": ("m3", "3.00"), "k4": ("good", "4.00")}
    require_balanced(orders)


def test_a_topic_that_went_on_is_not_overwritten_and_what_was_marked_is_taken_back(orders: Lakehouse) -> None:
    orders.publish(WIDER, version=2)
    reprocess(orders, "build", "late", curated_only=True)
    failpoints.arm("reprocess.after_errors_write=crash*1")
    with pytest.raises(Crashed):
        reprocess(orders, "publish", "late")
    require_balanced(orders)
    land(orders, message("m7", {"id": "k1", "amount": 7}, 7))

    with pytest.raises(MainMoved, match="build it again"):
        reprocess(orders, "publish", "late")
    reprocess(orders, "discard", "late")

    assert open_errors(orders) == ["negative", "worse"]
    assert refs(orders) == set()
    require_balanced(orders)
    with pytest.raises(UnknownReprocess):
        reprocess(orders, "publish", "late")
    assert reprocess(orders, "apply", "again").published == ("standardized", "curated")
    assert amounts(orders) == {"k1": ("m7", "7.00"), "k2": ("negative", "-4.00")}
    require_balanced(orders)


def test_discarding_leaves_neither_branch_nor_file(orders: Lakehouse) -> None:
    orders.publish(WIDER, version=2)
    before, files = mains(orders), objects(orders)
    reprocess(orders, "build", "unwanted")
    assert refs(orders) == {"reprocess-unwanted"}
    assert objects(orders) > files
    reprocess(orders, "discard", "unwanted")
    assert (refs(orders), mains(orders), objects(orders)) == (set(), before, files)


def test_only_a_range_of_raw_is_replayed(orders: Lakehouse) -> None:
    table = orders.lake.load("standardized", TOPIC)
    table.delete(In("message_id", ["m1", "negative"]))
    orders.publish(WIDER, version=2)
    bounds = {"since": START + timedelta(minutes=3), "until": START + timedelta(minutes=5)}

    report = reprocess(orders, "apply", "some", **bounds)

    found = layers(report)["standardized"]
    assert (found.equal, found.added, found.lost) == (1, 1, 1)
    assert orders.ids("standardized", TOPIC) == ["m2", "m3", "negative", "worse"]  # m1 lies before the range
    notes = {row["message_id"]: row["note"] for row in orders.rows("curated", TOPIC)}
    assert notes == {"m2": None, "negative": "none"}
    assert open_errors(orders) == ["worse"]


def test_where_nothing_was_processed_there_is_nothing_to_rebuild(lakehouse: Lakehouse) -> None:
    lakehouse.publish(ORDERS)
    with pytest.raises(LedgerlakeError, match="not been standardized"):
        reprocess(lakehouse, "build", "early")
    with pytest.raises(LedgerlakeError, match="not been curated"):
        reprocess(lakehouse, "build", "early", curated_only=True)
