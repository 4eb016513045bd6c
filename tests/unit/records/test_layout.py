import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgerlake.records.layout import Drift, Layout, Owned, claim
from ledgerlake.records.paths import column_name, segments


def owned(*pointers):
    return tuple(Owned(column_name(segments(path)), path) for path in pointers)


def test_new_paths_claim_their_columns_in_order_of_occurrence():
    added, drift = claim(Layout(), [], ["/b", "/a/c", "/b"])
    assert added == (Owned("b", "/b"), Owned("a_c", "/a/c"))
    assert drift == (Drift("column_added", "b", "/b"), Drift("column_added", "a_c", "/a/c"))


def test_the_contracts_paths_go_first_in_its_order():
    added, _ = claim(Layout(), ["/z", "/never", "/a_b"], ["/a/b", "/a_b", "/z"])
    assert added == (Owned("z", "/z"), Owned("a_b", "/a_b"))


def test_a_path_of_the_contract_claims_nothing_before_it_occurs():
    assert claim(Layout(), ["/a"], []) == ((), ())


def test_what_owns_a_column_keeps_it_and_is_no_news():
    assert claim(Layout(owned("/a/b")), ["/a/b"], ["/a/b"]) == ((), ())


def test_a_path_whose_name_is_taken_collides_even_when_the_contract_names_it():
    added, drift = claim(Layout(owned("/a/b")), ["/a_b"], ["/A_B", "/a_b"])
    assert added == ()
    assert drift == (Drift("collision", "a_b", "/a_b"), Drift("collision", "a_b", "/A_B"))


def test_paths_past_the_limit_own_no_column():
    added, drift = claim(Layout(owned("/a")), [], ["/b", "/c", "/A"], limit=2)
    assert added == owned("/b")
    assert [(each.change, each.pointer) for each in drift] == [
        ("column_added", "/b"), ("limit", "/c"), ("collision", "/A"),
    ]  # fmt: skip


def test_a_name_may_have_255_characters():
    fits, too_long = "/" + "x" * 255, "/" + "y" * 256
    added, drift = claim(Layout(), [], [too_long, fits])
    assert added == (Owned("x" * 255, fits),)
    assert drift[0] == Drift("limit", "y" * 256, too_long)


def test_reserved_names_are_claimed_with_their_prefix():
    added, drift = claim(Layout(), [], ["/message_id", "/payload_message_id", "/_pos"])
    assert added == (Owned("payload_message_id", "/message_id"), Owned("payload__pos", "/_pos"))
    assert drift[1].change == "collision"


pointers = st.lists(st.text("aAb_/~", max_size=4).map(lambda text: "/" + text.replace("~", "~0")), max_size=8)


@given(pointers, pointers, pointers, st.integers(0, 5))
def test_a_column_has_one_owner_for_ever(first, contract, candidates, limit):
    before = Layout(claim(Layout(), [], first)[0])
    added, drift = claim(before, contract, candidates, limit)
    after = Layout((*before.columns, *added))
    names = [column.name for column in after.columns]
    assert len(set(names)) == len(names)
    assert {each.pointer for each in drift} == set(candidates) - set(before.owners)
    assert len(added) <= max(0, limit - len(before.columns))
    assert claim(after, contract, candidates, limit)[0] == ()


@pytest.mark.parametrize(("policy", "change"), [("freeze", "frozen"), ("reject", "rejected")])
def test_another_policy_gives_columns_to_the_contracts_paths_alone(policy, change):
    added, drift = claim(Layout(owned("/old")), ["/a"], ["/x", "/a", "/old"], policy=policy)
    assert [each.pointer for each in added] == ["/a"]
    assert drift == (Drift("column_added", "a", "/a"), Drift(change, "x", "/x"))
