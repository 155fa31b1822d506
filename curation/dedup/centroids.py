"""Spherical k-means: directions that part embeddings into clusters, within which pairs are compared."""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""(n, dims), each of length 1."""

N_ROUNDS = 12
BLOCK_VALUES = 1 << 24
"""Products held at once."""

_ANGLE_SLACK = 1e-3
"""Radians; far above what float32 gets wrong."""


def train_centroids(sample: Vectors, n_clusters: int) -> Vectors:
    """Directions (n_clusters, dims) that are near to the sample's vectors (Dhillon & Modha 2001).

    The first vectors are where it starts, so a sample in random but fixed order gives the same result every time. A
    cluster that comes out empty moves to the vector that lies farthest from its own.
    """
    centroids = normalized(sample[:n_clusters].copy())
    before = np.full(len(sample), -1, np.int64)
    for _ in range(N_ROUNDS if n_clusters > 1 else 1):
        places, cosines = nearest(sample, centroids, 1)
        labels = places[:, 0]
        sums, sizes = _sums(sample, labels, len(centroids))
        empty = np.flatnonzero(sizes == 0)
        sums[empty] = sample[np.argsort(cosines[:, 0], kind="stable")[: len(empty)]]
        centroids = normalized(sums)
        if (labels == before).all():
            break
        before = labels
    return centroids


def nearest(vectors: Vectors, centroids: Vectors, n: int) -> tuple[npt.NDArray[np.int64], Vectors]:
    """The n nearest centroids of each vector, the nearest first, and their cosines: both (len(vectors), n)."""
    places = np.empty((len(vectors), n), np.int64)
    cosines = np.empty((len(vectors), n), np.float32)
    step = max(1, BLOCK_VALUES // len(centroids))
    for start in range(0, len(vectors), step):
        products = vectors[start : start + step] @ centroids.T
        chosen = products.argmax(1)[:, None] if n == 1 else np.argpartition(-products, n - 1, axis=1)[:, :n]
        found = np.take_along_axis(products, chosen, axis=1)
        order = np.lexsort((chosen, -found))
        places[start : start + step] = np.take_along_axis(chosen, order, axis=1)
        cosines[start : start + step] = np.take_along_axis(found, order, axis=1)
    return places, cosines


def worth_visiting(cosines: Vectors, cosine_min: float) -> npt.NDArray[np.bool_]:
    """Which of its nearest clusters, nearest first, a vector must visit to meet all that are similar to it.

    Let a and b be apart by at most the angle t, with homes A and B; let da be how much farther B is from a than A is,
    and db how much farther A is from b than B is. By the triangle inequality da + db <= 2t, so one of the two is at
    most t: that vector finds the other in its home.
    """
    angles = np.arccos(np.clip(cosines, -1, 1))
    visits: npt.NDArray[np.bool_] = angles <= angles[:, :1] + np.arccos(cosine_min) + _ANGLE_SLACK
    return visits


def normalized(vectors: npt.NDArray[np.floating]) -> Vectors:
    """The vectors at length 1; a zero vector stays."""
    vectors = vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normal: Vectors = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
    return normal


def _sums(sample: Vectors, labels: npt.NDArray[np.int64], n_clusters: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
    sums = np.zeros((n_clusters, sample.shape[1]), np.float32)
    step = max(1, BLOCK_VALUES // sample.shape[1])
    for start in range(0, len(sample), step):
        order = np.argsort(labels[start : start + step], kind="stable")
        found, firsts = np.unique(labels[start : start + step][order], return_index=True)
        sums[found] += np.add.reduceat(sample[start : start + step][order], firsts, axis=0)
    return sums, np.bincount(labels, minlength=n_clusters)
