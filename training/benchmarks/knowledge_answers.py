"""The same questions for chat models, which reason before they answer: MMLU, KMMLU and HAE-RAE as Kanana asks them.

Of the prompts these words are the report's: `Summarize your reasoning concisely, then conclude with "Therefore, the
answer is: X"`, and in Korean `따라서, 정답은: X`. What stands around them is ours.
"""

import re
from collections.abc import Callable, Sequence
from string import ascii_uppercase

from training.benchmarks.answer_letters import letter_in
from training.benchmarks.choices_knowledge import (
    HAERAE,
    HAERAE_CHOICES,
    KMMLU,
    MMLU,
    haerae_right,
    kmmlu_question,
    kmmlu_right,
    kmmlu_subject,
    mmlu_question,
    mmlu_right,
    mmlu_subject,
    subset,
)
from training.benchmarks.means import over_groups
from training.benchmarks.rows import text
from training.benchmarks.task import Doc, Mark, Marked, Task

SCORE = "exact_match"
SETTINGS = {
    "mean": "over questions; `exact_match_macro` is the mean of subjects",
    "answer": "the last letter that the answer marks, in Korean or English",
    "prompt": "the sentence that ends an answer is Kanana's, words around it are ours",
}
_CUE = re.compile(r"\s*#*\s*정답\s*[:：]?\s*$")


def mmlu_prompt(row: Doc) -> str:
    """In English."""
    return (
        f"The following are multiple choice questions about {mmlu_subject(row).replace('_', ' ')}. Summarize your "
        'reasoning concisely, then conclude with "Therefore, the answer is: X" where X is one of A, B, C, or D.\n\n'
        f"{mmlu_question(row)}"
    )


def kmmlu_prompt(row: Doc) -> str:
    """In Korean."""
    return f"{_korean('A, B, C, D')}\n\n{kmmlu_question(row)}"


def haerae_prompt(row: Doc) -> str:
    """In Korean; the cue at the end of a published question, behind which a letter is to stand, is left out."""
    return f"{_korean('A, B, C, D, E')}\n\n{_CUE.sub('', text(row, 'query'))}"


def _korean(letters: str) -> str:
    return (
        "다음 객관식 문제를 읽고 풀이 과정을 간결하게 요약한 다음, 마지막에 "
        f'"따라서, 정답은: X"라고 쓰세요. X는 {letters} 중 하나입니다.'
    )


def letters_marked(right: Callable[[Doc], int], n: int) -> Mark:
    """Marks answers by the letter that they choose."""

    def mark(rows: Sequence[Doc], answers: Sequence[str]) -> list[Marked]:
        found = list[Marked]()
        for row, answer in zip(rows, answers, strict=True):
            read = letter_in(answer, n)
            is_right = read == ascii_uppercase[right(row)]
            found.append(Marked({SCORE: float(is_right)}, "" if read else "marks no answer", read))
        return found

    return mark


def _asked(
    of: Task, ask: Callable[[Doc], str], right: Callable[[Doc], int], n: int, group: Callable[[Doc], str]
) -> Task:
    return Task(
        name=f"{of.name}-cot",
        columns=of.columns,
        hub=of.hub,
        configurations=of.configurations,
        configuration_column=of.configuration_column,
        form="generation",
        ask=ask,
        right=lambda row: ascii_uppercase[right(row)],
        main=SCORE,
        mark=letters_marked(right, n),
        aggregate=over_groups(SCORE, group),
        test_split=of.test_split,
        max_new_tokens=1024,
        group=group,
        is_instruct=True,
        source="prompt and shots: Kanana, Table 8 (0, chain of thought); reader of answers: ours",
        settings=SETTINGS,
    )


_ALL = (
    _asked(MMLU, mmlu_prompt, mmlu_right, 4, mmlu_subject),
    _asked(KMMLU, kmmlu_prompt, kmmlu_right, 4, kmmlu_subject),
    _asked(HAERAE, haerae_prompt, haerae_right, len(HAERAE_CHOICES), subset),
)
TASKS = {task.name: task for task in _ALL}
