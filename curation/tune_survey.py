"""Surveys along a measured value: which documents to judge, and what the answers say of every threshold.

The documents are cut into bins by their value, each bin is a stratum of which about as many are judged, and a
threshold may lie between bins. What a threshold keeps is then a union of bins of known sizes, and its precision a
weighted mean of the bins' shares of good documents: the stratified estimator (Cochran 1977, Sampling Techniques,
5.3).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

OPS = (">=", ">", "<=", "<")
Z = 1.959964
"""Of a two-sided 95% interval."""
N_PER_BIN = 5
"""Answers that a bin should get."""
N_BINS_MAX = 10
"""Bins on each side of the threshold."""
MIN_ANSWERS = 10
"""Below, no threshold is proposed."""
_RECALLS = np.linspace(0, 1, 1001)


@dataclass(frozen=True)
class Bins:
    """Documents cut by their value, lowest first; no threshold that is compared parts a bin."""

    low: Numbers
    """The smallest value in each, shape (n_bins,)."""
    high: Numbers
    """The largest."""
    n_docs: Whole
    passes: Flags
    """Whether it lies on the side that the threshold keeps today."""


@dataclass(frozen=True)
class Estimate:
    """A share, and its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Candidate:
    """A threshold, and what the answers say of it."""

    threshold: float
    is_current: bool
    n_kept: int
    kept_frac: float
    """Of the documents that the threshold decides."""
    precision: Estimate
    """Share of good documents among the kept."""
    recall: Estimate
    """Share of the good documents that are kept."""
    f1: float
    change: Estimate | None
    """Its precision less that of the current threshold; None where that keeps nothing."""


@dataclass(frozen=True)
class Survey:
    """What a survey found: thresholds from the one that keeps all to the strictest, and those that stand out."""

    n_answers: int
    n_good: int
    good: Estimate | None
    """Share of good documents among all that the threshold decides; None where nothing can be said yet."""
    candidates: tuple[Candidate, ...]
    best_f1: Candidate | None
    reaches: Candidate | None
    """The loosest threshold of which the estimate of precision reaches what is wanted."""
    surely_reaches: Candidate | None
    """The loosest of which the lower bound does."""

    @property
    def current(self) -> Candidate | None:
        """The threshold of today."""
        return next((candidate for candidate in self.candidates if candidate.is_current), None)

    @property
    def proposed(self) -> Candidate | None:
        """The loosest threshold that surely reaches the precision, else that seems to, else the one of best F1."""
        return self.surely_reaches or self.reaches or self.best_f1


# what to judge


def cut_bins(values: Numbers, op: str, threshold: float, n: int) -> Bins:
    """The documents' values as bins of about equal numbers of documents, on each side of the threshold.

    Equal values share a bin, so there may be fewer bins than n answers would fill.
    """
    distinct, counts = np.unique(values, return_counts=True)
    passing = _passes(distinct, op, threshold)
    starts = np.zeros(len(distinct), bool)
    for side in (passing, ~passing):
        n_bins = min(max(n // (2 * N_PER_BIN), 1), N_BINS_MAX, max(int(counts[side].sum()) // N_PER_BIN, 1))
        middles = np.cumsum(counts[side]) - counts[side] / 2
        quantile = np.floor(n_bins * middles / max(counts[side].sum(), 1))
        starts[side] = np.diff(quantile, prepend=-1) > 0
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(distinct)) - 1
    return Bins(distinct[first], distinct[last], np.add.reduceat(counts, first), passing[first])


def _passes(values: Numbers, op: str, threshold: float) -> Flags:
    compare = {">=": np.greater_equal, ">": np.greater, "<=": np.less_equal, "<": np.less}[op]
    return np.asarray(compare(values, threshold))


def allocate(n_docs: Whole, n: int) -> Whole:
    """How many of each bin to judge: the same number, as far as there are as many."""
    takes = np.zeros(len(n_docs), np.int64)
    while takes.sum() < min(n, n_docs.sum()):
        takes[np.argmin(np.where(takes < n_docs, takes, n))] += 1
    return takes


def draw(values: Numbers, lots: NDArray[np.uint64], bins: Bins, n: int) -> tuple[Whole, Whole]:
    """(positions of the documents to judge, in the order in which to ask; the bin of each).

    Args:
        values: of all documents, shape (n_docs,).
        lots: a random number per document; the first of each bin by lot are drawn.
        bins: as of `cut_bins`.
        n: documents to draw.

    The order goes round the bins, each round in the order of lots: it tells nothing of the value, and whoever stops
    early has judged about as many of each bin.
    """
    bin_of = np.searchsorted(bins.high, values)
    order = np.lexsort((lots, bin_of))
    place = np.empty(len(values), np.int64)
    place[order] = np.arange(len(values)) - np.repeat(np.cumsum(bins.n_docs) - bins.n_docs, bins.n_docs)
    chosen = np.flatnonzero(place < allocate(bins.n_docs, n)[bin_of])
    asked = chosen[np.lexsort((lots[chosen], place[chosen]))]
    return asked, bin_of[asked]


def lots_of(keys: NDArray[np.uint64], copies: Whole, seed: int) -> NDArray[np.uint64]:
    """A random number per document that depends on its id, its copy and the seed alone (splitmix64, Steele 2014)."""
    mixed = keys + np.uint64(0x9E3779B97F4A7C15) * (copies.astype(np.uint64) + np.uint64(1000003 * seed + 1))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


# what the answers say


def survey(bins: Bins, bin_of: Whole, good: Flags, op: str, threshold: float, precision: float) -> Survey:
    """Compare the thresholds between bins.

    Args:
        bins: of all documents that the threshold decides.
        bin_of: the bin of each judged document, shape (n_answers,).
        good: whether it was found worth keeping, shape (n_answers,).
        op: of the rule.
        threshold: of today.
        precision: what is wanted of the kept documents.
    """
    n_answers = np.bincount(bin_of, minlength=len(bins.n_docs))
    n_good = np.bincount(bin_of[good], minlength=len(bins.n_docs))
    sides = [n_answers[side].sum() > 0 for side in (bins.passes, ~bins.passes) if side.any()]
    if n_answers.sum() < MIN_ANSWERS or not all(sides):
        return Survey(len(good), int(good.sum()), None, (), None, None, None)
    bins, answered, found = _joined(bins, n_answers, n_good)
    strata = _Strata(bins.n_docs.astype(float), answered, found)
    candidates = tuple(_candidate(strata, bins, cut, op, threshold) for cut in _cuts(bins, op))
    reaches = [found for found in candidates if found.precision.value >= precision]
    surely = [found for found in candidates if found.precision.low >= precision]
    best = max(candidates, key=lambda found: (found.f1, found.is_current))
    every = strata.share(np.ones(len(bins.n_docs), bool))
    return Survey(
        len(good), int(good.sum()), every, candidates, best, *(next(iter(of), None) for of in (reaches, surely))
    )


def _joined(bins: Bins, n_answers: Whole, n_good: Whole) -> tuple[Bins, Numbers, Numbers]:
    """Bins without an answer joined to a neighbour on their side (collapsed strata, Cochran 1977, 5A.12)."""
    starts = list[int]()
    for side in (True, False):
        here = np.flatnonzero(bins.passes == side)
        answered = here[n_answers[here] > 0]
        starts += [*here[:1], *answered[1:]]  # what comes before the first answer goes with it
    first = np.sort(np.array(starts, np.int64))
    last = np.append(first[1:], len(bins.n_docs)) - 1
    total = [np.add.reduceat(column, first) for column in (bins.n_docs, n_answers, n_good)]
    return (
        Bins(bins.low[first], bins.high[last], total[0], bins.passes[first]),
        total[1].astype(float),
        total[2].astype(float),
    )


class _Strata:
    """Shares of good documents in unions of strata, with 95% intervals.

    The interval is Wilson's (1927), of a sample as large as the stratified one is effectively: n = p (1 - p) / v,
    where v is the variance of the stratified estimate p (Korn and Graubard 1998, Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data, Survey Methodology 24, 193-201; Franco,
    Little, Louis and Slud 2019 compare such intervals). For v each stratum's share is drawn towards p by one answer,
    so that strata whose few answers agree do not count as certain. A bootstrap would: it never draws what it has not
    seen.
    """

    def __init__(self, n_docs: Numbers, n_answers: Numbers, n_good: Numbers) -> None:
        self.n_docs, self.n_answers, self.n_good = n_docs, n_answers, n_good
        unseen = (n_docs - n_answers) / np.maximum(n_docs - 1, 1)
        self._variance = unseen / np.maximum(n_answers - 1, 1)
        """Of a stratum's share, for each p (1 - p): documents are drawn without replacement."""

    def share(self, chosen: Flags) -> Estimate:
        """Share of good documents in the chosen strata."""
        weights = self.n_docs[chosen] / self.n_docs[chosen].sum()
        p = float(weights @ (self.n_good / self.n_answers)[chosen])
        drawn = (self.n_good[chosen] + p) / (self.n_answers[chosen] + 1)
        same = float(weights**2 @ self._variance[chosen])  # v / (p (1 - p)) where all strata are alike
        variance = float(weights**2 @ (self._variance[chosen] * drawn * (1 - drawn)))
        spread = p * (1 - p)
        return _wilson(p, variance / spread if spread > 1e-12 else same)

    def change(self, chosen: Flags, before: Flags) -> Estimate:
        """Share of good documents in some strata less that in others, of which one holds the other.

        What lies between is independent of the smaller one: the difference of these two has the interval of Newcombe
        (1998, Interval estimation for the difference between independent proportions, method 10).
        """
        larger, smaller = (chosen, before) if chosen.sum() > before.sum() else (before, chosen)
        between, inside = self.share(larger & ~smaller), self.share(smaller)
        part = float(self.n_docs[larger & ~smaller].sum() / self.n_docs[larger].sum())
        value = between.value - inside.value
        low = value - math.hypot(between.value - between.low, inside.high - inside.value)
        high = value + math.hypot(between.high - between.value, inside.value - inside.low)
        return (
            Estimate(part * value, part * low, part * high)
            if chosen is larger
            else Estimate(-part * value, -part * high, -part * low)
        )

    def recall(self, chosen: Flags) -> Estimate:
        """Share of all good documents that lie in the chosen strata.

        It is r where (1 - r) good ones here - r good ones elsewhere is 0. The interval holds each r for which that of
        this difference (square-and-add: Zou and Donner 2008) holds 0, as in Fieller's theorem (1954).
        """
        if chosen.all():
            return Estimate(1.0, 1.0, 1.0)
        here, elsewhere = self.share(chosen), self.share(~chosen)
        n_here, n_elsewhere = self.n_docs[chosen].sum(), self.n_docs[~chosen].sum()
        a, b = (1 - _RECALLS) * n_here, _RECALLS * n_elsewhere
        difference = a * here.value - b * elsewhere.value
        low = difference - np.hypot(a * (here.value - here.low), b * (elsewhere.high - elsewhere.value))
        high = difference + np.hypot(a * (here.high - here.value), b * (elsewhere.value - elsewhere.low))
        fitting = _RECALLS[(low <= 0) & (high >= 0)]
        n_good = n_here * here.value + n_elsewhere * elsewhere.value
        value = float(n_here * here.value / n_good) if n_good else math.nan
        return Estimate(value, float(fitting.min(initial=1)), float(fitting.max(initial=0)))


def _wilson(p: float, per_answer: float) -> Estimate:
    """Wilson's interval of a share; `per_answer` is 1 / n."""
    reach = Z**2 * per_answer
    centre, half = (p + reach / 2) / (1 + reach), math.sqrt(p * (1 - p) * reach + reach**2 / 4) / (1 + reach)
    return Estimate(p, min(max(centre - half, 0.0), p), max(min(centre + half, 1.0), p))


def _cuts(bins: Bins, op: str) -> list[int]:
    """Places between bins at which something is kept, loosest first; a cut lies before the bin of its number."""
    n_bins = len(bins.n_docs)
    return list(range(n_bins)) if op in (">=", ">") else list(range(n_bins, 0, -1))


def _kept(bins: Bins, cut: int, op: str) -> Flags:
    above = np.arange(len(bins.n_docs)) >= cut
    return above if op in (">=", ">") else ~above


def _candidate(strata: _Strata, bins: Bins, cut: int, op: str, threshold: float) -> Candidate:
    kept = _kept(bins, cut, op)
    is_current = bool((kept == bins.passes).all())
    precision, recall = strata.share(kept), strata.recall(kept)
    n_good, n_kept = strata.share(strata.n_docs > 0).value * strata.n_docs.sum(), int(strata.n_docs[kept].sum())
    return Candidate(
        threshold=threshold if is_current else number_between(*_gap(bins, cut), op),
        is_current=is_current,
        n_kept=n_kept,
        kept_frac=n_kept / float(strata.n_docs.sum()),
        precision=precision,
        recall=recall,
        f1=float(2 * precision.value * n_kept / (n_kept + n_good)),
        change=strata.change(kept, bins.passes) if bins.passes.any() and not is_current else None,
    )


def _gap(bins: Bins, cut: int) -> tuple[float, float]:
    """The largest value below a cut and the smallest above it."""
    below = bins.high[cut - 1] if cut > 0 else bins.low[0] - max(1.0, abs(bins.low[0]))
    above = bins.low[cut] if cut < len(bins.low) else bins.high[-1] + max(1.0, abs(bins.high[-1]))
    return float(below), float(above)


def number_between(below: float, above: float, op: str) -> float:
    """The shortest number that parts two neighbouring values, for a comparison with `op`."""
    up = op in ("<=", ">")  # the value below may be the number itself, else the one above
    for digits in range(-9, 18):
        scaled = (below if up else above) * 10.0**digits
        if not math.isfinite(scaled):
            break
        found = round((math.ceil(scaled) if up else math.floor(scaled)) / 10.0**digits, digits)
        if below <= found < above if up else below < found <= above:
            return found
    return below if up else above
