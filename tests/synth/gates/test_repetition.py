"""The gate `repetition`."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.schema_synthesis import RepetitionGate
from synth.gates import repetition
from synth.gates.repetition import PIECE_CHARS_MAX, Repetition, longest_runs
from synth.samples import Rejection
from tests.synth.gates.judged import reasons, said, verdicts

KO = """먼저 사과의 수를 구합니다. 철수는 사과를 세 개 샀습니다.
영희가 두 개를 더 주었으므로 모두 다섯 개입니다.
이제 배의 수를 구합니다. 배는 사과의 두 배이므로 열 개입니다.
과일을 모두 더하면 열다섯 개가 됩니다.
따라서 정답은 15개입니다."""
LOOP = "그러므로 다시 한번 처음부터 계산해 보겠습니다. "
CITIES = ("서울", "부산", "대구", "광주", "울산", "세종")
LINES = "\n".join(f"{city}에서 시작해 조금씩 나아갑니다.\n네." for city in CITIES)
CODE = "```python\n" + "print('다시 다시 다시 다시 다시')\n" * 40 + "```"
TABLE = "\n".join(["| 이름 | 수 | 값 | 합 | 곱 |", "|---|---|---|---|---|", *["| 가 | 나 | 다 | 라 | 마 |"] * 30])


@pytest.fixture(scope="module")
def gate() -> Repetition:
    return Repetition(RepetitionGate(gate="repetition"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (KO, ""),
        ("", ""),
        ("정답은 3입니다.", ""),
        (KO + "\n" + LOOP * 30, "repeated_ngrams"),
        (LINES, "repeated_lines"),
        (KO + "ㅋ" * 150, "run"),
        (KO + "하하" * 60, "run"),
        (KO + "아니야! " * 30, "repeated_ngrams"),
        (KO + "-" * 500, "run"),
        (KO + "ㅋ" * 50, ""),
        (f"{KO}\n{CODE}\n{KO[:40]}", ""),
        (f"{KO}\n{TABLE}", ""),
        (f"{KO}\n{'-' * 150}\n끝", ""),
        (KO.replace("\n", "\n\n\n\n"), ""),
        (KO + " " * 300 + "끝", ""),
    ],
)
def test_answers(gate: Repetition, text: str, reason: str) -> None:
    assert reasons(gate, said(text)) == [reason]


def test_few_lines_may_repeat(gate: Repetition) -> None:
    assert reasons(gate, said("네\n네\n네\n네"), said("네\n네\n네\n네\n네")) == ["", "repeated_lines"]


def test_what_was_measured_is_told(gate: Repetition) -> None:
    (verdict,) = verdicts(gate, said("끝" + "ㅋ" * 120))
    assert verdict == Rejection("repetition", "run", 120, 100)


def longest_by_pattern(text: str) -> int:
    """What a pattern with a back reference finds, from each place and for each length of the piece."""
    text = re.sub(r"\s+", " ", text)
    found = 0
    for size in range(1, PIECE_CHARS_MAX + 1):
        for start in range(len(text)):
            end = start + size
            while end < len(text) and text[end] == text[end - size]:
                end += 1
            found = max(found, end - start if end - start >= 2 * size else 0)
    return found


@given(st.lists(st.text(st.sampled_from("ab가 \n"), max_size=40), max_size=4), st.integers(0, 12))
def test_runs_are_those_that_are_seen(texts: list[str], longer_than: int) -> None:
    expected = [found if (found := longest_by_pattern(text)) > longer_than else 0 for text in texts]
    assert longest_runs(texts, longer_than) == expected


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=6))
def test_texts_apart_are_measured_as_together(texts: list[str]) -> None:
    assert longest_runs(texts, 1) == [run for text in texts for run in longest_runs([text], 1)]


def test_many_characters_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["ㅋ" * 30, "", "abc" * 9, "x"]
    whole = longest_runs(texts, 5)
    monkeypatch.setattr(repetition, "CHARS_AT_ONCE", 8)
    assert longest_runs(texts, 5) == whole == [30, 0, 27, 0]
