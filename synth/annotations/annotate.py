"""Labels of documents by a teacher: how educational each is, from 0 to 5, as the teacher's answers say.

What an answer says is checked and never trusted: servers answer 200 and ignore the schema, models stop in
mid-sentence, refuse, or write "five". Whatever is not a label is counted by its kind and kept out.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal

import orjson

from manifests.schema_teacher import Sampling
from synth.scores import score_schema
from synth.teacher import Failure, Teacher, request_of
from synth.teachers.answers import Answer, Request

MIN_SCORE, MAX_SCORE = 0, 5
SHOWN_CHARS = 120

SCHEMA = score_schema(MIN_SCORE, MAX_SCORE)

Outcome = Literal["labelled", "truncated", "refused", "unparsable", "failed"]
"""`truncated`: cut off by length; `unparsable`: not the JSON that was asked for, or no score; `failed`: no
answer."""

Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Document:
    """A text to be labelled."""

    id: str
    text: str
    language: str | None = None


@dataclass(frozen=True)
class Label:
    """What the teacher said of a document."""

    id: str
    outcome: Outcome
    score: int | None = None
    """From 0 to 5; only where the outcome is `labelled`."""
    reason: str = ""
    """The teacher's words; where there is no label, what was wrong."""
    n_attempts: int = 1


@dataclass
class Annotation:
    """How labelling went."""

    labels: list[Label] = field(default_factory=list)

    @property
    def outcomes(self) -> Counter[str]:
        """Documents by what became of them."""
        return Counter(label.outcome for label in self.labels)

    @property
    def scores(self) -> dict[str, int]:
        """The labels, by document."""
        return {label.id: label.score for label in self.labels if label.score is not None}


def annotate(
    documents: Sequence[Document],
    teacher: Teacher,
    max_chars: int = 1200,
    attempts: int = 3,
    progress: Progress = lambda step, done, total, note: None,
) -> Annotation:
    """Ask for the label of every document; where an answer holds none, ask again with another seed.

    Args:
        documents: ids are unique; the prompt is Korean for documents whose language is `ko`, else English.
        teacher: who is asked.
        max_chars: how much of a text is shown to the teacher, from its beginning.
        attempts: how often a document is asked for at most; one that was cut off gets twice the room.
        progress: called with (`annotate`, documents done, all, outcomes and rate).

    Raises:
        RequestError, RunError: see `Teacher.ask`.
    """
    labels: dict[str, Label] = {}
    open_, sampling, n_done = list(documents), teacher.settings.sampling, 0
    for attempt in range(attempts):
        asked: dict[Request, list[str]] = {}
        for document in open_:
            asked.setdefault(prompt(document, max_chars, sampling, attempt), []).append(document.id)
        for request, answer in teacher.ask(asked):
            labels |= {id_: read_label(id_, answer, attempt + 1) for id_ in asked[request]}
            n_done += sum(not _is_open(labels[id_]) for id_ in asked[request])
            progress("annotate", n_done, len(documents), _note(teacher))
        open_ = [document for document in open_ if _is_open(labels[document.id])]
        if any(labels[document.id].outcome == "truncated" for document in open_):
            sampling = sampling.model_copy(update={"max_tokens": 2 * sampling.max_tokens})
    return Annotation([labels[document.id] for document in documents])


def _is_open(label: Label) -> bool:
    """Whether asking again may bring a label."""
    return label.outcome not in ("labelled", "refused")


def _note(teacher: Teacher) -> str:
    usage, cost = teacher.usage, teacher.usage.cost(teacher.settings)
    paid = f"{usage.n_paid:,} asked, {usage.n_kept:,} kept, {usage.n_output_tokens:,} tokens"
    return f"{paid}, {cost:.2f} spent" if cost else paid


def prompt(document: Document, max_chars: int, sampling: Sampling, attempt: int = 0) -> Request:
    """The request for the label of a document."""
    korean = document.language == "ko"
    extract = document.text[:max_chars]
    user = f"글:\n<<<\n{extract}\n>>>" if korean else f"Extract:\n<<<\n{extract}\n>>>"
    messages: list[tuple[Literal["system", "user"], str]] = [("system", rubric("ko" if korean else "en"))]
    return request_of([*messages, ("user", user)], sampling, SCHEMA, attempt)


@cache
def rubric(language: str) -> str:
    """What the teacher judges by, in `ko` or `en`."""
    return (files("synth") / "prompts" / f"edu_{language}.txt").read_text("utf-8").strip()


def read_label(id_: str, answer: Answer | Failure, n_attempts: int = 1) -> Label:
    """The label in an answer, or why there is none."""
    if isinstance(answer, Failure):
        return Label(id_, "failed", None, answer.message, n_attempts)
    if answer.refusal or answer.finish_reason == "content_filter":
        return Label(id_, "refused", None, answer.refusal or "content_filter", n_attempts)
    if answer.finish_reason == "length":
        return Label(id_, "truncated", None, f"cut off after {answer.n_output_tokens} tokens", n_attempts)
    try:
        value = orjson.loads(answer.text)
    except ValueError:
        return Label(id_, "unparsable", None, f"is no JSON: {answer.text[:SHOWN_CHARS]!r}", n_attempts)
    if not isinstance(value, dict) or value.keys() != {"reason", "score"} or not isinstance(value["reason"], str):
        return Label(id_, "unparsable", None, f"has not the form asked for: {answer.text[:SHOWN_CHARS]}", n_attempts)
    score = value["score"]
    if type(score) is not int or not MIN_SCORE <= score <= MAX_SCORE:
        return Label(id_, "unparsable", None, f"score {score!r} is no whole number from 0 to 5", n_attempts)
    return Label(id_, "labelled", score, value["reason"], n_attempts)
