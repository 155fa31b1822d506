"""The grid of hidden sentences: which of them a model finds, by length and depth, in Korean and English.

A needle counts 1 where its code stands in the answer, else 0 (`needle.is_said`). What a needle is and where its text
begins is drawn by the seed and its cell alone: another length or depth in the manifest changes no other cell, and all
models get the same needles in texts that begin alike, each at the length that its own tokenizer counts.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from statistics import fmean

from manifests.errors import RequestError
from manifests.schema_evaluation import NEEDLE, Needle
from training.evaluating.engine import Engine, Said, Told
from training.evaluating.results import Evaluated, GridCell, Item, Score
from training.measuring.uncertainty import wilson
from training.needles.haystack import Haystack, Language, read_haystack
from training.needles.needle import Hidden, draw, is_said
from training.needles.prompts import TOLERANCE, Prompt, Prompts, TooShortError

MAIN = "found"
"""The main score."""
VERSION = 1
"""Raised where the same settings give other prompts, or the same answers another score."""
N_CHARS_SHOWN = 240
"""Of a prompt on each side of what an item shows."""


@dataclass(frozen=True)
class Asked:
    """A needle at its place in the grid."""

    language: Language
    length: int
    depth: float
    number: int
    """In its cell, from 1."""
    hidden: Hidden
    start: int
    """Sentence that the text begins with."""

    @property
    def group(self) -> str:
        """As `ko 1024`."""
        return f"{self.language} {self.length}"

    @property
    def id(self) -> str:
        """As `ko 1024 0.25 1`."""
        return f"{self.group} {self.depth:g} {self.number}"


Marks = dict[tuple[str, int, float], list[float]]
"""Scores of the needles of a cell: language, length, depth."""


def run_needle(
    engine: Engine, needle: Needle, chat: bool, base: str, seed: int, told: Told | None = None
) -> tuple[Evaluated, list[Item]]:
    """Ask a model for all needles.

    Args:
        engine: the model.
        needle: the grid.
        chat: whether it is asked in its chat template; else it completes the answer's beginning.
        base: where relative paths of `haystack` start.
        seed: draws needles and stretches of text.
        told: is told of needles that are done, of all.

    Returns:
        The grid, with a cell without a score where a length is beyond the model, and an item for each needle that was
        asked for.

    Raises:
        RequestError: the text cannot be read, the model has no chat template, or it is asked for more than its window.
        RunError: a file of text is damaged, or no prompt of a length can be put together.
    """
    haystacks = {language: read_haystack(language, needle.haystack.get(language), base) for language in needle.languages}
    prompts = {language: Prompts(engine, haystack, chat) for language, haystack in haystacks.items()}
    marks, items, notes = Marks(), list[Item](), list[str]()
    n_cut = 0
    plan = plan_of(needle, haystacks, seed)
    for length in sorted(needle.lengths):
        here = [asked for asked in plan if asked.length == length]
        made, said = _prompts(engine, needle, here, prompts), list[Said]()
        notes += made.notes
        if made.prompts:
            n_before = len(plan) - sum(asked.length >= length for asked in plan)
            texts = [prompt.text for prompt in made.prompts]
            said = engine.write(
                texts, needle.max_new_tokens, () if chat else ("\n",), told=_shifted(told, n_before, len(plan))
            )
        for asked, prompt, answer in zip(made.asked, made.prompts, said, strict=True):
            item = _item(asked, prompt, answer)
            marks.setdefault((asked.language, length, asked.depth), []).append(item.score)
            n_cut += not item.score and not answer.ended
            items.append(item)
    if n_cut:
        notes.append(f"{n_cut} answers without the code reached {needle.max_new_tokens} tokens; see `max_new_tokens`")
    return _evaluated(needle, chat, marks, [item.score for item in items], notes), items


def plan_of(needle: Needle, haystacks: dict[Language, Haystack], seed: int) -> list[Asked]:
    """All needles of a grid, by length, language and depth; no name, code or beginning of a text comes twice."""
    drawn, starts, plan = set[str](), set[tuple[str, int]](), list[Asked]()
    for length in sorted(needle.lengths):
        for language in needle.languages:
            haystack = haystacks[language]
            for depth in needle.depths:
                for number in range(1, needle.n + 1):
                    rng = random.Random(f"{seed} {language} {length} {depth!r} {number}")
                    hidden = draw(language, rng, lambda word, of=haystack: word in drawn or of.holds(word))
                    drawn |= {hidden.name, hidden.code}
                    start = _start(rng, len(haystack.sentences), {at for to, at in starts if to == language})
                    starts.add((language, start))
                    plan.append(Asked(language, length, depth, number, hidden, start))
    return plan


def _start(rng: random.Random, n_sentences: int, taken: set[int]) -> int:
    """A sentence that no other text begins with, where there are enough."""
    start = rng.randrange(n_sentences)
    if len(taken) >= n_sentences:
        return start
    while start in taken:
        start = (start + 1) % n_sentences
    return start


@dataclass(frozen=True)
class _Made:
    asked: list[Asked]
    prompts: list[Prompt]
    notes: list[str]
