"""The lakehouse's catalogue: where each layer's tables are, and how they are reached."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from ledgerlake.errors import TerminalError
from ledgerlake.settings import Settings
from ledgerlake.tables.definitions import STAGING_SUFFIX, Layer
from ledgerlake.tables.sql import identifier

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

CATALOG = "lake"
"""What Spark and pyiceberg call the catalogue."""

LAYERS: tuple[Layer, ...] = ("raw", "standardized", "curated", "gold", "ops")


class UnknownTopics(TerminalError):
    """Topics were asked for that do not exist."""

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        super().__init__(f"no such topics: {', '.join(unknown)}; there are {', '.join(known) or 'none'}")
        self.unknown = list(unknown)


MetadataLocations = Callable[[str], dict[str, str]]
"""A database's tables with their metadata_location, in as few calls as the catalogue allows."""


@dataclass(frozen=True)
class Lake:
    """One environment's tables. `roots` is the URI each layer's tables lie under."""

    settings: Settings
    catalog: Catalog
    list_locations: MetadataLocations
    roots: Mapping[Layer, str]

    @classmethod
    def connect(cls, settings: Settings, glue: "GlueClient | None" = None) -> Self:
        """The lake in the Glue Data Catalog and S3; `glue` is made from the settings when not given."""
        catalog = GlueCatalog(CATALOG, client=glue, **_properties(settings))
        roots: dict[Layer, str] = {layer: f"s3://{getattr(settings.buckets, layer)}" for layer in LAYERS}
        return cls(settings, catalog, lambda database: _glue_locations(catalog.glue, database), roots)

    def database(self, layer: Layer) -> str:
        """The layer's database."""
        name: str = getattr(self.settings.databases, layer)
        return name

    def identifier(self, layer: Layer, table: str) -> tuple[str, str]:
        """A table's name as pyiceberg takes it."""
        return (self.database(layer), table)

    def spark_name(self, layer: Layer, table: str) -> str:
        """A table's name as Spark takes it; every part is quoted."""
        return identifier(CATALOG, *self.identifier(layer, table))

    def location(self, layer: Layer, table: str) -> str:
        """Where a table's files lie."""
        return f"{self.roots[layer]}/{table}"

    def load(self, layer: Layer, table: str) -> Table:
        """Load a table. Raises NoSuchTableError."""
        return self.catalog.load_table(self.identifier(layer, table))

    def find(self, layer: Layer, table: str) -> Table | None:
        """Load a table, or None when there is none of that name."""
        try:
            return self.load(layer, table)
        except NoSuchTableError:
            return None

    def metadata_locations(self, layer: Layer) -> dict[str, str]:
        """Each of the layer's tables with its metadata_location; it changes with every commit."""
        return self.list_locations(self.database(layer))

    def topics(self) -> list[str]:
        """The topics that have a RAW table."""
        return sorted(topics_of(self.metadata_locations("raw")))

    def require_topics(self, topics: Iterable[str]) -> None:
        """Raise UnknownTopics when one of these has no RAW table."""
        wanted, known = sorted(set(topics)), self.topics()
        if unknown := [topic for topic in wanted if topic not in known]:
            raise UnknownTopics(unknown, known)


def staging(topic: str) -> str:
    """The name of a topic's RAW table."""
    return topic + STAGING_SUFFIX


def topics_of(raw_tables: Iterable[str]) -> list[str]:
    """The topics whose RAW tables are among these."""
    return [table.removesuffix(STAGING_SUFFIX) for table in raw_tables if table.endswith(STAGING_SUFFIX)]


def _properties(settings: Settings) -> dict[str, str]:
    # S3's own name: pyiceberg and pyarrow do not read AWS_ENDPOINT_URL.
    properties = {"glue.region": settings.region, "s3.region": settings.region, "glue.skip-archive": "true"}
    if settings.endpoint_url:
        properties |= {"glue.endpoint": settings.endpoint_url, "s3.endpoint": settings.endpoint_url}
    return properties


def _glue_locations(glue: "GlueClient", database: str) -> dict[str, str]:
    pages = glue.get_paginator("get_tables").paginate(DatabaseName=database)
    return {
        table["Name"]: table["Parameters"]["metadata_location"]
        for page in pages
        for table in page["TableList"]
        if "metadata_location" in table.get("Parameters", {})
    }
