"""Scores of LSA classifiers: kernel ridge regression over landmarks, bent to the scale of the labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numba import njit

from classifiers.cards import LsaCard
from classifiers.lsa_features import N_SHAPE, Features, Numbers, Windows, read_features, split, table
from classifiers.lsa_file import LsaModel, read_lsa
from classifiers.scripts import Offsets
from classifiers.token_hashes import Counts
from manifests.errors import RequestError

MIN_SCORE, MAX_SCORE = 0.0, 5.0
CLIP = 3.0
"""Standard deviations beyond which a dense feature says no more."""
WINDOWS_AT_ONCE = 8192
LANDMARKS_AT_ONCE = 512


class LsaScore:
    """An LSA classifier."""

    is_ordinal = True

    def __init__(self, path: Path, card: LsaCard) -> None:
        """Load the model at `path`.

        Raises:
            RequestError: it cannot be read.
        """
        try:
            content = path.read_bytes()
            self._model = read_lsa(content)
        except FileNotFoundError as error:
            raise RequestError(f"{path}: no such file; the card of its folder names it") from error
        except ValueError as error:
            raise RequestError(f"{path}: {error}") from error
        self.digest = xxhash.xxh3_128_hexdigest(content)
        self._reader = Reader(self._model)

    def score(self, texts: pa.LargeStringArray) -> pa.Array:
        """float64 of n texts, 0 to 5; null where no token is known."""
        windows = split(texts, self._model.window_chars, self._model.n_windows)
        raw, known = self._reader.predict(windows)
        total, counts = np.zeros(len(texts)), np.zeros(len(texts), np.int64)
        _sum_windows(raw, known, windows.firsts, total, counts)
        score = np.interp(total / np.maximum(counts, 1), *self._model.bends.astype(float))
        valid = pc.and_(pc.is_valid(texts), pa.array(counts > 0))
        return pc.if_else(valid, pa.array(score.clip(MIN_SCORE, MAX_SCORE)), pa.scalar(None, pa.float64()))


class Reader:
    """A model made ready: its tables, and its landmarks as its kernel wants them."""

    def __init__(self, model: LsaModel) -> None:
        self._model = model
        self._tokens = table(model.tokens, np.arange(len(model.tokens), dtype=np.int32))
        self._lexicon = table(model.lexicon, model.categories.astype(np.int32))
        self._landmarks = np.ascontiguousarray((model.landmarks * model.steps).T)
        self._squares = (self._landmarks**2).sum(axis=0)

    def predict(self, windows: Windows) -> tuple[Numbers, Counts]:
        """(predictions of n windows before they are bent, how many of their tokens are known)."""
        out, known = np.zeros(len(windows.begins)), np.zeros(len(windows.begins), np.int32)
        for at in range(0, len(out), WINDOWS_AT_ONCE):
            some = slice(at, at + WINDOWS_AT_ONCE)
            part = Windows(windows.utf8, windows.begins[some], windows.ends[some], windows.firsts)
            points, known[some] = self.points(part)
            _predict(points, self._landmarks, self._squares, self._model.weights, self._model.base, out[some])
        return out, known

    def points(self, windows: Windows) -> tuple[Features, Counts]:
        """(windows as points in the space of the kernel, (n, k + d), how many of their tokens are known)."""
        model = self._model
        n_categories = len(model.means) - N_SHAPE
        points, known = read_features(windows, self._tokens, model.vectors, model.scales, self._lexicon, n_categories)
        to_points(points, model.means, model.factors, model.lsa_width, model.dense_width)
        return points, known


def to_points(features: Features, means: Features, factors: Features, lsa_width: float, dense_width: float) -> None:
    """Turn features, (n, k + d), into points whose squared distance is what the kernel falls with, in place."""
    k = features.shape[1] - len(means)
    features[:, :k] *= np.float32(np.sqrt(lsa_width))
    features[:, k:] -= means
    features[:, k:] *= factors
    np.clip(features[:, k:], -CLIP, CLIP, out=features[:, k:])
    features[:, k:] *= np.float32(np.sqrt(dense_width / len(means)))


@njit(nogil=True, cache=True)
def _predict(
    points: Features, landmarks: Features, squares: Features, weights: Features, base: float, out: Numbers
) -> None:
    """out = base + sum over landmarks of weight · kernel; landmarks are (dimensions, m), sums in a fixed order.

    Landmarks are taken some hundred at a time, so that what is added up stays in the nearest cache.
    """
    products = np.empty(LANDMARKS_AT_ONCE, np.float32)
    for p in range(points.shape[0]):
        square = np.float32(0)
        for j in range(points.shape[1]):
            square += points[p, j] * points[p, j]
        total = 0.0
        for start in range(0, landmarks.shape[1], LANDMARKS_AT_ONCE):
            n = min(LANDMARKS_AT_ONCE, landmarks.shape[1] - start)
            for m in range(n):
                products[m] = square + squares[start + m]
            for j in range(points.shape[1]):
                value, row = np.float32(2) * points[p, j], landmarks[j, start : start + n]
                for m in range(n):
                    products[m] -= value * row[m]
            for m in range(n):
                products[m] = kernel(products[m]) * weights[start + m]
            for m in range(n):
                total += products[m]
        out[p] = base + total


@njit(nogil=True, cache=True, inline="always")
def kernel(distance: np.float32) -> np.float32:
    """(1 + squared distance / 4)^-4, a rational quadratic kernel: as good as exp(-distance) here, and cheaper."""
    root = np.float32(1) / (np.float32(1) + max(distance, np.float32(0)) * np.float32(0.25))
    return root * root * root * root


@njit(nogil=True, cache=True)
def _sum_windows(raw: Numbers, known: Counts, firsts: Offsets, total: Numbers, counts: Offsets) -> None:
    """Per document: the sum over its windows in which a token is known, and how many these are."""
    for d in range(firsts.shape[0] - 1):
        for w in range(firsts[d], firsts[d + 1]):
            if known[w] > 0:
                total[d] += raw[w]
                counts[d] += 1
