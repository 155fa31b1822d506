"""What a page may cost to parse: pages that would take gigabytes or minutes are refused with a reason."""

import numpy as np
from numba import njit

from curation.main_content_outline import GT, LT, QUOTE, SLASH, SPACE, TABLES
from curation.main_content_tags import TAG, Array, TagTables

MAX_TAGS = 1_500_000  # start and end tags; an element or piece of text takes about 150 bytes
MAX_ATTRIBUTES = 1_000_000  # about 240 bytes each
MAX_ATTRIBUTE_PAIRS = 4 * 10**8  # a parser compares the names of a tag's attributes in pairs: about 1 s
MAX_OPTIONS = 20_000  # its time grows with their square: about 3 s
MAX_PEER_DEPTH = 2_000  # other extractors recurse, or take time that grows with the square of the depth
MAX_REOPENED = 2_000_000  # formatting elements left open are opened again in every later block
APOSTROPHE = 39
FORMATTING_TAGS = [TAG[name] for name in ("a", "b", "code", "em", "font", "i", "small", "strong", "u")]
FORMATTING = np.isin(np.arange(len(TAG)), FORMATTING_TAGS)
OPTION = TAG["option"]
NESTING_TAGS = [TAG[name] for name in ("div", "section", "article", "blockquote", "ul", "ol", "dl", "table", "span")]
NESTING = np.isin(np.arange(len(TAG)), NESTING_TAGS + FORMATTING_TAGS)


class ExtractError(Exception):
    """A page that gives no text; `reason` is the machine-readable why, such as `no_text` or `too_many_tags`."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def refuse_monsters(html: bytes, max_depth: int | None = None) -> None:
    """Raise ExtractError for a page of any size that no parser could handle in a gigabyte and a few seconds.

    With `max_depth` also for one whose elements are nested deeper; the engine `onggi` needs no such limit.
    """
    n_tags, n_attributes, n_pairs, n_options, n_open, deepest = _inspect(np.frombuffer(html, np.uint8), TABLES)
    if max_depth is not None and deepest > max_depth:
        raise ExtractError("too_deep")
    if n_tags > MAX_TAGS or n_options > MAX_OPTIONS or n_open * n_tags > MAX_REOPENED:
        raise ExtractError("too_many_tags")
    if n_attributes > MAX_ATTRIBUTES or n_pairs > MAX_ATTRIBUTE_PAIRS:
        raise ExtractError("too_many_attributes")


@njit(nogil=True, cache=True)
def _inspect(html: Array, tables: TagTables) -> tuple[int, int, int, int, int, int]:
    """Tags, attributes, pairs of attributes of one tag, options, formatting elements never closed, deepest nesting.

    Comments and scripts count as if they were markup, so every figure is an upper bound.
    """
    n_tags, n_attributes, n_pairs, n_options, depth, deepest = 0, 0, 0, 0, 0, 0
    n_open = np.zeros(len(FORMATTING), np.int64)
    at = 0
    while at < len(html) - 1:
        at += 1
        if html[at - 1] != LT:
            continue
        n_tags += 1
        closing = html[at] == SLASH
        at += closing
        name = np.uint32(2166136261)
        while at < len(html) and (97 <= html[at] | 32 <= 122 or 48 <= html[at] <= 57):
            name = np.uint32((name ^ np.uint32(html[at] | 32 if html[at] >= 65 else html[at])) * np.uint32(16777619))
            at += 1
        slot = np.searchsorted(tables.hashes, name)
        kind = tables.hash_tags[slot] if slot < len(tables.hashes) and tables.hashes[slot] == name else 0
        n_options += kind == OPTION and not closing
        if FORMATTING[kind]:
            n_open[kind] += -1 if closing else 1
        if NESTING[kind]:
            depth += -1 if closing else 1
            deepest = max(deepest, depth)
        if closing:
            continue
        n_here, at = _count_attributes(html, at)
        n_attributes += n_here
        n_pairs += n_here * n_here
    return n_tags, n_attributes, n_pairs, n_options, np.maximum(n_open, 0).sum(), deepest


@njit(nogil=True, cache=True)
def _count_attributes(html: Array, at: int) -> tuple[int, int]:
    """How many words stand outside quotes before the next `>` or `<`, and where that is."""
    n_words, in_word = 0, False
    while at < len(html) and html[at] != GT and html[at] != LT:
        byte = html[at]
        if byte in (QUOTE, APOSTROPHE) and html[at - 1] == 61:
            at += 1
            while at < len(html) and html[at] != byte:
                at += 1
            in_word = False
        elif byte <= SPACE or byte == SLASH:
            in_word = False
        elif not in_word:
            n_words, in_word = n_words + 1, True
        at += 1
    return n_words, at
