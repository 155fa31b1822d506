"""Scores of LSA classifiers: kernel ridge regression over landmarks, bent to the scale of the labels."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numba import njit

from classifiers.lsa_features import N_SHAPE, Features, Numbers, Windows, read_features, split, table
from classifiers.lsa_file import LsaModel, read_lsa
from classifiers.scripts import Offsets
from classifiers.token_hashes import Counts
from manifests.errors import RequestError

MIN_SCORE, MAX_SCORE = 0.0, 5.0
CLIP = 3.0
"""Standard deviations beyond which a dense feature says no more."""
WINDOWS_AT_ONCE = 1024
TILE = 128
"""Landmarks at a time, so that what is added up stays in the nearest cache."""
Tiles = npt.NDArray[np.float32]


class LsaScore:
    """An LSA classifier."""

    is_ordinal = True

    def __init__(self, path: Path) -> None:
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
        self._landmarks, self._weights = _tiles(model.landmarks * model.steps, model.weights)
        self._squares = (self._landmarks**2).sum(axis=1)

    def predict(self, windows: Windows) -> tuple[Numbers, Counts]:
        """(predictions of n windows before they are bent, how many of their tokens are known)."""
        out, known = np.zeros(len(windows.begins)), np.zeros(len(windows.begins), np.int32)
        for at in range(0, len(out), WINDOWS_AT_ONCE):
            some = slice(at, at + WINDOWS_AT_ONCE)
            part = Windows(windows.utf8, windows.begins[some], windows.ends[some], windows.firsts)
            points, known[some] = self.points(part)
            _predict(points, self._landmarks, self._squares, self._weights, self._model.base, out[some])
        return out, known

    def points(self, windows: Windows) -> tuple[Features, Counts]:
        """(windows as points in the space of the kernel, (n, k + d), how many of their tokens are known)."""
        model = self._model
        n_categories = len(model.means) - N_SHAPE
        points, known = read_features(windows, self._tokens, model.vectors, model.scales, self._lexicon, n_categories)
        to_points(points, model.means, model.factors, model.lsa_width, model.dense_width)
        return points, known


def _tiles(landmarks: Features, weights: Features) -> tuple[Tiles, Features]:
    """(landmarks as (tiles, dimensions, TILE), weights as (tiles, TILE)), filled up with nothing of weight 0."""
    n_tiles = -(-len(landmarks) // TILE)
    filled = np.zeros((n_tiles * TILE, landmarks.shape[1]), np.float32)
    filled[: len(landmarks)] = landmarks
    tiles = filled.reshape(n_tiles, TILE, -1).transpose(0, 2, 1)
    filled_weights = np.zeros(n_tiles * TILE, np.float32)
    filled_weights[: len(weights)] = weights
    return np.ascontiguousarray(tiles), filled_weights.reshape(n_tiles, TILE)


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
    points: Features, landmarks: Tiles, squares: Features, weights: Features, base: float, out: Numbers
) -> None:
    """out = base + sum over landmarks of weight · kernel, added up in a fixed order."""
    lengths, distances = np.zeros(points.shape[0], np.float32), np.empty(TILE, np.float32)
    for p in range(points.shape[0]):
        out[p] = base
        for j in range(points.shape[1]):
            lengths[p] += points[p, j] * points[p, j]
    for t in range(landmarks.shape[0]):
        for p in range(points.shape[0]):
            for m in range(TILE):
                distances[m] = lengths[p] + squares[t, m]
            _subtract_products(points[p], landmarks[t], distances)
            for m in range(TILE):
                distances[m] = kernel(distances[m]) * weights[t, m]
            for m in range(TILE):
                out[p] += distances[m]


@njit(nogil=True, cache=True, fastmath={"contract"})
def _subtract_products(point: Features, landmarks: Features, out: Features) -> None:
    """out -= 2 point · landmarks; four dimensions a turn, since memory is what takes the time."""
    n, two = point.shape[0], np.float32(2)
    for j in range(0, n - 3, 4):
        a, b, c, d = two * point[j], two * point[j + 1], two * point[j + 2], two * point[j + 3]
        for m in range(TILE):
            near = a * landmarks[j, m] + b * landmarks[j + 1, m] + c * landmarks[j + 2, m] + d * landmarks[j + 3, m]
            out[m] -= near
    for j in range(n - n % 4, n):
        for m in range(TILE):
            out[m] -= two * point[j] * landmarks[j, m]


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
