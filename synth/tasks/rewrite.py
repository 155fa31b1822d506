"""Documents written anew, by quality bucket: text for pre-training (Nemotron-CC, arXiv 2412.02595).

Documents are parted into chunks; each is written anew in the styles of its bucket, in its own language. What says too
little, copies its source, or holds a number from nowhere is rejected.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from manifests.schema_synthesis import Rewrite as Options
from synth.prompts import Prompt
from synth.samples import Item, Rejection, Sample
from synth.tasks.passages import chunks
from synth.tasks.rewrite_checks import copied_frac, new_numbers, without_frame
from synth.tasks.task import Read, Setting, Steps, Task, UnfitError, json_of, rejected, text_of
from synth.teachers.answers import Answer

STAGE = "rewrite"

MAX_PAIRS = 8
"""Of `diverse_qa` (Nemotron-CC)."""

MAX_COPIED_FRAC = 0.7
"""Of `wikipedia`: above it hardly anything was written anew. Three words changed in two sentences give .6."""

FAITHFUL = ("distill", "extract", "list")
"""Styles that shorten: they have no numbers but those of their source."""

FRAMES = {"ko": "다음은 다시 쓴 글이다:", "en": "Here is the rewritten text:"}
"""What the prompt of `wikipedia` asks for as a line of its own, so that it can be taken off exactly."""

LABELS = {"ko": ("질문", "답"), "en": ("Question", "Answer")}

PAIRS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "pairs": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "question": {"type": "string", "minLength": 2, "maxLength": 1000},
                    "answer": {"type": "string", "minLength": 1, "maxLength": 2000},
                },
                "required": ["question", "answer"],
                "additionalProperties": False,
            },
            "minItems": 1,
            "maxItems": MAX_PAIRS,
        }
    },
    "required": ["pairs"],
    "additionalProperties": False,
}


class Rewrite(Task):
    """See `manifests.schema_synthesis.Rewrite`."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        assert isinstance(setting.manifest.task, Options)
        self.options = setting.manifest.task

    def items(self, seeds: Iterable[Item]) -> Iterator[Item]:
        """The chunks of all documents; chunk 2 of document `x` is `x/2`."""
        number = 0
        for seed in seeds:
            for place, text in enumerate(chunks(seed.text, self.options.chunk_words) or [""]):
                yield replace(seed, id=f"{seed.id}/{place}", text=text, parents=(seed.id,), number=number)
                number += 1

    def run(self, item: Item) -> Steps[list[Sample]]:
        """The chunk in each style, kept and rejected."""
        language, options = self.language(item), self.options
        bucket = item.quality or options.default
        if (n_words := len(item.text.split())) < options.min_words:
            return [_rejected(item, language, Rejection(STAGE, "short_chunk", n_words, options.min_words))]
        if bucket not in options.styles:
            detail = f"`{bucket}` is none of the buckets: {', '.join(options.styles)}"
            return [_rejected(item, language, Rejection(STAGE, "no_styles", detail=detail))]
        samples = yield from self._texts(
            item, language, [name for name in options.styles[bucket] if name != "diverse_qa"]
        )
        if "diverse_qa" in options.styles[bucket]:
            samples.append((yield from self._diverse_qa(item, language)))
        return samples

    def _texts(self, item: Item, language: str, styles: list[str]) -> Steps[list[Sample]]:
        """In the styles whose answer is the text."""
        styles = list(dict.fromkeys(styles))
        prompts = [self._prompt(style, item, language) for style in styles]
        found = yield from self.each(prompts, text_of)
        return [
            self._text(item, language, style, prompt, read)
            for style, prompt, read in zip(styles, prompts, found, strict=True)
        ]

    def _text(self, item: Item, language: str, style: str, prompt: Prompt, read: Read[str] | UnfitError) -> Sample:
        if isinstance(read, UnfitError):
            return rejected(item, language, STAGE, read.reason, read.detail, form="text", variety=style)
        is_framed = any(FRAMES[language] in text for _, text in prompt.messages)
        text = without_frame(read.value, FRAMES[language]) if is_framed else read.value
        numbers = {"n_words": float(len(text.split()))}
        if style == "wikipedia":
            numbers["copied_frac"] = copied_frac(text, item.text, language)
        return Sample(
            item,
            "text",
            language,
            text=text,
            variety=style,
            made_by=(read.ask,),
            numbers=numbers,
            rejection=self._rejection(item, style, text, numbers),
        )

    def _rejection(self, item: Item, style: str, text: str, numbers: dict[str, float]) -> Rejection | None:
        if numbers["n_words"] < self.options.min_words:
            return Rejection(STAGE, "short", numbers["n_words"], self.options.min_words)
        if numbers.get("copied_frac", 0.0) > MAX_COPIED_FRAC:
            return Rejection(STAGE, "copied", numbers["copied_frac"], MAX_COPIED_FRAC)
        if style in FAITHFUL and (new := new_numbers(text, item.text)):
            return Rejection(STAGE, "new_number", len(new), 0, ", ".join(new))
        return None

    def _diverse_qa(self, item: Item, language: str) -> Steps[Sample]:
        """The chunk, and questions on it with their answers behind it."""
        style = "diverse_qa"
        try:
            read = yield from self.one(self._prompt(style, item, language), pairs_of, schema=PAIRS)
        except UnfitError as error:
            return rejected(item, language, STAGE, error.reason, error.detail, form="text", variety=style)
        ask, answer = LABELS[language]
        laid_out = [f"{ask}: {question}\n{answer}: {said}" for question, said in read.value]
        n_words = sum(len(part.split()) for pair in read.value for part in pair)
        is_short = n_words < self.options.min_words
        return Sample(
            item,
            "text",
            language,
            text="\n\n".join([item.text, *laid_out]),
            variety=style,
            made_by=(read.ask,),
            numbers={"n_pairs": float(len(read.value)), "n_words": float(n_words)},
            rejection=Rejection(STAGE, "short", n_words, self.options.min_words) if is_short else None,
        )

    def _prompt(self, style: str, item: Item, language: str) -> Prompt:
        values = {"text": item.text, "frame": FRAMES[language], "max_pairs": MAX_PAIRS}
        return self.setting.prompts(f"rewrite/{style}", language, **values)


def _rejected(item: Item, language: str, rejection: Rejection) -> Sample:
    return Sample(item, "text", language, rejection=rejection)


def pairs_of(answer: Answer) -> list[tuple[str, str]]:
    """The questions and answers in an answer, as it has them in order.

    Raises:
        UnfitError: it has not the form that was asked for, one of them has no words, or a question comes twice.
    """
    found = [(pair["question"].strip(), pair["answer"].strip()) for pair in json_of(answer, PAIRS)["pairs"]]
    if not all(question and said for question, said in found):
        raise UnfitError("empty", "a question or an answer without words")
    questions = [" ".join(question.casefold().split()) for question, _ in found]
    if len(set(questions)) < len(questions):
        raise UnfitError("repeated", max(questions, key=questions.count))
    return found
