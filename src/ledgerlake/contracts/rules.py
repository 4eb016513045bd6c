"""A rule's expression, read with sqlglot: the columns it reads and what is wrong with it (design 3.2)."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.tokenizer_core import Token, TokenType

from ledgerlake.contracts import spark_functions
from ledgerlake.contracts.problems import Wrong, did_you_mean
from ledgerlake.contracts.types import ColumnType

DIALECT: Final = "spark"
_ROW_ALONE: Final = "a rule is a condition over one row's columns, e.g. amount >= 0"
_PLAIN_COLUMN: Final = "write the column's name alone, e.g. amount"
_STABLE: Final = "a rule must say the same when a batch is tried again; compare with publish_time or another column"

_REFUSED_FUNCTIONS: Final = (
    (spark_functions.AGGREGATES, "the aggregate function", _ROW_ALONE),
    (spark_functions.WINDOWS, "the window function", _ROW_ALONE),
    (spark_functions.GENERATORS, "the generator", _ROW_ALONE),
    (spark_functions.UNSTABLE, "the non-deterministic function", _STABLE),
    (spark_functions.SIDE_EFFECTS, "the function", "a rule may only compute with the row's columns"),
)
_REFUSED_NODES: Final[tuple[tuple[tuple[type[exp.Expr], ...], str, str], ...]] = (
    ((exp.Query,), "a subquery", _ROW_ALONE),
    ((exp.Window,), "a window", _ROW_ALONE),
    ((exp.Star,), "`*`", _PLAIN_COLUMN),
    ((exp.Placeholder, exp.Parameter, exp.SessionParameter), "a parameter", "write the value itself"),
    ((exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.CurrentDatetime), "the current time", _STABLE),
    ((exp.CurrentUser,), "the current user", _STABLE),
)
_SYNTAX: Final = re.compile(
    "and|or|not|in|is|between|like|ilike|rlike|regexp|escape|any|all|some|case|when|then|else|end|div|from|distinct|over|"
    "decimal|dec|numeric|char|varchar|"
    "current_date|current_timestamp|current_user"  # nodes of their own
)
_WORD = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_SQL_TYPES: Final = {"json": "string"}


def parse_rule(expression: str) -> exp.Condition:
    """The one condition an expression holds. Raises Wrong when it is no condition at all."""
    try:
        statements = sqlglot.parse(expression, dialect=DIALECT)
    except Exception as error:  # a parser of any text: whatever it raises means that it could not read this one
        raise Wrong(
            f"the expression does not parse: {_first_line(error)}", "write a Spark SQL condition, e.g. amount >= 0"
        ) from error
    if len(statements) != 1 or statements[0] is None:
        raise Wrong("the expression is no single condition", _ROW_ALONE)
    tree = statements[0]
    if not isinstance(tree, exp.Condition) or isinstance(tree, exp.Alias):
        raise Wrong("the expression is no condition", _ROW_ALONE)
    return tree


def columns_read(expression: str) -> frozenset[str]:
    """The names of the columns an expression reads, in lower case. Raises Wrong when it does not parse."""
    return frozenset(column.name.lower() for column in parse_rule(expression).find_all(exp.Column))


def with_names(expression: str, names: Mapping[str, str]) -> str:
    """An expression that reads columns under other names, in one spelling. Raises Wrong when it does not parse."""

    def renamed(node: exp.Expr) -> exp.Expr:
        name = names.get(node.name.lower()) if isinstance(node, exp.Column) else None
        return exp.column(name) if name else node

    return parse_rule(expression).transform(renamed).sql(dialect=DIALECT)


def wrong_with(expression: str, types: Mapping[str, ColumnType], known: frozenset[str]) -> Iterator[Wrong]:
    """Everything that is wrong with a rule's expression.

    `known` are the names it may read; `types` their types, as far as they are known.
    """
    try:
        tree = parse_rule(expression)
    except Wrong as wrong:
        yield wrong
        return
    found = [*_refused_nodes(tree), *_refused_calls(expression), *_unreadable_columns(tree, known)]
    yield from found or _not_boolean(tree, types)


def _first_line(error: Exception) -> str:
    details = getattr(error, "errors", None)
    if details and details[0].get("line"):
        first = details[0]
        near = f"{first['start_context'] or ''}{first['highlight'] or ''}".strip()[-60:]
        return f"line {first['line']}, column {first['col']}, at `{near}`"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _refused_nodes(tree: exp.Expr) -> Iterator[Wrong]:
    for kinds, what, remedy in _REFUSED_NODES:
        if tree.find(*kinds):
            yield Wrong(f"the expression holds {what}", remedy)


def _refused_calls(expression: str) -> Iterator[Wrong]:
    for name in dict.fromkeys(_calls(sqlglot.tokenize(expression, read=DIALECT))):
        if name in spark_functions.ROW_FUNCTIONS:
            continue
        for names, what, remedy in _REFUSED_FUNCTIONS:
            if name in names:
                yield Wrong(f"the expression calls {what} `{name}`", remedy)
                break
        else:
            near = did_you_mean(name, spark_functions.ROW_FUNCTIONS, "use a built-in function of Spark SQL 3.5")
            yield Wrong(f"Spark SQL has no function `{name[:100]}`", near)


def _calls(tokens: list[Token]) -> Iterator[str]:
    for token, following in pairwise(tokens):
        called = following.token_type == TokenType.L_PAREN and token.token_type != TokenType.STRING
        if called and _WORD.fullmatch(token.text) and not _SYNTAX.fullmatch(token.text.lower()):
            yield token.text.lower()


def _unreadable_columns(tree: exp.Expr, known: frozenset[str]) -> Iterator[Wrong]:
    columns = list(tree.find_all(exp.Column))
    if not columns:
        yield Wrong("the expression reads no column", _ROW_ALONE)
    for name in dict.fromkeys(column.sql(dialect=DIALECT) for column in columns if column.table):
        yield Wrong(f"`{name[:100]}` is no column", _PLAIN_COLUMN)
    for name in dict.fromkeys(column.name.lower() for column in columns if not column.table):
        if name not in known:
            yield Wrong(
                f"there is no column `{name[:100]}`",
                did_you_mean(name, sorted(known), "a rule reads the contract's columns"),
            )


def _not_boolean(tree: exp.Expr, types: Mapping[str, ColumnType]) -> Iterator[Wrong]:
    """A condition gives true or false; the type of what sqlglot cannot tell is not held against it."""

    def typed(node: exp.Expr) -> exp.Expr:
        column_type = types.get(node.name.lower()) if isinstance(node, exp.Column) else None
        if column_type is None:
            return node
        return exp.cast(exp.null(), _SQL_TYPES.get(column_type.kind, str(column_type)), dialect=DIALECT)

    try:
        kind = annotate_types(tree.transform(typed), dialect=DIALECT).type
    except Exception:  # annotation is a guess over any expression; no guess is no objection
        return
    if kind and not kind.is_type(exp.DType.BOOLEAN, exp.DType.UNKNOWN, exp.DType.NULL):
        yield Wrong(
            f"the expression gives {kind.sql(dialect=DIALECT).lower()}, not true or false",
            "compare it, e.g. amount >= 0",
        )
