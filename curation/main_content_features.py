"""What can be told of each block of text before deciding about it: one row of plain numbers per block.

Lengths are bytes of UTF-8 without white space, so that a Korean and an English sentence of equal content weigh about
the same. A *prose* block has some length, few links and punctuation; where the prose of a page lies tells most of
what is to be known about the blocks around it (Kohlschütter et al., WSDM 2010; Weninger et al., WWW 2010).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.main_content_outline import AMP, FNV_PRIME, FNV_START, SPACE, TABLES, Outline
from curation.main_content_tags import HINT_NAMES, TAG, Array

# Groups of features; an ablation switches off one group at a time.
GROUPS = {
    "text": "n_bytes n_words n_pieces n_punctuation punctuation_per_word word_bytes upper_frac digit_frac ends_sentence",
    "links": "link_frac n_links parent_link_frac grandparent_link_frac great_link_frac list_link_frac table_link_frac "
    "near_link_frac around_link_frac before_link_frac after_link_frac signature_link_frac",
    "tags": "kind depth in_list list_blocks list_block_bytes in_table table_blocks before_kind after_kind heading_kind "
    "heading_distance",
    "position": "text_before prose_before prose_after n_before n_after n_blocks page_prose page_bytes page_prose_frac",
    "headline": "after_headline headline_distance title_overlap",
    "neighbours": "before_bytes before_prose after_bytes after_prose near_prose_frac around_prose_frac prose_distance_before "
    "prose_distance_after before_kin after_kin",
    "containers": "trunk_distance branch_prose parent_prose parent_bytes parent_blocks grandparent_prose grandparent_bytes "
    "great_prose in_best best_distance",
    "repetition": "signature_blocks signature_bytes signature_prose",
    "hints": " ".join(f"hint_{name}" for name in HINT_NAMES),
}
NAMES = tuple(name for names in GROUPS.values() for name in names.split())
ROW = np.dtype([(name, np.float32) for name in NAMES])
FIRST_HINT = NAMES.index(f"hint_{HINT_NAMES[0]}")
NO_HINT = 2.0  # shares of the page are 0 to 1
FAR = 99.0  # a distance, in blocks, to what is not there
PROSE_BYTES, PROSE_LINK_FRAC, LONG_BYTES = 60, 0.35, 200
TRUNK_FRAC = 0.6  # the trunk goes on into the child that holds this much of the prose
MAX_TITLE_WORDS = 64
UL, OL, TABLE = TAG["ul"], TAG["ol"], TAG["table"]
H1, H2, DIV = 6, 7, 11  # kinds of main_content_tags.KINDS


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


def features(html: bytes, page: Outline) -> npt.NDArray[np.float32]:
    """The features of every block: (n_blocks, len(NAMES)) float32."""
    matrix = np.zeros((len(page.block_element), len(NAMES)), np.float32)
    if len(matrix):
        _fill(np.frombuffer(html, np.uint8), page, TABLES.kinds, matrix.view(ROW).reshape(-1), matrix)
    return matrix


@njit(nogil=True, cache=True)
def _fill(html: Array, page: Outline, kinds: Array, rows: Array, matrix: Array) -> None:
    counts = _count(html, page)
    totals = _sum(counts)
    _describe_text(page, counts, rows)
    _describe_position(counts, totals, rows)
    _describe_headline(html, page, counts, kinds, rows)
    _describe_neighbours(page, counts, totals, kinds, rows)
    _describe_parents(page, totals, kinds, rows)
    _describe_trunk(page, totals, rows)
    _describe_best(page, counts, totals, kinds, rows)
    _describe_repetition(page, counts, totals, rows)
    _describe_hints(page, totals, matrix)


@njit(nogil=True, cache=True)
def _count(html: Array, page: Outline) -> Counts:
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
def _sum(counts: Counts) -> Totals:
    n_blocks = len(counts.n_bytes)
    text, link, prose = np.zeros(n_blocks + 1), np.zeros(n_blocks + 1), np.zeros(n_blocks + 1)
    for block in range(n_blocks):
        text[block + 1] = text[block] + counts.n_bytes[block]
        link[block + 1] = link[block] + counts.n_link_bytes[block]
        prose[block + 1] = prose[block] + counts.prose[block]
    return Totals(text, link, prose)


@njit(nogil=True, cache=True)
def _frac(part: Array, whole: Array, first: int, end: int) -> float:
    return (part[end] - part[first]) / max(1.0, whole[end] - whole[first])


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
        return kinds[page.tag[parent]]
    return kind


@njit(nogil=True, cache=True)
def _describe_headline(html: Array, page: Outline, counts: Counts, kinds: Array, rows: Array) -> None:
    """The headline is the block that agrees best with the page's title, top headings preferred; else the first <h1>."""
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
        row.near_prose_frac = _frac(totals.prose, totals.text, first, end)
        row.near_link_frac = _frac(totals.link, totals.text, first, end)
        first, end = max(0, block - 8), min(n_blocks, block + 9)
        row.around_prose_frac = _frac(totals.prose, totals.text, first, end)
        row.around_link_frac = _frac(totals.link, totals.text, first, end)
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


@njit(nogil=True, cache=True)
def _describe_parents(page: Outline, totals: Totals, kinds: Array, rows: Array) -> None:
    """The elements that hold a block: its parent and the two above, the nearest list, the nearest table."""
    n_elements, prose = len(page.tag), max(1.0, totals.prose[-1])
    depth, nearest_list, nearest_table = (
        np.zeros(n_elements, np.int32), np.full(n_elements, -1, np.int32), np.full(n_elements, -1, np.int32)
    )  # fmt: skip
    for element in range(n_elements):
        up, tag = page.parent[element], page.tag[element]
        if up >= 0:
            depth[element], nearest_list[element], nearest_table[element] = (
                depth[up] + 1,
                nearest_list[up],
                nearest_table[up],
            )
        if tag == UL or tag == OL:
            nearest_list[element] = element
        elif tag == TABLE:
            nearest_table[element] = element
    for block in range(len(rows)):
        row, element = rows[block], page.block_element[block]
        row.depth = depth[element]
        held = page.parent[element]
        if held >= 0:
            first, end = page.first_block[held], page.end_block[held]
            row.parent_prose, row.parent_blocks = (totals.prose[end] - totals.prose[first]) / prose, end - first
            row.parent_bytes = totals.text[end] - totals.text[first]
            row.parent_link_frac = _frac(totals.link, totals.text, first, end)
            held = page.parent[held]
        if held >= 0:
            first, end = page.first_block[held], page.end_block[held]
            row.grandparent_prose = (totals.prose[end] - totals.prose[first]) / prose
            row.grandparent_bytes = totals.text[end] - totals.text[first]
            row.grandparent_link_frac = _frac(totals.link, totals.text, first, end)
            held = page.parent[held]
        if held >= 0:
            first, end = page.first_block[held], page.end_block[held]
            row.great_prose = (totals.prose[end] - totals.prose[first]) / prose
            row.great_link_frac = _frac(totals.link, totals.text, first, end)
        held = nearest_list[element]
        if held >= 0:
            first, end = page.first_block[held], page.end_block[held]
            row.in_list, row.list_blocks, row.list_link_frac = (
                1,
                end - first,
                _frac(totals.link, totals.text, first, end),
            )
            row.list_block_bytes = (totals.text[end] - totals.text[first]) / max(1, end - first)
        held = nearest_table[element]
        if held >= 0:
            first, end = page.first_block[held], page.end_block[held]
            row.in_table, row.table_blocks, row.table_link_frac = (
                1,
                end - first,
                _frac(totals.link, totals.text, first, end),
            )


@njit(nogil=True, cache=True)
def _describe_trunk(page: Outline, totals: Totals, rows: Array) -> None:
    """The trunk: from the root always into the child that holds most of the prose, while one does.

    A block's branch is the child of the trunk that holds it; `trunk_distance` is how far above the trunk's end it forks.
    """
    n_elements, prose = len(page.tag), max(1.0, totals.prose[-1])
    level, branch = np.zeros(n_elements, np.int32), np.zeros(n_elements, np.int32)
    on_trunk = np.zeros(n_elements, np.bool_)
    element, top = 0, 1
    while True:
        level[element], on_trunk[element] = top, True
        heaviest, most, child = -1, 0.0, element + 1
        while child < page.end[element]:
            held = totals.prose[page.end_block[child]] - totals.prose[page.first_block[child]]
            if held > most:
                heaviest, most = child, held
            child = page.end[child]
        whole = totals.prose[page.end_block[element]] - totals.prose[page.first_block[element]]
        if heaviest < 0 or most < TRUNK_FRAC * whole:
            break
        element, top = heaviest, top + 1
    for element in range(n_elements):
        up = page.parent[element]
        if on_trunk[element] or up < 0:
            branch[element] = element
        else:
            level[element], branch[element] = level[up], element if on_trunk[up] else branch[up]
    for block in range(len(rows)):
        element = page.block_element[block]
        fork = branch[element]
        rows[block].trunk_distance = top - level[element]
        rows[block].branch_prose = (totals.prose[page.end_block[fork]] - totals.prose[page.first_block[fork]]) / prose


@njit(nogil=True, cache=True)
def _best_element(page: Outline, counts: Counts, totals: Totals, kinds: Array) -> int:
    """The container of Readability: prose gives points to its ancestors, half as many at each step up."""
    points = np.zeros(len(page.tag), np.float32)
    for block in range(len(counts.prose)):
        if counts.prose[block] <= 0:
            continue
        given = 1.0 + min(3.0, counts.prose[block] / 200) + min(3.0, 0.3 * counts.n_punctuation[block])
        element = page.block_element[block]
        if kinds[page.tag[element]] == DIV:
            points[element] += 0.8 * given
        for _ in range(4):
            element = page.parent[element]
            if element < 0:
                break
            points[element] += given
            given *= 0.5
    best, most = 0, 0.0
    for element in range(len(points)):
        link_frac = _frac(totals.link, totals.text, page.first_block[element], page.end_block[element])
        if points[element] * (1 - link_frac) > most:
            best, most = element, points[element] * (1 - link_frac)
    return best


@njit(nogil=True, cache=True)
def _describe_best(page: Outline, counts: Counts, totals: Totals, kinds: Array, rows: Array) -> None:
    best = _best_element(page, counts, totals, kinds)
    distance, above = np.zeros(len(page.tag), np.int32), np.zeros(len(page.tag), np.bool_)
    element, n_up = best, 0
    while element >= 0:
        above[element], distance[element] = True, n_up
        element, n_up = page.parent[element], n_up + 1
    for element in range(len(page.tag)):
        if not above[element] and page.parent[element] >= 0:
            distance[element] = distance[page.parent[element]]
    for block in range(len(rows)):
        element = page.block_element[block]
        rows[block].in_best = best <= element < page.end[best]
        rows[block].best_distance = distance[element]


@njit(nogil=True, cache=True)
def _describe_repetition(page: Outline, counts: Counts, totals: Totals, rows: Array) -> None:
    """Blocks whose element and parent carry the same tag and class: how many, how long, how much prose and link."""
    n_blocks, prose = len(rows), max(1.0, totals.prose[-1])
    keys = np.zeros(n_blocks, np.uint32)
    for block in range(n_blocks):
        element = page.block_element[block]
        up = page.signature[page.parent[element]] if page.parent[element] >= 0 else np.uint32(0)
        keys[block] = np.uint32(page.signature[element] * np.uint32(31) + up)
    order = np.argsort(keys)
    first = 0
    while first < n_blocks:
        end, n_bytes, n_link_bytes, n_prose = first, 0.0, 0.0, 0.0
        while end < n_blocks and keys[order[end]] == keys[order[first]]:
            block = order[end]
            n_bytes += counts.n_bytes[block]
            n_link_bytes += counts.n_link_bytes[block]
            n_prose += counts.prose[block]
            end += 1
        for k in range(first, end):
            row = rows[order[k]]
            row.signature_blocks, row.signature_bytes = end - first, n_bytes / (end - first)
            row.signature_link_frac, row.signature_prose = n_link_bytes / max(1.0, n_bytes), n_prose / prose
        first = end


@njit(nogil=True, cache=True)
def _describe_hints(page: Outline, totals: Totals, matrix: Array) -> None:
    """Per hint: the share of the page's text in the nearest element around the block that carries it; small is telling."""
    n_elements, n_hints, text = len(page.tag), len(HINT_NAMES), max(1.0, totals.text[-1])
    shares = np.full((n_elements, n_hints), NO_HINT, np.float32)
    for element in range(n_elements):
        if page.parent[element] >= 0:
            shares[element] = shares[page.parent[element]]
        if page.hints[element] == 0:
            continue
        share = (totals.text[page.end_block[element]] - totals.text[page.first_block[element]]) / text
        for hint in range(n_hints):
            if (page.hints[element] >> np.uint32(hint)) & np.uint32(1):
                shares[element, hint] = share
    for block in range(len(matrix)):
        matrix[block, FIRST_HINT : FIRST_HINT + n_hints] = shares[page.block_element[block]]
