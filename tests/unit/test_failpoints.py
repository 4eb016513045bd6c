"""Faults on purpose: armed by a setting, silent otherwise."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ledgerlake import failpoints
from ledgerlake.failpoints import BadFailpoints, Crashed, FailedForGood, FailedOnPurpose, ReplyLost, arm, hit


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


def test_nothing_happens_unless_a_point_is_armed() -> None:
    hit("standardize.before_commit")
    arm("standardize.before_commit=transient")
    hit("curate.before_commit")
    arm("")
    hit("standardize.before_commit")


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("transient", FailedOnPurpose),
        ("terminal", FailedForGood),
        ("lost_reply", ReplyLost),
        ("crash", Crashed),
        ("delay:0", None),
    ],
)
def test_each_action_does_what_it_says(action: str, error: type[BaseException] | None) -> None:
    arm(f"a.point={action}")
    if error is None:
        hit("a.point")
    else:
        with pytest.raises(error, match=r"a\.point"):
            hit("a.point")


def test_a_kill_leaves_the_process_no_word() -> None:
    code = "from ledgerlake.failpoints import arm, hit; arm('p=kill'); hit('p'); print('alive')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")


def test_a_fault_strikes_its_topic_only_and_as_often_as_it_may() -> None:
    arm("p[events]=transient*2; p[orders]=terminal*1")
    struck = []
    for topic in ["events", "other", "orders", "events", "events", "orders"]:
        try:
            hit("p", topic)
        except (FailedOnPurpose, FailedForGood) as error:
            struck.append((topic, type(error)))
    assert struck == [("events", FailedOnPurpose), ("orders", FailedForGood), ("events", FailedOnPurpose)]


def test_a_probability_is_kept_over_many_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    chances = iter([0.05, 0.1, 0.5, 0.09])
    monkeypatch.setattr(failpoints.random, "random", lambda: next(chances))
    arm("p=transient@0.1")
    struck = 0
    for _ in range(4):
        try:
            hit("p")
        except FailedOnPurpose:
            struck += 1
    assert struck == 2


@pytest.mark.parametrize("wrong", ["p", "p=explode", "p=kill@often", "=kill", "p[=kill"])
def test_a_setting_that_cannot_be_read_is_refused_with_what_it_may_be(wrong: str) -> None:
    with pytest.raises(BadFailpoints, match="<point>=<action>"):
        arm(f"q=kill;{wrong}")
    hit("q")
