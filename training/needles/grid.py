"""The grid of hidden sentences: which of them a model finds, by length and depth, in Korean and English.

A needle counts 1 where its code stands in the answer, else 0 (`needle.is_said`). What a needle is and where its text
begins is drawn by the seed and its cell: another length or depth in the manifest changes no other cell, unless both
happen to draw the same. All models get the same needles in texts that begin alike, each at the length that its own
tokenizer counts.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from statistics import fmean

from manifests.schema_evaluation import NEEDLE, Needle
from training.evaluating.chat_models import NO_TEMPLATE
from training.evaluating.engine import Engine, Said, Told, shifted
from training.evaluating.intervals import score_of
from training.evaluating.results import Evaluated, GridCell, Item, Score
from training.needles.haystack import Haystack, Language, read_haystack
from training.needles.needle import Hidden, draw, is_said
from training.needles.prompts import TOLERANCE, Prompt, Prompts, TooShortError

MAIN = "found"
"""The main score."""
VERSION = 1
"""Raised where the same settings give other prompts, or the same answers another score."""
N_AT_ONCE = 256
"""Prompts that are held at once."""
N_CHARS_SHOWN = 240
"""Of a prompt before and after what an item leaves out of it."""


@dataclass(frozen=True)
class Asked:
    """A needle and its place in the grid."""

    language: Language
    length: int
    depth: float
    number: int
    """In its cell, from 1."""
    hidden: Hidden
    start: int
    """Sentence that the text begins with."""

    @property
    def cell(self) -> tuple[Language, int, float]:
        """Which cell it counts for."""
        return self.language, self.length, self.depth


@dataclass(frozen=True)
class Answered:
    """A needle that a model was asked for."""

    asked: Asked
    prompt: Prompt
    said: Said

    @property
    def is_found(self) -> bool:
        """Whether the answer holds the code."""
        return is_said(self.asked.hidden.code, self.said.text)


def run_needle(
    engine: Engine, needle: Needle, chat: bool, base: str, seed: int, told: Told | None = None
) -> tuple[Evaluated, list[Item]]:
    """Ask a model for all needles.

    Args:
        engine: the model.
        needle: the grid.
        chat: whether the model is asked in its chat template, where the grid does not say so; without a template it
            completes the beginning of an answer.
        base: where relative paths of `haystack` start.
        seed: draws needles and stretches of text.
        told: is told of needles that are done, of all.

    Returns:
        The grid, with cells without a score where a length is beyond the model, and an item for each needle that was
        asked for, by length, language and depth. Without a score, and with `why`, where the model is to be asked in a
        chat template and has none.

    Raises:
        RequestError: the text cannot be read.
        RunError: no prompt of a length can be put together, or the engine failed.
    """
    in_chat = chat if needle.chat is None else needle.chat
    if in_chat and engine.tokenizer.chat_template is None:
        return Evaluated(name=NEEDLE, kind=NEEDLE, why=NO_TEMPLATE), []
    haystacks = {name: read_haystack(name, needle.haystack.get(name), base) for name in needle.languages}
    prompts = {name: Prompts(engine, haystack, in_chat) for name, haystack in haystacks.items()}
    plan = plan_of(needle, haystacks, seed)
    answered, notes = list[Answered](), dict[str, None]()
    for length in sorted(needle.lengths):
        here = [asked for asked in plan if asked.length == length]
        for first in range(0, len(here), N_AT_ONCE):
            made, said = _made(engine, needle, here[first : first + N_AT_ONCE], prompts)
            n_before = plan.index(here[first])
            answered += _answered(engine, needle, made, shifted(told, n_before, len(plan)))
            notes |= dict.fromkeys(said)
    return _evaluated(needle, haystacks, in_chat, answered, list(notes)), [_item(one) for one in answered]


def plan_of(needle: Needle, haystacks: Mapping[Language, Haystack], seed: int) -> list[Asked]:
    """All needles of a grid by length, language and depth; no name or code comes twice, and no beginning of a text
    while there are others."""
    plan, drawn = list[Asked](), set[str]()
    starts: dict[Language, set[int]] = {language: set() for language in haystacks}
    for language, length, depth in _cells(needle):
        haystack = haystacks[language]
        for number in range(1, needle.n + 1):
            rng = random.Random(f"{seed} {language} {length} {depth!r} {number}")
            hidden = draw(language, rng, partial(_is_known, haystack, drawn))
            drawn |= {hidden.name, hidden.code}
            start = _start(rng, len(haystack.sentences), starts[language])
            plan.append(Asked(language, length, depth, number, hidden, start))
    return plan


def _is_known(haystack: Haystack, drawn: set[str], word: str) -> bool:
    return word in drawn or haystack.holds(word)


def _cells(needle: Needle) -> Iterator[tuple[Language, int, float]]:
    for length in sorted(needle.lengths):
        for language in needle.languages:
            for depth in needle.depths:
                yield language, length, depth


def _start(rng: random.Random, n_sentences: int, taken: set[int]) -> int:
    """A sentence that no other text begins with; where all are taken, they are given out again."""
    if len(taken) == n_sentences:
        taken.clear()
    start = rng.randrange(n_sentences)
    while start in taken:
        start = (start + 1) % n_sentences
    taken.add(start)
    return start


def _made(
    engine: Engine, needle: Needle, plan: Sequence[Asked], prompts: Mapping[Language, Prompts]
) -> tuple[list[tuple[Asked, Prompt]], list[str]]:
    """Prompts of one length, and what has to be said of it."""
    length = plan[0].length
    if length > engine.window:
        return [], [f"{length:,} tokens were not measured: the model's window has {engine.window:,}"]
    made, notes = list[tuple[Asked, Prompt]](), list[str]()
    n_tokens = min(length, engine.window - needle.max_new_tokens)
    if n_tokens < length:
        notes.append(f"prompts of {length:,} tokens have {n_tokens:,}, so that the answer has room in the window")
    for language in needle.languages:
        try:
            made += [
                (asked, prompts[language].prompt(asked.hidden, n_tokens, asked.depth, asked.start))
                for asked in plan
                if asked.language == language
            ]
        except TooShortError as error:
            notes.append(f"{language}: {length:,} tokens were not measured: {error}")
    n_least = min((prompt.n_tokens for _, prompt in made), default=n_tokens)
    if n_least < n_tokens - TOLERANCE:
        notes.append(f"prompts of {length:,} tokens have {n_least:,} at least: no sentences fill the rest")
    return made, notes


def _answered(
    engine: Engine, needle: Needle, made: Sequence[tuple[Asked, Prompt]], told: Told | None
) -> list[Answered]:
    if not made:
        return []
    said = engine.write([prompt.text for _, prompt in made], needle.max_new_tokens, told=told)
    return [Answered(asked, prompt, one) for (asked, prompt), one in zip(made, said, strict=True)]


# What came of it


def _evaluated(
    needle: Needle,
    haystacks: Mapping[Language, Haystack],
    in_chat: bool,
    answered: Sequence[Answered],
    notes: list[str],
) -> Evaluated:
    marks: dict[tuple[Language, int, float], list[float]] = {cell: [] for cell in _cells(needle)}
    for one in answered:
        marks[one.asked.cell].append(float(one.is_found))
    cells = [
        GridCell(language=cell[0], length=cell[1], depth=cell[2], n=len(found), score=fmean(found) if found else nan)
        for cell, found in marks.items()
    ]
    n_cut = sum(not one.is_found and not one.said.ended for one in answered)
    if in_chat and n_cut:  # without a template nothing ends an answer
        notes = [*notes, f"{n_cut} answers without the code were cut at {needle.max_new_tokens} tokens"]
    all_marks = [mark for found in marks.values() for mark in found]
    return Evaluated(
        name=NEEDLE,
        kind=NEEDLE,
        main=MAIN,
        scores={MAIN: score_of(all_marks)} if all_marks else {},
        groups=_groups(marks),
        units=all_marks,
        cells=cells,
        settings={
            "chat": "yes" if in_chat else "no",
            "needles": len(all_marks),
            "max_new_tokens": needle.max_new_tokens,
            "text": ", ".join(
                f"{name}: {needle.haystack.get(name, 'the sample')}, {len(of.sentences):,} sentences"
                for name, of in haystacks.items()
            ),
            "version": VERSION,
        },
        why="" if all_marks else "; ".join(notes),
        notes=notes if all_marks else [],
    )


def _groups(marks: Mapping[tuple[Language, int, float], Sequence[float]]) -> dict[str, Score]:
    """Of each language, and of each length of it."""
    groups: dict[str, list[float]] = {language: [] for language, _, _ in marks}
    for (language, length, _), found in marks.items():
        groups[language] += found
        groups.setdefault(f"{language} {length}", []).extend(found)
    return {name: score_of(found) for name, found in groups.items() if found}


def _item(one: Answered) -> Item:
    asked, prompt = one.asked, one.prompt
    group = f"{asked.language} {asked.length}"
    return Item(
        id=f"{group} {asked.depth:g} {asked.number}",
        group=group,
        prompt=_excerpt(prompt.text, asked.hidden.sentence),
        expected=asked.hidden.code,
        answer=one.said.text,
        score=float(one.is_found),
        note=f"{prompt.n_tokens:,} tokens; {prompt.depth:.1%} of the text stands before the needle",
    )


def _excerpt(prompt: str, needle: str) -> str:
    """A prompt's beginning, the needle with what stands around it, and its end."""
    at = prompt.index(needle)
    spans = [
        (0, N_CHARS_SHOWN),
        (at - N_CHARS_SHOWN, at + len(needle) + N_CHARS_SHOWN),
        (len(prompt) - 2 * N_CHARS_SHOWN, len(prompt)),
    ]
    shown, end = "", 0
    for start, stop in spans:
        start = max(start, end)
        shown += f"\n[{start - end:,} characters]\n" if start > end else ""
        shown += prompt[start:stop]
        end = max(stop, end)
    return shown
