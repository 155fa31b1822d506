"""Near and semantic duplicates in the report: clusters by size, and two texts of a cluster, the words that differ
marked."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from curation.charts import Histogram, Line
from curation.report_values import number
from curation.summary_models import EDGES, Distribution, NearCluster, NearMember, NearSize

SIZES = ((1, 1), (2, 2), (3, 4), (5, 9), (10, 99), (100, None))
"""Sizes of clusters that share a row, as in FineWeb-2's rehydration."""
LANGUAGES = ("ko", "en", "other")
SAME_CHARS = 60
"""What is shown of equal words on either side of a difference."""
MATCHED_WORDS = 400
"""Words from the first difference on that are matched with those of the other text."""
MARKED_FRAC_MAX = 0.6
"""Share of the characters that may be marked; where more differ, marks would say nothing."""
SIDE_CHARS = 700
"""What is shown of a text."""


@dataclass(frozen=True)
class NearRow:
    """Documents whose clusters have about one size."""

    sizes: str
    n_clusters: int
    n_docs: int
    n_ruled_out: int
    n_kept: int
    by_language: dict[str, tuple[int, int]]
    """(dropped by rules, documents) of each language."""


@dataclass(frozen=True)
class Words:
    """A stretch of a text."""

    text: str
    differs: bool


@dataclass(frozen=True)
class Side:
    """A text of a cluster, as it is shown beside another."""

    member: NearMember
    words: tuple[Words, ...]


@dataclass(frozen=True)
class Beside:
    """A cluster and two of its texts, or one where all others lie beyond what was looked at."""

    cluster: NearCluster
    sides: tuple[Side, ...]

    @property
    def cosine(self) -> float | None:
        """Of the two texts, where the first is the survivor of the second."""
        members = [side.member for side in self.sides]
        return members[1].cosine if len(members) == 2 and members[0].verdict == "kept" else None

    @property
    def is_open(self) -> bool:
        """Whether there is something to read."""
        return any(side.member.text for side in self.sides)


@dataclass(frozen=True)
class Clusters:
    """What the report shows of clusters of one kind."""

    rows: list[NearRow]
    languages: list[str]
    """Those that have a column."""
    beside: list[Beside]
    """The largest."""


def clusters(sizes: Sequence[NearSize], largest: Iterable[NearCluster]) -> Clusters:
    """The table of sizes, and the largest clusters."""
    languages = [name for name in LANGUAGES if any(row.language == name for row in sizes)]
    return Clusters(near_rows(sizes), languages, beside(largest))


def near_rows(sizes: Sequence[NearSize]) -> list[NearRow]:
    """The table of sizes; rows without documents are left out."""
    rows = []
    for low, high in SIZES:
        mine = [row for row in sizes if row.size >= low and (high is None or row.size <= high)]
        if mine:
            name = f"{low:,}" if low == high else f"{low:,} and more" if high is None else f"{low:,}–{high:,}"
            rows.append(_row(name, mine))
    return rows


def _row(name: str, sizes: list[NearSize]) -> NearRow:
    by_language = {language: [row for row in sizes if row.language == language] for language in LANGUAGES}
    n_docs = {size: sum(row.n_docs for row in sizes if row.size == size) for size in {row.size for row in sizes}}
    return NearRow(
        sizes=name,
        n_clusters=sum(n // size for size, n in n_docs.items()),
        n_docs=sum(n_docs.values()),
        n_ruled_out=sum(row.n_ruled_out for row in sizes),
        n_kept=sum(row.n_kept for row in sizes),
        by_language={
            language: (sum(row.n_ruled_out for row in mine), sum(row.n_docs for row in mine))
            for language, mine in by_language.items()
        },
    )


def near_chart(sizes: Iterable[NearSize]) -> Histogram | None:
    """Records by the size of their cluster, from 2 on: kept ones upwards, all others downwards."""
    edges = EDGES["count"]
    kept, dropped = np.zeros((2, len(edges)), np.int64)
    for row in sizes:
        if row.size > 1:
            place = np.searchsorted(edges, row.size, side="right") - 1
            kept[place] += row.n_kept
            dropped[place] += row.n_docs - row.n_kept
    if not (kept + dropped).any():
        return None
    return Histogram(
        Distribution(scale="count", kept=tuple(kept.tolist()), dropped=tuple(dropped.tolist()), n_missing=0)
    )


def cosine_chart(cosines: Distribution | None, threshold: float | None) -> Histogram | None:
    """Semantic duplicates by the cosine to their survivor, all dropped; None where there are none."""
    if cosines is None:
        return None
    lines = () if threshold is None else (Line(">=", threshold, f"≥ {number(threshold)}"),)
    return Histogram(cosines, lines)


def beside(clusters: Iterable[NearCluster]) -> list[Beside]:
    """Two texts of each cluster side by side, cut to what is around their differences."""
    shown = []
    for cluster in clusters:
        texts = [member.text for member in cluster.members]
        sides = differences(*texts) if len(texts) == 2 else [_shortened([Words(text, False)]) for text in texts]
        found = tuple(Side(member, words) for member, words in zip(cluster.members, sides, strict=True))
        shown.append(Beside(cluster, found))
    return shown


def differences(left: str, right: str) -> list[tuple[Words, ...]]:
    """The words of both texts, those that differ marked, long stretches of equal ones shortened.

    Where most of the words differ, both as they are.
    """
    a, b = (re.findall(r"\s*\S+|\s+", text) for text in (left, right))
    n_same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    head = [Words("".join(a[:n_same]), False)] if n_same else []
    sides: tuple[list[Words], list[Words]] = ([*head], [*head])
    # what is matched is bounded, since matching takes the square of it
    a, b = a[n_same : n_same + MATCHED_WORDS], b[n_same : n_same + MATCHED_WORDS]
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        for side, words in zip(sides, (a[a0:a1], b[b0:b1]), strict=True):
            side += _marked("".join(words)) if kind != "equal" else [Words("".join(words), False)]
    parts = [*sides[0], *sides[1]]
    marked, shown = (sum(len(part.text) for part in parts if part.differs or all_) for all_ in (False, True))
    if marked > MARKED_FRAC_MAX * shown:
        sides = [Words(left, False)], [Words(right, False)]
    return [_shortened(side) for side in sides]


def _marked(text: str) -> list[Words]:
    """Words that differ, and before them the white space, which is not marked."""
    words = text.lstrip()
    parts = [Words(text[: len(text) - len(words)], False), Words(words, True)]
    return [part for part in parts if part.text]


def _shortened(words: Sequence[Words]) -> tuple[Words, ...]:
    """Equal stretches cut to what stands next to a difference, and all to SIDE_CHARS."""
    shown: list[Words] = []
    left = SIDE_CHARS
    for place, part in enumerate(words):
        text = part.text if part.differs else _cut(part.text, place == 0, place == len(words) - 1)
        shown.append(Words(text if len(text) <= left else text[:left] + "…", part.differs))
        left -= len(text)
        if left <= 0:
            break
    return tuple(shown)


def _cut(text: str, is_first: bool, is_last: bool) -> str:
    """Equal words: the ends that border on a difference."""
    if is_first and is_last:
        return text
    before, after = (0 if is_first else SAME_CHARS), (0 if is_last else SAME_CHARS)
    if len(text) <= before + after + 10:
        return text
    return f"{text[:before]} … {text[len(text) - after :]}" if before or after else text
