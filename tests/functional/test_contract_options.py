"""What a contract's options leave in the tables, and what of personal data stands where (design 3.2, ADR 0017)."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from lakehouse import Lakehouse, message

from ledgerlake.jobs import replay, reprocess
from ledgerlake.jobs.comparison import ReprocessRequest
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.curate import curate
from ledgerlake.jobs.selection import Selection
from ledgerlake.jobs.standardize import standardize
from ledgerlake.records.privacy import MASK, NoSalt
from ledgerlake.state.salt import Salt

SALT = "0123456789abcdef0123456789abcdef"
MAIL = "ada@example.org"
PHONE = "555-0100"
IP = "192.0.2.7"
PEOPLE: dict[str, Any] = {
    "table_name": "people",
    "tags": ["crm", "gdpr"],
    "envelope_columns": [
        {"name": "idempotency_key", "type": "string", "source": "id"},
        {"name": "ip", "type": "string", "source": "attributes.ip", "pii": "mask"},
    ],
    "payload_columns": [
        {"name": "mail", "type": "string", "source": ["user.mail", "user_mail"], "trim": True, "pii": "sha256"},
        {"name": "phone", "type": "string", "source": "user.phone", "pii": "drop", "pattern": "[0-9-]+"},
        {"name": "height", "type": "int", "source": "height", "min": "50", "unit": "cm", "tags": ["body"]},
    ],
}


def hashed(text: str) -> str:
    return hashlib.sha256((SALT + text).encode()).hexdigest()


def context(house: Lakehouse, cycle_id: str = "cycle") -> Context:
    """A job's context with the environment's salt, as it comes out of Secrets Manager."""
    settings = house.lake.settings
    secrets = boto3.client("secretsmanager", region_name=settings.region, endpoint_url=settings.endpoint_url)
    name = f"{settings.prefix}-pii-salt"
    if not secrets.list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"]:
        secrets.create_secret(Name=name, SecretString=SALT)
    return replace(house.context(cycle_id), salt=Salt(secrets, name))


def texts(house: Lakehouse, layer: str, table: str) -> str:
    """All that a table says."""
    return json.dumps(house.rows(layer, table), default=str)


def test_personal_data_goes_no_further_than_standardized(lakehouse: Lakehouse) -> None:
    lakehouse.publish(PEOPLE)
    lakehouse.land(
        "people",
        message(
            "good", {"id": "k1", "user": {"mail": f" {MAIL} ", "phone": PHONE}, "height": 170}, attributes={"ip": IP}
        ),
        message("flat", {"id": "k2", "user_mail": MAIL, "height": 171}, 1),
        message("none", {"id": "k3"}, 2),
        message(
            "short",
            {"id": "k4", "user": {"mail": MAIL, "phone": PHONE}, "height": 17},
            3,
            attributes={"ip": IP, "a": "b"},
        ),
        message("wrong", {"id": "k5", "user": {"mail": [MAIL], "phone": f"call {PHONE}"}}, 4),
        message("list", {"id": "k6", "user": [{"mail": MAIL}], "height": 1}, 5),
    )
    standardize(context(lakehouse), "people")
    assert MAIL in texts(lakehouse, "standardized", "people")
    log = texts(lakehouse, "ops", "drift_log")
    assert "user_mail" in log
    assert not any(secret in log for secret in (MAIL, PHONE))

    with pytest.raises(NoSalt):
        curate(lakehouse.context(), "people")
    curate(context(lakehouse), "people")

    rows = {row["message_id"]: row for row in lakehouse.rows("curated", "people")}
    told = {name: (row["ip"], row["mail"], row["phone"], row["height"]) for name, row in rows.items()}
    assert told == {
        "good": (MASK, hashed(MAIL), None, 170),
        "flat": (None, hashed(MAIL), None, 171),
        "none": (None, None, None, None),
    }
    errors = {row["message_id"]: row for row in lakehouse.rows("curated", "errors")}
    found = {
        name: [(v["kind"], v["column"], v["rule"], v["value"]) for v in e["violations"]] for name, e in errors.items()
    }
    assert found == {
        "short": [("check", "height", "min", "17")],
        "wrong": [("check", "phone", "pattern", MASK)],
        "list": [("check", "height", "min", "1")],
    }
    record = json.loads(errors["short"]["record"])
    assert (record["user_mail"], record["user_phone"], record["height"]) == (MASK, MASK, "17")
    assert json.loads(record["attributes"]) == {"ip": MASK, "a": "b"}
    assert json.loads(errors["list"]["record"])["user"] == MASK
    everything = texts(lakehouse, "curated", "errors") + texts(lakehouse, "curated", "people")
    assert not any(secret in everything for secret in (MAIL, PHONE, IP))


def test_replays_and_reprocesses_hash_as_curate_does(lakehouse: Lakehouse) -> None:
    lakehouse.publish(PEOPLE)
    lakehouse.land(
        "people",
        message("good", {"id": "k1", "user": {"mail": MAIL}, "height": 170}),
        message("short", {"id": "k2", "user": {"mail": MAIL}, "height": 17}, 1),
    )
    standardize(context(lakehouse), "people")
    curate(context(lakehouse), "people")
    columns = [column | ({"min": "10"} if column["name"] == "height" else {}) for column in PEOPLE["payload_columns"]]
    lakehouse.publish({**PEOPLE, "payload_columns": columns}, version=2)

    replay.replay(context(lakehouse, "replay-r1"), "people", Selection(), "r1")
    assert [row["mail"] for row in lakehouse.rows("curated", "people")] == [hashed(MAIL)] * 2

    request = ReprocessRequest(topic="people", id="r2", action="build", curated_only=True)
    (layer,) = reprocess.build(context(lakehouse, "reprocess-r2"), request).layers
    assert (layer.equal, layer.changed, layer.added, layer.removed) == (2, 0, 0, 0)


def test_the_catalogue_is_told_units_and_tags_and_when_they_change(bare: Lakehouse) -> None:
    def told() -> tuple[str | None, str | None]:
        table = bare.lake.load("curated", "people")
        return table.schema().find_field("height").doc, table.properties.get("ledgerlake.tags")

    bare.publish(PEOPLE)
    assert told() == ("(unit: cm; tags: body)", "crm, gdpr")
    columns = [column | ({"unit": "m"} if column["name"] == "height" else {}) for column in PEOPLE["payload_columns"]]
    bare.publish({**PEOPLE, "payload_columns": columns, "tags": ["crm"]}, version=2)
    assert told() == ("(unit: m; tags: body)", "crm")
    bare.publish({name: value for name, value in PEOPLE.items() if name != "tags"}, version=3)
    assert told() == ("(unit: cm; tags: body)", None)
