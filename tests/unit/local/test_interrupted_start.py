"""Starting the emulator: what a Ctrl-C meets."""

import os
import signal
import threading

import pytest

from ledgerlake.local import control


def test_an_interrupt_waits_until_what_was_begun_is_known():
    done = []

    def start():
        with control._uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the child is known")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == ["the child is known"]


def test_afterwards_signals_are_heard_as_before():
    before = signal.getsignal(signal.SIGINT)
    with control._uninterrupted():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_that_hears_no_signals_may_start_it_too():
    done = []

    def start():
        with control._uninterrupted():
            done.append(True)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert done == [True]
