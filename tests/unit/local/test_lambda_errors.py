"""The type of a function's error, as its log tells it."""

import pytest

from ledgerlake.local.lambda_errors import error_type

LOG = 'note: ValueError: other\nTraceback (most recent call last):\n  File "f.py", line 1, in handle\n    raise it\n'


@pytest.mark.parametrize(
    ("ending", "message", "wanted"),
    [
        ("ledgerlake.errors.TransientError: come again", "come again", "TransientError"),
        ("KeyError: 'a'", "'a'", "KeyError"),
        ("fn.Silent", "", "Silent"),
        ("ValueError: two\nlines", "two\nlines", "ValueError"),
    ],
)
def test_it_is_the_class_at_the_traceback_s_end(ending, message, wanted):
    assert error_type(LOG + ending, message) == wanted


def test_a_log_without_a_traceback_tells_no_type():
    assert error_type("nothing was logged", "the function timed out") is None
