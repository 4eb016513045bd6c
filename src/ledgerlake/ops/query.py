"""SQL over the lakehouse's tables from anywhere: pyiceberg reads them (deletes applied), DuckDB answers."""

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import sqlglot
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    EqualTo,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
)
from pyiceberg.types import IcebergType, IntegerType, LongType, StringType, TimestamptzType
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from ledgerlake.errors import TerminalError
from ledgerlake.tables.lake import LAYERS, Lake

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

DIALECT = "duckdb"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
"""sqlglot underlines what it could not read, on a terminal or not."""

Name = tuple[str, str]
"""A table as SQL names it: (layer, table)."""


class QueryError(TerminalError):
    """A query that cannot be answered; the message says what is wrong with it and what would be right."""


def open_table(lake: Lake, name: Name) -> "IcebergTable":
    """Load one table. Raises QueryError naming near matches when there is none of that name."""
    layer, table = name
    if layer not in LAYERS:
        raise QueryError(f"there is no layer {layer!r}; tables are named <layer>.<table>, layers are {_list(LAYERS)}")
    found = lake.find(layer, table)
    if found is None:
        raise QueryError(f"there is no table {layer}.{table}; {_near(lake, name)}")
    return found


def _near(lake: Lake, name: Name) -> str:
    layer, table = name
    known = sorted(f"{other}.{found}" for other in LAYERS for found in lake.metadata_locations(other))
    starting = [k for k in known if k.startswith(f"{layer}.{table}")]
    elsewhere = [k for k in known if k.partition(".")[2] == table]
    close = difflib.get_close_matches(f"{layer}.{table}", known, n=3, cutoff=0.7)
    near = list(dict.fromkeys([*starting, *elsewhere, *close]))[:4]
    if near:
        return f"did you mean {_list(near)}?"
    return f"{layer} has {_list(k for k in known if k.startswith(layer + '.')) or 'no tables yet'}"


def query(sql: str, lake: Lake) -> pa.Table:
    """The rows one SELECT answers with, read from the tables' current snapshots. Raises QueryError.

    Only tables the SQL names are opened, and of them only the columns it needs; conditions of a WHERE that compare a
    column with a constant are given to the scan too, where Iceberg can skip whole files by them.
    """
    statement = parse(sql)
    names = tables_of(statement)
    opened = {name: open_table(lake, name) for name in names}
    scans = plan_scans(statement, {name: _fields(table) for name, table in opened.items()})
    connection = duckdb.connect(":memory:", config={"enable_external_access": "false"})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        for number, (name, table) in enumerate(opened.items()):
            _register(connection, name, f"ledgerlake_{number}", scans[name].read(table))
        return connection.sql(statement.sql(DIALECT)).to_arrow_table()
    except duckdb.Error as error:
        raise QueryError(str(error)) from error
    finally:
        connection.close()


def parse(sql: str) -> exp.Query:
    """The one SELECT in the text. Raises QueryError when it is anything else: this door only reads."""
    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect=DIALECT) if statement is not None]
    except SqlglotError as error:
        raise QueryError(f"this SQL does not parse: {_ANSI.sub('', str(error))}") from error
    if len(statements) != 1:
        raise QueryError(f"one statement at a time, this has {len(statements)}")
    if not isinstance(statements[0], exp.Query):
        raise QueryError("only SELECT is answered here: tables are written by the pipeline alone")
    return statements[0]


def tables_of(statement: exp.Query) -> list[Name]:
    """The tables a statement reads, in lower case, each once. Raises QueryError for a name without its layer."""
    found: dict[Name, None] = {}
    for scope in traverse_scope(statement):
        for source in scope.sources.values():
            if not isinstance(source, exp.Table) or isinstance(source.this, exp.Func):
                continue
            if not source.db:
                raise QueryError(
                    f"{source.name!r} has no layer; name tables <layer>.<table>, layers are {_list(LAYERS)}"
                )
            found[(source.db.lower(), source.name.lower())] = None
    return list(found)


class Scan:
    """What of a table a statement needs: `columns` (all when None) and the rows that can matter."""

    def __init__(self, columns: frozenset[str] | None = None, rows: BooleanExpression | None = None) -> None:
        self.columns = columns
        self.rows = rows if rows is not None else AlwaysTrue()

    def read(self, table: "IcebergTable") -> pa.Table:
        """The rows of the current snapshot, deletes applied."""
        names = [field.name for field in table.schema().fields]
        if self.columns is None:
            return table.scan(row_filter=self.rows).to_arrow()
        # A count(*) needs no column, but the rows must be there to be counted.
        selected = [name for name in names if name in self.columns] or names[:1]
        return table.scan(row_filter=self.rows, selected_fields=tuple(selected)).to_arrow()


def plan_scans(statement: exp.Query, schemas: Mapping[Name, Mapping[str, IcebergType]]) -> dict[Name, Scan]:
    """What to read of each table; everything where the statement is too clever to tell."""
    nested: dict[str, Any] = {}
    for (layer, table), fields in schemas.items():
        nested.setdefault(layer, {})[table] = dict.fromkeys(fields, "unknown")
    try:
        qualified = qualify(statement.copy(), schema=nested, dialect=DIALECT)
        scopes = traverse_scope(qualified)
    except SqlglotError:
        return {name: Scan() for name in schemas}
    uses: dict[Name, list[tuple[frozenset[str], BooleanExpression]]] = {name: [] for name in schemas}
    for scope in scopes:
        for alias, source in scope.sources.items():
            if isinstance(source, exp.Table) and (name := (source.db.lower(), source.name.lower())) in uses:
                columns = frozenset(column.name.lower() for column in scope.source_columns(alias))
                uses[name].append((columns, _pushed(scope, alias, schemas[name])))
    return {name: _scan(found) for name, found in uses.items()}


def _scan(uses: list[tuple[frozenset[str], BooleanExpression]]) -> Scan:
    """One scan for all places that name a table: their columns together, and a filter only where there is one place."""
    columns = frozenset[str]().union(*(columns for columns, _ in uses))
    return Scan(columns, uses[0][1] if len(uses) == 1 else AlwaysTrue())


def _pushed(scope: Scope, alias: str, fields: Mapping[str, IcebergType]) -> BooleanExpression:
    """The conditions of a scope's WHERE on one source that Iceberg understands.

    Only comparisons that reject NULL are taken: those are safe on either side of an outer join.
    """
    where = scope.expression.args.get("where")
    if where is None:
        return AlwaysTrue()
    rows: BooleanExpression = AlwaysTrue()
    for condition in where.this.flatten() if isinstance(where.this, exp.And) else [where.this]:
        pushed = _predicate(condition, alias, fields)
        if pushed is not None:
            rows = And(rows, pushed)
    return rows


COMPARISONS: Mapping[type, Any] = {
    exp.EQ: EqualTo,
    exp.GT: GreaterThan,
    exp.GTE: GreaterThanOrEqual,
    exp.LT: LessThan,
    exp.LTE: LessThanOrEqual,
}


def _predicate(condition: "exp.Expr", alias: str, fields: Mapping[str, IcebergType]) -> BooleanExpression | None:
    """One condition as Iceberg knows it; None when it is none of ours."""
    condition = condition.unnest()
    column = condition.this
    if not isinstance(column, exp.Column) or column.table != alias or column.name.lower() not in fields:
        return None
    name = column.name.lower()
    if isinstance(condition, exp.In) and condition.expressions:
        values = [_constant(value, fields[name]) for value in condition.expressions]
        return In(term=name, literals=set(values)) if all(value is not None for value in values) else None
    compare = COMPARISONS.get(type(condition))
    value = _constant(condition.args.get("expression"), fields[name])
    return None if compare is None or value is None else compare(name, value)


def _constant(value: "exp.Expr | None", kind: IcebergType) -> str | int | None:
    """A literal as Iceberg compares it with a column of that type; None where DuckDB had better decide alone."""
    if not isinstance(value, exp.Literal):
        return None
    if value.is_string and isinstance(kind, StringType):
        return str(value.this)
    if value.is_int and isinstance(kind, IntegerType | LongType):
        number = int(value.this)
        return number if abs(number) < 2 ** (31 if isinstance(kind, IntegerType) else 63) else None
    if value.is_string and isinstance(kind, TimestamptzType):
        return _instant(str(value.this))
    return None


def _instant(text: str) -> str | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat()


def _fields(table: "IcebergTable") -> dict[str, IcebergType]:
    return {field.name: field.field_type for field in table.schema().fields}


def _register(connection: duckdb.DuckDBPyConnection, name: Name, handle: str, rows: pa.Table) -> None:
    layer, table = (exp.to_identifier(part, quoted=True).sql(DIALECT) for part in name)
    connection.register(handle, rows)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
    connection.execute(f"CREATE VIEW {layer}.{table} AS SELECT * FROM {handle}")  # noqa: S608 - quoted above


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
