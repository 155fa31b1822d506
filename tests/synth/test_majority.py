"""Majorities where there is no gold answer, and difficulty."""

from itertools import permutations

import pytest

from synth.majority import difficulty, majority, pass_frac
from synth.verify import Verdict


def test_answers_are_one_by_value_not_by_text() -> None:
    said = [
        "\\boxed{1/2}",
        "정답은 0.5입니다.",
        "The answer is 50%.",
        "정답은 2분의 1입니다.",
        "The answer is 3.",
        "모르겠습니다.\n정말.",
    ]
    found = majority(said)
    assert found.answer is not None
    assert (found.share, found.is_tie) == (4 / 6, False)
    assert sorted(count for _, count in found.classes) == [1, 4]


def test_one_sample_may_say_its_answer_twice() -> None:
    assert majority(["\\boxed{12}. The answer is 12 apples.", "\\boxed{12} \\boxed{13}"]).classes == (
        ("12 apples", 1),
    )


def test_order_changes_nothing() -> None:
    said = ["정답: 12", "정답: 12개", "정답: 열둘", "정답: 15", "정답: 15"]
    assert len({majority(list(order)) for order in permutations(said)}) == 1
    assert majority(said).answer == "12"


def test_ties_are_no_answer() -> None:
    found = majority(["The answer is 3.", "The answer is 4."])
    assert found.answer is None
    assert found.is_tie
    assert found.classes == (("3", 1), ("4", 1))


def test_no_answers() -> None:
    found = majority(["?", "\\boxed{3", "The answer is 3. Wait, no."])
    assert (found.answer, found.share, found.classes) == (None, 0.0, ())
    assert majority([]).answer is None


@pytest.mark.parametrize(
    ("kind", "said", "answer"),
    [
        ("choice", ["정답은 ③입니다", "정답: 3번", "정답은 2번"], "③"),
        ("text", ["정답은 서울입니다.", "정답: 서울", "정답: 부산"], "서울"),
        ("yes_no", ["정답: 예", "The answer is yes.", "정답: 아니오"], "예"),
        ("json", ['{"a": 1, "b": 2}', '{"b": 2, "a": 1.0}', '{"a": 2}'], '{"a": 1, "b": 2}'),
    ],
)
def test_kinds(kind: str, said: list[str], answer: str) -> None:
    found = majority(said, kind)  # type: ignore[arg-type]
    assert found.share == 2 / 3
    assert not found.is_tie


def test_formulas() -> None:
    pytest.importorskip("math_verify")
    found = majority(["\\boxed{2\\sqrt{3}}", "\\boxed{\\sqrt{12}}", "The answer is 5."])
    assert found.share == 2 / 3


def test_difficulty_by_pass_rate() -> None:
    verdicts = [
        Verdict("right", "1", ""),
        Verdict("wrong", "2", ""),
        Verdict("form", None, ""),
        Verdict("cut", None, ""),
    ]
    assert pass_frac(verdicts) == 0.25
    assert pass_frac([]) == 0
    rates = [1, 0.9, 0.75, 0.5, 0.25, 0.1, 0]
    assert [difficulty(rate) for rate in rates] == ["trivial", "easy", "easy", "medium", "medium", "hard", "unsolved"]
