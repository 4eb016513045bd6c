"""What can go wrong, by what to do about it: a TransientError is tried again, a TerminalError is not."""


class LedgerlakeError(Exception):
    """Any error ledgerlake raises itself."""


class TransientError(LedgerlakeError):
    """A failure that may pass by itself: the same work is tried again."""


class TerminalError(LedgerlakeError):
    """A failure that stays until somebody changes something: the work is set aside with its reason."""
