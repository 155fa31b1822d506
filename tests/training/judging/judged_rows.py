"""Hand-made questions in the columns of each benchmark, answers to them, and judges that follow a script."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from manifests.schema_evaluation import Judged
from training.evaluating.jobs import Transcript, Turn
from training.judging.questions import read_questions

MT_BENCH: list[dict[str, Any]] = [
    {"question_id": 81, "category": "writing", "turns": ["Write a haiku about a jar.", "Now make it rhyme."]},
    {
        "question_id": 111,
        "category": "math",
        "turns": ["What is 6 times 7?", "And half of it?"],
        "reference": ["42", "21"],
    },
    {
        "question_id": 101,
        "category": "reasoning",
        "turns": ["Ann is taller than Bo. Who is shorter?", "Why?"],
        "reference": ["Bo", ""],
    },
    {"question_id": 141, "category": "stem", "turns": ["Why does water boil?", "On a mountain?"]},
]
LOGICKOR: list[dict[str, Any]] = [
    {
        "id": 1,
        "category": "수학(Math)",
        "questions": ["3과 4의 합은?", "그 제곱은?"],
        "references": ["7", "49"],
    },
    {
        "id": 2,
        "category": "글쓰기(Writing)",
        "questions": ["옹기에 대해 짧은 글을 써 줘.", "한 문장으로 줄여 줘."],
        "references": [None, None],
    },
    {
        "id": 3,
        "category": "문법(Grammar)",
        "questions": ["‘않 되’를 고쳐 줘.", "왜 그래?"],
        "references": [None, None],
    },
]
WILDBENCH: list[dict[str, Any]] = [
    {
        "id": "w1",
        "session_id": "s1",
        "conversation_input": [
            {"role": "user", "content": "I keep bees.", "language": "English", "toxic": False},
            {"role": "assistant", "content": "Lovely!", "language": "English", "toxic": False},
            {"role": "user", "content": "Plan my spring.", "language": "English", "toxic": False},
        ],
        "references": {"gpt-4": "Inspect the hives."},
        "checklist": ["Does it name months?", "Is swarming treated?"],
        "primary_tag": "Planning",
        "secondary_tags": ["Advice seeking"],
    },
    {
        "id": "w2",
        "session_id": "s2",
        "conversation_input": [{"role": "user", "content": "Sort a list in Rust."}],
        "references": {},
        "checklist": ["Does it compile?"],
        "primary_tag": "Coding & Debugging",
        "secondary_tags": [],
    },
    {
        "id": "w3",
        "session_id": "s3",
        "conversation_input": [{"role": "user", "content": "A limerick, please."}],
        "references": {},
        "checklist": [],
        "primary_tag": "Creative Writing",
        "secondary_tags": ["Role playing"],
    },
]


def save(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "questions.jsonl") -> None:
    (folder / name).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))


def judged_of(form: str, url: str = "http://127.0.0.1:1/v1", **more: Any) -> Judged:
    """An entry of a manifest; `judge` adds to the settings of the judge."""
    judge = {"model": "judge-1", "url": url, "concurrency": 8, "retries": 0, **more.pop("judge", {})}
    return Judged.model_validate({"name": form, "form": form, "data": "questions.jsonl", "judge": judge, **more})


def transcripts(judged: Judged, base: Path, answered: Callable[[int, int], str]) -> list[Transcript]:
    """Answers to all questions, by question and turn."""
    return [
        Transcript(
            id=question.id,
            category=question.category,
            turns=[Turn(asked=asked, answered=answered(n, turn)) for turn, asked in enumerate(question.turns)],
            references=list(question.references),
        )
        for n, question in enumerate(read_questions(judged, str(base)))
    ]


def shown(body: dict[str, Any]) -> str:
    """What the judge is shown."""
    return str(body["messages"][-1]["content"])


def worth(body: dict[str, Any]) -> list[int]:
    """Numbers behind `worth` in what the judge is shown, in order."""
    return [int(number) for number in re.findall(r"worth (\d+)", shown(body))]


def honest(body: dict[str, Any], n_before: int) -> Any:
    """Grades an answer by what it says to be worth, and takes the worthier of two."""
    if "[[A]]" in body["messages"][0]["content"]:
        a, b = worth(body)[-2:]
        return f"Compared.\n[[{'A' if a > b else 'B' if b > a else 'C'}]]"
    return f"Looked at it.\nScore: [[{worth(body)[-1]}]]"
