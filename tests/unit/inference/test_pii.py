"""Which fields may hold personal data."""

import json

import pytest

from ledgerlake.inference.pii import suspicion
from ledgerlake.inference.profile import profile


def suspected(record):
    (field,) = profile([json.dumps(record)]).fields
    return suspicion(field)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"email": "?"}, "named like an email address"),
        ({"homePhone": 1}, "named like a phone number"),
        ({"last_name": "x"}, "named like a person's name"),
        ({"customer": {"name": "x"}}, "named like a person's name"),
        ({"users": {"name": "x"}}, "named like a person's name"),
        ({"clientIp": "x"}, "named like an IP address"),
        ({"street": "x"}, "named like a postal address"),
        ({"date_of_birth": "x"}, "named like a birth date"),
        ({"contact": "jane@example.org"}, "look like email addresses"),
        ({"host": "192.0.2.7"}, "look like IP addresses"),
        ({"host": "2001:db8::1"}, "look like IP addresses"),
        ({"paid_with": "4111 1111 1111 1111"}, "look like card numbers"),
        ({"bank": "DE89 3704 0044 0532 0130 00"}, "look like IBANs"),
        ({"a": "123-45-6789"}, "look like social security numbers"),
        ({"a": "+49 30 1234567"}, "look like phone numbers"),
    ],
)
def test_names_and_values_are_suspected(record, why):
    assert why in suspected(record)


@pytest.mark.parametrize(
    "record",
    [
        {"name": "Castaic"}, {"product": {"name": "x"}}, {"status": "ok"}, {"zipped": "x"}, {"email_sent": True},
        {"tip": 3}, {"pansy": "x"}, {"a": "4111 1111 1111 1112"}, {"a": "2018-02-07"}, {"a": "12:30:59"},
        {"a": "1.10.2"}, {"a": "1517966773840"}, {"a": "DE00X"},
    ],
    ids=str,
)  # fmt: skip
def test_others_are_not(record):
    assert suspected(record) is None
