"""A function's lake and state, for the functions whose package brings pyiceberg; kept like the clients."""

from functools import cache

from ledgerlake.handlers import clients
from ledgerlake.state.store import State
from ledgerlake.tables.lake import Lake


@cache
def lake() -> Lake:
    """Return the tables of this environment."""
    return Lake.connect(clients.settings())


@cache
def state() -> State:
    """Return the checkpoints, locks, gate and cycle files of this environment."""
    return State.connect(clients.settings(), clients.dynamodb(), clients.s3())
