"""Where responses say their answers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.final_answers.answer_forms import find

MARKED = [
    ("So it is \\boxed{12}.", ["12"]),
    ("\\boxed{\\frac{3}{4}}", ["\\frac{3}{4}"]),
    ("\\boxed{\\text{in \\{a\\}}}", ["\\text{in \\{a\\}}"]),
    ("\\boxed 5", ["5"]),
    ("The answer is $\\boxed{12}$ apples.", ["12"]),
    ("48/2=24\n#### 24", ["24"]),
    ("The answer is 3. It is good.", ["3"]),
    ("The answer is 3.5 m.", ["3.5 m"]),
    ("Therefore, the answer is: 7", ["7"]),
    ("**Final Answer:** 7\n", ["7"]),
    ("## Answer\n\n7 apples\n", ["7 apples"]),
    ("The answer is\n7", ["7"]),
    ("따라서, 정답은: 3/4", ["3/4"]),
    ("답은 12개입니다. 끝.", ["12개입니다"]),
    ("12가 정답입니다.", ["12"]),
    ("B is the correct answer.", ["B"]),
    ("The answer is \\[ 12 \\] as we saw.", ["\\[ 12 \\]"]),
    ("\\boxed{3} then \\boxed{4}", ["3", "4"]),
    ("The answer is 3. Wait. The answer is 4.", ["4"]),
    ("The answer is 1. The answer is 3. 다시 계산하면, 정답은 4", ["4"]),
    ("12", ["12"]),
    ("<think>The answer is 3.</think>The answer is 4.", ["4"]),
    ("대답은 했다. 응답: 했다.\n그렇다.", []),
    ("Some long text\nthat says nothing", []),
]


@pytest.mark.parametrize(("response", "texts"), MARKED)
def test_marks(response: str, texts: list[str]) -> None:
    found = find(response)
    assert [mark.text.strip(" *") for mark in found.marks] == texts
    assert not found.is_cut
    for mark in found.marks:
        assert 0 <= mark.start < mark.end <= len(response)


def test_second_thoughts() -> None:
    assert find("The answer is 3. Wait, that is wrong.").is_taken_back
    assert find("정답은 3입니다. 아니, 4입니다.").is_taken_back
    assert not find("Wait, let me think. The answer is 3.").is_taken_back


@pytest.mark.parametrize("response", ["\\boxed{1", "정답은", "정답은: \n", "<think>It is 3.", "**Answer:**\n\n"])
def test_cut(response: str) -> None:
    assert find(response).is_cut


def test_stated_only_where_asked() -> None:
    response = "민수는 12개를 샀다. 따라서 모두 15개이다."
    assert find(response).marks == ()
    assert [mark.text for mark in find(response, is_stated_enough=True).marks] == ["모두 15개이다."]
    assert find("민수는 12개를 샀다.\n\n모두 15개를 가지고 있다.", is_stated_enough=True).marks == ()


@given(st.text(alphabet="\\boxed{}#*정답은: answer is.\n$1[](<think>/", max_size=200))
def test_any_text_has_an_outcome(text: str) -> None:
    found = find(text, is_stated_enough=True)
    assert all(mark.start <= mark.end <= len(text) for mark in found.marks)


@pytest.mark.parametrize(
    "piece",
    [
        "\\boxed{",
        "{",
        "answer ",
        "정답은 ",
        "The answer is ",
        "# ",
        "12 ",
        "***",
        "<think>",
        "\n\n",
        "a is the ",
        "$",
    ],
)
def test_time_is_linear(piece: str) -> None:
    """What a teacher repeats until it is cut off costs seconds, not hours."""
    started = time.process_time()
    find(piece * (40_000 // len(piece)), is_stated_enough=True)
    assert time.process_time() - started < 5
