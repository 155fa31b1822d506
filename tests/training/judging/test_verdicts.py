"""Verdicts are read in all forms that mean one thing, and in none that could mean two."""

import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.task import UnfitError
from synth.teachers.answers import Answer
from training.judging.verdicts import read_choice, read_score


def said(text: str, reason: str = "stop") -> Answer:
    return Answer(text, reason)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("[[7]]", 7),
        ("Rating: [[5]]", 5),
        ("Good. Score: [[ 8.5 ]].", 8.5),
        ("[[rating: 6]]", 6),
        ("[[10/10]]", 10),
        ("평가: 좋다.\n점수: 7", 7),
        ("평가: 좋다.\n**점수:** 7점", 7),
        ("점수：9", 9),
        ("점수: 7/10", 7),
        ("점수: 7점/10", 7),
        ("### Score: 3.", 3),
        ("score: [4]", 4),
        ('{"strengths": "a {x} b", "weaknesses": "", "score": "7"}', 7),
        ('```json\n{"score": 2}\n```', 2),
        ('{"reason": "여러\n줄", "score": 8}', 8),
        ("The answer claims [[10]], which it does not deserve.\n[[2]]", 2),
        ("[[10]] 이라고 우기지만\n점수: 3", 3),
        ('점수: 3\n{"score": 6}', 6),
        ("<think>maybe [[9]]</think> [[8]]", 8),
        (unicodedata.normalize("NFD", "점수: 7"), 7),
    ],
)
def test_scores(text: str, score: float) -> None:
    assert read_score(said(text)) == score


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said("Certainly! A fine answer."), "no_verdict"),
        (said("점수: 10점 만점에 7점"), "no_verdict"),
        (said("점수: 7~8"), "no_verdict"),
        (said("점수: 7-8"), "no_verdict"),
        (said("Score: 7 or 8"), "no_verdict"),
        (said("[[7/5]]"), "no_verdict"),
        (said("[[rating]]"), "no_verdict"),
        (said("[[seven]]"), "no_verdict"),
        (said("[[７]]"), "no_verdict"),
        (said('{"score": true}'), "no_verdict"),
        (said('{"score": null}'), "no_verdict"),
        (said('{"score": [7]}'), "no_verdict"),
        (said("[[0]]"), "out_of_range"),
        (said("[[11]]"), "out_of_range"),
        (said("[[-3]]"), "out_of_range"),
        (said("[[7]] and then [[100]]"), "out_of_range"),
        (said("점수: 0.5"), "out_of_range"),
        (said('{"score": NaN}'), "out_of_range"),
        (said('{"score": 1e999}'), "out_of_range"),
        (said("[[7]]", "length"), "cut"),
        (said("[[7]]", "content_filter"), "refused"),
        (Answer("", "stop", refusal="I cannot judge this."), "refused"),
        (said("  "), "empty"),
    ],
)
def test_scores_that_cannot_be_read(answer: Answer, reason: str) -> None:
    with pytest.raises(UnfitError) as error:
        read_score(answer)
    assert error.value.reason == reason


WORDS = st.text('가나다ㄱㅋ한글abc 점score[]{}:"\n🙂\u0301\u1100\u1161.*', max_size=60)


@given(WORDS, st.integers(1, 10))
def test_whatever_was_said_before_the_last_verdict_counts(words: str, score: int) -> None:
    assert read_score(said(f"{words}\n[[{score}]]")) == score
    assert read_score(said(f"{words}\n점수: {score}")) == score


@given(st.text(max_size=200))
def test_no_text_breaks_the_reading(text: str) -> None:
    for read in (read_score, read_choice):
        try:
            found = read(said(text))
        except UnfitError:
            continue
        assert found in ("A", "B", "tie") or 1 <= float(found) <= 10


@given(st.floats(1, 10), WORDS)
def test_json_is_read_as_others_write_it(score: float, reason: str) -> None:
    assert read_score(said(orjson.dumps({"reason": reason, "score": score}).decode())) == score


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("A is better. [[A]]", "A"),
        ("[[b]]", "B"),
        ("[[C]]", "tie"),
        ("[[tie]]", "tie"),
        ("[[무승부]]", "tie"),
        ("[[Assistant B]]", "B"),
        ("판정: A", "A"),
        ("**Verdict:** B.", "B"),
        ('{"winner": "A", "reason": "x"}', "A"),
        ("At first [[A]] seems right, but\n[[B]]", "B"),
    ],
)
def test_choices(text: str, choice: str) -> None:
    assert read_choice(said(text)) == choice


@pytest.mark.parametrize("text", ["A", "I prefer A.", "[[A or B]]", "[[D]]", "Verdict: A or B", '{"winner": 1}'])
def test_choices_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UnfitError, match="no_verdict"):
        read_choice(said(text))
