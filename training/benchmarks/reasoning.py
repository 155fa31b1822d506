"""Reasoning that is written out behind worked examples, as lm-eval asks for it: MMLU-Pro and BIG-Bench Hard."""

import re
import string
from collections.abc import Sequence
from functools import cache

from manifests.errors import RequestError
from training.benchmarks import shipped
from training.benchmarks.means import over_groups
from training.benchmarks.rows import listed, text, texts
from training.benchmarks.task import Doc, Marked, Task

SCORE = "exact_match"
OVER_QUESTIONS = "over questions, as lm-eval's group (weight_by_size); `exact_match_macro` is the mean of {}"

# MMLU-Pro

_PRO_ANSWER = re.compile(r"answer is \(?([ABCDEFGHIJ])\)?")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
MMLU_PRO_CHOICES_MAX = 10


def pro_question(row: Doc) -> str:
    """The question and up to ten options, up to where the reasoning begins."""
    options = [option.strip() for option in texts(row, "options", 1)[:MMLU_PRO_CHOICES_MAX]]
    return f"Question:\n{text(row, 'question')}\nOptions:\n{listed(options)}\nAnswer: Let's think step by step."


def pro_reasoning(row: Doc) -> str:
    """What an example says behind the question: its reasoning without how it begins, or only the answer."""
    answer = text(row, "answer")
    if not row.get("cot_content"):
        return f"The answer is ({answer})."
    return text(row, "cot_content").replace("A: Let's think step by step. ", "")


def pro_category(row: Doc) -> str:
    """As `computer science`."""
    return text(row, "category")


def mark_pro(rows: Sequence[Doc], answers: Sequence[str]) -> list[Marked]:
    """The first `answer is (X)` counts, as lm-eval's filter `custom-extract`."""
    found = list[Marked]()
    for row, answer in zip(rows, answers, strict=True):
        match = _PRO_ANSWER.search(answer)
        gold = text(row, "answer").lower().translate(_NO_PUNCTUATION)
        is_right = match is not None and match[1].lower() == gold
        found.append(Marked({SCORE: float(is_right)}, "" if match else "marks no answer", match[1] if match else ""))
    return found


MMLU_PRO = Task(
    name="mmlu-pro",
    columns=("question", "options", "answer", "category"),
    hub=("TIGER-Lab/MMLU-Pro", None),
    form="generation",
    ask=pro_question,
    right=pro_reasoning,
    main=SCORE,
    shots=5,
    mark=mark_pro,
    aggregate=over_groups(SCORE, pro_category),
    example_split="validation",
    describe=lambda row: (
        f"The following are multiple choice questions (with answers) about {pro_category(row)}. Think step by step "
        'and then finish your answer with "the answer is (X)" where X is the correct letter choice.\n'
    ),
    stop=("Question:",),
    max_new_tokens=2048,
    group=pro_category,
    same_group_examples=True,
    source="prompt: lm-eval 0.4.13, mmlu_pro; shots: lm-eval and DNA's model card (5)",
    settings={
        "mean": OVER_QUESTIONS.format("categories"),
        "answer": "the first `answer is (X)`",
        "examples": "their reasoning is `cot_content`",
    },
)

# BIG-Bench Hard

BBH_FOLDER = "bbh/cot_fewshot"
_BBH_ANSWER = re.compile(r"(?<=the answer is )(.*)(?=.)")


def bbh_question(row: Doc) -> str:
    """Up to where the reasoning begins."""
    return f"Q: {text(row, 'input')}\nA: Let's think step by step.\n"


def bbh_subset(row: Doc) -> str:
    """One of the 27 tasks.

    Raises:
        RequestError: it is none of them.
    """
    name = text(row, "subset")
    known = bbh_declared()
    if name not in known:
        raise RequestError(f"`subset`: {name!r} is no task of BBH; valid: {', '.join(known)}")
    return name


def bbh_description(row: Doc) -> str:
    """What lm-eval says before the examples of a task."""
    return str(bbh_declared()[bbh_subset(row)]["description"])


def mark_bbh(rows: Sequence[Doc], answers: Sequence[str]) -> list[Marked]:
    """What stands behind the first `the answer is`, less the last character of its line, as lm-eval reads it."""
    found = list[Marked]()
    for row, answer in zip(rows, answers, strict=True):
        match = _BBH_ANSWER.search(answer)
        read = match[1].strip() if match else ""
        is_right = match is not None and read == text(row, "target")
        found.append(Marked({SCORE: float(is_right)}, "" if match else "marks no answer", read))
    return found


@cache
def bbh_declared() -> dict[str, dict[str, object]]:
    """What lm-eval says of each of BBH's tasks.

    Raises:
        RequestError: lm-eval is not installed, or says it in another form.
    """
    found = {str(one.get("dataset_name")): one for one in shipped.declarations(BBH_FOLDER).values()}
    for name, one in found.items():
        config = one.get("fewshot_config")
        if not isinstance(config, dict) or not config.get("samples") or not isinstance(one.get("description"), str):
            raise RequestError(f"lm-eval's {BBH_FOLDER}, {name}: no examples there; pip install 'onggi[eval]'")
    return found


@cache
def bbh() -> Task:
    """BIG-Bench Hard, with the examples and descriptions that come with lm-eval.

    Raises:
        RequestError: lm-eval is not installed.
    """
    examples = [
        {"input": one["input"], "target": one["target"], "subset": name}
        for name, declared in bbh_declared().items()
        for one in declared["fewshot_config"]["samples"]  # type: ignore[index]
    ]
    return Task(
        name="bbh",
        columns=("input", "target", "subset"),
        hub=("lukaemon/bbh", None),
        configurations=tuple(bbh_declared()),
        configuration_column="subset",
        form="generation",
        ask=bbh_question,
        right=lambda row: text(row, "target"),
        main=SCORE,
        shots=3,
        mark=mark_bbh,
        aggregate=over_groups(SCORE, bbh_subset),
        examples=tuple(examples),
        describe=bbh_description,
        delimiter="",
        stop=("</s>", "Q", "\n\n"),
        max_new_tokens=1024,
        group=bbh_subset,
        same_group_examples=True,
        source="prompt, examples and shots: lm-eval 0.4.13, bbh_cot_fewshot (3)",
        settings={
            "mean": OVER_QUESTIONS.format("tasks"),
            "answer": "the first `the answer is ...`, as a text",
        },
    )


TASKS = {"mmlu-pro": MMLU_PRO, "bbh": bbh}
"""By name; of BBH what makes it, since its examples are read from lm-eval when they are needed."""
