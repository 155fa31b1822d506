"""Predicates: SQL conditions over the document columns, checked before any work and evaluated by Polars.

sqlglot reads the condition, only what is listed here may occur in it, and `polars.sql_expr` executes it. SQL's logic
has three values: a condition over a missing value is NULL, which is not true. NaN counts as missing, and so does a
division by zero.
"""

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa
import sqlglot
from polars.exceptions import PolarsError
from sqlglot import exp
from sqlglot.errors import SqlglotError

from manifests.errors import RequestError

DIALECT = "duckdb"

FUNCTIONS: dict[str, type[exp.Expr]] = {
    "abs": exp.Abs,
    "ceil": exp.Ceil,
    "coalesce": exp.Coalesce,
    "floor": exp.Floor,
    "length": exp.Length,
    "lower": exp.Lower,
    "round": exp.Round,
    "upper": exp.Upper,
}
ORDER: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
_MIRROR_IMAGES: dict[type[exp.Expr], type[exp.Binary]] = {
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
}
MIRRORED = {"=": "=", "<>": "<>", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
CONDITIONS = (exp.And, exp.Or, exp.Not, exp.In, exp.Between, exp.Is, exp.Like, exp.ILike)
ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg)
ATOMS = (exp.Paren, exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean)
CASTS = (exp.Cast, exp.TryCast, exp.DataType)
NUMBERS = frozenset({exp.DataType.Type.INT, exp.DataType.Type.BIGINT, exp.DataType.Type.DOUBLE})
"""What a text can be cast to; one that is no such number is NULL."""
ALLOWED: frozenset[type] = frozenset({*CONDITIONS, *ARITHMETIC, *ATOMS, *CASTS, *ORDER, *FUNCTIONS.values()})
ALLOWED_IN_WORDS = (
    "comparisons, AND, OR, NOT, IN (list), BETWEEN, IS NULL, LIKE, ILIKE, + - * / %, CAST(... AS INT or DOUBLE), and "
    "the functions " + ", ".join(FUNCTIONS)
)


@dataclass(frozen=True)
class Grammar:
    """What may occur in SQL of one kind."""

    kind: str
    """What errors call it."""
    allowed: frozenset[type]
    functions: tuple[str, ...]
    in_words: str


PREDICATES = Grammar("predicate", ALLOWED, tuple(FUNCTIONS), ALLOWED_IN_WORDS)


@dataclass(frozen=True)
class Comparison:
    """A column compared with a number: `signals.word_count >= 50`."""

    column: str
    op: str
    threshold: float


@dataclass(frozen=True)
class _Bound:
    """`left op number` in the syntax tree; `left` may be a column or arithmetic."""

    left: exp.Expr
    op: str
    number: exp.Expr

    @property
    def name(self) -> str:
        return _dotted(self.left) if isinstance(self.left, exp.Column) else self.left.sql(dialect=DIALECT)

    @property
    def threshold(self) -> float:
        is_negative = isinstance(self.number, exp.Neg)
        return -float(self.number.this.name) if is_negative else float(self.number.name)


@dataclass(frozen=True)
class Part:
    """One of the conditions that AND joins at the top of a predicate, and what to report where it is not true."""

    holds: pl.Expr
    threshold: float | None
    """The number that it compares with, if any."""
    value: pl.Expr | None
    """The number that was judged: what is compared with the threshold, or the one numeric column."""
    detail: pl.Expr | None
    """The text that was judged, where the part is about one column of text."""
    comparison: Comparison | None = None
    """The part itself, where it compares a number; `column` is what is compared, be it a column or arithmetic."""


@dataclass(frozen=True)
class Predicate:
    """A checked predicate. `expr` is true, false or null per row of a frame that has `columns`."""

    sql: str
    columns: frozenset[str]
    """The columns it reads, as written: `language`, `signals.word_count`."""
    comparisons: tuple[Comparison, ...]
    """Its top-level comparisons of a column with a number, in order; BETWEEN gives two."""
    types: Mapping[str, pa.DataType] = field(compare=False, repr=False)
    expr: pl.Expr = field(compare=False, repr=False)
    parts: tuple[Part, ...] = field(compare=False, repr=False)

    def with_threshold(self, column: str | None, value: float) -> "Predicate":
        """The predicate with another number; see `set_threshold`."""
        return parse_predicate(set_threshold(self.sql, column, value), self.types)


def dotted_columns(schema: pa.Schema) -> dict[str, pa.DataType]:
    """The columns that a predicate may name, structs by field: {`language`: string, `signals.word_count`: int64}."""
    columns: dict[str, pa.DataType] = {}
    for item in schema:
        if pa.types.is_struct(item.type):
            columns |= {f"{item.name}.{child.name}": child.type for child in item.type}
        else:
            columns[item.name] = item.type
    return columns


def parse_predicate(sql: str, columns: Mapping[str, pa.DataType]) -> Predicate:
    """Check a predicate against the columns that will be there (see `dotted_columns`).

    Raises:
        RequestError: it is not SQL, holds something that is not allowed, names an unknown column, compares values of
            different kinds, or is not a condition.
    """
    tree = parse_tree(sql)
    names = check_columns(sql, tree, columns)
    if not names:
        raise RequestError(f"predicate `{sql}`: names no column, so it would decide all documents alike")
    expr, kind = compile_checked(sql, tree, columns)
    if kind != pl.Boolean:
        raise RequestError(f"predicate `{sql}`: gives {kind}, not true or false; compare it with something")
    bounds = [bound for part in _conjuncts(tree) if (bound := _bound(part)) and isinstance(bound.left, exp.Column)]
    return Predicate(
        sql=sql,
        columns=frozenset(names),
        comparisons=tuple(Comparison(bound.name, bound.op, bound.threshold) for bound in bounds),
        types=columns,
        expr=expr,
        parts=tuple(_part(part, columns) for part in _conjuncts(tree)),
    )


def set_threshold(sql: str, column: str | None, value: float) -> str:
    """The predicate with `value` as the number that `column` is compared with (None: the only such number there is).

    A column in a struct may be named by its last part: `word_count` for `signals.word_count`.

    Raises:
        RequestError: there is no such number, or more than one.
    """
    if not math.isfinite(value):
        raise RequestError(f"predicate `{sql}`: {value} cannot be a threshold")
    tree = parse_tree(sql)
    bounds = [bound for part in _conjuncts(tree) if (bound := _bound(part))]
    fits = [bound for bound in bounds if column is None or column in (bound.name, bound.name.split(".")[-1])]
    if len(fits) != 1:
        there = ", ".join(f"{bound.name} {bound.op} {bound.threshold:g}" for bound in bounds) or "none"
        problem = (
            "more than one threshold fits" if fits else f"no threshold of {column}" if column else "no threshold"
        )
        raise RequestError(f"predicate `{sql}`: {problem}; its thresholds: {there}")
    number = exp.Literal.number(repr(int(abs(value)) if value == int(value) else abs(value)))
    fits[0].number.replace(exp.Neg(this=number) if value < 0 else number)
    return tree.sql(dialect=DIALECT, comments=False)


def parse_tree(sql: str, grammar: Grammar = PREDICATES) -> exp.Expr:
    """The syntax tree, BETWEEN written as two comparisons.

    Raises:
        RequestError: it is not SQL, or holds something that the grammar does not.
    """
    try:
        tree = sqlglot.parse_one(sql, read=DIALECT)
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        reason = (details[0].get("description") or str(error).splitlines()[0]).split(" for <class")[0]
        column = details[0].get("col", "?")
        raise RequestError(f"{grammar.kind} `{sql}`: not SQL: {reason} (column {column})") from None
    for node in tree.walk():
        if problem := _problem(node, grammar):
            raise RequestError(f"{grammar.kind} `{sql}`: {problem}")
    return tree.transform(_between_as_comparisons)


def _problem(node: exp.Expr, grammar: Grammar) -> str | None:
    """Why this node may not stand here, if so."""
    if isinstance(node, exp.Anonymous):
        return f"unknown function {node.name}; functions: {', '.join(grammar.functions)}"
    if type(node) not in grammar.allowed:
        part = f"`{node.sql(dialect=DIALECT)}` ({type(node).__name__})"
        return f"{part} is not allowed; allowed are {grammar.in_words}"
    if isinstance(node, exp.DataType) and (node.this not in NUMBERS or not isinstance(node.parent, exp.Cast)):
        return f"`{node.sql(dialect=DIALECT)}`: a text can be cast to INT, BIGINT or DOUBLE only"
    if isinstance(node, exp.Null) and not isinstance(node.parent, exp.Is):
        return "NULL is never equal to anything; write IS NULL or IS NOT NULL"
    if isinstance(node, exp.Is) and not isinstance(node.expression, exp.Null):
        return f"`{node.sql(dialect=DIALECT)}`: IS goes with NULL only; write = true"
    if type(node) in ORDER and type(node.this) in ORDER:
        return "comparisons do not chain; write BETWEEN, or AND"
    return None


def _between_as_comparisons(node: exp.Expr) -> exp.Expr:
    if not isinstance(node, exp.Between):
        return node
    low = exp.GTE(this=node.this.copy(), expression=node.args["low"])
    both = exp.And(this=low, expression=exp.LTE(this=node.this.copy(), expression=node.args["high"]))
    return both if node.parent is None or isinstance(node.parent, exp.And) else exp.Paren(this=both)


def check_columns(
    sql: str, tree: exp.Expr, columns: Mapping[str, pa.DataType], grammar: Grammar = PREDICATES
) -> list[str]:
    """The columns that the tree names, dotted.

    Raises:
        RequestError: there is no such column; the message names those that are near.
    """
    names = [_dotted(column) for column in tree.find_all(exp.Column)]
    for name in names:
        if name not in columns:
            hint = _hint(name, columns)
            raise RequestError(f"{grammar.kind} `{sql}`: unknown column {name}{hint}")
    return names


def _hint(name: str, columns: Mapping[str, pa.DataType]) -> str:
    """What may have been meant by a column that is not there."""
    by_last_part = [known for known in columns if known.split(".")[-1] == name.split(".")[-1]]
    near = by_last_part or difflib.get_close_matches(name, columns, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; there are: {', '.join(sorted(columns))}"
    if name.startswith("signals.") and not any(known.startswith("signals.") for known in columns):
        hint = "; signals are not measured: set `measure: {signals: true}`"
    if not near and "." not in name:
        hint = f" (text is written in single quotes: '{name}'){hint}"
    return hint


def _compile(tree: exp.Expr, columns: Mapping[str, pa.DataType]) -> pl.Expr:
    """The Polars expression: measured floats as float64, NaN and division by zero as NULL."""

    nan = exp.cast(exp.Literal.string("NaN"), "DOUBLE")

    def guard(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Cast):
            number = exp.TryCast(this=node.this.copy(), to=node.to.copy())
            return exp.Nullif(this=number, expression=nan.copy()) if node.to.is_type("DOUBLE") else number
        if isinstance(node, exp.Column) and pa.types.is_floating(columns[_dotted(node)]):
            return exp.Nullif(this=exp.cast(node.copy(), "DOUBLE"), expression=nan.copy())
        if isinstance(node, (exp.Div, exp.Mod)):
            divisor = exp.Nullif(this=node.expression.copy(), expression=exp.Literal.number(0))
            return type(node)(this=node.this.copy(), expression=divisor)
        image = _MIRROR_IMAGES.get(type(node))
        if image and _is_number(node.this):  # Polars makes one row of `3 = column` where all of it is null
            return image(this=node.expression.copy(), expression=node.this.copy())
        return node

    return pl.sql_expr(rewrite(tree, guard).sql(dialect=DIALECT, identify=True, comments=False))


def rewrite(tree: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """The tree with each node changed, bottom up, so that what `change` puts around a node is not visited again."""
    rewritten = tree.copy()
    for node in reversed(list(rewritten.walk())):
        changed = change(node)
        if changed is not node:
            rewritten = changed if node is rewritten else rewritten
            node.replace(changed)
    return rewritten


def compile_checked(
    sql: str, tree: exp.Expr, columns: Mapping[str, pa.DataType], grammar: Grammar = PREDICATES
) -> tuple[pl.Expr, pl.DataType]:
    """The compiled SQL and the type of its values, tried on no rows.

    Raises:
        RequestError: Polars says what does not go together.
    """
    try:
        expr = _compile(tree, columns)
        named = {_dotted(column): columns[_dotted(column)] for column in tree.find_all(exp.Column)}
        return expr, _no_rows(named).select(result=expr)["result"].dtype
    except PolarsError as error:
        raise RequestError(f"{grammar.kind} `{sql}`: {str(error).splitlines()[0]}") from None


def _no_rows(columns: Mapping[str, pa.DataType]) -> pl.DataFrame:
    structs: dict[str, list[tuple[str, pa.DataType]]] = {}
    for name, kind in columns.items():
        top, _, child = name.partition(".")
        structs.setdefault(top, []).append((child, kind))
    kinds = {top: pa.struct(fields) if fields[0][0] else fields[0][1] for top, fields in structs.items()}
    return pl.DataFrame(schema=pl.Schema(pa.schema(list(kinds.items()))))


def _conjuncts(tree: exp.Expr) -> Iterator[exp.Expr]:
    """What AND joins at the top, in order."""
    if isinstance(tree, exp.Paren):
        yield from _conjuncts(tree.this)
    elif isinstance(tree, exp.And):
        yield from _conjuncts(tree.this)
        yield from _conjuncts(tree.expression)
    else:
        yield tree


def _part(tree: exp.Expr, columns: Mapping[str, pa.DataType]) -> Part:
    holds, bound = _compile(tree, columns), _bound(tree)
    if bound:
        comparison = Comparison(bound.name, bound.op, bound.threshold)
        return Part(holds, bound.threshold, _compile(bound.left, columns).cast(pl.Float64), None, comparison)
    nodes = {_dotted(node): node for node in tree.find_all(exp.Column)}
    if len(nodes) != 1:
        return Part(holds, None, None, None)
    [(name, node)] = nodes.items()
    judged, kind = _compile(node, columns), columns[name]
    is_number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return Part(holds, None, judged.cast(pl.Float64) if is_number else None, judged if is_text else None)


def _bound(tree: exp.Expr) -> _Bound | None:
    """The part as something compared with a number, whichever side the number is on; None where it is not that."""
    if type(tree) not in ORDER:
        return None
    op, left, right = ORDER[type(tree)], tree.this, tree.expression
    if _is_number(right):
        return _Bound(left, op, right)
    return _Bound(right, MIRRORED[op], left) if _is_number(left) else None


def _is_number(node: exp.Expr) -> bool:
    literal = node.this if isinstance(node, exp.Neg) else node
    return isinstance(literal, exp.Literal) and not literal.is_string


def _dotted(column: exp.Column) -> str:
    return ".".join(part.name for part in column.parts)
