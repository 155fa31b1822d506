"""What a fastText model says of texts: the arithmetic of FastText::predict as kernels over Arrow buffers.

A text is the mean of the rows of its words, of their subwords (n-grams of characters, hashed into buckets) and of its
n-grams of words; a tree or a plain layer of outputs gives the probability of each label (Joulin et al. 2016,
arXiv:1607.01759; quantised models arXiv:1612.03651). Every byte up to the space separates words.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import float32, int32, uint64, uintp

from classifiers.fasttext_file import (
    HIERARCHICAL,
    LABEL_COUNT_MAX,
    LABEL_PREFIX,
    SOFTMAX,
    UNALIGNED,
    Matrix,
    ModelFile,
    expand,
    plain_matrix,
)
from classifiers.fasttext_rows import (
    FNV_START,
    Buckets,
    Floats,
    Ints,
    Names,
    add_rows,
    begins_with,
    find_word,
    hash_byte,
    kernel,
    new_buckets,
    new_names,
    row_of_bucket,
    rows_of_word,
)
from classifiers.scripts import Bytes, Offsets

EXPANDED_BYTES_MAX = 32 << 20  # a quantised matrix that is no larger than this when expanded is expanded at load
SPACE = 32
NGRAM_FACTOR = uint64(116049371)
NGRAMS_AT_ONCE = 64  # rows that are looked up before they are added
END_OF_LINE = np.frombuffer(b"</s>", np.uint8)
LABEL = np.frombuffer(LABEL_PREFIX.encode(), np.uint8)
TINY = 1e-5  # fastText takes the logarithm of p + 1e-5
SIGMOID_MAX, SIGMOID_STEPS = 8, 512  # of the table by which fastText rounds what one-vs-all answers


class Predictor(NamedTuple):
    """A model in the form that kernels read."""

    names: Names
    n_words: int
    word_ngrams: int
    buckets: Buckets
    rows: Matrix
    word_sums: Floats  # (n_words, dim): each word's row and its subwords' rows added up; empty for a large model
    word_sizes: Ints  # how many rows those are
    loss: int
    tree: Ints  # hierarchical softmax: the children of each node, (n_nodes, 2), labels first, root last; -1: none
    nodes: Floats  # and the outputs of its inner nodes, (n_labels, dim)
    outputs: Floats  # other losses: the outputs of the labels, (dim, n_labels)
    sigmoid: Floats


class Scratch(NamedTuple):
    """Memory for one text."""

    token: Bytes
    rows: Ints
    hashes: Ints
    hidden: Floats
    output: Floats
    stack: Ints
    stack_score: Floats


def new_predictor(model: ModelFile) -> Predictor:
    """The tables that predicting needs beside the file."""
    dim, n_labels = model.input.shape[1], len(model.label_counts)
    is_small = model.input.codes.size > 0 and 4 * model.input.shape[0] * dim <= EXPANDED_BYTES_MAX
    rows = plain_matrix(expand(model.input).view(UNALIGNED)) if is_small else model.input
    n_sums = model.n_words if is_small and model.maxn > 0 else 0
    outputs = expand(model.output)[:n_labels]
    n_leaves = n_labels if model.loss == HIERARCHICAL else 0
    predictor = Predictor(
        new_names(model), model.n_words, model.word_ngrams, new_buckets(model),
        rows, np.zeros((n_sums, dim), np.float32), np.zeros(n_sums, np.int32),
        model.loss, _tree(model.label_counts[:n_leaves]), outputs[:n_leaves].copy(),
        np.array(outputs[n_leaves:].T, np.float32, order="C"), _sigmoid_table(),
    )  # fmt: skip
    _sum_words(predictor, _scratch(predictor, int((model.ends - model.starts).max(initial=0))))
    return predictor


def predict(
    predictor: Predictor, utf8: Bytes, offsets: Offsets, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The k likeliest labels of n texts and their probabilities, (n, k); -1 and 0 where there are fewer.

    Which of several labels with equal probability comes first is not defined.
    """
    label = np.full((len(offsets) - 1, k), -1, np.int64)
    score = np.full((len(offsets) - 1, k), -np.inf, np.float32)
    scratch = _scratch(predictor, int(np.diff(offsets).max(initial=0)))
    _predict(predictor, utf8, offsets, scratch, label, score)
    return label, np.minimum(np.exp(score), 1)


def _scratch(predictor: Predictor, n_bytes: int) -> Scratch:
    """Scratch for texts of up to n_bytes; pages that no text touches cost no memory."""
    n_token = max(n_bytes, len(END_OF_LINE)) + 2
    n_rows = 1 + n_token * max(predictor.buckets.maxn, 0) + NGRAMS_AT_ONCE + max(predictor.word_ngrams, 0)
    dim, n_labels = predictor.outputs.shape
    n_nodes = len(predictor.tree) + 1
    return Scratch(
        np.empty(n_token, np.uint8), np.empty(n_rows, np.int32), np.empty(n_bytes // 2 + 2, np.int32),
        np.empty(dim, np.float32), np.empty(n_labels, np.float32),
        np.empty(n_nodes, np.int32), np.empty(n_nodes, np.float32),
    )  # fmt: skip


def _tree(counts: list[int]) -> Ints:
    """HierarchicalSoftmaxLoss::buildTree: Huffman's tree over labels that come in falling order of their counts."""
    n_labels = len(counts)
    n_nodes = max(2 * n_labels - 1, 0)
    weights = counts + [LABEL_COUNT_MAX] * (n_nodes - n_labels)
    tree = np.full((n_nodes, 2), -1, np.int32)
    leaf, node = n_labels - 1, n_labels
    for parent in range(n_labels, n_nodes):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                tree[parent, side], leaf = leaf, leaf - 1
            else:
                tree[parent, side], node = node, node + 1
        weights[parent] = weights[tree[parent, 0]] + weights[tree[parent, 1]]
    return tree


def _sigmoid_table() -> Floats:
    steps = np.arange(SIGMOID_STEPS + 1) * 2 * SIGMOID_MAX / SIGMOID_STEPS - SIGMOID_MAX
    return (1 / (1 + np.exp(-steps.astype(np.float32)))).astype(np.float32)


@kernel()
def _sum_words(model: Predictor, scratch: Scratch) -> None:
    """Fills in `word_sums` and `word_sizes`."""
    names, token = model.names, scratch.token
    for word in range(len(model.word_sums)):
        size = names.ends[word] - names.starts[word]
        for at in range(size):
            token[1 + at] = names.content[names.starts[word] + at]
        is_end = size == len(END_OF_LINE) and begins_with(token, size, END_OF_LINE)
        n_rows = rows_of_word(model.buckets, word, token, size, is_end, scratch.rows)
        add_rows(model.rows, scratch.rows, n_rows, model.word_sums[word])
        model.word_sizes[word] = n_rows


@kernel()
def _predict(
    model: Predictor,
    utf8: Bytes,
    offsets: Offsets,
    scratch: Scratch,
    label: npt.NDArray[np.int64],
    score: npt.NDArray[np.float32],
) -> None:
    """label[text], score[text]: the likeliest labels and the logarithms of their probabilities, best first."""
    for d in range(len(offsets) - 1):
        n_rows = _add_text(model, utf8, offsets[d], offsets[d + 1], scratch)
        if n_rows == 0:
            continue
        scale = float32(1 / n_rows)
        for j in range(len(scratch.hidden)):
            scratch.hidden[j] *= scale
        if model.loss == HIERARCHICAL:
            _descend(model, scratch, label[d], score[d])
        else:
            _rank(model, scratch, label[d], score[d])


@kernel()
def _add_text(model: Predictor, utf8: Bytes, i: int, end: int, scratch: Scratch) -> int:
    """hidden: the sum of the rows of utf8[i:end]; returns how many there are."""
    scratch.hidden[:] = 0
    n_rows = n_words = 0
    is_end = False
    while not is_end:
        while i < end and utf8[i] <= SPACE:
            i += 1
        size, h = 0, FNV_START
        while i < end and utf8[i] > SPACE:
            size += 1
            scratch.token[size] = utf8[i]
            h = hash_byte(h, utf8[i])
            i += 1
        if size == 0:
            for at in range(len(END_OF_LINE)):
                h = hash_byte(h, END_OF_LINE[at])
                scratch.token[1 + at] = END_OF_LINE[at]
            size = len(END_OF_LINE)
        is_end = size == len(END_OF_LINE) and begins_with(scratch.token, size, END_OF_LINE)
        word = find_word(model.names, scratch.token, size, h)
        if word >= model.n_words or (word < 0 and begins_with(scratch.token, size, LABEL)):
            continue  # the name of a label
        n_rows += _add_word(model, word, size, is_end, scratch)
        scratch.hashes[n_words] = int32(h)
        n_words += 1
    if model.word_ngrams > 1:
        n_rows += _add_word_ngrams(model, n_words, scratch)
    return n_rows


@kernel()
def _add_word(model: Predictor, word: int, size: int, is_end: bool, scratch: Scratch) -> int:
    """Adds the rows of a word to hidden; returns how many there are."""
    if word >= 0 and len(model.word_sums):
        for j in range(len(scratch.hidden)):
            scratch.hidden[j] += model.word_sums[uintp(word), j]
        return int(model.word_sizes[word])
    n_rows = rows_of_word(model.buckets, word, scratch.token, size, is_end, scratch.rows)
    add_rows(model.rows, scratch.rows, n_rows, scratch.hidden)
    return n_rows


@kernel()
def _add_word_ngrams(model: Predictor, n_words: int, scratch: Scratch) -> int:
    """Adds the rows of the n-grams of words to hidden; returns how many there are.

    Which rows they are is found for many at once, so that the processor waits for several of them together.
    """
    n_rows = n_found = 0
    for i in range(n_words):
        h = uint64(scratch.hashes[i])
        for j in range(i + 1, min(i + model.word_ngrams, n_words)):
            h = h * NGRAM_FACTOR + uint64(scratch.hashes[j])
            row = row_of_bucket(model.buckets, int(h % uint64(model.buckets.n_buckets)))
            scratch.rows[n_found] = row
            n_found += row >= 0
        if n_found >= NGRAMS_AT_ONCE or i == n_words - 1:
            add_rows(model.rows, scratch.rows, n_found, scratch.hidden)
            n_rows += n_found
            n_found = 0
    return n_rows


@kernel()
def _descend(
    model: Predictor, scratch: Scratch, label: npt.NDArray[np.int64], score: npt.NDArray[np.float32]
) -> None:
    """The best leaves of the tree: the likelier child first, and no node that is worse than the worst of the best."""
    n_labels = len(model.nodes)
    scratch.stack[0], scratch.stack_score[0] = 2 * n_labels - 2, 0
    n_open = 1
    while n_open:
        n_open -= 1
        node, logarithm = scratch.stack[n_open], scratch.stack_score[n_open]
        if logarithm < float32(np.log(TINY)) or logarithm < score[-1]:
            continue
        if node < n_labels:
            _insert(node, logarithm, label, score)
            continue
        product = float32(0)
        for j in range(len(scratch.hidden)):
            product += model.nodes[node - n_labels, j] * scratch.hidden[j]
        right = float32(1 / (1 + np.exp(-product)))
        better = int(right > float32(0.5))
        for side in (1 - better, better):
            share = right if side else float32(1 - right)
            scratch.stack[n_open] = model.tree[node, side]
            scratch.stack_score[n_open] = logarithm + float32(np.log(share + TINY))
            n_open += 1


@kernel()
def _rank(model: Predictor, scratch: Scratch, label: npt.NDArray[np.int64], score: npt.NDArray[np.float32]) -> None:
    """The best outputs of a plain layer."""
    output = scratch.output
    output[:] = 0
    for j in range(len(scratch.hidden)):
        weight = scratch.hidden[j]
        for i in range(len(output)):
            output[i] += model.outputs[j, i] * weight
    if model.loss == SOFTMAX:
        _softmax(output)
    for i in range(len(output)):
        p = output[i] if model.loss == SOFTMAX else _sigmoid(model.sigmoid, output[i])
        _insert(i, float32(np.log(p + TINY)), label, score)


@kernel()
def _softmax(output: Floats) -> None:
    largest = output[0]
    for i in range(len(output)):
        largest = max(largest, output[i])
    total = float32(0)
    for i in range(len(output)):
        output[i] = np.exp(output[i] - largest)
        total += output[i]
    for i in range(len(output)):
        output[i] /= total


@kernel()
def _sigmoid(table: Floats, x: np.float32) -> np.float32:
    if x < -SIGMOID_MAX:
        return float32(0)
    if x > SIGMOID_MAX:
        return float32(1)
    rounded: np.float32 = table[int((x + float32(SIGMOID_MAX)) * float32(SIGMOID_STEPS / SIGMOID_MAX / 2))]
    return rounded


@kernel()
def _insert(found: int, logarithm: np.float32, label: npt.NDArray[np.int64], score: npt.NDArray[np.float32]) -> None:
    """Puts a label among the best, which stand in falling order; before its equals."""
    at = len(score) - 1
    if logarithm < score[at]:
        return
    while at > 0 and logarithm >= score[at - 1]:
        label[at], score[at] = label[at - 1], score[at - 1]
        at -= 1
    label[at], score[at] = found, logarithm
