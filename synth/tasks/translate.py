"""English to Korean: what must stay is kept apart, and a translation is kept where numbers, length, language and the
way back say that it is one.

Translated text teaches skills and costs culture: tuned on translated reasoning traces, Qwen2.5-1.5B rose from 25.5 to
74.4 on MATH and fell from 35.2 to 15.3 on HAE-RAE, a test of Korean culture (KO-REAson, arXiv:2510.04230). So its
share of a whole set is capped: `over_share` says what is too much, once the gates are passed.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from manifests.errors import RequestError
from manifests.schema_synthesis import Translate as Settings
from synth.samples import Ask, Form, Item, Message, Rejection, Sample
from synth.tasks.chat import opening
from synth.tasks.chrf import chrf
from synth.tasks.kept_apart import Masked, PlaceholderError, mask, outside, unmask
from synth.tasks.kept_numbers import changed_number
from synth.tasks.task import Read, Setting, Steps, Task, UnfitError, draw, json_of, rejected, text_of
from synth.teachers.answers import Answer

MEASURED_FROM_CHARS = 20
"""Of shorter texts neither length nor way back says anything: `Hi!` is 안녕하세요!"""
HANGUL_MIN = 0.5
"""Least share of Hangul in the letters of a translation, outside of what was kept apart."""

_HANGUL, _LATIN = re.compile("[가-힣ㄱ-ㅎㅏ-ㅣ]"), re.compile("[A-Za-z]")
_ENGLISH_RUN = re.compile(r"(?:[A-Za-z][A-Za-z'’-]*[,;:]?[ \t]+){5,}[A-Za-z][A-Za-z'’-]*[.?!]?")
"""Six English words in a row: a sentence that was left as it was."""


@dataclass(frozen=True)
class Part:
    """A text to be translated, as the document, or the instruction or the output of a pair."""

    name: str
    original: str
    masked: Masked


@dataclass(frozen=True)
class Translated:
    """A part in Korean."""

    masked: str
    """With placeholders."""
    text: str
    length_ratio: float | None


class Translate(Task):
    """A seed with an answer is translated as a pair, to messages; a document to text."""

    def __init__(self, setting: Setting) -> None:
        """Raises RequestError: the language that is asked for is not Korean."""
        super().__init__(setting)
        if setting.manifest.task.language == "en":
            raise RequestError("task.language: found `en`; translate writes Korean from English")

    @property
    def settings(self) -> Settings:
        """Of the manifest."""
        task = self.setting.manifest.task
        assert isinstance(task, Settings)
        return task

    def language(self, item: Item) -> str:
        """Korean, of whatever language the seed is."""
        return "ko"

    def run(self, item: Item) -> Steps[list[Sample]]:
        """One sample.

        Raises UnfitError: `placeholder_lost`, `number_changed`, `length` or `language` at each attempt.
        """
        if item.language == "ko":
            return [rejected(item, "ko", "task", "not_english", "the seed is Korean already", form=_form(item))]
        parts = self._parts(item)
        read = yield from self._translate(parts)
        sample = _sample(item, parts, read)
        if self.settings.round_trip is None:
            return [sample]
        return [(yield from self._there_and_back(sample, parts, read))]

    # There.

    def _parts(self, item: Item) -> list[Part]:
        """Placeholders are numbered through, so that none of one part passes for one of another."""
        found: list[Part] = []
        named = (("instruction", item.text), ("input", item.input), ("output", item.answer or ""))
        for name, text in named if item.answer else (("document", opening(item).content),):
            if text.strip():
                first = 1 + sum(len(part.masked.spans) for part in found)
                found.append(Part(name, text.strip(), mask(text.strip(), self.settings.keep_names, first)))
        return found

    def _translate(self, parts: list[Part]) -> Steps[Read[list[Translated]]]:
        texts = {part.name: part.masked.text for part in parts}
        if "document" in texts:
            prompt = self.setting.prompts("translate/document", "ko", text=texts["document"])
            return (yield from self.one(prompt, lambda answer: [self._checked(parts[0], text_of(answer))]))
        prompt = self.setting.prompts("translate/pair", "ko", **({"input": ""} | texts))
        schema = _schema(list(texts))

        def read(answer: Answer) -> list[Translated]:
            said = json_of(answer, schema)
            return [self._checked(part, said[part.name].strip()) for part in parts]

        return (yield from self.one(prompt, read, schema=schema))

    def _checked(self, part: Part, said: str) -> Translated:
        """A translation that has all that its original has.

        Raises UnfitError: it has not.
        """
        try:
            said = unicodedata.normalize("NFC", said)
            text = unmask(said, part.masked.spans)
        except PlaceholderError as error:
            raise UnfitError("placeholder_lost", str(error)) from error
        before, after = outside(part.masked.text), outside(said)
        if changed := changed_number(before, after):
            raise UnfitError("number_changed", f"{changed}: {said}")
        ratio = _length_ratio(before, after)
        least, most = self.settings.length_ratio
        if ratio is not None and not least <= ratio <= most:
            raise UnfitError("length", f"{ratio:.2f} characters per character: {said}")
        if wrong := not_korean(before, after):
            raise UnfitError("language", wrong)
        return Translated(said, text, ratio)

    # And back.

    def _there_and_back(self, sample: Sample, parts: list[Part], read: Read[list[Translated]]) -> Steps[Sample]:
        """The sample with the least chrF of its parts, rejected where that is too low."""
        asked = [
            (part, self.setting.prompts("translate/back", "en", text=one.masked))
            for part, one in zip(parts, read.value, strict=True)
            if len("".join(outside(part.masked.text).split())) >= MEASURED_FROM_CHARS
        ]
        if not asked:
            return sample
        backs = yield from self.each([prompt for _, prompt in asked], text_of, numbers=range(len(asked)))
        least, worst = 1.0, ""
        for (part, _), back in zip(asked, backs, strict=True):
            if isinstance(back, UnfitError):
                return _with(sample, Rejection("task", "round_trip", detail=str(back)), {})
            score = chrf(outside(back.value), outside(part.masked.text))
            least, worst = min((least, worst), (score, back.value))
        asks = tuple(back.ask for back in backs if not isinstance(back, UnfitError))
        is_low = least < (self.settings.round_trip or 0)
        why = Rejection("task", "round_trip", least, self.settings.round_trip, worst[:200]) if is_low else None
        return _with(sample, why, {"round_trip": least}, asks)


def _with(sample: Sample, why: Rejection | None, numbers: dict[str, float], asks: tuple[Ask, ...] = ()) -> Sample:
    return replace(sample, rejection=why, numbers={**sample.numbers, **numbers}, made_by=(*sample.made_by, *asks))


def _form(item: Item) -> Form:
    return "messages" if item.answer else "text"


def _schema(names: list[str]) -> dict[str, Any]:
    properties = {name: {"type": "string", "minLength": 1} for name in names}
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


def _sample(item: Item, parts: list[Part], read: Read[list[Translated]]) -> Sample:
    said = {part.name: one for part, one in zip(parts, read.value, strict=True)}
    ratios = [one.length_ratio for one in read.value if one.length_ratio is not None]
    made = Sample(
        item,
        _form(item),
        "ko",
        made_by=(read.ask,),
        numbers={"length_ratio": max(ratios)} if ratios else {},
        is_translated=True,
    )
    if "document" in said:
        return replace(made, text=said["document"].text)
    asked = "\n\n".join(said[name].text for name in ("instruction", "input") if name in said)
    return replace(made, prompt=(Message("user", asked),), answer=(Message("assistant", said["output"].text),))


def _length_ratio(before: str, after: str) -> float | None:
    """Characters of a translation per character of its original, without spaces; None of a short original."""
    n_before, n_after = (len("".join(text.split())) for text in (before, after))
    return n_after / n_before if n_before >= MEASURED_FROM_CHARS else None


def not_korean(before: str, after: str) -> str | None:
    """Why a translation (`after`) is not Korean, without what was kept apart; None where it is."""
    if not _LATIN.search(before):
        return None
    n_hangul, n_latin = len(_HANGUL.findall(after)), len(_LATIN.findall(after))
    if n_hangul < HANGUL_MIN * (n_hangul + n_latin) or not n_hangul:
        return f"{n_hangul} letters are Hangul, {n_latin} Latin"
    run = _ENGLISH_RUN.search(after)
    return f"left in English: {run[0]}" if run else None


def over_share(translated: Iterable[tuple[str, int]], n_others: int, max_share: float, seed: int = 0) -> set[str]:
    """Which translated samples are too many.

    Args:
        translated: id and size (tokens or characters that are trained on) of each translated sample.
        n_others: size of all samples that are not translated, of other runs too.
        max_share: most that translated ones may be of all together, from 0 to 1.
        seed: of the draw.

    Returns:
        Ids of the surplus. The order in which samples find room is drawn, by their ids alone: neither the order of
        the input nor a run that was killed changes it.
    """
    if max_share >= 1:
        return set()
    share = Fraction(str(max_share))
    room = n_others * share / (1 - share)
    surplus = set()
    for name, size in sorted(translated, key=lambda one: (draw(seed, "share", one[0]), one[0])):
        if size <= room:
            room -= size
        else:
            surplus.add(name)
    return surplus
