"""All that went wrong with records, wherever it is kept: by topic, kind, column, rule and time, counted and sampled."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import duckdb
import pyarrow as pa
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    EqualTo,
    GreaterThanOrEqual,
    IsNull,
    LessThan,
    NotNull,
)
from pyiceberg.table import Table

from ledgerlake.ops.landing import folder
from ledgerlake.state.file_registry import FileRegistry, RefusedFile
from ledgerlake.tables.definitions import DLQ_ERRORS, ERRORS, FIREHOSE_ERRORS, PARSE_ERRORS, Layer
from ledgerlake.tables.lake import Lake
from ledgerlake.tables.lookup import arrow_schema, stream

Kind = Literal["dlq", "firehose", "parse", "cde", "cast", "check", "rule", "file"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Answer = Literal["open", "resolved", "all"]


@dataclass(frozen=True)
class Selection:
    """Which failures: those that match all that is given, and that failed in [since, until).

    A failure is open until a replay or redrive has taken its record in. `column` and `rule` are those of violations, so
    only records that broke their contract have them.
    """

    topic: str | None = None
    kinds: Sequence[Kind] = ()
    column: str | None = None
    rule: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    answered: Answer = "open"

    def where(self, time: str) -> BooleanExpression:
        """The part of it that partitions and files can be left out by; `time` is the column of the failure's time."""
        conditions: list[BooleanExpression] = []
        if self.topic is not None:
            conditions.append(EqualTo(term="topic_name", value=self.topic))
        if self.since is not None:
            conditions.append(GreaterThanOrEqual(term=time, value=self.since.astimezone(UTC).isoformat()))
        if self.until is not None:
            conditions.append(LessThan(term=time, value=self.until.astimezone(UTC).isoformat()))
        if self.answered != "all":
            conditions.append(IsNull(term="resolved_by") if self.answered == "open" else NotNull(term="resolved_by"))
        return And(AlwaysTrue(), AlwaysTrue(), *conditions)

    def wants(self, kind: str | None, column: str | None = None, rule: str | None = None) -> bool:
        """Whether a failure of this kind, column and rule is asked for."""
        return (
            (not self.kinds or kind in self.kinds)
            and (self.column is None or column == self.column)
            and (self.rule is None or rule == self.rule)
        )


@dataclass(frozen=True)
class Failure:
    """Records that failed for one reason. Grain: topic, place (`<layer>.<table>`), kind, column, rule, reason.

    `samples` are message_ids; a broken envelope without one is told by the beginning of its body. A record
    with several violations counts under each of them.
    """

    topic: str
    place: str
    kind: Kind
    reason: str
    records: int
    earliest: datetime | None
    latest: datetime | None
    samples: Sequence[str]
    column: str | None = None
    rule: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON gives it."""
        return asdict(self) | {"earliest": _iso(self.earliest), "latest": _iso(self.latest)}


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


@dataclass(frozen=True)
class Place:
    """A table of failures: the kinds it holds, its column of their time, and what is read of it for an overview.

    `rows` is SQL that makes topic, kind, column, rule, reason, message_id and failed_at of the columns.
    """

    layer: Layer
    table: str
    kinds: Sequence[Kind]
    time: str
    columns: Sequence[str]
    rows: str

    def __str__(self) -> str:
        return f"{self.layer}.{self.table}"

    def find(self, lake: Lake, selection: Selection) -> Table | None:
        """The table, when it has rows at all, and may have some that are asked for."""
        asked = not selection.kinds or set(selection.kinds) & set(self.kinds)
        if not asked or (self.table != ERRORS and (selection.column is not None or selection.rule is not None)):
            return None
        table = lake.find(self.layer, self.table)
        return table if table is not None and table.current_snapshot() is not None else None


_NO_VIOLATION = 'CAST(NULL AS VARCHAR) AS "column", CAST(NULL AS VARCHAR) AS rule'
PLACES = (
    Place(
        "raw",
        DLQ_ERRORS,
        ("dlq",),
        "drained_at",
        ("message_id", "topic_name", "body", "error_code", "reason", "drained_at"),
        # Reasons quote what they refuse; the code groups them where there is one.
        f"""SELECT topic_name AS topic, 'dlq' AS kind, {_NO_VIOLATION},
                   coalesce(error_code, reason, 'received too often') AS reason,
                   coalesce(message_id, left(body, 60)) AS message_id, drained_at AS failed_at FROM failures""",  # noqa: S608
    ),
    Place(
        "raw",
        FIREHOSE_ERRORS,
        ("firehose",),
        "failed_at",
        ("message_id", "topic_name", "error_code", "object_key", "failed_at"),
        f"""SELECT topic_name AS topic, 'firehose' AS kind, {_NO_VIOLATION}, error_code AS reason,
                   coalesce(message_id, object_key) AS message_id, failed_at FROM failures""",  # noqa: S608
    ),
    Place(
        "standardized",
        PARSE_ERRORS,
        ("parse",),
        "failed_at",
        ("message_id", "topic_name", "error_code", "failed_at"),
        f"""SELECT topic_name AS topic, 'parse' AS kind, {_NO_VIOLATION}, error_code AS reason, message_id,
                   failed_at FROM failures""",  # noqa: S608
    ),
    Place(
        "curated",
        ERRORS,
        ("cde", "cast", "check", "rule"),
        "failed_at",
        ("message_id", "topic_name", "violations", "failed_at"),
        """SELECT topic_name AS topic, v.kind AS kind, v."column" AS "column", v.rule AS rule,
                  CASE v.kind WHEN 'cde' THEN v."column" || ' is missing'
                              WHEN 'cast' THEN v."column" || ' is no ' || v.rule
                              WHEN 'check' THEN coalesce(v."column", 'an unknown field') || ' breaks ' || v.rule
                              ELSE 'breaks rule ' || v.rule END AS reason,
                  message_id, failed_at
           FROM (SELECT topic_name, message_id, failed_at, unnest(violations) AS v FROM failures)""",
    ),
)

GROUPED = """
SELECT coalesce(topic, '') AS topic, kind, "column", rule, coalesce(reason, '') AS reason, count(*) AS records,
       min(failed_at) AS earliest, max(failed_at) AS latest,
       list_sort(list_distinct(min(message_id, {most})))[1:{limit}] AS samples
FROM ({rows})
WHERE (len($kinds::VARCHAR[]) = 0 OR list_contains($kinds::VARCHAR[], kind))
  AND ($column::VARCHAR IS NULL OR "column" = $column::VARCHAR) AND ($rule::VARCHAR IS NULL OR rule = $rule::VARCHAR)
GROUP BY ALL ORDER BY topic, records DESC, reason
"""


def failures(lake: Lake, selection: Selection | None = None, limit: int = 3) -> list[Failure]:
    """Every kind of failure that was selected (all that are open, when nothing is), with up to `limit` samples each."""
    chosen = selection or Selection()
    return [failure for place in PLACES for failure in _failures(lake, place, chosen, limit)]


def refused_files(registry: FileRegistry, selection: Selection | None = None, limit: int = 3) -> list[Failure]:
    """Files in the landing bucket that were not ingested; `records` counts files, `samples` are their keys."""
    chosen = selection or Selection()
    groups: dict[tuple[str, str], list[RefusedFile]] = defaultdict(list)
    for file in registry.refused() if chosen.wants("file") and chosen.answered != "resolved" else ():
        if _selected(file, chosen):
            groups[folder(_key(file)), file.code].append(file)
    return [
        Failure(
            topic=of,
            place="landing bucket",
            kind="file",
            reason=f"file refused: {code}",
            records=len(files),
            earliest=min(file.at for file in files),
            latest=max(file.at for file in files),
            samples=sorted(_key(file) for file in files)[:limit],
        )
        for (of, code), files in sorted(groups.items())
    ]


def _selected(file: RefusedFile, selection: Selection) -> bool:
    return (
        selection.topic in (None, folder(_key(file)))
        and (selection.since is None or file.at >= selection.since)
        and (selection.until is None or file.at < selection.until)
    )


def _key(file: RefusedFile) -> str:
    return file.object.partition("/")[2]


def _failures(lake: Lake, place: Place, selection: Selection, limit: int) -> list[Failure]:
    table = place.find(lake, selection)
    if table is None:
        return []
    schema = arrow_schema(table, place.columns)
    batches = stream(table, selection.where(place.time), place.columns)
    rows = pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in batches))
    asked: Mapping[str, Any] = {"kinds": list(selection.kinds), "column": selection.column, "rule": selection.rule}
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("failures", rows)
        sql = GROUPED.format(most=max(int(limit), 1), limit=int(limit), rows=place.rows)
        found = connection.sql(sql, params=asked).to_arrow_table().to_pylist()
    finally:
        connection.close()
    return [Failure(place=str(place), **row) for row in found]
