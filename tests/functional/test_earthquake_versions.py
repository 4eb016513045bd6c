"""The earthquakes contract through its versions over real records: added to, widened, tightened, renamed, rebuilt."""

import copy
import json
import uuid
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from lakehouse import Lakehouse, message

from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.rebuild_for_contract import publish
from ledgerlake.jobs.session import read_at
from ledgerlake.jobs.standardize import standardize
from ledgerlake.ops import ledger
from ledgerlake.ops.candidates import Pending
from ledgerlake.ops.identities import ledger as by_identity
from ledgerlake.state.contracts import pending_key
from ledgerlake.tables.ensure import ensure_topic

TOPIC = "earthquakes"
DATASET = Path(__file__).parents[2] / "schemas" / TOPIC
LINES = 60
Document = dict[str, Any]


def column(document: Document, name: str) -> Document:
    return next(one for one in document["payload_columns"] if one["name"] == name)


def added_to(document: Document) -> None:
    document["payload_columns"].append({"name": "detail_url", "type": "string", "source": "properties.detail"})


def widened(document: Document) -> None:
    column(document, "significance")["type"] = "bigint"


def tightened(document: Document) -> None:
    column(document, "station_count")["cde"] = True
    document["accept"] = ["cde_changed:station_count"]


def renamed(document: Document) -> None:
    column(document, "place").update(name="nearest_place", renamed_from="place", source="properties.place")
    document["accept"] = ["column_renamed:nearest_place"]


def rebuilt(document: Document) -> None:
    column(document, "magnitude")["type"] = "decimal(3,1)"
    document["payload_columns"].remove(column(document, "url"))
    document["partition_by"] = ["month(event_time)"]
    document["rebuild"] = {"reason": "magnitudes are told to a tenth"}


VERSIONS: list[Callable[[Document], None]] = [added_to, widened, tightened, renamed, rebuilt]


@pytest.mark.timeout(900)
def test_every_version_balances_and_what_each_one_held_stays_readable(lakehouse: Lakehouse) -> None:
    document = json.loads((DATASET / "schema.json").read_text())
    ensure_topic(lakehouse.lake, TOPIC)
    with (DATASET / "sample.jsonl").open() as lines:
        records = iter(enumerate(list(islice(lines, LINES * (len(VERSIONS) + 1)))))
    held = [work(lakehouse, document, records)]
    for change in VERSIONS:
        document = copy.deepcopy(document)
        change(document)
        held.append(work(lakehouse, document, records))

    types = [dict(rows.dtypes) for rows, _ in (at(lakehouse, snapshot_id) for snapshot_id, _ in held)]
    assert "detail_url" not in types[0]
    assert "detail_url" in types[1]
    assert (types[1]["significance"], types[2]["significance"]) == ("int", "bigint")
    assert ("place" in types[3], "nearest_place" in types[3]) == (True, False)
    assert ("place" in types[4], "nearest_place" in types[4]) == (False, True)
    assert (types[4]["magnitude"], types[5]["magnitude"]) == ("double", "decimal(3,1)")
    assert ("url" in types[4], "url" in types[5]) == (True, False)
    for snapshot_id, rows in held:
        assert at(lakehouse, snapshot_id)[1] == rows
    assert len(held[0][1]) < len(held[1][1])


def work(house: Lakehouse, document: Document, records: Any) -> tuple[int, list[str]]:
    """Bring the next version into force and the next records through it; what CURATED then is, and its rows."""
    answer = house.state.s3.put_object(
        Bucket=house.lake.settings.buckets.contracts, Key=pending_key(TOPIC), Body=json.dumps(document).encode()
    )
    published = publish(house.context(uuid.uuid4().hex), Pending(TOPIC, answer["VersionId"]), patience=0)
    assert published.status == "active", published.problems
    require_balanced(house)
    house.land(TOPIC, *(message(f"m{number}", line, number) for number, line in islice(records, LINES)))
    standardize(house.context(), TOPIC)
    curate(house.context(), TOPIC)
    require_balanced(house)
    snapshot_id = house.lake.load("curated", TOPIC).metadata.current_snapshot_id
    assert snapshot_id is not None
    return snapshot_id, at(house, snapshot_id)[1]


def at(house: Lakehouse, snapshot_id: int) -> Any:
    """CURATED as it was, and its rows as texts."""
    name = house.lake.spark_name("curated", TOPIC)
    rows = read_at(house.spark.newSession(), name, snapshot_id)
    return rows, sorted(map(str, rows.collect()))


def require_balanced(house: Lakehouse) -> None:
    found = ledger.balances(house.lake, house.state.checkpoints, [TOPIC])
    assert all(one.balanced is not False for one in found), found
    assert by_identity(house.lake, TOPIC).balanced
