"""Contracts whose changes need the tables rebuilt: narrower types, columns dropped, other partitions and keys."""

import datetime
import json
from decimal import Decimal

from lakehouse import Lakehouse
from rebuilding import FIRST, KEYED, NARROWER, TOPIC, begin, bring, field_ids, order, put_aside, temporary, under
from reprocessing import cycle, open_errors, refs, require_balanced

from ledgerlake.ops.reprocess import standings
from ledgerlake.tables.reshape import WAS


def test_tables_are_rebuilt_for_what_they_cannot_follow_and_the_old_ones_stay_readable(lakehouse: Lakehouse) -> None:
    begin(lakehouse)
    before = field_ids(lakehouse)
    assert open_errors(lakehouse) == ["k4", "k5"]

    assert (bring(lakehouse, NARROWER).status, bring(lakehouse, NARROWER).status) == ("active", "unchanged")

    assert lakehouse.ids("curated", TOPIC) == ["k1-new", "k5"]
    assert open_errors(lakehouse) == ["k2", "k3", "k4"]
    require_balanced(lakehouse)
    row = next(row for row in lakehouse.rows("curated", TOPIC) if row["message_id"] == "k1-new")
    assert (row["code"], row["amount"], row["area"], row["at"]) == (7, 2, "eu", datetime.date(2026, 1, 18))
    after = field_ids(lakehouse)
    assert after["area"] == before["region"]
    assert not {after[name] for name in ("code", "amount", "at", "seen")} & {*before.values()}
    assert put_aside(lakehouse) == [f"{WAS}at_{before['at']}"]  # older files are partitioned by it
    assert temporary(lakehouse) == []
    (tag,) = refs(lakehouse)
    old = under(lakehouse, tag)
    assert sorted(old) == ["k1-new", "k2", "k3"]
    assert (old["k2"]["amount"], old["k2"]["note"], old["k2"]["region"]) == (Decimal("2.50"), "n", "us")
    assert [one.state for one in standings(lakehouse.lake, TOPIC)] == ["published"]

    lakehouse.land(TOPIC, order("k1-newest", 8, 9, code="9"), order("k6", 8, 6, region="us"))
    cycle(lakehouse)
    require_balanced(lakehouse)
    assert lakehouse.ids("curated", TOPIC) == ["k1-newest", "k5", "k6"]

    assert bring(lakehouse, KEYED).version == 3

    assert lakehouse.ids("curated", TOPIC) == ["k1-newest", "k5", "k6"]
    keys = {row["message_id"]: row["idempotency_key"] for row in lakehouse.rows("standardized", TOPIC)}
    assert (keys["k1-old"], keys["k6"]) == ("eu", "us")
    assert {row["idempotency_key"] for row in lakehouse.rows("curated", TOPIC)} == {"eu", "us", "asia"}
    assert len(refs(lakehouse)) == 2
    newest = under(lakehouse, max(refs(lakehouse)))
    assert (newest["k1-newest"]["idempotency_key"], newest["k1-newest"]["code"]) == ("k1", 9)
    assert sorted(under(lakehouse, tag)) == sorted(old)
    require_balanced(lakehouse)
    lakehouse.land(TOPIC, order("k8", 9, 8, code="3", region="us"))
    cycle(lakehouse)
    assert lakehouse.ids("curated", TOPIC) == ["k1-newest", "k5", "k8"]
    require_balanced(lakehouse)
    assert field_ids(lakehouse) == after | {name: n for name, n in field_ids(lakehouse).items() if name.startswith(WAS)}


def test_a_contract_that_its_rows_do_not_allow_changes_nothing(lakehouse: Lakehouse) -> None:
    begin(lakehouse)
    table = lakehouse.lake.load("curated", TOPIC)
    wanted = {**NARROWER, "rules": [{"name": "none", "expression": "amount < 0", "action": "fail"}]}

    published = bring(lakehouse, {**wanted, "accept": [*wanted["accept"], "rule_added:none"]})

    assert published.status == "failed"
    assert "fail rules are broken: none (4 rows)" in published.problems[0].message
    body = lakehouse.state.s3.get_object(
        Bucket=lakehouse.lake.settings.buckets.contracts, Key=f"schemas/{TOPIC}/failed/error.json"
    )["Body"].read()
    assert json.loads(body)["problems"][0]["pointer"] == "/rebuild"
    after = lakehouse.lake.load("curated", TOPIC)
    assert (after.schema().as_struct(), after.specs()) == (table.schema().as_struct(), table.specs())
    assert refs(lakehouse) == set()
    lakehouse.land(TOPIC, order("k7", 8, 7))
    cycle(lakehouse)
    require_balanced(lakehouse)
    assert bring(lakehouse, FIRST).status == "unchanged"
