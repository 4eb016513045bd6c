"""The ledger of one topic by identity: every message_id of RAW in exactly one place, told from the tables' rows alone.

Counts can agree by accident; identities cannot. This reads the ids of all of a topic's rows, so its cost grows with the
topic, unlike the reconciliation from metadata that every cycle does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue, BooleanExpression, EqualTo

from ledgerlake.tables import snapshots
from ledgerlake.tables.definitions import ERRORS, PARSE_ERRORS
from ledgerlake.tables.lake import Lake, staging
from ledgerlake.tables.snapshots import LedgerLost

if TYPE_CHECKING:
    from pyiceberg.table import Table

SAMPLES = 5


@dataclass(frozen=True)
class Variance:
    """One way in which the ledger does not balance: how many ids, and some of them."""

    what: str
    count: int
    samples: Sequence[str]

    def __str__(self) -> str:
        if not self.samples:
            return self.what
        return f"{self.count} {self.what} (e.g. {', '.join(self.samples)})"


@dataclass(frozen=True)
class Ledger:
    """A topic's rows by place. Grain: message_id, but for `raw` and `duplicates`, which count copies.

    `raw` = `raw_waiting` + `standardized` + `duplicates` + `parse_errors`, and `standardized` =
    `standardized_waiting` + `curated` + `superseded` + `errors`; `variances` says by identity what breaks that.
    """

    topic: str
    raw: int = 0
    raw_waiting: int = 0
    standardized: int = 0
    duplicates: int = 0
    parse_errors: int = 0
    standardized_waiting: int = 0
    curated: int = 0
    superseded: int = 0
    errors: int = 0
    variances: Sequence[Variance] = ()

    @property
    def balanced(self) -> bool:
        """Whether both formulas hold, in numbers and by identity."""
        return (
            not self.variances
            and self.raw == self.raw_waiting + self.standardized + self.duplicates + self.parse_errors
            and self.standardized == self.standardized_waiting + self.curated + self.superseded + self.errors
        )

    @property
    def waiting(self) -> int:
        """Rows that a next cycle has to work on."""
        return self.raw_waiting + self.standardized_waiting

    def counts(self) -> dict[str, int]:
        """The numbers by name, in the order of the path."""
        return {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), int)}


def ledger(lake: Lake, topic: str) -> Ledger:
    """Read a topic's ids from all its tables and see where each one stands; what cannot be read is a variance."""
    connection = duckdb.connect(":memory:")
    try:
        has_curated = _register(connection, lake, topic)
        numbers = _numbers(connection)
        # Where nothing is to be curated, nothing waits for it either (design 3.5): it is all standardized only.
        if not has_curated:
            numbers["standardized_waiting"] = numbers["standardized"]
        return Ledger(topic, **numbers, variances=_variances(connection, has_curated))
    except LedgerLost as lost:
        return Ledger(topic, variances=(Variance(str(lost), 0, ()),))
    except FileNotFoundError as gone:
        # The other topics' ledgers are wanted all the more.
        return Ledger(topic, variances=(Variance(f"a file of its tables is gone, bring it back: {gone}", 0, ()),))
    finally:
        connection.close()


STANDARDIZED_COLUMNS = ("message_id", "idempotency_key", "publish_time", "ingestion_ts")


def _register(connection: duckdb.DuckDBPyConnection, lake: Lake, topic: str) -> bool:
    """Make the topic's ids known to DuckDB; returns whether the topic has a CURATED table.

    raw, standardized: all rows; raw_done, standardized_done: what the next stage has worked through. The tables that
    follow are read first: a stage that commits meanwhile then only adds to what waits.
    """
    curated = lake.find("curated", topic)
    errors = lake.find("curated", ERRORS)
    curated_rows = _rows(curated, STANDARDIZED_COLUMNS)
    error_rows = _standing_errors(errors, curated, topic, "reported_by")
    standardized = lake.find("standardized", topic)
    parse_errors = _standing_errors(lake.find("standardized", PARSE_ERRORS), standardized, topic, "batch_id")
    raw = lake.find("raw", staging(topic))
    tables = {
        "curated": curated_rows,
        "errors": error_rows,
        "standardized_done": _rows(standardized, STANDARDIZED_COLUMNS, snapshot_id=_source(curated)),
        "standardized": _rows(standardized, STANDARDIZED_COLUMNS),
        "parse_errors": parse_errors,
        "raw_done": _rows(raw, ("message_id", "publish_time"), snapshot_id=_source(standardized)),
        "raw": _rows(raw, ("message_id", "publish_time")),
    }
    for name, rows in tables.items():
        connection.register(name, rows)
    return curated is not None


def _standing_errors(errors: "Table | None", main: "Table | None", topic: str, reporter: str) -> pa.Table:
    """The errors that are still where their records ended: all but those that were taken into `main` since.

    Marks, and the rows that a reprocess wrote (`reporter` names the column that says so), count once it is in `main`.
    """
    columns = ("message_id", "publish_time", "resolved_by", "resolved_at", "replaced_by", reporter, "failed_at")
    rows = _rows(errors, columns, EqualTo(term="topic_name", value=topic))
    told = rows.to_pylist()
    marks = {row["resolved_by"]: row["resolved_at"] for row in told if row["resolved_by"]}
    marks |= {row[reporter]: row["failed_at"] for row in told if "-reprocess-" in (row[reporter] or "")}
    void = snapshots.void(main, marks) if main is not None else set(marks)
    # An edited record is a message of its own: the one that it replaces stays an error, an answered one.
    standing = [
        (row["resolved_by"] is None or row["replaced_by"] is not None or row["resolved_by"] in void)
        and row[reporter] not in void
        for row in told
    ]
    return rows.filter(pa.array(standing, pa.bool_())).select(["message_id", "publish_time"])


def _source(table: "Table | None") -> int | None:
    """The source snapshot up to which a table holds what its stage made; None when it holds nothing yet."""
    entry = snapshots.last_entry(table) if table is not None else None
    return entry.source_snapshot_id if entry is not None else None


ALL = -1


def _rows(
    table: "Table | None",
    columns: Sequence[str],
    where: BooleanExpression | None = None,
    snapshot_id: int | None = ALL,
) -> pa.Table:
    """Some columns of a table's rows, of the current snapshot or of another; no rows where there is none."""
    if table is None or snapshot_id is None or table.current_snapshot() is None:
        kinds = dict.fromkeys(
            ("publish_time", "ingestion_ts", "resolved_at", "failed_at"), pa.timestamp("us", tz="UTC")
        )
        return pa.schema([(column, kinds.get(column, pa.string())) for column in columns]).empty_table()
    chosen = None if snapshot_id == ALL else snapshot_id
    scan = table.scan(
        row_filter=where if where is not None else AlwaysTrue(), selected_fields=tuple(columns), snapshot_id=chosen
    )
    return scan.to_arrow().select(list(columns))


NUMBERS = """
SELECT
  (SELECT count(*) FROM raw) AS raw,
  (SELECT count(*) FROM raw) - (SELECT count(*) FROM raw_done) AS raw_waiting,
  (SELECT count(*) FROM standardized) AS standardized,
  (SELECT count(*) FROM raw_done) - (SELECT count(*) FROM standardized)
    - (SELECT count(*) FROM parse_errors SEMI JOIN raw_done USING (message_id)) AS duplicates,
  (SELECT count(*) FROM parse_errors SEMI JOIN raw_done USING (message_id)) AS parse_errors,
  (SELECT count(*) FROM standardized) - (SELECT count(*) FROM standardized_done) AS standardized_waiting,
  (SELECT count(*) FROM curated) AS curated,
  (SELECT count(*) FROM standardized_done ANTI JOIN curated USING (message_id) ANTI JOIN errors USING (message_id))
    AS superseded,
  (SELECT count(*) FROM errors SEMI JOIN standardized_done USING (message_id)) AS errors
"""

STANDARDIZE_CHECKS = {
    "message_ids of RAW that stand nowhere": """
        SELECT DISTINCT message_id FROM raw_done
        ANTI JOIN standardized USING (message_id) ANTI JOIN parse_errors USING (message_id)""",
    "message_ids that never came to RAW": """
        SELECT message_id FROM (SELECT message_id FROM standardized UNION ALL SELECT message_id FROM parse_errors)
        ANTI JOIN raw USING (message_id)""",
    # Beyond the look-up's window an id counts as new (design 4.2); within it, it stands once.
    "message_ids that stand more than once within a week": """
        WITH ended AS (SELECT message_id, publish_time FROM standardized
                       UNION ALL SELECT message_id, publish_time FROM parse_errors)
        SELECT DISTINCT message_id FROM ended
        QUALIFY publish_time - lag(publish_time) OVER (PARTITION BY message_id ORDER BY publish_time)
                <= INTERVAL 7 DAY""",
}

CURATE_CHECKS = {
    "message_ids of CURATED that are not in STANDARDIZED": """
        SELECT message_id FROM curated ANTI JOIN standardized USING (message_id)""",
    "message_ids of errors that are not in STANDARDIZED": """
        SELECT message_id FROM errors ANTI JOIN standardized USING (message_id)""",
    "message_ids that are both curated and in errors": """
        SELECT message_id FROM curated SEMI JOIN errors USING (message_id)""",
    "message_ids more than once in errors": """
        SELECT message_id FROM errors GROUP BY ALL HAVING count(*) > 1""",
    "keys with more than one current row": """
        SELECT idempotency_key FROM curated GROUP BY ALL HAVING count(*) > 1""",
    "message_ids of STANDARDIZED that no later record of their key supersedes": """
        SELECT s.message_id FROM standardized_done s
        ANTI JOIN curated c ON c.message_id = s.message_id ANTI JOIN errors e ON e.message_id = s.message_id
        ANTI JOIN curated l ON l.idempotency_key = s.idempotency_key
          AND (l.publish_time, l.ingestion_ts, l.message_id) > (s.publish_time, s.ingestion_ts, s.message_id)""",
}


def _numbers(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    row: dict[str, Any] = connection.sql(NUMBERS).to_arrow_table().to_pylist()[0]
    return {name: int(number) for name, number in row.items()}


def _variances(connection: duckdb.DuckDBPyConnection, has_curated: bool) -> list[Variance]:
    checks = STANDARDIZE_CHECKS | (CURATE_CHECKS if has_curated else {})
    found = ((what, connection.sql(sql).to_arrow_table().column(0)) for what, sql in checks.items())
    return [
        Variance(what, len(ids), [str(i) for i in ids.slice(0, SAMPLES).to_pylist()]) for what, ids in found if len(ids)
    ]
