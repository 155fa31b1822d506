"""Of several traces of one question those that are kept: distinct, the shortest first, then of other lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

from synth.tasks.grams import grams, jaccard, unspaced

SHINGLE_CHARS = 5
JACCARD_MAX = 0.8
"""From here on a trace is a duplicate of another one."""


@dataclass(frozen=True)
class Duplicate:
    """What a trace is too much like."""

    place: int
    """Of the trace that is kept."""
    jaccard: float


@dataclass(frozen=True)
class Chosen:
    """Which traces are kept, in order, and which are duplicates of them; all others are more than is wanted."""

    kept: tuple[int, ...]
    duplicates: dict[int, Duplicate]


def choose(texts: Sequence[str], n_kept: int) -> Chosen:
    """Choose the shortest, then again and again the one whose length differs most from all that are chosen.

    Ties go to the shorter text, then to the first in order of code points: the order of the texts changes nothing.

    Args:
        texts: of one question.
        n_kept: how many are kept at most.
    """
    shingles = [grams(unspaced(text), SHINGLE_CHARS) for text in texts]
    open_ = sorted(range(len(texts)), key=lambda place: (len(texts[place]), texts[place], place))
    kept: list[int] = []
    duplicates: dict[int, Duplicate] = {}
    while open_ and len(kept) < n_kept:
        # `max` takes the first of equals, and the order is that of the ties.
        best = max(open_, key=lambda place: min((_apart(texts, place, one) for one in kept), default=0))
        kept.append(best)
        open_.remove(best)
        for place in open_:
            if (similarity := jaccard(shingles[best], shingles[place])) >= JACCARD_MAX:
                duplicates[place] = Duplicate(best, similarity)
        open_ = [place for place in open_ if place not in duplicates]
    return Chosen(tuple(kept), duplicates)


def _apart(texts: Sequence[str], first: int, second: int) -> int:
    return abs(len(texts[first]) - len(texts[second]))
