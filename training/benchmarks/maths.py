r"""Maths: GSM8K and MATH behind worked examples, as lm-eval asks for them, and for chat models as Kanana does.

MATH's answers are compared by `synth.final_answers`: numbers exactly, formulas by Math-Verify, in processes with
limits of time and memory.
"""

import re
from collections.abc import Sequence
from functools import cache

from manifests.errors import RequestError
from training.benchmarks import shipped
from training.benchmarks.final_values import boxed, expected, marked_values, stated, values_marked
from training.benchmarks.means import over_groups
from training.benchmarks.rows import text
from training.benchmarks.task import Doc, Marked, Task

SCORE, FLEXIBLE = "exact_match", "flexible"
KANANA = r"Put your final answer within \boxed{{}}. {question}"

# GSM8K

_STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_IGNORED = (re.compile(","), re.compile(r"\$"), re.compile(r"(?s).*#### "), re.compile(r"\.$"))
_GOLD = re.compile(r"#### *(\S[^\n]*?)\s*$")
_NUMBER = re.compile(r"-?[\d,]*\.?\d+")


def gsm8k_gold(row: Doc) -> str:
    """The final answer: what stands behind `####`, or all of `answer` where that is a number.

    Raises:
        RequestError: it is neither.
    """
    answer = text(row, "answer").strip()
    found = _GOLD.search(answer)
    if found is None and not _NUMBER.fullmatch(answer):
        raise RequestError(f"`answer`: expected a solution that ends with `#### NUMBER`, found ...{answer[-60:]!r}")
    return (found[1] if found else answer).replace(",", "")


def gsm8k_solution(row: Doc) -> str:
    """What an example says behind the question.

    Raises:
        RequestError: it has no final answer.
    """
    gsm8k_gold(row)
    return text(row, "answer")


def _folded(answer: str) -> str:
    for pattern in _IGNORED:
        answer = pattern.sub("", answer)
    return answer.lower()


def gsm8k_strict(answer: str) -> str:
    """The first number behind `####`; empty where there is none (lm-eval's filter `strict-match`)."""
    found = _STRICT.search(answer)
    return found[1].strip() if found else ""


def gsm8k_flexible(answer: str) -> str:
    """The last number; empty where there is none (lm-eval's filter `flexible-extract`)."""
    found = _FLEXIBLE.findall(answer)
    return next((part.strip() for part in found[-1] if part), "") if found else ""


def mark_gsm8k(rows: Sequence[Doc], answers: Sequence[str]) -> list[Marked]:
    """As lm-eval: `exact_match` by the strict filter, `flexible` by the other."""
    found = list[Marked]()
    for row, answer in zip(rows, answers, strict=True):
        gold, strict, flexible = _folded(f"#### {gsm8k_gold(row)}"), gsm8k_strict(answer), gsm8k_flexible(answer)
        scores = {
            SCORE: float(bool(strict) and _folded(strict) == gold),
            FLEXIBLE: float(bool(flexible) and _folded(flexible) == gold),
        }
        found.append(Marked(scores, "" if strict else "has no `#### NUMBER`", strict))
    return found


GSM8K = Task(
    name="gsm8k",
    columns=("question", "answer"),
    hub=("openai/gsm8k", "main"),
    form="generation",
    ask=lambda row: f"Question: {text(row, 'question')}\nAnswer:",
    right=gsm8k_solution,
    main=SCORE,
    shots=5,
    mark=mark_gsm8k,
    example_split="train",
    sampler="random",
    stop=("Question:", "</s>", "<|im_end|>"),
    source="prompt: lm-eval 0.4.13, gsm8k; shots: Kanana, Table 1 (5), lm-eval and DNA's model card (5)",
    settings={"answer": "the number behind `####` (strict-match); `flexible`: the last number"},
)
GSM8K_COT = Task(
    name="gsm8k-cot",
    columns=("question", "answer"),
    hub=("openai/gsm8k", "main"),
    form="generation",
    ask=lambda row: KANANA.format(question=text(row, "question")),
    right=gsm8k_solution,
    main=SCORE,
    mark=values_marked(gsm8k_gold, "question"),
    max_new_tokens=1024,
    is_instruct=True,
    source="prompt: Kanana, Table 8 (no shots in it); reader of answers: ours",
    settings={"answer": "the last that is marked, a number with or without its unit"},
)

# MATH

MINERVA_FOLDER = "minerva_math"
MATH_SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)
_FINAL = re.compile(r"Final Answer: The final answer is(.*?). I hope it is correct.")
_FINAL_END = "I hope it is correct."


def math_gold(row: Doc) -> str:
    r"""What stands in the last `\boxed{}` of the solution.

    Raises:
        RequestError: there is none.
    """
    found = boxed(text(row, "solution"))
    if not found.strip():
        raise RequestError(r"`solution`: expected a solution with its answer in \boxed{}")
    return found


def math_solution(row: Doc) -> str:
    """What an example says behind the problem.

    Raises:
        RequestError: it has no final answer.
    """
    expected(math_gold(row), text(row, "problem"))
    return text(row, "solution")


def math_subject(row: Doc) -> str:
    """As `Algebra`."""
    return str(row.get("type") or "")


def minerva_answer(answer: str) -> str:
    """What Minerva's sentence (`Final Answer: The final answer is ... I hope it is correct.`) says, or nothing."""
    found = _FINAL.search(answer + _FINAL_END)
    return found[1].strip() if found else ""


def mark_math(rows: Sequence[Doc], answers: Sequence[str]) -> list[Marked]:
    """`exact_match` by the answer in Minerva's sentence, `flexible` by the last answer that is marked in any way."""
    golds, questions = [math_gold(row) for row in rows], [text(row, "problem") for row in rows]
    strict = stated(golds, questions, [minerva_answer(answer) for answer in answers])
    flexible = marked_values(golds, questions, answers)
    return [
        Marked({SCORE: one.scores[SCORE], FLEXIBLE: other.scores[SCORE]}, one.note, one.read)
        for one, other in zip(strict, flexible, strict=True)
    ]


@cache
def minerva_math() -> Task:
    """MATH, with the four examples of Minerva that come with lm-eval.

    Raises:
        RequestError: lm-eval is not installed.
    """
    return Task(
        name="math",
        columns=("problem", "solution"),
        hub=("EleutherAI/hendrycks_math", None),
        configurations=MATH_SUBJECTS,
        form="generation",
        ask=lambda row: f"Problem:\n{text(row, 'problem')}\n\nSolution:",
        right=math_solution,
        main=SCORE,
        shots=4,
        mark=mark_math,
        aggregate=over_groups(SCORE, math_subject),
        examples=tuple(shipped.literal(MINERVA_FOLDER, "list_fewshot_samples")),
        stop=("Problem:",),
        group=math_subject,
        source="prompt, examples and shots: lm-eval 0.4.13, minerva_math (4)",
        settings={
            "answer": "in Minerva's sentence; `flexible`: the last that is marked",
            "equality": "numbers exactly, formulas by Math-Verify; lm-eval's `exact_match` by SymPy's parse_latex",
        },
    )


MATH_COT = Task(
    name="math-cot",
    columns=("problem", "solution"),
    hub=("EleutherAI/hendrycks_math", None),
    configurations=MATH_SUBJECTS,
    form="generation",
    ask=lambda row: KANANA.format(question=text(row, "problem")),
    right=math_solution,
    main=SCORE,
    mark=values_marked(math_gold, "problem"),
    aggregate=over_groups(SCORE, math_subject),
    max_new_tokens=2048,
    group=math_subject,
    is_instruct=True,
    source="prompt: Kanana, Table 8 (no shots in it); reader of answers: ours",
    settings={
        "answer": "the last that is marked",
        "equality": "numbers exactly, formulas by Math-Verify",
    },
)
TASKS = {"gsm8k": GSM8K, "gsm8k-cot": GSM8K_COT, "math": minerva_math, "math-cot": MATH_COT}
"""By name; of MATH what makes it, since its examples are read from lm-eval when they are needed."""
