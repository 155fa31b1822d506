"""Numbers in unusual forms: the verifier takes none for another number, and calls none wrong that is the answer."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.final_answers.expected import Expected
from synth.final_answers.math_workers import MathWorkers
from synth.verify import Case, verify_all
from tests.synth.fixture_words import WORDS

NUMBERS = st.one_of(
    st.integers(0, 120), st.sampled_from([10, 11, 100, 101, 110, 1000, 1100, 10**4, 10**5]), st.integers(0, 10**6)
)


@pytest.fixture(scope="module")
def math() -> Iterator[MathWorkers]:
    with MathWorkers() as workers:
        yield workers


@pytest.mark.parametrize("language", ["en", "ko"])
@settings(max_examples=30)
@given(NUMBERS, NUMBERS, st.data())
def test_forms_are_right_or_not_read(
    math: MathWorkers, language: str, gold: int, other: int, data: st.DataObject
) -> None:
    words = WORDS[language]
    ending = data.draw(st.sampled_from((*words.said, *words.endings)))
    forms = {value: [form for write in words.unusual if (form := write(str(value)))] for value in (gold, other)}
    expected = Expected("math", str(gold))
    cases = [
        (value, Case(f"Steps.\nMore steps.\n\n{ending.format(n=form)}", expected))
        for value in forms
        for form in forms[value]
    ]
    for (value, case), verdict in zip(cases, verify_all([case for _, case in cases], math), strict=True):
        allowed = {"right", "form"} if value == gold else {"wrong", "form"}
        assert verdict.outcome in allowed, (case.response, verdict)


@pytest.mark.parametrize("language", ["en", "ko"])
@settings(max_examples=50)
@given(NUMBERS, NUMBERS)
def test_what_is_unreadable_is_form_and_what_tempts_is_not_right(language: str, gold: int, other: int) -> None:
    if gold == other:
        return
    words, expected = WORDS[language], Expected("math", str(gold))
    unreadable = [Case(f"Steps.\n\n{ending.format(n=gold, m=other)}", expected) for ending in words.unreadable]
    assert {verdict.outcome for verdict in verify_all(unreadable)} == {"form"}
    tempting = [Case(f"Steps.\n\n{ending.format(n=gold, m=other)}", expected) for ending in words.tempting]
    assert "right" not in {verdict.outcome for verdict in verify_all(tempting)}
