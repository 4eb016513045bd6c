"""What is remembered of a topic's columns between batches (ADR 0016)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgerlake.records.kinds import NUMBER, STRING
from ledgerlake.records.observed import ABSENT, PATIENCE, REGULAR, Observed, read, written


def after(batches: str) -> list[Observed]:
    """A column after each of the batches: `x` held it, `.` did not."""
    column, found = Observed(), []
    for batch in batches:
        column = column.after(STRING if batch == "x" else 0)
        found.append(column)
    return found


def stops(batches: str) -> list[int]:
    """The batches with which it stopped, by number."""
    states = [Observed(), *after(batches)]
    return [number for number in range(1, len(states)) if states[number].stopped and not states[number - 1].stopped]


def test_a_regular_column_stops_once_after_some_batches():
    assert stops("x" * REGULAR + "." * 50) == [REGULAR + ABSENT]


def test_a_column_that_was_never_regular_does_not_stop():
    assert stops("x" * (REGULAR - 1) + "." * 500) == []
    assert stops("." * 50) == []


def test_a_sparse_column_may_be_away_for_a_multiple_of_its_longest_gap():
    sparse = ("x" + "." * 19) * REGULAR + "x"
    assert stops(sparse + "." * (19 * PATIENCE - 1)) == []
    assert stops(sparse + "." * 1000) == [len(sparse) + 19 * PATIENCE]


def test_a_column_that_comes_every_night_is_news_at_most_once():
    assert stops("x" * REGULAR + ("." * 95 + "x") * 20) == [REGULAR + ABSENT]


def test_a_column_that_comes_again_has_stopped_no_longer():
    states = after("x" * REGULAR + "." * ABSENT + "x")
    assert states[-2].stopped
    assert states[-1] == Observed(STRING, REGULAR, 0, ABSENT)


def test_kinds_add_up():
    assert Observed(STRING).after(NUMBER).after(0).kinds == STRING | NUMBER


def test_a_column_that_comes_with_every_batch_takes_a_number():
    assert written([Observed(STRING, REGULAR), Observed(NUMBER, 3, 1, 2), Observed()]) == "1,2.3.1.2,0.0.0.0"


@given(st.lists(st.builds(Observed, *[st.integers(0, 5000)] * 4), max_size=8), st.integers(0, 3))
def test_what_is_written_is_read(columns, more):
    assert read(written(columns), len(columns) + more) == columns + [Observed()] * more


@pytest.mark.parametrize("text", ["", "x", "1.2.3.4.5", "1,2,3"])
def test_a_text_that_is_lost_or_no_such_text_tells_nothing(text):
    assert read(text, 2) == [Observed(), Observed()]
