"""All that went wrong with records, wherever it is kept: by topic, place and reason, with counts and samples."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb
from pyiceberg.expressions import AlwaysTrue, EqualTo

from ledgerlake.ops.landing import folder
from ledgerlake.state.file_registry import FileRegistry, RefusedFile
from ledgerlake.tables.definitions import DLQ_ERRORS, ERRORS, FIREHOSE_ERRORS, PARSE_ERRORS, Layer
from ledgerlake.tables.lake import Lake


@dataclass(frozen=True)
class Failure:
    """Records that failed for one reason. Grain: topic, place (the table, `<layer>.<name>`), reason.

    `samples` are message_ids; a broken envelope without one is told by the beginning of its body. A record
    with several violations counts under each of them.
    """

    topic: str
    place: str
    reason: str
    records: int
    latest: datetime | None
    samples: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """As JSON gives it."""
        return asdict(self) | {"latest": self.latest.isoformat() if self.latest else None}


@dataclass(frozen=True)
class _Place:
    """A table of failures: the columns it is read by, and SQL that makes topic, reason, message_id, failed_at of it."""

    layer: Layer
    table: str
    columns: Sequence[str]
    rows: str


PLACES = (
    _Place(
        "raw",
        DLQ_ERRORS,
        ("message_id", "topic_name", "body", "error_code", "reason", "drained_at"),
        # Reasons quote what they refuse; the code groups them where there is one.
        """SELECT topic_name AS topic, coalesce(error_code, reason, 'received too often') AS reason,
                  coalesce(message_id, left(body, 60)) AS message_id, drained_at AS failed_at FROM failures""",
    ),
    _Place(
        "raw",
        FIREHOSE_ERRORS,
        ("message_id", "topic_name", "error_code", "object_key", "failed_at"),
        """SELECT topic_name AS topic, error_code AS reason, coalesce(message_id, object_key) AS message_id,
                  failed_at FROM failures""",
    ),
    _Place(
        "standardized",
        PARSE_ERRORS,
        ("message_id", "topic_name", "error_code", "failed_at"),
        "SELECT topic_name AS topic, error_code AS reason, message_id, failed_at FROM failures",
    ),
    _Place(
        "curated",
        ERRORS,
        ("message_id", "topic_name", "violations", "failed_at"),
        """SELECT topic_name AS topic, message_id, failed_at,
                  CASE v.kind WHEN 'cde' THEN v."column" || ' is missing'
                              WHEN 'cast' THEN v."column" || ' is no ' || v.rule
                              ELSE 'breaks rule ' || v.rule END AS reason
           FROM (SELECT topic_name, message_id, failed_at, unnest(violations) AS v FROM failures)""",
    ),
)

GROUPED = """
SELECT coalesce(topic, '') AS topic, coalesce(reason, '') AS reason, count(*) AS records,
       max(failed_at) AS latest, list(DISTINCT message_id ORDER BY message_id)[1:{limit}] AS samples
FROM ({rows}) GROUP BY ALL ORDER BY topic, records DESC, reason
"""


def failures(lake: Lake, topic: str | None = None, limit: int = 3) -> list[Failure]:
    """Every kind of failure of one topic, or of all, with up to `limit` samples each."""
    return [failure for place in PLACES for failure in _failures(lake, place, topic, limit)]


def refused_files(registry: FileRegistry, topic: str | None = None, limit: int = 3) -> list[Failure]:
    """Files in the landing bucket that were not ingested; `records` counts files, `samples` are their keys."""
    groups: dict[tuple[str, str], list[RefusedFile]] = defaultdict(list)
    for file in registry.refused():
        if topic in (None, folder(_key(file))):
            groups[folder(_key(file)), file.code].append(file)
    return [
        Failure(
            topic=of,
            place="landing bucket",
            reason=f"file refused: {code}",
            records=len(files),
            latest=max(file.at for file in files),
            samples=sorted(_key(file) for file in files)[:limit],
        )
        for (of, code), files in sorted(groups.items())
    ]


def _key(file: RefusedFile) -> str:
    return file.object.partition("/")[2]


def _failures(lake: Lake, place: _Place, topic: str | None, limit: int) -> list[Failure]:
    table = lake.find(place.layer, place.table)
    if table is None or table.current_snapshot() is None:
        return []
    where = AlwaysTrue() if topic is None else EqualTo(term="topic_name", value=topic)
    rows = table.scan(row_filter=where, selected_fields=tuple(place.columns)).to_arrow()
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("failures", rows)
        found = connection.sql(GROUPED.format(limit=int(limit), rows=place.rows)).to_arrow_table().to_pylist()
    finally:
        connection.close()
    return [Failure(place=f"{place.layer}.{place.table}", **row) for row in found]
