"""Predicates: SQLite is the oracle of SQL's three-valued logic (it stores NaN as NULL, which is what we want)."""

import math
import sqlite3

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.predicates import Comparison, dotted_columns, parse_predicate, set_threshold
from manifests.errors import RequestError

SCHEMA = pa.schema(
    [
        ("language", pa.string()),
        ("score", pa.float64()),
        ("small", pa.float32()),
        ("text", pa.large_string()),
        ("signals", pa.struct([("word_count", pa.int64()), ("dup_frac", pa.float64()), ("spam", pa.bool_())])),
    ]
)
COLUMNS = dotted_columns(SCHEMA)

Row = dict[str, object]


def rows_frame(rows: list[Row]) -> pl.DataFrame:
    frame = pl.from_arrow(pa.Table.from_pylist(rows, SCHEMA))
    assert isinstance(frame, pl.DataFrame)
    return frame


def row(**values: object) -> Row:
    signals = {name: values.get(name) for name in ("word_count", "dup_frac", "spam")}
    return {"language": None, "score": None, "small": None, "text": None} | values | {"signals": signals}


def evaluate(sql: str, rows: list[Row]) -> list[bool | None]:
    return rows_frame(rows).select(result=parse_predicate(sql, COLUMNS).expr)["result"].to_list()


def sqlite_says(sql: str, rows: list[Row]) -> list[bool | None]:
    flat = [(r["language"], r["score"], r["signals"]["word_count"], r["signals"]["dup_frac"]) for r in rows]
    with sqlite3.connect(":memory:") as connection:
        connection.execute("PRAGMA case_sensitive_like = 1")
        connection.execute(
            "CREATE TABLE signals (n INTEGER, language TEXT, score REAL, word_count INT, dup_frac REAL)"
        )
        numbered = [(n, *values) for n, values in enumerate(flat)]
        connection.executemany("INSERT INTO signals VALUES (?, ?, ?, ?, ?)", numbered)
        results = [result for (result,) in connection.execute(f"SELECT {sql} FROM signals ORDER BY n")]
    connection.close()
    return [None if result is None else bool(result) for result in results]


numbers = st.sampled_from([-3, 0, 1, 50, 50.5, 0.65, 1e-3])
floats = st.sampled_from([None, math.nan, -3.0, 0.0, 0.65, 0.6500001, 1.0, 50.5])
columns = st.sampled_from(["score", "signals.word_count", "signals.dup_frac"])
texts = st.sampled_from([None, "ko", "en", "ko-Latn", "zxx", ""])
operators = st.sampled_from(["=", "==", "<>", "!=", "<", "<=", ">", ">="])
leaves = st.one_of(
    st.builds("{} {} {}".format, columns, operators, numbers),
    st.builds("{} {} {}".format, numbers, operators, columns),
    st.builds("{} {} {}".format, columns, operators, columns),
    st.builds("{} {}BETWEEN {} AND {}".format, columns, st.sampled_from(["", "NOT "]), numbers, numbers),
    st.builds("{} {}IN ({}, {})".format, columns, st.sampled_from(["", "NOT "]), numbers, numbers),
    st.builds("language {}IN ('ko', '{}')".format, st.sampled_from(["", "NOT "]), st.sampled_from(["en", "fr"])),
    st.builds("language {} '{}'".format, operators, st.sampled_from(["ko", "en"])),
    st.builds("language {}LIKE '{}'".format, st.sampled_from(["", "NOT "]), st.sampled_from(["k%", "%n", "_o"])),
    st.builds("{} IS {}NULL".format, columns, st.sampled_from(["", "NOT "])),
    st.builds("score {} signals.dup_frac {} {}".format, st.sampled_from("+-*/"), operators, numbers),
    st.builds("coalesce({}, 0) {} {}".format, columns, operators, numbers),
    st.builds("abs(score) {} {}".format, operators, numbers),
    st.builds("length(language) {} 2".format, operators),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("NOT ({})".format, inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["AND", "OR"]), inner),
    ),
    max_leaves=4,
)
any_row = st.builds(
    lambda language, score, count, dup: row(language=language, score=score, word_count=count, dup_frac=dup),
    texts, floats, st.sampled_from([None, -3, 0, 1, 49, 50, 51]), floats,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(conditions, st.lists(any_row, min_size=1, max_size=8))
@example("-3 = score", [row(score=float("nan"))] * 2)
def test_agrees_with_sqlite(sql: str, rows: list[Row]) -> None:
    assert evaluate(sql, rows) == sqlite_says(sql, rows)


@pytest.mark.parametrize(
    "condition", ["= 0.5", "<> 0.5", "< 0.5", "<= 0.5", "> 0.5", ">= 0.5", "BETWEEN 0 AND 1", "IN (0.5)"]
)
@pytest.mark.parametrize("absent", [None, math.nan])
@pytest.mark.parametrize("negate", ["", "NOT "])
def test_null_and_nan_are_missing_for_every_operator(condition: str, absent: float | None, negate: str) -> None:
    for column in ("score", "small", "signals.dup_frac"):
        here = {column.split(".")[-1]: absent}
        assert evaluate(f"{negate}({column} {condition})", [row(**here)]) == [None]


def test_missing_decides_only_what_nothing_else_decides() -> None:
    nothing = [row(language="ko", score=math.nan)]
    assert evaluate("score >= 0.5 and language = 'en'", nothing) == [False]
    assert evaluate("score >= 0.5 or language = 'ko'", nothing) == [True]
    assert evaluate("score >= 0.5 and language = 'ko'", nothing) == [None]


def test_a_division_by_zero_is_missing() -> None:
    rows = [row(word_count=0, dup_frac=0.0), row(word_count=0, dup_frac=1.0), row(word_count=2, dup_frac=1.0)]
    assert evaluate("signals.dup_frac / signals.word_count >= 0.5", rows) == [None, None, True]
    assert evaluate("signals.dup_frac % signals.dup_frac = 0", rows[:2]) == [None, True]


def test_floats_compare_as_float64() -> None:
    rows = [row(score=0.1 + 0.2, small=0.1, word_count=2**53 + 1)]
    assert evaluate("score = 0.3", rows) == [False]
    assert evaluate("small = 0.1", rows) == [False]  # 0.1 as float32 is not 0.1
    assert evaluate("signals.word_count > 50.5", [row(word_count=50), row(word_count=51)]) == [False, True]


def test_length_counts_characters() -> None:
    assert evaluate("length(text) = 3", [row(text="한국어")]) == [True]


def test_columns_and_comparisons() -> None:
    predicate = parse_predicate(
        "language in ('ko', 'en') and 0.65 <= score and (signals.word_count between -3 and 10)", COLUMNS
    )
    assert predicate.columns == {"language", "score", "signals.word_count"}
    assert predicate.comparisons == (
        Comparison("score", ">=", 0.65),
        Comparison("signals.word_count", ">=", -3.0),
        Comparison("signals.word_count", "<=", 10.0),
    )
    assert parse_predicate("score > 1 or score < 0", COLUMNS).comparisons == ()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("signals.wordcount >= 5", "unknown column signals.wordcount; did you mean signals.word_count"),
        ("word_count >= 5", "did you mean signals.word_count?"),
        ('language = "ko"', "text is written in single quotes: 'ko'"),
        ("language = ko", "text is written in single quotes: 'ko'"),
        ("score > (select 1)", r"`\(SELECT 1\)` \(Subquery\) is not allowed"),
        ("score > 1; drop table x", "is not allowed"),
        ("count(score) > 1", r"`COUNT\(score\)` \(Count\) is not allowed"),
        ("read_csv(language) = 'x'", "ReadCSV"),
        ("exec(language) = 'x'", "unknown function exec; functions: abs, ceil"),
        ("cast(score as date) = 1", "cast to INT"),
        ("case when score > 1 then score end = 1", "Case"),
        ("signals[0] = 1", "is not allowed"),
        ("score = null", "write IS NULL"),
        ("score is true", "IS goes with NULL only"),
        ("0 < score < 1", "write BETWEEN"),
        ("1 = 1", "names no column"),
        ("score >", "not SQL"),
        ("score > 'x", "not SQL"),
        ("language > 3", "cannot compare string with numeric"),
        ("score", "gives Float64, not true or false"),
        ("round(score, language) = 1", "ROUND"),
    ],
)
def test_refuses(sql: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        parse_predicate(sql, COLUMNS)


def test_signals_that_are_not_measured_say_so() -> None:
    with pytest.raises(RequestError, match=r"set `measure: \{signals: true\}`"):
        parse_predicate("signals.word_count >= 50", {"language": pa.string()})


@pytest.mark.parametrize(
    ("sql", "column", "value", "expected"),
    [
        ("score >= 0.65", None, 0.8, Comparison("score", ">=", 0.8)),
        ("score >= -1", "score", -2.5, Comparison("score", ">=", -2.5)),
        ("0.65 <= score", None, 1e-7, Comparison("score", ">=", 1e-7)),
        (
            "language = 'ko' and signals.word_count >= 50",
            "word_count",
            20,
            Comparison("signals.word_count", ">=", 20.0),
        ),
        ("signals.word_count > 5 and score < 1", "signals.word_count", 6, Comparison("signals.word_count", ">", 6.0)),
    ],
)
def test_with_threshold(sql: str, column: str | None, value: float, expected: Comparison) -> None:
    before = parse_predicate(sql, COLUMNS)
    after = before.with_threshold(column, value)
    assert expected in after.comparisons
    assert after.columns == before.columns


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("score between 0 and 1", None),
        ("score between 0 and 1", "score"),
        ("score > 0", "language"),
        ("language = 'ko'", None),
        ("score > 0 or score < -1", "score"),
    ],
)
def test_a_threshold_must_be_one(sql: str, column: str | None) -> None:
    with pytest.raises(RequestError, match="its thresholds: "):
        set_threshold(sql, column, 0.5)


def test_a_threshold_must_be_a_number() -> None:
    with pytest.raises(RequestError, match="nan cannot be a threshold"):
        set_threshold("score > 0", None, math.nan)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CAST(metadata.n AS INT) = 0", [False, True, None, None, None, None]),
        ("CAST(metadata.n AS DOUBLE) >= 0.25", [True, False, True, None, None, None]),
        ("TRY_CAST(metadata.n AS BIGINT) < 2", [False, True, None, None, None, None]),
    ],
)
def test_a_text_that_is_no_number_is_null_where_it_is_cast(sql: str, expected: list[bool | None]) -> None:
    frame = pl.DataFrame({"metadata": [{"n": text} for text in ("3", "0", "0.5", "many", "NaN", None)]})
    predicate = parse_predicate(sql, {"metadata.n": pa.string()})
    assert frame.select(r=predicate.expr)["r"].to_list() == expected
    assert predicate.parts[0].threshold is not None and predicate.parts[0].value is not None


@pytest.mark.parametrize("kind", ["DATE", "VARCHAR", "DECIMAL(3, 2)", "INT[]", "STRUCT(a INT)"])
def test_only_numbers_are_cast_to(kind: str) -> None:
    with pytest.raises(RequestError, match=r"cast to INT, BIGINT or DOUBLE only|not allowed|not SQL"):
        parse_predicate(f"CAST(metadata.n AS {kind}) = 1", {"metadata.n": pa.string()})
