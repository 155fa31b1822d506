"""Answers are marked as lm-eval's filters and metrics mark them: GSM8K, BBH, MMLU-Pro."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.benchmarks import sample_rows as rows_of
from tests.training.benchmarks.sample_rows import Row
from tests.training.benchmarks.shipped_tasks import oracle
from training.benchmarks.catalogue import task_of
from training.benchmarks.task import Marked

GSM8K = [
    "He has 1001.\n#### 1001",
    "#### 1,001",
    "#### 1,001.",
    "#### $1001",
    "#### 1001 apples",
    "#### 1000\n#### 1001",
    "The answer is 1001.",
    "The answer is $1,001.00",
    "1001",
    "1001.",
    "#### -1001",
    "####1001",
    "1000 + 1 = 1001 apples, so 7",
    "",
    "없다",
    "#### .",
    "... $ ...",
    "#### 1001.0",
    "정답은 1,001개",
    "#### 1001\n\nQuestion",
]
BBH = [
    "not True is False. So the answer is False.",
    "So the answer is True.",
    "the answer is False",
    "the answer is True.\nthe answer is False.",
    "So the answer is  False .",
    "the answer is .",
    "the answer is ",
    "The answer is False.",
    "False",
    "",
    "So the answer is (A).",
    "the answer is False.\n",
]
PRO = [
    "One more is 2. The answer is (B).",
    "answer is B",
    "the answer is (A). The answer is (B).",
    "The answer is (b).",
    "Answer: B",
    "",
    "the answer is (K)",
    "the answer is \\boxed{B}",
    "answer is Berlin",
    "the answer is: B",
    "정답은 B. answer is (B)",
    "The answer is (J).",
]


def shipped_scores(file: str, row: Row, answers: Sequence[str]) -> dict[str, list[float]]:
    """The scores of answers to one row by each filter of a shipped task."""
    found = oracle(file, [row], [row])
    (doc,) = found.test_docs()
    scores = dict[str, list[float]]()
    for ensemble in found._filters:
        *_, last = [one() for one in ensemble.filters[:-1]]
        read = [one[0] for one in last.apply([[answer] for answer in answers], [doc] * len(answers))]
        scores[ensemble.name] = [float(found.process_results(doc, [one])["exact_match"]) for one in read]
    return scores


def ours(name: str, row: Row, answers: Sequence[str]) -> list[Marked]:
    task = task_of(name)
    assert task.mark
    return task.mark([row] * len(answers), answers)


def test_gsm8k() -> None:
    row = rows_of.gsm8k(2)[1]
    theirs = shipped_scores("gsm8k/gsm8k.yaml", row, GSM8K)
    marked = ours("gsm8k", row, GSM8K)
    assert [one.scores["exact_match"] for one in marked] == theirs["strict-match"]
    assert [one.scores["flexible"] for one in marked] == theirs["flexible-extract"]
    assert 0 < sum(theirs["strict-match"]) < len(GSM8K) and sum(theirs["flexible-extract"]) > 3


@pytest.mark.parametrize(
    ("name", "file", "row", "answers"),
    [
        ("bbh", "bbh/cot_fewshot/boolean_expressions.yaml", lambda: rows_of.bbh(1, "boolean_expressions")[0], BBH),
        ("mmlu-pro", "mmlu_pro/mmlu_pro_biology.yaml", lambda: rows_of.mmlu_pro(1, "biology")[0], PRO),
    ],
)
def test_first_answer_counts(name: str, file: str, row: Callable[[], Row], answers: Sequence[str]) -> None:
    (theirs,) = shipped_scores(file, row(), answers).values()
    assert [one.scores["exact_match"] for one in ours(name, row(), answers)] == theirs
    assert 0 < sum(theirs) < len(answers)


NUMBERS = st.lists(
    st.sampled_from(["#### ", "1001", "1,001", "$", ".", ",", "-", " ", "\n", "7", "원", "answer"]), max_size=12
).map("".join)


@settings(max_examples=10)
@given(st.lists(NUMBERS, min_size=40, max_size=40))
def test_gsm8k_of_anything(answers: list[str]) -> None:
    row = rows_of.gsm8k(2)[1]
    theirs, marked = shipped_scores("gsm8k/gsm8k.yaml", row, answers), ours("gsm8k", row, answers)
    assert [one.scores["exact_match"] for one in marked] == theirs["strict-match"]
    assert [one.scores["flexible"] for one in marked] == theirs["flexible-extract"]
