"""Publishing from the command line: what was uploaded is followed to its end."""

import hashlib
import io
import json

import pytest
from botocore.exceptions import ClientError

from ledgerlake.contracts import ContractError, Problem
from ledgerlake.ops.upload_contract import Contracts, NoAnswer
from ledgerlake.state.contracts import Stored
from ledgerlake.state.gate import Admission

TEXT = b'{"table_name": "events"}'


def admission(text, version):
    return Admission("events", True, version, hashlib.sha256(text).hexdigest(), "v", True)


class Gate:
    def __init__(self, found=None):
        self.found = found

    def get(self, topic):
        return self.found


class Bucket:
    """A contracts bucket whose publisher answers an upload at once, with `end`."""

    def __init__(self, gate, end=None, errors=None):
        self.gate = gate
        self.end = end
        self.errors = dict(errors or {})
        self.uploaded = {}
        self.said = {}

    def put_object(self, Bucket, Key, Body, Metadata):
        self.uploaded[Key] = Body
        self.said = Metadata
        if isinstance(self.end, Admission):
            self.gate.found = self.end
        elif self.end is not None:
            self.errors["schemas/events/failed/error.json"] = ("new", self.end)

    def head_object(self, Bucket, Key):
        if Key not in self.errors:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {"VersionId": self.errors[Key][0], "ETag": "e"}

    def get_object(self, Bucket, Key):
        return {"Body": io.BytesIO(json.dumps(self.errors[Key][1]).encode())}


def publish(gate, bucket, seconds=1):
    return Contracts(bucket, "contracts", gate).publish("events", TEXT, seconds=seconds, pause=0)


def test_a_new_contract_is_uploaded_and_followed_until_it_is_active():
    gate = Gate(admission(b"old", 1))
    bucket = Bucket(gate, end=admission(TEXT, 2))
    published = publish(gate, bucket)
    assert (published.version, published.changed) == (2, True)
    assert bucket.uploaded == {"schemas/events/pending/schema.json": TEXT}


def test_the_same_bytes_are_not_uploaded_again():
    gate = Gate(admission(TEXT, 3))
    bucket = Bucket(gate)
    assert not publish(gate, bucket).changed
    assert bucket.uploaded == {}


def test_a_wrong_contract_comes_back_with_all_its_problems():
    problem = Problem("/payload_columns/0/type", "there is no type `strin`", "did you mean `string`?")
    bucket = Bucket(Gate(), end={"problems": [problem.as_dict()]})
    with pytest.raises(ContractError) as caught:
        publish(bucket.gate, bucket)
    assert caught.value.problems == (problem,)


def test_an_error_of_an_earlier_publish_is_not_taken_for_this_one():
    bucket = Bucket(Gate(), errors={"schemas/events/failed/error.json": ("old", {"problems": []})})
    with pytest.raises(NoAnswer):
        publish(bucket.gate, bucket, seconds=0.05)


def test_who_uploads_it_and_why_goes_with_it_in_ascii():
    gate = Gate()
    bucket = Bucket(gate, end=admission(TEXT, 1))
    uploader = "arn:aws:iam::123456789012:user/zoë"
    Contracts(bucket, "contracts", gate, uploader).publish("events", TEXT, pause=0, reason="zurück: 100%")
    assert all(text.isascii() for text in bucket.said.values())
    stored = Stored("v", "e", 1, bucket.said)
    assert (stored.said("uploaded_by"), stored.said("reason")) == (uploader, "zurück: 100%")
    assert stored.said("nothing") is None
