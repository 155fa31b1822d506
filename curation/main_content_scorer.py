"""How likely each block is main content: two small sets of decision trees, the second of which sees the first's view.

The trees lie in `main_content.json`, one per line, and were fitted by `benchmarks/extraction_fit.py`. A node is
`[feature, threshold, next node if value <= threshold, next node otherwise]`; a plain number is a leaf. The leaves
that a block reaches add up to the log-odds of being main content.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.main_content_features import NAMES
from curation.main_content_outline import Outline
from curation.main_content_tags import Array

Matrix = npt.NDArray[np.float32]
SEEN = (
    "score score_1_before score_1_after score_2_before score_2_after mean_3_around mean_8_around mean_20_around "
    "mean_10_before mean_10_after mean_before mean_after mean_parent mean_grandparent mean_great mean_great_great "
    "mean_signature max_before max_after"
)
SECOND_LOOK = SEEN.split()
MAX_WEIGHT_WORDS = 100  # a mean counts a block by its words, up to this many
NO_NEIGHBOUR = -1.0


class Trees(NamedTuple):
    """Nodes of all trees in one row each; a leaf has feature -1 and its value as threshold."""

    roots: Array
    feature: Array
    threshold: Array
    low: Array
    high: Array


class Model(NamedTuple):
    """The fitted trees and, per feature, the value that stands for `not known` where an ablation hides it."""

    first: Trees
    second: Trees
    neutral: Matrix


@cache
def model() -> Model:
    """The trees that ship with Onggi."""
    stored = json.loads(Path(__file__).with_name("main_content.json").read_text())
    neutral = np.array([stored["neutral"][name] for name in NAMES], np.float32)
    return Model(flatten(stored["first"], [*NAMES]), flatten(stored["second"], [*NAMES, *SECOND_LOOK]), neutral)


def flatten(trees: list[list[Any]], names: list[str]) -> Trees:
    """Trees as stored, each a list of nodes, into arrays."""
    index = {name: k for k, name in enumerate(names)}
    roots: list[int] = []
    nodes: list[tuple[int, float, int, int]] = []
    for tree in trees:
        root = len(nodes)
        roots.append(root)
        for node in tree:
            leaf = isinstance(node, int | float)
            nodes.append((-1, node, 0, 0) if leaf else (index[node[0]], node[1], root + node[2], root + node[3]))
    feature, threshold, low, high = zip(*nodes, strict=True)
    return Trees(
        np.array(roots, np.int32), np.array(feature, np.int16), np.array(threshold, np.float32),
        np.array(low, np.int16), np.array(high, np.int16),
    )  # fmt: skip


@njit(nogil=True, cache=True)
def score(matrix: Matrix, trees: Trees) -> Matrix:
    """The probability of every row of the matrix: the logistic function of the sum of its leaves."""
    totals = np.zeros(len(matrix), np.float32)
    for root in trees.roots:  # tree by tree, so that the nodes at hand stay in the nearest cache
        for row in range(len(matrix)):
            node = root
            while trees.feature[node] >= 0:
                low = matrix[row, trees.feature[node]] <= trees.threshold[node]
                node = trees.low[node] if low else trees.high[node]
            totals[row] += trees.threshold[node]
    return (1 / (1 + np.exp(-totals))).astype(np.float32)


@njit(nogil=True, cache=True)
def surroundings(page: Outline, scores: Matrix, n_words: Matrix) -> Matrix:
    """What the first look thought of each block and of those around it: (n_blocks, len(SECOND_LOOK))."""
    n_blocks = len(scores)
    seen = np.full((n_blocks, 19), np.float32(NO_NEIGHBOUR), np.float32)
    weight, mass = np.zeros(n_blocks + 1), np.zeros(n_blocks + 1)
    for block in range(n_blocks):
        words = min(max(n_words[block], 1.0), MAX_WEIGHT_WORDS)
        weight[block + 1], mass[block + 1] = weight[block] + words, mass[block] + words * scores[block]
    highest = np.float32(0)
    for block in range(n_blocks):
        seen[block, 0] = scores[block]
        if block >= 1:
            seen[block, 1] = scores[block - 1]
        if block + 1 < n_blocks:
            seen[block, 2] = scores[block + 1]
        if block >= 2:
            seen[block, 3] = scores[block - 2]
        if block + 2 < n_blocks:
            seen[block, 4] = scores[block + 2]
        seen[block, 5] = _mean(mass, weight, block - 3, block + 4)
        seen[block, 6] = _mean(mass, weight, block - 8, block + 9)
        seen[block, 7] = _mean(mass, weight, block - 20, block + 21)
        seen[block, 8] = _mean(mass, weight, block - 10, block)
        seen[block, 9] = _mean(mass, weight, block + 1, block + 11)
        seen[block, 10] = _mean(mass, weight, 0, block)
        seen[block, 11] = _mean(mass, weight, block + 1, n_blocks)
        element = page.block_element[block]
        for up in range(4):
            element = page.parent[element] if element >= 0 else -1
            if element >= 0:
                seen[block, 12 + up] = _mean(mass, weight, page.first_block[element], page.end_block[element])
        seen[block, 17] = highest
        highest = max(highest, scores[block])
    highest = np.float32(0)
    for block in range(n_blocks - 1, -1, -1):
        seen[block, 18] = highest
        highest = max(highest, scores[block])
    _mean_by_signature(page, mass, weight, seen)
    return seen


@njit(nogil=True, cache=True)
def _mean(mass: Array, weight: Array, first: int, end: int) -> float:
    first, end = min(max(first, 0), len(mass) - 1), min(max(end, 0), len(mass) - 1)
    return float((mass[end] - mass[first]) / max(1.0, weight[end] - weight[first]))


@njit(nogil=True, cache=True)
def _mean_by_signature(page: Outline, mass: Array, weight: Array, seen: Matrix) -> None:
    keys = page.signature[page.block_element]
    order = np.argsort(keys)
    first = 0
    while first < len(keys):
        end, group_mass, group_weight = first, 0.0, 0.0
        while end < len(keys) and keys[order[end]] == keys[order[first]]:
            block = order[end]
            group_mass += mass[block + 1] - mass[block]
            group_weight += weight[block + 1] - weight[block]
            end += 1
        for k in range(first, end):
            seen[order[k], 16] = group_mass / max(1.0, group_weight)
        first = end
