import os

import pytest
from hypothesis import settings

# A busy machine is no failure. CI tries the same examples every time, so that red is a fault of the change it looks at
# and not chance; everywhere else they are new ones.
settings.register_profile("ledgerlake", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("ledgerlake")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes make no readable name, and an archive holds its time: the workers would collect different tests."""
    return argname if isinstance(val, bytes) else None
