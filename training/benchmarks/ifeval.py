"""IFEval in English and Korean: whether answers follow instructions that a program can check.

The score is the mean of the strict accuracies of prompts and of instructions, as Kanana reports it (3.2). Strict
takes an answer as it is; loose also without its first line, its last one, and asterisks (Zhou et al. 2023, 2.2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from manifests.errors import RequestError
from training.benchmarks.ifeval_kinds import ENGLISH, KINDS, KOREAN, KOREAN_KINDS, Kind, Language, arguments_of
from training.benchmarks.task import Doc, Mark, Marked, Task


@dataclass(frozen=True)
class Instruction:
    """An instruction of a prompt."""

    id: str
    kind: Kind
    arguments: Mapping[str, Any]

    def is_followed(self, answer: str, language: Language) -> bool:
        """Whether an answer follows it; an empty one follows nothing."""
        return bool(answer.strip()) and self.kind.follows(answer, language, **self.arguments)


def instructions(doc: Doc, kinds: Mapping[str, Kind]) -> list[Instruction]:
    """The instructions of a row, all of whose text is in NFC.

    Raises:
        RequestError: the row has none, or one that is not known, or lacks one of its arguments.
    """
    ids, given = doc["instruction_id_list"], doc["kwargs"]
    if len(ids) == 0 or len(ids) != len(given):
        raise RequestError(
            f"IFEval row {doc['key']!r}: instruction_id_list has {len(ids)} instructions and kwargs {len(given)} "
            "sets of arguments; valid is one set for each, and at least one"
        )
    return [_instruction(doc, name, values or {}, kinds) for name, values in zip(ids, given, strict=True)]


def _instruction(doc: Doc, name: str, values: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Instruction:
    if name not in kinds:
        raise RequestError(
            f"IFEval row {doc['key']!r}: instruction_id_list: {name!r} is not known; "
            f"valid: {', '.join(sorted(kinds))}"
        )
    try:
        arguments = arguments_of(kinds[name], values)
    except ValueError as error:
        raise RequestError(f"IFEval row {doc['key']!r}: kwargs of {name}: {error}") from error
    return Instruction(name, kinds[name], {key: _nfc(value) for key, value in arguments.items()})


def _nfc(value: Any) -> Any:
    if isinstance(value, list):
        return [normalize("NFC", part) for part in value]
    return normalize("NFC", value) if isinstance(value, str) else value


def loose_forms(answer: str) -> list[str]:
    """An answer and what is left of it without its first line, its last, both, and each without asterisks."""
    lines = answer.split("\n")
    parts = ("\n".join(lines[1:]), "\n".join(lines[:-1]), "\n".join(lines[1:-1]))
    forms = [answer, *(part.strip() for part in parts)]
    return [*forms, *(form.replace("*", "") for form in forms)]


def mark_row(doc: Doc, answer: str, language: Language, kinds: Mapping[str, Kind]) -> Marked:
    """Scores of an answer: `prompt_strict` and `prompt_loose` are 0 or 1, `inst_strict` and `inst_loose` the share of
    the row's instructions that it follows, `ifeval` the mean of both strict ones.

    Raises:
        RequestError: see `instructions`.
    """
    said = normalize("NFC", answer)
    asked = instructions(doc, kinds)
    strict = [one.is_followed(said, language) for one in asked]
    forms = dict.fromkeys(loose_forms(said))
    loose = [
        is_strict or any(one.is_followed(form, language) for form in forms)
        for one, is_strict in zip(asked, strict, strict=True)
    ]
    scores = {
        "prompt_strict": float(all(strict)),
        "inst_strict": sum(strict) / len(asked),
        "prompt_loose": float(all(loose)),
        "inst_loose": sum(loose) / len(asked),
    }
    missed = [one.id for one, is_followed in zip(asked, strict, strict=True) if not is_followed]
    note = f"not followed: {', '.join(missed)}" if missed else ""
    return Marked({"ifeval": _mean(scores["prompt_strict"], scores["inst_strict"]), **scores}, note)


def aggregate(docs: Sequence[Doc], scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Accuracies of all rows: `inst_...` is over instructions, so a row counts for as many as it has."""
    numbers = [len(doc["instruction_id_list"]) for doc in docs]
    found = {
        name: sum(row[name] * n for row, n in zip(scores, numbers, strict=True)) / sum(numbers)
        for name in ("inst_strict", "inst_loose")
    }
    prompts = {name: sum(row[name] for row in scores) / len(scores) for name in ("prompt_strict", "prompt_loose")}
    return {"ifeval": _mean(prompts["prompt_strict"], found["inst_strict"]), **prompts, **found}


def units(docs: Sequence[Doc], scores: Sequence[Mapping[str, float]]) -> list[float]:
    """What `ifeval` is the mean of: a row counts once as a prompt, and as often as it has instructions."""
    numbers = [len(doc["instruction_id_list"]) for doc in docs]
    weight = len(numbers) / sum(numbers)
    return [
        _mean(row["prompt_strict"], row["inst_strict"] * n * weight) for row, n in zip(scores, numbers, strict=True)
    ]


def _mean(a: float, b: float) -> float:
    return (a + b) / 2


def _task(name: str, hub: str, language: Language, kinds: Mapping[str, Kind], source: str) -> Task:
    def mark(docs: Sequence[Doc], answers: Sequence[str]) -> list[Marked]:
        return [mark_row(doc, answer, language, kinds) for doc, answer in zip(docs, answers, strict=True)]

    scored: Mark = mark
    return Task(
        name=name,
        columns=("key", "prompt", "instruction_id_list", "kwargs"),
        hub=(hub, None),
        form="generation",
        ask=lambda doc: str(doc["prompt"]),
        right=lambda doc: "",
        main="ifeval",
        mark=scored,
        aggregate=aggregate,
        units=units,
        test_split="train",
        max_new_tokens=1280,
        side="chat",
        is_instruct=True,
        source=source,
        settings={"ifeval": "mean of prompt-level and instruction-level strict accuracy"},
    )


TASKS: dict[str, Task] = {
    "ifeval": _task("ifeval", "google/IFEval", ENGLISH, KINDS, "lm-eval: ifeval; Kanana 3.2: mean of both strict"),
    "ifeval-ko": _task(
        "ifeval-ko", "allganize/IFEval-Ko", KOREAN, KOREAN_KINDS, "IFEval-Ko; Kanana 3.2: mean of both strict"
    ),
}
"""By the names of `manifests.schema_evaluation.BENCHMARKS`."""
