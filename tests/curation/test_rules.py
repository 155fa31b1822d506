import math

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.predicates import dotted_columns
from curation.rules import above, columns_needed, expand, fixed, judge, load_rules, override, score_stages
from manifests.errors import RequestError
from manifests.schema import Rule, RulesetUse, Score, Top

SCHEMA = pa.schema(
    [
        ("language", pa.string()),
        ("score", pa.float64()),
        ("signals", pa.struct([("word_count", pa.int32()), ("dup", pa.float64())])),
    ]
)
COLUMNS = dotted_columns(SCHEMA)

RULESET = """
name: house
version: 1
segmentation: whitespace-1
source: a test
rules:
  - {name: words, keep: "signals.word_count >= 50", doc: Short.}
  - {name: dup, keep: "signals.dup <= 0.3", when: "signals.word_count > 10", doc: Repetitive.}
"""


def frame(*rows: tuple[str | None, float | None, int | None, float | None]) -> pl.DataFrame:
    listed = [{"language": a, "score": b, "signals": {"word_count": c, "dup": d}} for a, b, c, d in rows]
    result = pl.from_arrow(pa.Table.from_pylist(listed, SCHEMA))
    assert isinstance(result, pl.DataFrame)
    return result


def judged(
    rules: list[Rule | RulesetUse], *rows: tuple[str | None, float | None, int | None, float | None]
) -> list[tuple]:
    return judge(frame(*rows), load_rules(rules, "", COLUMNS)).rows()


LANGUAGE = Rule(name="language", keep="language in ('ko', 'en') and score >= 0.65")
WORDS = Rule(name="words", keep="signals.word_count between 50 and 100")


def test_first_rule_is_the_reason_and_all_are_listed() -> None:
    rows = [("ko", 0.9, 60, 0.0), ("fr", 0.9, 7, 0.0), ("ko", 0.5, 60, 0.0), ("en", 0.65, 101, 0.0)]
    assert judged([LANGUAGE, WORDS], *rows) == [
        ([], None, None, None, None),
        (["language", "words"], "language", None, None, "fr"),
        (["language"], "language", 0.5, 0.65, None),
        (["words"], "words", 101.0, 100.0, None),
    ]


def test_what_is_missing_drops_by_that_name() -> None:
    rows = [(None, 0.9, 60, 0.0), ("ko", math.nan, 60, 0.0), ("ko", None, None, 0.0), ("fr", None, 60, 0.0)]
    assert judged([LANGUAGE, WORDS], *rows) == [
        (["language:missing"], "language:missing", None, None, None),
        (["language:missing"], "language:missing", None, 0.65, None),
        (["language:missing", "words:missing"], "language:missing", None, 0.65, None),
        (["language"], "language", None, None, "fr"),
    ]


def test_a_rule_whose_when_is_not_true_does_not_apply() -> None:
    rule = Rule(name="dup", keep="signals.dup <= 0.3", when="language = 'ko'")
    assert [row[1] for row in judged([rule], ("ko", 1, 1, 0.5), ("en", 1, 1, 0.5), (None, 1, 1, 0.5))] == [
        "dup",
        None,
        None,
    ]


def test_the_value_of_an_expression_is_recorded() -> None:
    rule = Rule(name="ratio", keep="signals.dup / signals.word_count <= 0.1")
    assert judged([rule], ("ko", 1, 2, 1.0), ("ko", 1, 0, 1.0)) == [
        (["ratio"], "ratio", 0.5, 0.1, None),
        (["ratio:missing"], "ratio:missing", None, 0.1, None),
    ]


def test_a_null_struct_is_missing() -> None:
    nothing = frame(("ko", 1, 60, 0.0)).with_columns(signals=pl.lit(None, frame().schema["signals"]))
    assert judge(nothing, load_rules([WORDS], "", COLUMNS))["reason"].to_list() == ["words:missing"]


def test_no_rules_and_no_rows() -> None:
    assert judged([], ("ko", 1, 1, 0.0)) == [([], None, None, None, None)]
    empty = judge(frame(), load_rules([LANGUAGE, WORDS], "", COLUMNS))
    assert empty.height == 0
    assert empty.schema == {
        "failed_rules": pl.List(pl.String), "reason": pl.String, "value": pl.Float64, "threshold": pl.Float64,
        "detail": pl.String,
    }  # fmt: skip


rows_strategy = st.lists(
    st.tuples(
        st.sampled_from([None, "ko", "en", "fr"]),
        st.sampled_from([None, math.nan, 0.0, 0.65, 1.0]),
        st.sampled_from([None, 0, 49, 50, 100, 101]),
        st.just(0.0),
    ),
    max_size=30,
)


@settings(max_examples=50, deadline=None)
@given(rows_strategy)
def test_agrees_with_plain_python(rows: list[tuple[str | None, float | None, int | None, float | None]]) -> None:
    def expected(row: tuple[str | None, float | None, int | None, float | None]) -> list[str]:
        language, score, n_words, _ = row
        known = score is not None and not math.isnan(score)
        failed = []
        if language == "fr" or (known and score < 0.65):
            failed.append("language")
        elif language is None or not known:
            failed.append("language:missing")
        if n_words is None:
            failed.append("words:missing")
        elif not 50 <= n_words <= 100:
            failed.append("words")
        return failed

    results = judged([LANGUAGE, WORDS], *rows)
    assert [result[0] for result in results] == [expected(row) for row in rows]
    assert [result[1] for result in results] == [next(iter(expected(row)), None) for row in rows]


@pytest.fixture
def house(tmp_path) -> RulesetUse:
    (tmp_path / "house.yaml").write_text(RULESET)
    return RulesetUse(ruleset=str(tmp_path / "house.yaml"), when="language = 'ko'")


def test_a_ruleset_is_written_out(house: RulesetUse) -> None:
    assert expand([LANGUAGE, house], "") == [
        LANGUAGE,
        Rule(name="house.words", keep="signals.word_count >= 50", when="language = 'ko'"),
        Rule(name="house.dup", keep="signals.dup <= 0.3", when="(language = 'ko') and (signals.word_count > 10)"),
    ]
    assert expand(expand([LANGUAGE, house], ""), "") == expand([LANGUAGE, house], "")
    assert [rule.group for rule in load_rules([LANGUAGE, house], "", COLUMNS)] == [None, "house", "house"]
    assert columns_needed(load_rules([house], "", COLUMNS)) == {"language", "signals"}


def test_a_ruleset_for_another_segmentation_is_refused(tmp_path) -> None:
    (tmp_path / "kiwi.yaml").write_text(RULESET.replace("whitespace-1", "kiwi-sbg-0.21"))
    with pytest.raises(
        RequestError, match=r"'kiwi-sbg-0.21', signals are measured with 'whitespace-1' and 'pieces-1'"
    ):
        expand([RulesetUse(ruleset="kiwi.yaml")], str(tmp_path))


def test_names_must_differ(house: RulesetUse) -> None:
    with pytest.raises(RequestError, match=r"names used twice: house.dup, house.words"):
        expand([house, house], "")


def test_override(house: RulesetUse) -> None:
    rules = override([LANGUAGE, house], ["language.score=0.8", "house.dup=0.25", "house.words.word_count=7"], "")
    assert [rule.keep for rule in rules] == [
        "language IN ('ko', 'en') AND score >= 0.8", "signals.word_count >= 7", "signals.dup <= 0.25",
    ]  # fmt: skip
    assert rules[2].when == "(language = 'ko') and (signals.word_count > 10)"
    assert override([LANGUAGE, house], [], "") == expand([LANGUAGE, house], "")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("language.score", "write RULE=NUMBER"),
        ("language=x", "write RULE=NUMBER"),
        ("house.wrds=3", "no rule is called that; rules: language, words"),
        ("language.dup=3", r"language.dup=3: predicate .* no threshold of dup; its thresholds: score >= 0.65"),
        ("words=3", "more than one threshold fits"),
    ],
)
def test_override_refuses(assignment: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        override([LANGUAGE, WORDS], [assignment], "")


def test_an_error_names_its_rule() -> None:
    with pytest.raises(RequestError, match=r"rule x: predicate `scor > 1`: unknown column scor; did you mean score"):
        load_rules([Rule(name="x", keep="scor > 1")], "", COLUMNS)
    with pytest.raises(RequestError, match=r"rule x: .* unknown column lang"):
        load_rules([Rule(name="x", keep="score > 1", when="lang = 'ko'")], "", COLUMNS)


# scores that come after rules, and top shares

SCORES = [Score(name=name, model="m", after="rules") for name in ("a", "b", "c")]
SCORED = COLUMNS | {column: pa.float64() for score in SCORES for column in score.columns}


def test_scores_wait_for_the_rules_on_those_before_them() -> None:
    def stages(*rules: Rule) -> tuple[dict[str, int], list[int]]:
        checked = load_rules(rules, "", SCORED, SCORES)
        return score_stages(SCORES, checked), [rule.stage for rule in checked]

    free = Rule(name="free", keep="score > 1")
    on = {name: Rule(name=name, keep=f"{name}_score > 1") for name in "abc"}
    assert stages(free) == ({"a": 1, "b": 1, "c": 1}, [0])
    assert stages(on["c"], free) == ({"a": 1, "b": 1, "c": 1}, [1, 0])
    assert stages(on["c"], on["a"]) == ({"a": 1, "b": 2, "c": 2}, [2, 1])
    assert stages(on["a"], on["b"], on["c"]) == ({"a": 1, "b": 2, "c": 3}, [1, 2, 3])
    both = Rule(name="both", keep="score > 1", when="a_int_score > 1 and b_score > 1")
    assert stages(both, free) == ({"a": 1, "b": 1, "c": 2}, [1, 0])
    top = Rule(name="top", top=Top(score="b_score", frac=0.1), when="a_score > 1")
    assert stages(top, on["c"]) == ({"a": 1, "b": 1, "c": 2}, [1, 2])


def test_later_rules_are_not_asked_of_what_earlier_ones_drop() -> None:
    names = {"last": "b_score > 1", "late": "a_score > 1", "score": "score > 1", "later": "a_int_score < 9"}
    checked = load_rules([Rule(name=name, keep=keep) for name, keep in names.items()], "", SCORED, SCORES)
    rows = pl.DataFrame(
        {
            "score": [0.0, 2.0, 2.0, 2.0, 2.0],
            "a_score": [None, 0.0, None, 2.0, 2.0],
            "a_int_score": [None, 9, None, 2, 2],
            "b_score": [None, None, None, 0.0, None],
        },
        schema_overrides=dict.fromkeys(("a_score", "b_score"), pl.Float64),
    )
    said = judge(rows, checked)
    assert said["failed_rules"].to_list() == [
        ["score"],
        ["late", "later"],
        ["late:missing", "later:missing"],
        ["last"],
        ["last:missing"],
    ]
    assert said["reason"].to_list() == ["score", "late", "late:missing", "last", "last:missing"]


BEST = Rule(name="best", top=Top(score="signals.dup", frac=0.1), when="language = 'ko'")


def test_a_share_becomes_a_number() -> None:
    (rule,) = override([BEST], ["best=5%"], "")
    assert rule.top == Top(score="signals.dup", frac=0.05)
    for target in ("best", "best.dup", "best.signals.dup"):
        (rule,) = override([BEST], [f"{target}=-2.5"], "")
        assert (rule.keep, rule.top, rule.when) == ("signals.dup >= -2.5", None, "language = 'ko'")
    for assignment, message in {
        "best=0%": "a share is above 0%",
        "best=101%": "at most 100%",
        "best.words=3": "no threshold of words; its thresholds: signals.dup",
        "best=nan%": "a share is above 0%",
    }.items():
        with pytest.raises(RequestError, match=message):
            override([BEST], [assignment], "")
    with pytest.raises(RequestError, match="the rule words compares with a number"):
        override([WORDS], ["words=5%"], "")


@given(threshold=st.floats(allow_nan=False, allow_infinity=False))
def test_thresholds_of_shares_are_exact(threshold: float) -> None:
    (rule,) = load_rules([fixed(BEST, above(Top(score="score", frac=0.1), threshold))], "", COLUMNS)
    rows = frame(*(("ko", value, 1, 0.0) for value in (math.nextafter(threshold, -math.inf), threshold)))
    assert judge(rows, [rule])["failed_rules"].to_list() == [["best"], []]
    assert rule.keep.parts[0].threshold == threshold


def test_a_share_of_nothing_drops_what_has_no_score() -> None:
    (rule,) = load_rules([fixed(BEST, above(Top(score="score", frac=0.1), None))], "", COLUMNS)
    said = judge(frame(("ko", None, 1, 0.0), ("en", None, 1, 0.0), ("ko", -7.0, 1, 0.0)), [rule])
    assert said["failed_rules"].to_list() == [["best:missing"], [], []]


@pytest.mark.parametrize(
    ("score", "message"),
    [("language", "language is no column of numbers"), ("a_scor", "unknown column a_scor"), ("score, 1", "not SQL")],
)
def test_a_share_is_of_numbers(score: str, message: str) -> None:
    with pytest.raises(RequestError, match=f"rule best: .*{message}"):
        load_rules([Rule(name="best", top=Top(score=score, frac=0.1))], "", COLUMNS)
