r"""Letters that answers choose: markers of both languages, forms of letters, and what is no answer."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.benchmarks.answer_letters import letter_in

CHOSEN = [
    ("Therefore, the answer is: B", "B"),
    ("Therefore, the answer is: (B).", "B"),
    ("Therefore, the answer is **B**.", "B"),
    ("Answer: B", "B"),
    ("**Answer:** B", "B"),
    ("the correct option is B", "B"),
    ("The answer is option B, since water boils.", "B"),
    ("the answer is A because all cells have one", "A"),
    ("따라서, 정답은: B", "B"),
    ("따라서, 정답은: **B**입니다.", "B"),
    ("따라서, 정답은: (B)입니다.", "B"),
    ("정답은 B번입니다", "B"),
    ("정답: B", "B"),
    ("정답 B", "B"),
    ("최종 답은 B이다.", "B"),
    ("B가 정답입니다.", "B"),
    ("(B)번이 정답이다.", "B"),
    ("B is the correct answer.", "B"),
    ("정답은 A가 아니라 B입니다.", "B"),
    ("따라서, 정답은:\n\nB", "B"),
    (r"\boxed{B}", "B"),
    (r"$\boxed{\text{B}}$", "B"),
    (r"\boxed{\mathbf{(B)}}", "B"),
    (r"\boxed{{{B}}}", "B"),
    (r"\boxed{\textbf{(B) }12}", "B"),
    (r"\boxed{b}", "B"),
    ("따라서, 정답은: Ｂ", "B"),
    ("따라서， 정답은：（Ｂ）", "B"),
    ("정답은 Ⓑ", "B"),
    ("B", "B"),
    ("(b)", "B"),
    ("**B**\n", "B"),
    ("<think>the answer is A</think>the answer is B", "B"),
    ("The answer is A. No: the answer is B", "B"),
    ("Answer: A\n정답: B", "B"),
    ("정답: A\n\\boxed{B}", "B"),
    ("정답은 \u200bB", "B"),
]
NOTHING = [
    "",
    "모르겠습니다.",
    'conclude with "Therefore, the answer is: X"',
    "The answer is A cell of the body",
    "the answer is B or C",
    "정답은 B 또는 C입니다",
    "Answer: A, B",
    "정답은 B가 아닙니다",
    "The answer is Berlin",
    "the answer is B2",
    "the answer is C++",
    "대답은 B",
    "오답: B",
    "Banswer: banana",
    r"\boxed{A+B}",
    r"\boxed{Because}",
    r"\boxed{",
    "<think>the answer is B",
    "정답은: F",
]


@pytest.mark.parametrize(("answer", "letter"), CHOSEN)
def test_letter_is_read(answer: str, letter: str) -> None:
    assert letter_in(answer, 4) == letter
    assert letter_in(unicodedata.normalize("NFD", answer), 4) == letter


@pytest.mark.parametrize("answer", NOTHING)
def test_nothing_is_read(answer: str) -> None:
    assert letter_in(answer, 4) == ""


def test_only_options_that_there_are_count() -> None:
    assert letter_in("정답은: E", 4) == "" and letter_in("정답은: E", 5) == "E"
    assert letter_in("정답은: B. 정답은: J", 4) == "B"


LETTERS = st.sampled_from("ABCDEFGHIJ")
MARKERS = st.sampled_from(
    [
        "Therefore, the answer is: {}",
        "따라서, 정답은: {}",
        "정답: **{}**",
        r"\boxed{{{}}}",
        "답은 ({})입니다.",
        "Answer: ({})",
    ]
)
WIDE = st.sampled_from([str, lambda letter: chr(ord(letter) + 0xFEE0), lambda letter: f"({letter})"])
KOREAN = st.text(
    alphabet=st.one_of(
        st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3),
        st.sampled_from("ㅋㅠㄱㄴ👍🇰🇷\u0301 ,.\n①"),
    ),
    max_size=60,
).filter(lambda text: "답" not in text)


@given(LETTERS, MARKERS, WIDE, KOREAN, KOREAN, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_any_letter_is_read_in_any_korean_text(
    letter: str, marker: str, wide: object, before: str, after: str, form: str
) -> None:
    said = marker.format(wide(letter))  # type: ignore[operator]
    text = f"{before} A가 아닌 것은 B이다. {said}\n{after}"
    assert letter_in(unicodedata.normalize(form, text), 10) == letter  # type: ignore[arg-type]


@given(LETTERS, st.integers(0, 12))
def test_nested_braces_are_opened(letter: str, depth: int) -> None:
    assert letter_in(r"\boxed{" + r"\text{" * depth + letter + "}" * (depth + 1), 10) == letter


@given(LETTERS, LETTERS)
def test_the_last_mark_counts(first: str, second: str) -> None:
    assert letter_in(f"The answer is {first}.\n\n따라서, 정답은: {second}", 10) == second


PIECES = st.sampled_from(
    ["answer", "is", ":", "정답", "은", "답", "A", "B", "(", ")", "{", "}", "\\boxed", "\\text{", "**", "$", " ",
     "\n", "또는", "아니라", "가", "<think>", "</think>", "not", "or", "Ａ", "ㅋ", "👍", "1", "정답"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join)))
def test_whatever_is_said_gives_an_option_or_nothing(answer: str) -> None:
    assert letter_in(answer, 4) in ("", "A", "B", "C", "D")


@pytest.mark.parametrize("piece", ["(", "정답은 ", "answer is ", "\\boxed{", " ", "A, ", "\\text{", "*"])
def test_long_answers_take_no_time(piece: str) -> None:
    assert letter_in(piece * 20_000, 4) in ("", "A", "B", "C", "D")
