"""What can be told of each block of text before deciding about it: one row of plain numbers per block.

Where the prose of a page lies tells most of what is to be known about the blocks around it (Kohlschütter et al.,
WSDM 2010; Weninger et al., WWW 2010).
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.main_content_counts import Counts, Totals, add_up, count, frac
from curation.main_content_outline import FNV_PRIME, FNV_START, SPACE, TABLES, Outline
from curation.main_content_tags import HINT_NAMES, Array
from curation.main_content_tree import (
    describe_best,
    describe_hints,
    describe_parents,
    describe_repetition,
    describe_trunk,
)

# Groups of features; an ablation switches off one group at a time.
GROUPS = {
    "text": "n_bytes n_words n_pieces n_punctuation punctuation_per_word word_bytes upper_frac digit_frac "
    "ends_sentence",
    "links": "link_frac n_links parent_link_frac grandparent_link_frac great_link_frac list_link_frac "
    "table_link_frac near_link_frac around_link_frac before_link_frac after_link_frac signature_link_frac",
    "tags": "kind depth in_list list_blocks list_block_bytes in_table table_blocks before_kind after_kind "
    "heading_kind heading_distance",
    "position": "text_before prose_before prose_after n_before n_after n_blocks page_prose page_bytes "
    "page_prose_frac",
    "headline": "after_headline headline_distance title_overlap",
    "neighbours": "before_bytes before_prose after_bytes after_prose near_prose_frac around_prose_frac "
    "prose_distance_before prose_distance_after before_kin after_kin",
    "containers": "trunk_distance branch_prose parent_prose parent_bytes parent_blocks grandparent_prose "
    "grandparent_bytes great_prose in_best best_distance",
    "repetition": "signature_blocks signature_bytes signature_prose",
    "hints": " ".join(f"hint_{name}" for name in HINT_NAMES),
}
NAMES = tuple(name for names in GROUPS.values() for name in names.split())
ROW = np.dtype([(name, np.float32) for name in NAMES])
FIRST_HINT = NAMES.index(f"hint_{HINT_NAMES[0]}")
FAR = 99.0  # a distance, in blocks, to what is not there
MAX_TITLE_WORDS = 64
H1, H2 = 6, 7  # kinds of main_content_tags.KINDS


def features(html: bytes, page: Outline) -> npt.NDArray[np.float32]:
    """The features of every block: (n_blocks, len(NAMES)) float32."""
    matrix = np.zeros((len(page.block_element), len(NAMES)), np.float32)
    if len(matrix):
        _fill(np.frombuffer(html, np.uint8), page, TABLES.kinds, matrix.view(ROW).reshape(-1), matrix)
    return matrix


@njit(nogil=True, cache=True)
def _fill(html: Array, page: Outline, kinds: Array, rows: Array, matrix: Array) -> None:
    counts = count(html, page)
    totals = add_up(counts)
    _describe_text(page, counts, rows)
    _describe_position(counts, totals, rows)
    _describe_headline(html, page, counts, kinds, rows)
    _describe_neighbours(page, counts, totals, kinds, rows)
    describe_parents(page, totals, rows)
    describe_trunk(page, totals, rows)
    describe_best(page, counts, totals, kinds, rows)
    describe_repetition(page, counts, totals, rows)
    describe_hints(page, totals, matrix[:, FIRST_HINT : FIRST_HINT + len(HINT_NAMES)])


@njit(nogil=True, cache=True)
def _describe_text(page: Outline, counts: Counts, rows: Array) -> None:
    for block in range(len(rows)):
        row, n_bytes, n_words = rows[block], max(1.0, counts.n_bytes[block]), max(1.0, counts.n_words[block])
        row.n_bytes, row.n_words, row.n_pieces = counts.n_bytes[block], counts.n_words[block], counts.n_pieces[block]
        row.n_links, row.link_frac = counts.n_links[block], counts.n_link_bytes[block] / n_bytes
        row.n_punctuation = counts.n_punctuation[block]
        row.punctuation_per_word, row.word_bytes = (
            counts.n_punctuation[block] / n_words,
            counts.n_bytes[block] / n_words,
        )
        row.upper_frac, row.digit_frac = counts.n_upper[block] / n_bytes, counts.n_digits[block] / n_bytes
        row.ends_sentence = counts.ends_sentence[block]


@njit(nogil=True, cache=True)
def _describe_position(counts: Counts, totals: Totals, rows: Array) -> None:
    n_blocks = len(rows)
    text, prose = max(1.0, totals.text[n_blocks]), max(1.0, totals.prose[n_blocks])
    for block in range(n_blocks):
        row = rows[block]
        row.text_before, row.prose_before = totals.text[block] / text, totals.prose[block] / prose
        row.prose_after = (totals.prose[n_blocks] - totals.prose[block + 1]) / prose
        row.n_before, row.n_after, row.n_blocks = block, n_blocks - 1 - block, n_blocks
        row.page_prose, row.page_bytes, row.page_prose_frac = prose, text, prose / text


@njit(nogil=True, cache=True)
def _hash_words(html: Array, start: int, end: int, hashes: Array, n_words: int) -> int:
    """Append the hashes of the words in html[start:end], as far as there is room; the new number of words."""
    value, in_word = FNV_START, False
    for at in range(start, end + 1):
        byte = html[at] if at < end else SPACE
        byte = byte + 32 if 65 <= byte <= 90 else byte
        if 97 <= byte <= 122 or 48 <= byte <= 57 or byte >= 128:
            value, in_word = np.uint32((value ^ np.uint32(byte)) * FNV_PRIME), True
        elif in_word:
            if n_words < len(hashes):
                hashes[n_words] = value
                n_words += 1
            value, in_word = FNV_START, False
    return n_words


@njit(nogil=True, cache=True)
def _heading_kind(page: Outline, block: int, kinds: Array) -> int:
    """The kind of the block, or that of its parent where that is a top heading."""
    kind = kinds[page.tag[page.block_element[block]]]
    parent = page.parent[page.block_element[block]]
    if parent >= 0 and (kinds[page.tag[parent]] == H1 or kinds[page.tag[parent]] == H2):
        return int(kinds[page.tag[parent]])
    return int(kind)


@njit(nogil=True, cache=True)
def _describe_headline(html: Array, page: Outline, counts: Counts, kinds: Array, rows: Array) -> None:
    """The headline is the block that agrees best with the title, top headings preferred; else the first <h1>."""
    title, words = np.zeros(MAX_TITLE_WORDS, np.uint32), np.zeros(MAX_TITLE_WORDS, np.uint32)
    n_title = _hash_words(html, page.title_start, page.title_end, title, 0)
    headline, best = -1, 0.5
    for block in range(len(rows)):
        kind = _heading_kind(page, block, kinds)
        if headline < 0 and kind == H1:
            headline = block
        if n_title == 0 or counts.n_words[block] > 40:
            continue
        n_words, piece = 0, page.block_piece[block]
        while piece < len(page.piece_block) and page.piece_block[piece] == block:
            n_words = _hash_words(html, page.piece_start[piece], page.piece_end[piece], words, n_words)
            piece += 1
        n_shared = 0
        for k in range(n_words):
            for j in range(n_title):
                if words[k] == title[j]:
                    n_shared += 1
                    break
        rows[block].title_overlap = n_shared / max(n_words, 1) * min(1.0, n_words / 3)
        score = n_shared / max(n_title, n_words) + (0.5 if kind == H1 else 0.2 if kind == H2 else 0.0)
        if n_words >= 2 and n_shared >= 0.6 * n_words and score > best + 1e-6:
            headline, best = block, score
    if headline < 0:
        return
    for block in range(len(rows)):
        rows[block].headline_distance = block - headline
        rows[block].after_headline = 1.0 if block > headline else 0.5 if block == headline else -1.0


@njit(nogil=True, cache=True)
def _kin(page: Outline, one: int, other: int) -> float:
    """2: blocks of one element; 1: of siblings; 0: of strangers."""
    first, second = page.block_element[one], page.block_element[other]
    return 2.0 if first == second else 1.0 if page.parent[first] == page.parent[second] else 0.0


@njit(nogil=True, cache=True)
def _describe_neighbours(page: Outline, counts: Counts, totals: Totals, kinds: Array, rows: Array) -> None:
    n_blocks, last_prose, last_heading = len(rows), -1, -1
    for block in range(n_blocks):
        row = rows[block]
        row.before_bytes, row.before_kind, row.after_bytes, row.after_kind = -1, -1, -1, -1
        if block > 0:
            row.before_bytes, row.before_prose = counts.n_bytes[block - 1], counts.prose[block - 1]
            row.before_link_frac, row.before_kin = rows[block - 1].link_frac, _kin(page, block - 1, block)
            row.before_kind = kinds[page.tag[page.block_element[block - 1]]]
        if block + 1 < n_blocks:
            row.after_bytes, row.after_prose = counts.n_bytes[block + 1], counts.prose[block + 1]
            row.after_link_frac, row.after_kin = rows[block + 1].link_frac, _kin(page, block, block + 1)
            row.after_kind = kinds[page.tag[page.block_element[block + 1]]]
        first, end = max(0, block - 3), min(n_blocks, block + 4)
        row.near_prose_frac = frac(totals.prose, totals.text, first, end)
        row.near_link_frac = frac(totals.link, totals.text, first, end)
        first, end = max(0, block - 8), min(n_blocks, block + 9)
        row.around_prose_frac = frac(totals.prose, totals.text, first, end)
        row.around_link_frac = frac(totals.link, totals.text, first, end)
        row.kind = kinds[page.tag[page.block_element[block]]]
        row.prose_distance_before = block - last_prose if last_prose >= 0 else FAR
        last_prose = block if counts.prose[block] > 0 else last_prose
        row.heading_distance = block - last_heading if last_heading >= 0 else FAR
        row.heading_kind = rows[last_heading].kind if last_heading >= 0 else 0
        last_heading = block if 6 <= row.kind <= 9 else last_heading
    next_prose = -1
    for block in range(n_blocks - 1, -1, -1):
        rows[block].prose_distance_after = next_prose - block if next_prose >= 0 else FAR
        next_prose = block if counts.prose[block] > 0 else next_prose
