"""The words of texts as a tokenizer cuts them, how often each occurs, and new merges learned from them.

New merges continue where the old ones end. They come after all old ones, so that a word is first encoded as before,
and then has some of its tokens joined; that is what is learned here: byte pair encoding, its letters the old tokens.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from curation.tokens.engines import byte_level_bytes
from curation.tokens.files import imported
from curation.tokens.tokenizer import Tokenizer

FIRST_LETTER = 0x10000
"""Old tokens as letters: each id is one code point from here on, where no white space is."""
REPEATS_AT_ONCE = 1 << 12

Merge = tuple[str, str]
"""Two tokens as the tokenizer's file writes them, which become one."""


@dataclass(frozen=True)
class Words:
    """n words, as a tokenizer cuts them, with their counts (int64)."""

    texts: pa.LargeStringArray
    counts: npt.NDArray[np.int64]


def count_words(library: Any, batches: Iterable[pa.LargeStringArray], pattern: Any) -> Words:
    """The words that match a pattern of bytes somewhere, by their text.

    Args:
        library: the tokenizer as `tokenizers.Tokenizer`.
        batches: texts without nulls.
        pattern: a compiled expression over bytes; None for all words.
    """
    counts: Counter[str] = Counter()
    normalize = library.normalizer.normalize_str if library.normalizer else str
    cut = library.pre_tokenizer.pre_tokenize_str
    for texts in batches:
        for text in texts.to_pylist():
            counts.update(word for word, _ in cut(normalize(text)))
    words = {byte_level_bytes(word): n for word, n in counts.items()}
    chosen = {word: n for word, n in words.items() if pattern is None or pattern.search(word)}
    ordered = sorted(chosen)
    texts = pa.array(ordered, pa.large_binary()).cast(pa.large_string())
    return Words(texts, np.fromiter((chosen[word] for word in ordered), np.int64, len(ordered)))


def learn_merges(
    ids: npt.NDArray[np.uint32],
    bounds: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    may_join: npt.NDArray[np.bool_],
    n_new: int,
) -> list[tuple[list[int], list[int]]]:
    """The pairs of runs of old ids that byte pair encoding joins, the first first.

    Args:
        ids, bounds: of n words, with the old tokenizer.
        counts: of the words.
        may_join: by id, whether a token may become part of a new one.
        n_new: how many merges there are to be, at most.
    """
    tokenizers = imported("tokenizers")
    letters = np.where(may_join[ids], ids + np.uint32(FIRST_LETTER), np.uint32(ord(" ")))
    written = letters.astype("<u4").tobytes().decode("utf-32-le")
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    n_letters = len(np.unique(letters)) - (ord(" ") in letters)
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=n_letters + n_new, show_progress=False, min_frequency=2)
    model.train_from_iterator(_repeated(written, bounds, counts), trainer)
    merges = orjson.loads(model.to_str())["model"]["merges"]
    return [([ord(c) - FIRST_LETTER for c in a], [ord(c) - FIRST_LETTER for c in b]) for a, b in merges]


def _repeated(written: str, bounds: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> Iterable[str]:
    """Each word as often as it occurs."""
    at = bounds.tolist()
    for word, count in enumerate(counts.tolist()):
        piece = written[at[word] : at[word + 1]] + " "
        if len(piece) > 2:  # one token cannot be joined
            for start in range(0, count, REPEATS_AT_ONCE):
                yield piece * min(REPEATS_AT_ONCE, count - start)


def token_uses(tokenizer: Tokenizer, words: Words) -> npt.NDArray[np.int64]:
    """How often each id (index) occurs in the words with their counts."""
    ids, bounds = tokenizer.encode(words.texts)
    weights = np.repeat(words.counts, np.diff(bounds))
    uses = np.bincount(ids, weights=weights, minlength=tokenizer.vocab_size)
    return uses.astype(np.int64)
