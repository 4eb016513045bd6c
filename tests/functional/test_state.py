"""Checkpoints and locks (design 5)."""

from dataclasses import replace

import pytest
from lakehouse import Lakehouse

from ledgerlake.state import locks
from ledgerlake.state.checkpoints import Checkpoint, CheckpointMoved
from ledgerlake.state.locks import LockHeld, LockLost

PINNED = Checkpoint("t", "standardize", "pending", "t-0-1", 0, 2**62 + 1, "s3://m.json", 0, "cycle")


def test_of_two_that_pin_a_batch_one_is_told_so(bare: Lakehouse) -> None:
    bare.state.checkpoints.put(PINNED, None)
    with pytest.raises(CheckpointMoved):
        bare.state.checkpoints.put(replace(PINNED, batch_id="t-0-2"), None)
    kept = bare.state.checkpoints.get("t", "standardize")
    assert kept is not None
    assert (kept.batch_id, kept.to_snapshot_id) == ("t-0-1", 2**62 + 1)


def test_a_batch_is_finished_once_and_only_while_it_is_the_pinned_one(bare: Lakehouse) -> None:
    pinned = bare.state.checkpoints.put(PINNED, None)
    bare.state.checkpoints.done(pinned)
    bare.state.checkpoints.done(pinned)
    with pytest.raises(CheckpointMoved):
        bare.state.checkpoints.done(replace(pinned, batch_id="t-0-2"))
    assert [one.status for one in bare.state.checkpoints.all().values()] == ["done"]


def test_a_topic_is_locked_for_one_run_and_every_token_is_greater_than_those_before(bare: Lakehouse) -> None:
    with bare.state.locks.acquire("t", "one") as first:
        with pytest.raises(LockHeld, match="one"):
            bare.state.locks.acquire("t", "two")
        assert bare.state.locks.held() == {"t": "one"}
    second = bare.state.locks.acquire("t", "two", above=40)
    assert first.token < 40 < second.token


def test_a_lock_that_expired_is_taken_over_and_its_owner_finds_out(
    bare: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LEASE_SECONDS", -1)
    dead = bare.state.locks.acquire("t", "dead")
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    alive = bare.state.locks.acquire("t", "alive")
    with pytest.raises(LockLost):
        dead.extend()
    with pytest.raises(LockLost):
        dead.require()
    dead.release()
    alive.require()
    assert bare.state.locks.held() == {"t": "alive"}
