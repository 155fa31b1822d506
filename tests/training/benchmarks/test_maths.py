r"""Final answers of GSM8K and MATH: `\boxed{}`, Korean units, formulas; what is read, and what is right."""

import unicodedata
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifests.errors import RequestError
from training.benchmarks.catalogue import task_of
from training.benchmarks.final_values import boxed, marked_values
from training.benchmarks.maths import gsm8k_gold, math_gold, minerva_answer

GSM8K_ROW = {"question": "How many won does she have?", "answer": "So <<1000+200=1200>>1200.\n#### 1,200"}
RIGHT = [
    r"\boxed{1200}",
    r"\boxed{1,200}",
    r"\boxed{1{,}200}",
    r"\boxed{\text{1,200원}}",
    r"\boxed{\mathbf{1200}}",
    r"\boxed{1200}원",
    r"\boxed{１２００}",
    "따라서, 정답은: 1,200원입니다.",
    "정답은 **1200개**입니다.",
    "따라서, 정답은: 천이백 원입니다.",
    "Therefore, the answer is: $1,200",
    "The answer is 1200.00.",
    "#### 1200",
    "답: 1200",
    r"First \boxed{7}, and then \boxed{1200}.",
    "정답은 7이다.\n\n정답은 1200이다.",
]
WRONG = [
    r"\boxed{120}",
    "정답은 1200000원입니다",
    r"\boxed{1200}, so \boxed{7}",
    "정답은 12,00.5이다",
    "",
    "모르겠다",
    r"\boxed{",
]


@pytest.mark.parametrize("answer", RIGHT)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_gsm8k_right(answer: str, form: str) -> None:
    (marked,) = marked_gsm8k([unicodedata.normalize(form, answer)])  # type: ignore[arg-type]
    assert marked.scores == {"exact_match": 1.0} and marked.read and not marked.note


def marked_gsm8k(answers: list[str]) -> list:  # type: ignore[type-arg]
    mark = task_of("gsm8k-cot").mark
    assert mark
    return mark([GSM8K_ROW] * len(answers), answers)


def test_gsm8k_wrong() -> None:
    marked = marked_gsm8k(WRONG)
    assert [one.scores["exact_match"] for one in marked] == [0.0] * len(WRONG)
    assert all(one.note for one in marked)
    assert [one.read for one in marked[-3:]] == ["", "", ""]


MATH = [
    (r"\frac{1}{2}", r"So \boxed{\frac12}.", 1),
    (r"\frac{1}{2}", r"So \boxed{0.5}.", 1),
    (r"\frac{1}{2}", r"따라서, 정답은: $\frac{2}{4}$입니다.", 1),
    (r"\frac{1}{2}", r"\boxed{\frac{1}{3}}", 0),
    (r"3\sqrt{2}", r"\boxed{\sqrt{18}}", 1),
    (r"3\sqrt{2}", r"\boxed{3\sqrt{3}}", 0),
    (r"x^2+2x+1", r"\boxed{(x+1)^2}", 1),
    (r"\left[-2,7\right)", r"\boxed{[-2,7)}", 1),
    (r"(3,\infty)", r"\boxed{(3, \infty)}", 1),
    (r"\text{Evelyn}", r"\boxed{\text{Evelyn}}", 1),
    (r"\text{Evelyn}", r"\boxed{\text{Briana}}", 0),
    (r"\dfrac{\pi}{6}", r"The answer is $\boxed{\frac{\pi}{6}}$", 1),
    (r"10\%", r"\boxed{10\%}", 1),
    (r"1{,}000", r"\boxed{1000}", 1),
    (r"12", r"\boxed{\boxed{12}}", 1),
    (r"12", "no answer", 0),
]


def test_math() -> None:
    mark = task_of("math-cot").mark
    assert mark
    rows = [{"problem": "Find it.", "solution": f"It is $\\boxed{{{gold}}}$."} for gold, _, _ in MATH]
    marked = mark(rows, [answer for _, answer, _ in MATH])
    assert [(one.scores["exact_match"], one.note) for one in marked if one.scores["exact_match"]] == [
        (1.0, "")
    ] * sum(right for *_, right in MATH)
    assert [one.scores["exact_match"] for one in marked] == [right for *_, right in MATH]


def test_math_of_minerva() -> None:
    mark = task_of("math").mark
    assert mark
    row = {"problem": "Find it.", "solution": r"It is $\boxed{\frac{1}{2}}$."}
    answers = [
        r"Half. Final Answer: The final answer is $\frac{1}{2}$. I hope it is correct.",
        r"Final Answer: The final answer is $0.5$. I hope it is correct.",
        r"Final Answer: The final answer is $0.6$. I hope it is correct.",
        r"It is \boxed{\frac12}.",
        "",
    ]
    marked = mark([row] * 5, answers)
    assert [one.scores for one in marked] == [
        {"exact_match": exact, "flexible": flexible}
        for exact, flexible in [(1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 1.0), (0.0, 0.0)]
    ]
    assert minerva_answer("The final answer is $2$") == ""


def test_examples_of_minerva_are_right_by_its_own_mark() -> None:
    task = task_of("math")
    assert task.mark and len(task.examples) == 4
    marked = task.mark(task.examples, [str(task.right(row)) for row in task.examples])
    assert [one.scores["exact_match"] for one in marked] == [1.0] * 4


def test_a_formula_that_takes_for_ever_ends() -> None:
    (marked,) = marked_values(["x"], ["Find it."], [r"\boxed{x^{9^{9^{9^{9}}}}}"])
    assert marked.scores == {"exact_match": 0.0}


def test_what_rows_must_hold() -> None:
    with pytest.raises(RequestError, match="`answer`: expected a solution that ends with `#### NUMBER`, found "):
        gsm8k_gold({"answer": "제넷은 하루에 $18을 벌어들입니다."})
    with pytest.raises(RequestError, match=r"`solution`: expected a solution with its answer in .boxed"):
        math_gold({"solution": "It is 2."})
    for name, row in [("gsm8k", {"answer": "2, then"}), ("math", {"problem": "?", "solution": r"\boxed{ }"})]:
        with pytest.raises(RequestError, match="expected a solution"):
            task_of(name).right(row)  # before anything is asked
    assert gsm8k_gold({"answer": "210"}) == "210" and boxed(r"\boxed{1}, \boxed{\frac{2}{3}}.") == r"\frac{2}{3}"


PIECES = st.sampled_from(
    ["\\boxed{", "}", "정답은 ", "12", "1,200", "원", "개", "\\frac", "{", "$", " ", ".", "####", "\n", "x", "²",
     "ㅋ", "the answer is ", "👍", "1/2", "=", "%"]
)  # fmt: skip


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=20).map("".join)), max_size=40))
def test_whatever_is_said_gets_a_score(answers: list[str]) -> None:
    for one in marked_gsm8k(answers):
        assert one.scores["exact_match"] in (0.0, 1.0)


@given(st.integers(0, 10**7), st.sampled_from(["원", "개", "명", "원입니다", ""]), st.booleans())
def test_numbers_with_korean_units(number: int, unit: str, grouped: bool) -> None:
    said = f"{number:,}" if grouped else str(number)
    row = {"question": "얼마인가?", "answer": f"#### {number}"}
    mark = task_of("gsm8k-cot").mark
    assert mark
    (one,) = mark([row], [f"풀이는 이렇다. 따라서, 정답은: {said}{unit}"])
    assert one.scores["exact_match"] == 1.0, one


def test_published_solutions_are_right(shared_data: Path) -> None:
    """Every solution of GSM8K is right by both readers, and with its number in a box by Kanana's."""
    rows = [orjson.loads(line) for line in (shared_data / "benchmarks/gsm8k_test.jsonl").read_bytes().splitlines()]
    base, chat = task_of("gsm8k").mark, task_of("gsm8k-cot").mark
    assert base and chat and len(rows) == 1319
    strict = base(rows, [row["answer"] for row in rows])
    assert all(one.scores == {"exact_match": 1.0, "flexible": 1.0} for one in strict)
    boxes = [f"{row['answer'].partition('####')[0]}\nSo \\boxed{{{gsm8k_gold(row)}}}" for row in rows]
    assert [
        row["id"] for row, one in zip(rows, chat(rows, boxes), strict=True) if not one.scores["exact_match"]
    ] == []
