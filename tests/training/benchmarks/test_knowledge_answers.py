"""What chat models are asked, word for word where the report says it, and how their letters are scored."""

from pathlib import Path

import orjson
import pytest

from manifests.errors import RequestError
from tests.training.benchmarks import sample_rows as rows_of
from training.benchmarks.catalogue import task_of


def test_prompts() -> None:
    (row,) = rows_of.mmlu(1, "high_school_physics")
    asked = task_of("mmlu-cot").ask(row)
    assert 'Summarize your reasoning concisely, then conclude with "Therefore, the answer is: X"' in asked
    assert "about high school physics." in asked
    assert asked.endswith("\n\nWhat is 0 + 1?\nA. 0\nB. 1\nC. 0\nD. x")
    korean = task_of("kmmlu-cot").ask(rows_of.kmmlu(1, "Law")[0])
    assert '"따라서, 정답은: X"' in korean and korean.endswith(
        "다음 중 0보다 1 큰 수는?\nA. 0\nB. 1\nC. 영\nD. 없다 "
    )
    haerae = task_of("haerae-cot").ask(rows_of.haerae(1, "history")[0])
    assert '"따라서, 정답은: X"' in haerae and "A, B, C, D, E" in haerae and haerae.endswith("(E): 마")
    assert (
        task_of("gsm8k-cot").ask({"question": "1 {x} + 1?"}) == r"Put your final answer within \boxed{}. 1 {x} + 1?"
    )
    assert task_of("math-cot").ask({"problem": "$1$?"}) == r"Put your final answer within \boxed{}. $1$?"


def test_letters_are_scored() -> None:
    task = task_of("kmmlu-cot")
    assert task.mark and task.aggregate
    rows = [*rows_of.kmmlu(3, "Law"), *rows_of.kmmlu(1, "Biology")]
    marked = task.mark(rows, ["따라서, 정답은: A", "따라서, 정답은: **A**", "모르겠다", "정답: A입니다"])
    assert [one.scores["exact_match"] for one in marked] == [1.0, 0.0, 0.0, 1.0]
    assert [(one.read, one.note) for one in marked] == [("A", ""), ("A", ""), ("", "marks no answer"), ("A", "")]
    together = task.aggregate(rows, [one.scores for one in marked])
    assert together == {"exact_match_macro": pytest.approx((1 / 3 + 1) / 2)}
    assert [task.right(row) for row in rows] == ["A", "B", "C", "A"]


def test_rows_with_a_list_of_choices_and_a_letter(shared_data: Path) -> None:
    """As files of KMMLU have them that are not the hub's."""
    lines = (shared_data / "benchmarks/kmmlu_criminal_law_test.jsonl").read_bytes().splitlines()
    rows = [orjson.loads(line) for line in lines]
    task = task_of("kmmlu")
    assert len(rows) == 200 and all(set(task.columns) <= set(row) for row in rows)
    assert [task.right(row) for row in rows] == ["ABCD".index(row["answer"]) for row in rows]
    assert task.ask(rows[0]).endswith("\n정답：") and "\nD. " in task.ask(rows[0])


def test_rows_without_choices() -> None:
    with pytest.raises(RequestError, match="expected the choices as texts in `A`, `B`, `C` and `D`"):
        task_of("kmmlu").ask({"question": "?", "A": "1", "B": "2", "C": "3"})
    with pytest.raises(RequestError, match="`answer`: expected 1 to 4 or A to D, found 0"):
        task_of("kmmlu").right({"answer": 0})
    with pytest.raises(RequestError, match="`answer`: expected the text of one of the first 4 `choices`"):
        task_of("click").right({"id": "KHB_1", "choices": list("가나다라마"), "answer": "마"})
    with pytest.raises(RequestError, match="`question`: expected 원인 or 결과"):
        task_of("kobest-copa").ask({"premise": "비가 왔다.", "question": "이유"})
