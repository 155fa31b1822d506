"""Training classifiers of a few hundred labels: latent semantic analysis, then kernel ridge regression.

What is learnt from labels lives on smooth, dense, low-order features (docs/edu-study.md): where labels come from few
sites, trees and n-grams learn the sites. The steps: tokens by frequency; log tf·idf; its truncated SVD over labelled
and unlabelled windows (Deerwester et al. 1990), by subspace iteration (Halko et al. 2011, arXiv:0909.4061); features
standardised; a rational quadratic kernel over vector and dense features; ridge regression; and scores bent so that as
many reach each half step as labels do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from classifiers.cards import LsaCard, write_card
from classifiers.lsa_features import Features, Numbers, Windows, read_features, read_tokens, split, table
from classifiers.lsa_file import LsaModel, write_lsa
from classifiers.lsa_score import MAX_SCORE, MIN_SCORE, to_points
from classifiers.scripts import Offsets
from classifiers.text_lexicon import TEACHING, Lexicon, read_lexicon
from classifiers.token_hashes import Hashes
from manifests.errors import RequestError

MODEL = "model.safetensors"
N_POWERS, N_OVER = 4, 14
"""Iterations of the subspace, and dimensions beyond those that are kept."""
JITTER = 1e-6
N_DIGITS = 6
"""Of what is solved for, so that bytes do not depend on the order in which a library adds up."""
MIN_ROWS, MAX_WINDOWS = 20, 10_000
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LsaSettings:
    """How an LSA classifier is trained."""

    n_tokens: int = 15_000
    """The tokens that most windows hold."""
    min_windows: int = 3
    """A token of fewer is left out."""
    dimensions: int = 50
    window_chars: int = 1_200
    n_windows: int = 3
    """Windows that a longer text is judged by."""
    ridge: float = 0.3
    lsa_width: float = 0.7
    dense_width: float = 0.5
    source_power: float = -0.5
    """A row weighs (rows of its source)^source_power; 0: all rows alike."""
    lexicon: Path | None = TEACHING
    """See classifiers.text_lexicon; none: shape and vectors alone."""
    seed: int = 0
    """Where the subspace starts."""


@dataclass(frozen=True)
class Trained:
    """What training found."""

    held_out: Numbers
    """(n,): the score of each text where all labels of its source are left out."""
    bends: Numbers
    """(2, n): predictions and the scores they stand for."""


def train_lsa(
    texts: pa.LargeStringArray,
    labels: Numbers,
    folder: Path,
    settings: LsaSettings = LsaSettings(),
    sources: Sequence[str] | None = None,
    unlabelled: Iterable[pa.LargeStringArray] = (),
) -> Trained:
    """Train a classifier and write it to `folder`: a card and a model.

    Args:
        texts: of n documents.
        labels: (n,), 0 to 5.
        folder: of the classifier.
        settings: see there.
        sources: n names, one per text: of the site or the like, whose texts are alike; needed for scores that hold on
            others. Without, every text is a source of its own.
        unlabelled: more text of the kind that will be scored; read once, in order.

    Raises:
        RequestError: too few texts or too many, labels that do not fit, or text without tokens; says what was found.
    """
    _check(texts, labels, sources)
    lexicon = _lexicon(settings)
    windows = split(texts, settings.window_chars, settings.n_windows)
    if len(windows.begins) > MAX_WINDOWS:
        raise RequestError(
            f"{len(texts):,} texts have {len(windows.begins):,} windows; {MAX_WINDOWS:,} at most can be trained on:"
            " draw some of them, few from each source, or train fastText (classifiers.fasttext_train)"
        )
    tokens, vectors, scales = learn_vectors([windows, *_more(unlabelled, settings)], settings)
    numbers = np.arange(len(tokens), dtype=np.int32)
    features, _ = read_features(
        windows,
        table(tokens, numbers),
        vectors,
        scales,
        table(lexicon.hashes, lexicon.categories),
        len(lexicon.names),
    )
    means, factors = _standard(features[:, vectors.shape[1] :])
    to_points(features, means, factors, settings.lsa_width, settings.dense_width)
    rows = Labelled(features, windows.firsts, np.asarray(labels, float), _sources(sources, len(texts)))
    fit = fit_ridge(rows, settings)
    bends = find_bends(rows.labels, fit.held_out)
    model = LsaModel(
        tokens, vectors, scales, lexicon.hashes, lexicon.categories.astype(np.uint8), means, factors,
        fit.landmarks, fit.steps, fit.weights, bends.astype(np.float32), fit.base, settings.lsa_width,
        settings.dense_width, settings.window_chars, settings.n_windows,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_lsa(folder / MODEL, model)
    write_card(folder, LsaCard(model=MODEL))
    return Trained(np.interp(fit.held_out, *bends).clip(MIN_SCORE, MAX_SCORE), bends)


def _check(texts: pa.LargeStringArray, labels: Numbers, sources: Sequence[str] | None) -> None:
    if len(labels) != len(texts) or (sources is not None and len(sources) != len(texts)):
        n_sources = len(sources) if sources is not None else len(texts)
        raise RequestError(f"{len(texts):,} texts, {len(labels):,} labels, {n_sources:,} sources; expected one each")
    if len(texts) < MIN_ROWS:
        raise RequestError(f"{len(texts):,} texts are too few to train on; {MIN_ROWS} at least, better some hundreds")
    if texts.null_count:
        raise RequestError(f"{texts.null_count:,} of the texts are null; leave them out")
    if not ((labels >= MIN_SCORE) & (labels <= MAX_SCORE)).all():
        raise RequestError(f"labels run from {min(labels)} to {max(labels)}; expected 0 to 5")
    if min(labels) == max(labels):
        raise RequestError(f"all labels are {labels[0]}; there is nothing to learn")


def _lexicon(settings: LsaSettings) -> Lexicon:
    if settings.lexicon is None:
        return Lexicon((), np.empty(0, np.uint64), np.empty(0, np.int32))
    return read_lexicon(settings.lexicon)


def _more(unlabelled: Iterable[pa.LargeStringArray], settings: LsaSettings) -> Iterable[Windows]:
    return (split(texts, settings.window_chars, settings.n_windows) for texts in unlabelled)


def _sources(sources: Sequence[str] | None, n: int) -> Rows:
    if sources is None:
        return np.arange(n)
    return np.unique(np.array(sources, object), return_inverse=True)[1].astype(np.int64)


# ---- vectors of tokens


def learn_vectors(parts: Iterable[Windows], settings: LsaSettings) -> tuple[Hashes, npt.NDArray[np.int8], Features]:
    """(tokens, (V,), rising; their vectors, (V, k); what these are multiplied by, (V,), with the idf)."""
    read = [read_tokens(part) for part in parts]
    tokens = np.concatenate([part[0] for part in read])
    lengths = np.concatenate([np.diff(part[1]) for part in read])
    matrix, known, idf = _weigh(tokens, lengths, settings)
    if len(known) < settings.dimensions + N_OVER:
        raise RequestError(
            f"{len(known):,} tokens stand in {settings.min_windows} windows or more; {settings.dimensions} dimensions"
            f" need {settings.dimensions + N_OVER} at least: give more text, or fewer dimensions"
        )
    exact = _singular_vectors(matrix, len(known), settings) * idf[:, None]
    scales = np.abs(exact).max(axis=1).clip(1e-12) / 127
    return known, np.rint(exact / scales[:, None]).astype(np.int8), scales.astype(np.float32)


@dataclass(frozen=True)
class _Matrix:
    """Rows of a sparse matrix: values[firsts[r] : firsts[r + 1]] in these columns."""

    firsts: Rows
    columns: Rows
    values: Numbers


def _weigh(tokens: Hashes, lengths: Rows, settings: LsaSettings) -> tuple[_Matrix, Hashes, Numbers]:
    """(windows by tokens, log tf·idf, rows of length 1; the tokens; their idf)."""
    n, (names, columns) = len(lengths), np.unique(tokens, return_inverse=True)
    pairs, times = np.unique(np.repeat(np.arange(n), lengths) * len(names) + columns, return_counts=True)
    rows, columns = pairs // len(names), pairs % len(names)
    frequency = np.bincount(columns, minlength=len(names))
    kept = np.lexsort((names, -frequency))[: settings.n_tokens]
    kept = np.sort(kept[frequency[kept] >= settings.min_windows])
    place = np.full(len(names), -1)
    place[kept] = np.arange(len(kept))
    here = place[columns] >= 0
    rows, columns, times = rows[here], place[columns[here]], times[here]
    idf = np.log((n + 1) / (frequency[kept] + 1)) + 1
    values = (1 + np.log(times)) * idf[columns]
    values /= np.sqrt(np.bincount(rows, values**2, n))[rows]
    return _Matrix(np.searchsorted(rows, np.arange(n + 1)), columns, values), names[kept], idf


def _singular_vectors(matrix: _Matrix, n_columns: int, settings: LsaSettings) -> Numbers:
    """The first right singular vectors, (V, k), each with its largest entry positive."""
    basis = np.random.default_rng(settings.seed).standard_normal((n_columns, settings.dimensions + N_OVER))
    for _ in range(N_POWERS):
        left, _ = np.linalg.qr(_times(matrix, basis))
        basis, _ = np.linalg.qr(_transposed_times(matrix, left, n_columns))
    image = _times(matrix, basis)
    _, turn = np.linalg.eigh(image.T @ image)
    found = basis @ turn[:, ::-1][:, : settings.dimensions]
    turned: Numbers = found * np.sign(found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])])
    return turned


def _times(matrix: _Matrix, right: Numbers) -> Numbers:
    out = np.zeros((len(matrix.firsts) - 1, right.shape[1]))
    _multiply(matrix.firsts, matrix.columns, matrix.values, right, out)
    return out


def _transposed_times(matrix: _Matrix, right: Numbers, n_columns: int) -> Numbers:
    out = np.zeros((n_columns, right.shape[1]))
    _multiply_transposed(matrix.firsts, matrix.columns, matrix.values, right, out)
    return out


@njit(nogil=True, cache=True)
def _multiply(firsts: Rows, columns: Rows, values: Numbers, right: Numbers, out: Numbers) -> None:
    for r in range(firsts.shape[0] - 1):
        for i in range(firsts[r], firsts[r + 1]):
            for j in range(right.shape[1]):
                out[r, j] += values[i] * right[columns[i], j]


@njit(nogil=True, cache=True)
def _multiply_transposed(firsts: Rows, columns: Rows, values: Numbers, right: Numbers, out: Numbers) -> None:
    for r in range(firsts.shape[0] - 1):
        for i in range(firsts[r], firsts[r + 1]):
            for j in range(right.shape[1]):
                out[columns[i], j] += values[i] * right[r, j]


def _standard(dense: Features) -> tuple[Features, Features]:
    """Means and 1 / standard deviations; 0 for what never varies."""
    wide = dense.astype(float)
    deviation = wide.std(axis=0)
    factors = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > JITTER)
    return wide.mean(axis=0).astype(np.float32), factors.astype(np.float32)


# ---- regression


@dataclass(frozen=True)
class Labelled:
    """Windows as points, (n_windows, k + d), those of text t from firsts[t] on; labels and sources of the texts."""

    points: Features
    firsts: Offsets
    labels: Numbers
    sources: Rows


@dataclass(frozen=True)
class Fit:
    """A regression on m landmarks."""

    landmarks: npt.NDArray[np.int8]
    steps: Features
    """(k + d,): what landmarks are multiplied by."""
    weights: Features
    base: float
    held_out: Numbers
    """(n,): the prediction for each text where its source was left out."""


def fit_ridge(rows: Labelled, settings: LsaSettings) -> Fit:
    """Minimise the weighted squared error + ridge · norm²; a text's windows share its weight.

    With G = (K + ridge / weights)^-1, the weights of the landmarks are a = G y. Where a source is left out, it is
    missed by the solution of G_BB d = a_B, B being its windows (Rasmussen and Williams 2006, 5.4.2).
    """
    text = np.repeat(np.arange(len(rows.labels)), np.diff(rows.firsts))
    weight = _row_weights(rows, settings)[text]
    labels, base = rows.labels[text], float(np.average(rows.labels[text], weights=weight))
    steps = (np.abs(rows.points).max(axis=0).clip(JITTER) / 127).astype(np.float32)
    landmarks = np.rint(rows.points / steps).astype(np.int8)
    exact = landmarks * steps.astype(float)
    inverse = np.linalg.inv(kernel_matrix(exact, exact) + np.diag(settings.ridge / weight))
    weights = inverse @ (labels - base)
    missed = np.empty(len(text))
    for source in range(rows.sources.max() + 1):
        mine = np.flatnonzero(rows.sources[text] == source)
        missed[mine] = np.linalg.solve(inverse[np.ix_(mine, mine)], weights[mine])
    return Fit(landmarks, steps, weights.round(N_DIGITS).astype(np.float32), base, _means(labels - missed, text))


def _row_weights(rows: Labelled, settings: LsaSettings) -> Numbers:
    """Of the windows of each text."""
    share = np.bincount(rows.sources)[rows.sources].astype(float) ** settings.source_power
    weights: Numbers = share / share.mean() / np.diff(rows.firsts)
    return weights


def _means(values: Numbers, text: Rows) -> Numbers:
    """Of the windows of each text, texts in order."""
    starts = np.flatnonzero(np.diff(text, prepend=-1))
    means: Numbers = np.add.reduceat(values, starts) / np.diff(starts, append=len(text))
    return means


def kernel_matrix(left: Numbers, right: Numbers) -> Numbers:
    """The kernel of lsa_score between points, (n, m)."""
    distance = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    matrix: Numbers = (1 + distance.clip(0) / 4) ** -4
    return matrix


# ---- calibration


def find_bends(labels: Numbers, held_out: Numbers) -> Numbers:
    """Predictions, rising, and the scores they stand for, (2, n): as many texts reach .5, 1.5, ... as labels do.

    Regression shrinks to the mean: without this hardly anything would reach 3. Ranks do not change.
    """
    steps = np.arange(0.5, MAX_SCORE)
    shares = np.array([(labels >= step).mean() for step in steps])
    steps, shares = steps[(shares > 0.005) & (shares < 0.995)], shares[(shares > 0.005) & (shares < 0.995)]
    at = np.quantile(held_out, 1 - shares)
    apart = np.flatnonzero(np.diff(at, prepend=-np.inf) > 1e-3)
    steps, at = steps[apart], at[apart]
    if len(at) < 2:
        low, high = float(held_out.min()), float(max(held_out.max(), held_out.min() + 1e-3))
        return np.array([[low, high], [float(labels.min()), float(labels.max())]])
    slopes = np.diff(steps) / np.diff(at)
    first, last = at[0] - (steps[0] - MIN_SCORE) / slopes[0], at[-1] + (MAX_SCORE - steps[-1]) / slopes[-1]
    return np.array([[first, *at, last], [MIN_SCORE, *steps, MAX_SCORE]])
