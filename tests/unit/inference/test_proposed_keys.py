"""What identifies a record."""

import json

import pytest

from ledgerlake.inference.keys import key
from ledgerlake.inference.profile import profile
from ledgerlake.inference.types import typed


def chosen(*records):
    fields = profile([json.dumps(record) for record in records]).fields
    return key(fields, {field.path: typed(field) for field in fields})


def paths(*records):
    return [".".join(path) for path in chosen(*records).paths]


def many(make, count=40):
    return [make(number) for number in range(count)]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (many(lambda n: {"user": {"id": n}, "id": n}), ["id"]),
        (many(lambda n: {"order_id": n, "id": n % 3}), ["order_id"]),
        (many(lambda n: {"event": {"uuid": f"u{n}"}, "at": n}), ["event.uuid"]),
        (many(lambda n: {"name": f"n{n}", "size": n * 1.5}), ["name"]),
        (many(lambda n: {"shop": n % 4, "order_no": n // 4}), ["order_no", "shop"]),
        (many(lambda n: {"symbol": "ab"[n % 2], "date": f"2026-01-{n // 2 + 1:02}"}), ["symbol", "date"]),
        (many(lambda n: {"a": n % 3, "b": n // 3 % 3, "c": n // 9}), ["a", "b", "c"]),
        (many(lambda n: {"year": 1970 + n, "miles": n * 7}), ["year"]),
        (many(lambda n: {"name": "ab"[n % 2], "weight": n}), ["name", "weight"]),
        (many(lambda n: {"size": n, "at": f"2026-01-{n // 2 + 1:02}", "shop": "ab"[n % 2]}), ["at", "shop"]),
        (many(lambda n: {"size": n}), []),
        (many(lambda n: {"temperature": n * 1.5}), []),
        (many(lambda n: {"id": n} if n else {"at": "x"}), []),
        (many(lambda n: {"text": "x" * 200 + str(n)}), []),
        (many(lambda n: {"id": n // 2, "at": n // 2}), ["id"]),
        ([{"id": "a", "n": 1}, {"id": "a", "n": 2}], ["id"]),
        ([{"name": "a"}, {"name": "b"}], []),
    ],
)
def test_the_key_is_what_a_person_would_take(records, expected):
    assert paths(*records) == expected


def test_only_a_unique_field_that_is_named_like_an_id_is_certain():
    assert chosen(*many(lambda n: {"id": n})).certain
    assert not chosen(*many(lambda n: {"name": f"n{n}"})).certain
    assert not chosen({"id": "a", "n": 1}, {"id": "a", "n": 2}).certain


def test_personal_data_is_no_key_unless_it_is_named_like_one():
    fields = profile([json.dumps({"surname": f"n{n}"}) for n in range(40)]).fields
    types = {field.path: typed(field) for field in fields}
    assert key(fields, types).paths == (("surname",),)
    assert key(fields, types, {("surname",)}).paths == ()
