"""What is written of a batch's news."""

from ledgerlake.jobs.drift_log import MOST_A_BATCH, MOST_A_TOPIC, News, unlogged


def news(change, *paths):
    return [News(change, path[1:], path) for path in paths]


def many(change, count, first=0):
    return news(change, *(f"/p{number}" for number in range(first, first + count)))


def told(found):
    return [(one.change, one.pointer) for one in found]


def rows(found, batch="b0"):
    return [(one.change, one.pointer, batch) for one in found]


def test_a_lasting_change_is_told_once_and_a_passing_one_once_a_batch():
    before = [("limit", "/a", "b0"), ("kind_changed", "/a", "b0"), ("column_stopped", "/b", "b1")]
    found = [*news("limit", "/a", "/b"), *news("kind_changed", "/a"), *news("column_stopped", "/b")]
    assert told(unlogged(found, before, "b1")) == [("limit", "/b"), ("kind_changed", "/a")]
    assert told(unlogged(found, before, "b2")) == [("limit", "/b"), ("kind_changed", "/a"), ("column_stopped", "/b")]


def test_past_the_most_of_a_batch_one_row_counts_the_others():
    found = unlogged([*many("limit", 10_000), *news("collision", "/c")], [], "b0")
    assert told(found) == [*told(many("limit", MOST_A_BATCH)), ("collision", "/c"), ("limit", "")]
    assert (found[-1].count, found[-1].column) == (10_000 - MOST_A_BATCH, None)


def test_a_second_try_adds_nothing():
    burst = many("limit", 500)
    assert unlogged(burst, rows(unlogged(burst, [], "b0")), "b0") == []


def test_a_topic_lists_only_so_many_paths():
    before = rows(many("frozen", MOST_A_TOPIC - 1))
    found = unlogged(many("frozen", 50, first=MOST_A_TOPIC), before, "b1")
    assert told(found) == [("frozen", f"/p{MOST_A_TOPIC}"), ("frozen", "")]
    assert found[-1].count == 49


def test_every_column_that_is_added_is_told():
    assert len(unlogged(many("column_added", 1_000), rows(many("column_added", 900, first=2_000)), "b1")) == 1_000
