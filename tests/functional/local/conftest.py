"""A real emulator process for the tests of this folder, with IAM enforced."""

from collections.abc import Iterator

import pytest
from tests.functional.local.cloud import BUCKET, Cloud, local_settings

from ledgerlake.local import control


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    settings = local_settings(tmp_path_factory.mktemp("local"), job_minute=6)
    made = Cloud(control.up(settings).instance, settings)
    try:
        made.client("s3").create_bucket(Bucket=BUCKET)
        yield made
    finally:
        control.down(settings)
