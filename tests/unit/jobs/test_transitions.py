"""A batch's columns beside those before, as far as no row has to be read."""

from types import SimpleNamespace

import pytest

from ledgerlake.jobs import transitions as module
from ledgerlake.jobs.drift import FirstSeen
from ledgerlake.jobs.transitions import Arrived, Columns, transitions
from ledgerlake.records.kinds import JSON, NUMBER, OBJECT, STRING
from ledgerlake.records.layout import Layout, Owned
from ledgerlake.records.observed import ABSENT, REGULAR, Observed

COLUMNS = (Owned("a", "/a"), Owned("b", "/b"))


def first(pointer, order=1, count=1):
    return FirstSeen(pointer, (order, order, f"m{order}"), "x", count)


@pytest.fixture
def look(monkeypatch):
    """Compare a batch with what was known; `rows` are what a look at its rows would find."""
    asked = []

    def compare(before, seen, found=(), rows=()):
        told = [
            {"pointer": one.pointer, "count": one.count, "first": SimpleNamespace(
                published=one.order[0], ingested=one.order[1], message_id=one.message_id, sample=one.sample
            )}
            for one in rows
        ]  # fmt: skip
        monkeypatch.setattr(
            module,
            "first_of_kinds",
            lambda _raw, _layout, wanted: asked.append(wanted) or SimpleNamespace(collect=lambda: told),
        )
        return transitions(Columns(before), Arrived(None, None, Layout(COLUMNS), seen, found))

    compare.asked = asked
    return compare


def test_without_news_no_row_is_read(look):
    known = {"/a": Observed(STRING, REGULAR), "/b": Observed(JSON, REGULAR)}
    assert look(known, {"/a": STRING, "/b": STRING}) == ([], {"/a": STRING, "/b": STRING})
    assert look({}, {"/a": STRING}) == ([], {"/a": STRING})
    assert look.asked == []


def test_a_new_kind_is_told_by_the_rows_that_have_it(look):
    (news,), seen = look({"/a": Observed(NUMBER, 1)}, {"/a": NUMBER | STRING}, rows=[first("/a", 7, count=3)])
    assert look.asked == [{"/a": STRING}]
    assert (news.change, news.column, news.message_id, news.count) == ("kind_changed", "a", "m7", 3)
    assert news.detail == "number → string"
    assert seen == {"/a": NUMBER | STRING}


def test_a_kind_that_no_good_row_has_is_none(look):
    assert look({"/a": Observed(NUMBER, 1)}, {"/a": NUMBER | STRING}) == ([], {"/a": NUMBER})


def test_a_path_within_a_columns_path_makes_it_an_object(look):
    found = [first("/a/c/d", 5), first("/a/e", 3), first("/ab", 1)]
    (news,), seen = look({"/a": Observed(STRING, 1), "/b": Observed(STRING, 1)}, {"/a": 0, "/b": STRING}, found)
    assert (news.pointer, news.message_id, news.detail) == ("/a", "m3", "string → object")
    assert seen["/a"] == OBJECT
    assert look.asked == []
    assert look({"/a": Observed(STRING | OBJECT, 1)}, {"/a": 0}, found)[0] == []


def test_a_column_stops_with_the_batch_that_is_one_too_many(look):
    away = Observed(STRING, REGULAR, ABSENT - 1)
    (news,), _ = look({"/a": away, "/b": Observed(STRING, REGULAR)}, {"/a": 0, "/b": STRING})
    assert (news.change, news.pointer, news.message_id) == ("column_stopped", "/a", None)
    assert look({"/a": away.after(0)}, {"/a": 0, "/b": STRING})[0] == []


def test_a_batch_without_any_value_says_nothing_of_columns(look):
    away = {"/a": Observed(STRING, REGULAR, ABSENT - 1)}
    assert look(away, {"/a": 0, "/b": 0})[0] == []
    assert Columns(away).written(COLUMNS, {"/a": 0, "/b": 0}) == f"1.{REGULAR}.{ABSENT - 1}.0,0.0.0.0"
    assert Columns(away).written(COLUMNS, {"/b": STRING}) == f"1.{REGULAR}.{ABSENT}.0,1.1.0.0"
