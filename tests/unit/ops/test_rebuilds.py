"""How a rebuild for a contract is told from one that a person asked for."""

from ledgerlake.jobs.comparison import contract_id, tries_of, version_of


def test_a_rebuild_for_a_contract_names_its_version_and_its_topic():
    ours, other = contract_id(12, "orders", "a1b2c3"), contract_id(12, "events", "a1b2c3")
    assert (version_of(ours), version_of(other)) == (12, 12)
    assert tries_of("orders", [ours, other, "20260101t000000-a1b2c3"]) == {ours}


def test_one_that_a_person_asked_for_has_no_version():
    assert version_of("20260101t000000-a1b2c3") is None
    assert version_of("v2-mine") is None
