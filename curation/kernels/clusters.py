"""Pairs of documents that share a band, and the union-find that makes clusters of pairs."""

import numpy as np
import numpy.typing as npt

from curation.kernels import at, kernel
from curation.kernels.characters import Hashes, Offsets
from curation.kernels.shingles import count_common

Parents = npt.NDArray[np.uint32]

ALL_PAIRS_MAX = 32  # members of a bucket up to which every pair is a candidate
N_PIVOTS, N_NEXT = 8, 16  # in larger ones each is compared with the first 8, and with the 16 that follow it


@kernel()
def bucket_pairs(size: int, compared: bool) -> int:
    """How many candidate pairs a bucket gives; without comparison a chain is enough to join it."""
    if not compared:
        return size - 1
    if size <= ALL_PAIRS_MAX:
        return size * (size - 1) // 2
    n_pairs = 0
    for k in range(1, size):
        n_pairs += min(k, N_NEXT) + min(max(k - N_NEXT, 0), N_PIVOTS)
    return n_pairs


@kernel()
def count_pairs(hashes: Hashes, compared: bool) -> int:
    """How many candidate pairs ascending hashes give."""
    n_pairs, start = 0, 0
    for i in range(1, len(hashes) + 1):
        if i == len(hashes) or hashes[at(i)] != hashes[at(start)]:
            n_pairs += bucket_pairs(i - start, compared)
            start = i
    return n_pairs


@kernel()
def fill_pairs(hashes: Hashes, nodes: Hashes, compared: bool, left: Hashes, right: Hashes) -> None:
    """The candidate pairs (left < right) of nodes with equal hashes; both are ordered by (hash, node)."""
    n_pairs, start = 0, 0
    for i in range(1, len(hashes)):
        if hashes[at(i)] != hashes[at(start)]:
            start = i
            continue
        k = i - start
        if not compared:
            left[at(n_pairs)], right[at(n_pairs)] = nodes[at(i - 1)], nodes[at(i)]
            n_pairs += 1
            continue
        is_small = _is_small(hashes, start)
        near = k if is_small else min(k, N_NEXT)
        for j in range(i - near, i):
            left[at(n_pairs)], right[at(n_pairs)] = nodes[at(j)], nodes[at(i)]
            n_pairs += 1
        for j in range(start, start + (0 if is_small else min(max(k - N_NEXT, 0), N_PIVOTS))):
            left[at(n_pairs)], right[at(n_pairs)] = nodes[at(j)], nodes[at(i)]
            n_pairs += 1


@kernel()
def _is_small(hashes: Hashes, start: int) -> bool:
    last = start + ALL_PAIRS_MAX
    return last >= len(hashes) or hashes[at(last)] != hashes[at(start)]


@kernel()
def find_root(parents: Parents, node: int) -> int:
    """The root of a node; the path to it is halved on the way."""
    while parents[at(node)] != node:
        parents[at(node)] = parents[at(parents[at(node)])]
        node = parents[at(node)]
    return node


@kernel()
def unite(parents: Parents, a: int, b: int) -> None:
    """Joins the trees of two nodes; the smaller root stays one, so a root is the first node of its component."""
    a, b = find_root(parents, a), find_root(parents, b)
    if a < b:
        parents[at(b)] = a
    else:
        parents[at(a)] = b


@kernel()
def unite_pairs(parents: Parents, left: Offsets, right: Offsets) -> None:
    """Joins the nodes of all pairs."""
    for i in range(len(left)):
        unite(parents, left[at(i)], right[at(i)])


@kernel()
def flatten(parents: Parents) -> None:
    """Lets every node point to its root; roots come before what belongs to them."""
    for i in range(len(parents)):
        parents[at(i)] = parents[at(parents[at(i)])]


@kernel()
def unite_similar(
    parents: Parents,
    left: Offsets,
    right: Offsets,
    shingles: npt.NDArray[np.uint32],
    starts: Offsets,
    ends: Offsets,
    jaccard_min: float,
) -> tuple[int, int]:
    """Joins the pairs whose sets of shingles are similar enough; returns how many were (compared, similar).

    Set i is shingles[starts[i]:ends[i]]. A pair that is connected already need not be compared.
    """
    n_compared, n_similar = 0, 0
    for i in range(len(left)):
        a, b = left[at(i)], right[at(i)]
        if find_root(parents, a) == find_root(parents, b):
            continue
        of_a, of_b = shingles[starts[a] : ends[a]], shingles[starts[b] : ends[b]]
        if min(len(of_a), len(of_b)) < jaccard_min * max(len(of_a), len(of_b)):
            continue
        n_common = count_common(of_a, of_b)
        n_compared += 1
        if n_common >= jaccard_min * (len(of_a) + len(of_b) - n_common):
            unite(parents, a, b)
            n_similar += 1
    return n_compared, n_similar
