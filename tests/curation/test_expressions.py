"""Expressions: SQLite is the oracle, whose `min` and `max` of several values are missing where one of them is."""

import math
import sqlite3

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.expressions import parse_expression
from manifests.errors import RequestError

COLUMNS = {"size": pa.int64(), "score": pa.float64(), "language": pa.string(), "signals.n": pa.int32()}
Row = tuple[int | None, float | None]


def evaluate(sql: str, rows: list[Row]) -> list[float | None]:
    frame = pl.DataFrame(rows, schema={"size": pl.Int64, "score": pl.Float64}, orient="row")
    result: list[float | None] = frame.select(result=parse_expression(sql, COLUMNS).expr)["result"].to_list()
    return result


def sqlite_says(sql: str, rows: list[Row]) -> list[float | None]:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE documents (n INTEGER, size REAL, score REAL)")
        connection.executemany("INSERT INTO documents VALUES (?, ?, ?)", [(n, *row) for n, row in enumerate(rows)])
        sql = sql.replace("least(", "min(").replace("greatest(", "max(")
        results = [result for (result,) in connection.execute(f"SELECT {sql} FROM documents ORDER BY n")]
    connection.close()
    return results


def has_math() -> bool:
    """Whether this SQLite was built with logarithms."""
    try:
        sqlite_says("ln(size)", [(1, 1.0)])
    except sqlite3.OperationalError:
        return False
    return True


numbers = st.sampled_from(["1.0", "2.5", "0.0", "-3.0", "90.0"])
values = st.one_of(st.sampled_from(["size", "score"]), numbers)
conditions = st.one_of(
    st.builds("size {} {}".format, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), numbers),
    st.builds("score BETWEEN {} AND {}".format, numbers, numbers),
    st.builds("({} {} score IS NOT NULL)".format, st.just("size > 2"), st.sampled_from(["AND", "OR"])),
)
expressions = st.recursive(
    values,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["least", "greatest", "coalesce"]), inner, inner),
        st.builds("{}({})".format, st.sampled_from(["ln", "log2", "log10", "sqrt", "abs"]), inner),
        st.builds("power({}, {})".format, inner, st.sampled_from(["2.0", "0.5", "-1.0"])),
        st.builds("CASE WHEN {} THEN {} ELSE {} END".format, conditions, inner, inner),
        st.builds("CASE WHEN {} THEN {} WHEN {} THEN {} END".format, conditions, inner, conditions, inner),
    ),
    max_leaves=5,
)
sizes = st.sampled_from([None, 0, 1, 2, 3, 5, 89, 90, 1000])
scores = st.sampled_from([None, math.nan, -2.0, 0.0, 0.5, 4.0])


@pytest.mark.skipif(not has_math(), reason="this SQLite has no logarithms")
@settings(max_examples=300, deadline=None)
@given(expressions, st.lists(st.tuples(sizes, scores), min_size=1, max_size=6))
def test_agrees_with_sqlite(sql: str, rows: list[Row]) -> None:
    if "size" not in sql and "score" not in sql:
        return
    ours, theirs = evaluate(sql, rows), sqlite_says(sql, rows)
    assert len(ours) == len(theirs)
    for mine, its in zip(ours, theirs, strict=True):
        if any(value is not None and not math.isfinite(value) for value in (mine, its)):
            continue  # no repeat count comes of these, and infinity less infinity is NULL there
        assert (mine is None) == (its is None)
        assert mine is None or its is None or math.isclose(mine, its, rel_tol=1e-12, abs_tol=1e-300)


def test_a_missing_size_is_not_the_largest() -> None:
    assert evaluate("least(size, 5)", [(None, 0), (3, 0), (90, 0)]) == [None, 3, 5]
    assert evaluate("CASE WHEN size >= 90 THEN 1 ELSE least(size, 5) END", [(None, 0), (89, 0), (90, 0)]) == [
        None, 5, 1,
    ]  # fmt: skip


def test_whole_numbers_do_not_overflow() -> None:
    assert evaluate("size * size * size * size", [(10**6, 0)]) == [1e24]


def test_columns() -> None:
    expression = parse_expression("CASE WHEN language = 'ko' THEN signals.n ELSE 1 END", COLUMNS)
    assert expression.columns == {"language", "signals.n"}
    frame = pl.DataFrame({"language": ["ko", "en", None], "signals": [{"n": 3}, {"n": 4}, {"n": 5}]})
    assert frame.select(result=expression.expr)["result"].to_list() == [3.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("least(size, ", "not SQL"),
        ("leest(size, 5)", "unknown function leest; functions: abs, .*least"),
        ("least(siz, 5)", r"unknown column siz; did you mean size\?"),
        ("least(n, 5)", r"unknown column n; did you mean signals.n\?"),
        ("5", "names no column"),
        ("size > 5", "gives Boolean, not a number"),
        ("language", "gives String, not a number"),
        ("log(size)", "write ln, log2 or log10"),
        ("log(size, 3)", "write ln, log2 or log10"),
        ("(SELECT 1)", "is not allowed"),
        ("exp(size)", "is not allowed"),
        ("CASE WHEN size THEN 1 END", "expected `Boolean`"),
        ("read_text('x') + size", "unknown function"),
    ],
)
def test_wrong_expressions_are_refused(sql: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        parse_expression(sql, COLUMNS)
    assert str(caught.value).startswith(f"expression `{sql}`: ")
