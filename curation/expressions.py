"""Numeric SQL expressions over the document columns, checked as predicates are and evaluated by Polars.

All numbers are float64. A missing value makes missing what is computed from it, in `least` and `greatest` too (as in
SQLite; DuckDB would pass over it there, and a document without a cluster size would get the largest repeat). NaN, a
division by zero and a function outside of its domain count as missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa
from sqlglot import exp

from curation.predicates import (
    ALLOWED,
    ALLOWED_IN_WORDS,
    FUNCTIONS,
    Grammar,
    check_columns,
    compile_checked,
    parse_tree,
    rewrite,
)
from manifests.errors import RequestError

NUMERIC: dict[str, type[exp.Expr]] = {
    "greatest": exp.Greatest,
    "least": exp.Least,
    "ln": exp.Ln,
    "log10": exp.Log,
    "log2": exp.Log,
    "power": exp.Pow,
    "sqrt": exp.Sqrt,
}
EXPRESSIONS = Grammar(
    "expression",
    ALLOWED | {exp.Case, exp.If, *NUMERIC.values()},
    tuple(sorted([*FUNCTIONS, *NUMERIC])),
    f"{ALLOWED_IN_WORDS}, {', '.join(NUMERIC)}, and CASE WHEN ... THEN ... ELSE ... END",
)
_BASES = {"2": "LOG2", "10": "LOG10"}


@dataclass(frozen=True)
class Expression:
    """A checked expression. `expr` is a float64 or null per row of a frame that has `columns`."""

    sql: str
    columns: frozenset[str]
    """The columns it reads, as written: `near_cluster_size`, `signals.word_count`."""
    expr: pl.Expr = field(compare=False, repr=False)


def parse_expression(sql: str, columns: Mapping[str, pa.DataType]) -> Expression:
    """Check a numeric expression against the columns that will be there (see `predicates.dotted_columns`).

    Raises:
        RequestError: it is not SQL, holds something that is not allowed, names an unknown column or none, or gives
            something that is no number.
    """
    tree = parse_tree(sql, EXPRESSIONS)
    names = check_columns(sql, tree, columns, EXPRESSIONS)
    if not names:
        raise RequestError(f"expression `{sql}`: names no column, so it would be the same for all documents")
    expr, kind = compile_checked(sql, _in_floats(sql, tree, columns), columns, EXPRESSIONS)
    if not kind.is_numeric():
        raise RequestError(f"expression `{sql}`: gives {kind}, not a number")
    return Expression(sql, frozenset(names), expr.cast(pl.Float64))


def _in_floats(sql: str, tree: exp.Expr, columns: Mapping[str, pa.DataType]) -> exp.Expr:
    """The tree with whole numbers as floats, which do not overflow, and with functions that know missing values."""

    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and pa.types.is_integer(columns[".".join(p.name for p in node.parts)]):
            return exp.cast(node.copy(), "DOUBLE")
        if isinstance(node, (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)):
            return type(node)(this=_double(node.this), expression=_double(node.expression))
        if isinstance(node, (exp.Least, exp.Greatest)):
            return _where(node, *(_is_there(argument) for argument in (node.this, *node.expressions)))
        if isinstance(node, exp.Ln):
            return _where(node, exp.GT(this=node.this.copy(), expression=exp.Literal.number(0)))
        if isinstance(node, exp.Sqrt):
            return _where(node, exp.GTE(this=node.this.copy(), expression=exp.Literal.number(0)))
        if isinstance(node, exp.Log):
            return _logarithm(sql, node)
        if isinstance(node, exp.Pow):
            power = exp.Pow(this=exp.cast(node.this.copy(), "DOUBLE"), expression=node.expression.copy())
            return exp.Nullif(this=power, expression=exp.cast(exp.Literal.string("NaN"), "DOUBLE"))
        return node

    return rewrite(tree, change)


def _double(node: exp.Expr) -> exp.Expr:
    """The operand, a number as a float64: Polars would compute with two numbers in float32."""
    number = node.unnest()
    number = number.this if isinstance(number, exp.Neg) else number
    is_number = isinstance(number, exp.Literal) and not number.is_string
    return exp.cast(node.copy(), "DOUBLE") if is_number else node.copy()


def _is_there(node: exp.Expr) -> exp.Expr:
    return exp.Not(this=exp.Is(this=exp.Paren(this=node.copy()), expression=exp.Null()))


def _where(node: exp.Expr, *conditions: exp.Expr) -> exp.Expr:
    """The node where all conditions are true, else missing."""
    return exp.Case(ifs=[exp.If(this=exp.and_(*conditions), true=node.copy())])


def _logarithm(sql: str, node: exp.Log) -> exp.Expr:
    """log2 and log10 as functions of Polars; sqlglot reads both as a logarithm with a base."""
    name, argument = _BASES.get(node.this.name), node.expression
    if not name or not argument:
        raise RequestError(f"expression `{sql}`: a logarithm to which base? write ln, log2 or log10")
    positive = exp.GT(this=argument.copy(), expression=exp.Literal.number(0))
    return _where(exp.Anonymous(this=name, expressions=[argument.copy()]), positive)
