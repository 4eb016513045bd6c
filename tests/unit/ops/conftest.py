"""A lake without Spark and AWS: a pyiceberg catalogue in SQLite, its files in a folder."""

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from ledgerlake.settings import Settings
from ledgerlake.tables.lake import LAYERS, Lake

NAMES = ("landing", "raw", "standardized", "curated", "gold", "ops", "contracts", "artifacts")
STATES = ("checkpoints", "locks", "processing_enabled", "idempotency_keys", "file_registry", "circuit_breakers")


@pytest.fixture
def settings():
    return Settings(
        prefix="ledgerlake_test",
        region="eu-central-1",
        buckets={name: f"ledgerlake-test-000000000000-{name}" for name in NAMES},
        databases={layer: f"ledgerlake_test_{layer}" for layer in LAYERS},
        dynamodb_tables={state: f"ledgerlake-test-{state}" for state in STATES},
        firehose_name="ledgerlake-test-raw",
        queue_prefix="ledgerlake-test-",
    )


@pytest.fixture
def lake(tmp_path, settings):
    catalog = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}")
    for layer in LAYERS:
        catalog.create_namespace(getattr(settings.databases, layer))

    def locations(database):
        return {name[-1]: catalog.load_table(name).metadata_location for name in catalog.list_tables(database)}

    return Lake(settings, catalog, locations, {layer: f"file://{tmp_path}/{layer}" for layer in LAYERS})
