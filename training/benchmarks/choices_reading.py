"""What a model understands of a text, by multiple choice: KoBEST's five tasks and BELEBELE, as lm-eval asks them."""

from collections.abc import Callable
from typing import Any

from manifests.errors import RequestError
from training.benchmarks.means import f1_of
from training.benchmarks.rows import letters, place, text
from training.benchmarks.task import Doc, Task

KOBEST_SOURCE = "prompt: lm-eval 0.4.13, kobest_{}; shots: DNA's model card (5)"
CONNECTORS = {"원인": " 왜냐하면", "결과": " 그래서"}


def _label(n: int) -> Callable[[Doc], int]:
    return lambda row: place(row, "label", n)


def boolq_question(row: Doc) -> str:
    """A passage and a question of yes or no."""
    return f"{text(row, 'paragraph')} 질문: {text(row, 'question')} 답변: "


def copa_question(row: Doc) -> str:
    """A premise, and whether its cause or its effect is asked for.

    Raises:
        RequestError: it is neither.
    """
    asked = text(row, "question").strip()
    if asked not in CONNECTORS:
        raise RequestError(f"`question`: expected {' or '.join(CONNECTORS)}, found {asked!r}")
    return f"{text(row, 'premise')} {CONNECTORS[asked]}"


def wic_question(row: Doc) -> str:
    """Two sentences, and whether a word means the same in both."""
    return (
        f"문장1: {text(row, 'context_1')} 문장2: {text(row, 'context_2')} "
        f"두 문장에서 {text(row, 'word')}가 같은 뜻으로 쓰였나?"
    )


def belebele_question(row: Doc) -> str:
    """A passage, a question and four answers."""
    answers = "\n".join(f"{letter}: {text(row, f'mc_answer{at}')}" for at, letter in enumerate("ABCD", 1))
    return f"P: {text(row, 'flores_passage')}\nQ: {text(row, 'question').strip()}\n{answers}\nAnswer:"


def belebele_right(row: Doc) -> int:
    """Place of the right answer; published as a text, `1` to `4`."""
    return place(row, "correct_answer_num", 4, first=1)


def _kobest(
    name: str,
    columns: tuple[str, ...],
    ask: Callable[[Doc], str],
    choices: Callable[[Doc], list[str]],
    n_choices: int = 2,
) -> Task:
    right = _label(n_choices)
    return Task(
        name=f"kobest-{name}",
        columns=(*columns, "label"),
        hub=("skt/kobest_v1", name),
        form="choices",
        ask=ask,
        right=right,
        choices=choices,
        main="acc",
        shots=5,
        aggregate=f1_of(right, n_choices),
        example_split="train",
        sampler="random",
        source=KOBEST_SOURCE.format(name),
        settings={"f1": "macro F1 of the likeliest choices"},
    )


def _belebele(name: str, configuration: str) -> Task:
    return Task(
        name=name,
        columns=("flores_passage", "question", *(f"mc_answer{at}" for at in range(1, 5)), "correct_answer_num"),
        hub=("facebook/belebele", configuration),
        form="choices",
        ask=belebele_question,
        right=belebele_right,
        choices=lambda row: letters(4),
        main="acc",
        example_split="test",
        source=f"prompt: lm-eval 0.4.13, belebele_{configuration}; shots: DNA's model card (0)",
    )


def _said(*choices: str) -> Callable[[Any], list[str]]:
    return lambda row: list(choices)


def _columns_of(*columns: str) -> Callable[[Doc], list[str]]:
    return lambda row: [text(row, column) for column in columns]


_ENDINGS = ("ending_1", "ending_2", "ending_3", "ending_4")
_ALTERNATIVES = ("alternative_1", "alternative_2")
_ALL = (
    _kobest("boolq", ("paragraph", "question"), boolq_question, _said("아니오", "예")),
    _kobest("copa", ("premise", "question", *_ALTERNATIVES), copa_question, _columns_of(*_ALTERNATIVES)),
    _kobest("wic", ("word", "context_1", "context_2"), wic_question, _said("아니오", "예")),
    _kobest(
        "hellaswag", ("context", *_ENDINGS), lambda row: f"문장: {text(row, 'context')}", _columns_of(*_ENDINGS), 4
    ),
    _kobest("sentineg", ("sentence",), lambda row: f"문장: {text(row, 'sentence')} 긍부정:", _said("부정", "긍정")),
    _belebele("belebele-en", "eng_Latn"),
    _belebele("belebele-ko", "kor_Hang"),
)
TASKS = {task.name: task for task in _ALL}
