"""Counts per block of text, and their running sums, from which any container's totals follow by subtraction.

Lengths are bytes of UTF-8 without white space, so that a Korean and an English sentence of equal content weigh about
the same. A *prose* block has some length, few links and punctuation.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from curation.main_content_outline import AMP, SPACE, Outline
from curation.main_content_tags import Array

PROSE_BYTES, PROSE_LINK_FRAC, LONG_BYTES = 60, 0.35, 200


class Totals(NamedTuple):
    """Running sums over the blocks: entry b holds the sum over the blocks before b."""

    text: Array
    link: Array
    prose: Array


class Counts(NamedTuple):
    """Per block, counted from its bytes."""

    n_bytes: Array
    n_link_bytes: Array
    n_words: Array
    n_links: Array
    n_punctuation: Array
    n_upper: Array
    n_digits: Array
    n_pieces: Array
    ends_sentence: Array
    prose: Array  # its bytes where the block is prose, else 0


@njit(nogil=True, cache=True)
def count(html: Array, page: Outline) -> Counts:
    """Count each block of a page in one pass over its bytes."""
    n_blocks = len(page.block_element)
    n_bytes, n_link_bytes, n_words, n_links, n_punctuation, n_upper, n_digits, n_pieces, ends, prose = (
        np.zeros(n_blocks, np.float32), np.zeros(n_blocks, np.float32), np.zeros(n_blocks, np.float32),
        np.zeros(n_blocks, np.float32), np.zeros(n_blocks, np.float32), np.zeros(n_blocks, np.float32),
        np.zeros(n_blocks, np.float32), np.zeros(n_blocks, np.float32), np.zeros(n_blocks, np.float32),
        np.zeros(n_blocks, np.float32),
    )  # fmt: skip
    previous, was_link, in_word, last = -1, False, False, 0
    for piece in range(len(page.piece_start)):
        block = page.piece_block[piece]
        if block != previous:
            previous, was_link, in_word, last = block, False, False, 0
        n_pieces[block] += 1
        if page.piece_end[piece] < 0:
            in_word = False
            continue
        is_link = page.piece_is_link[piece]
        n_links[block] += is_link and not was_link
        was_link = is_link
        at = page.piece_start[piece]
        before = n_bytes[block]
        while at < page.piece_end[piece]:
            byte = html[at]
            if byte <= SPACE or (byte == AMP and html[at + 1] == 110):  # &nbsp;
                in_word = False
                at += 6 if byte == AMP else 1
                continue
            if not in_word:
                n_words[block] += 1
                in_word = True
            n_bytes[block] += 1
            if byte == AMP:  # &amp; &lt; &gt;
                while at + 1 < len(html) and html[at] != 59:
                    at += 1
            elif byte == 33 or byte == 44 or byte == 46 or byte == 58 or byte == 59 or byte == 63:
                n_punctuation[block] += 1
            elif byte == 0xE3 and html[at + 1] == 0x80 and (html[at + 2] == 0x81 or html[at + 2] == 0x82):  # 、 。
                n_punctuation[block] += 1
                byte = 46
                at += 2
            n_upper[block] += 65 <= byte <= 90
            n_digits[block] += 48 <= byte <= 57
            if byte != 34 and byte != 41 and byte != 93:  # a closing quote or bracket ends nothing
                last = byte
            at += 1
        if is_link:
            n_link_bytes[block] += n_bytes[block] - before
        ends[block] = 1.0 if last == 33 or last == 46 or last == 63 else 0.5 if last == 44 or last == 58 else 0.0
    for block in range(n_blocks):
        link_frac = n_link_bytes[block] / max(1.0, n_bytes[block])
        if link_frac < PROSE_LINK_FRAC:
            if n_bytes[block] >= LONG_BYTES or (n_bytes[block] >= PROSE_BYTES and n_punctuation[block] >= 1):
                prose[block] = n_bytes[block] * (1 - link_frac)
            elif page.block_is_pre[block]:
                prose[block] = 0.5 * n_bytes[block]
    return Counts(
        n_bytes, n_link_bytes, n_words, n_links, n_punctuation, n_upper, n_digits, n_pieces, ends, prose
    )  # fmt: skip


@njit(nogil=True, cache=True)
def add_up(counts: Counts) -> Totals:
    """The running sums over the blocks."""
    n_blocks = len(counts.n_bytes)
    text, link, prose = np.zeros(n_blocks + 1), np.zeros(n_blocks + 1), np.zeros(n_blocks + 1)
    for block in range(n_blocks):
        text[block + 1] = text[block] + counts.n_bytes[block]
        link[block + 1] = link[block] + counts.n_link_bytes[block]
        prose[block + 1] = prose[block] + counts.prose[block]
    return Totals(text, link, prose)


@njit(nogil=True, cache=True)
def frac(part: Array, whole: Array, first: int, end: int) -> float:
    """The share of one sum in another over the blocks [first, end)."""
    return float((part[end] - part[first]) / max(1.0, whole[end] - whole[first]))
