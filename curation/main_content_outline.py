"""The outline of a page: its elements and blocks of text as flat arrays, read in one linear pass.

The kernel reads the serialisation of a tree that a real HTML parser built, so every element is closed, every
attribute is quoted and only four entities occur; depth costs nothing because nothing recurses.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from curation.main_content_tags import HINT_NAMES, TAG, Array, Automaton, TagTables, automaton, tag_tables

TABLES, HINT_AUTOMATON = tag_tables(), automaton()
LT, GT, AMP, QUOTE, SPACE, EQUALS, SLASH = 60, 62, 38, 34, 32, 61, 47
A, BR, PRE, XMP, TITLE = TAG["a"], TAG["br"], TAG["pre"], TAG["xmp"], TAG["title"]
HTML, BODY, MAIN_TAG, ARTICLE_TAG = TAG["html"], TAG["body"], TAG["main"], TAG["article"]
LANDMARK = np.uint32(1 << HINT_NAMES.index("landmark"))
FNV_START, FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)

CLASS, ID, ROLE, ITEMPROP, HIDDEN, ARIA_HIDDEN, STYLE = (
    np.frombuffer(name, np.uint8)
    for name in (b"class", b"id", b"role", b"itemprop", b"hidden", b"aria-hidden", b"style")
)
MAIN, ARTICLE, ARTICLE_BODY, UNTIL_FOUND, TRUE, NO_DISPLAY, INVISIBLE = (
    np.frombuffer(value, np.uint8)
    for value in (b"main", b"article", b"articlebody", b"until-found", b"true", b"display:none", b"visibility:hidden")
)


class Outline(NamedTuple):
    """A page as arrays. Elements stand in document order; an element's subtree is [e, end[e]).

    A block is a run of text without a block-level boundary in it; an element holds the blocks
    [first_block[e], end_block[e]). A piece is a stretch of bytes of one block; a line break is a piece with
    piece_end -1. The title is a stretch of bytes too.
    """

    tag: Array
    parent: Array
    end: Array
    first_block: Array
    end_block: Array
    hints: Array  # bits of HINT_NAMES, of the element itself
    signature: Array  # hash of tag and class
    piece_start: Array
    piece_end: Array
    piece_is_link: Array
    piece_block: Array
    block_element: Array  # the block-level element that holds the block
    block_is_pre: Array
    block_piece: Array  # the first piece of the block
    title_start: int
    title_end: int
    deepest: int


def outline(html: bytes) -> Outline:
    """The outline of serialised HTML (UTF-8), in time and memory proportional to its length."""
    return _scan(np.frombuffer(html, np.uint8), html.count(b"<"), TABLES, HINT_AUTOMATON)


@njit(nogil=True, cache=True)
def _find(html: Array, start: int, byte: int) -> int:
    while start < len(html) and html[start] != byte:
        start += 1
    return start


@njit(nogil=True, cache=True)
def _equals(html: Array, start: int, end: int, word: Array) -> bool:
    """Is html[start:end], in lower case, this word?"""
    if end - start != len(word):
        return False
    for k in range(len(word)):
        byte = html[start + k]
        if (byte + 32 if 65 <= byte <= 90 else byte) != word[k]:
            return False
    return True


@njit(nogil=True, cache=True)
def _declares(html: Array, start: int, end: int, rule: Array) -> bool:
    """Does a style attribute, spaces left out, hold this rule?"""
    for first in range(start, end):
        k, at = 0, first
        while at < end and k < len(rule):
            byte = html[at]
            at += 1
            if byte == SPACE:
                continue
            if (byte + 32 if 65 <= byte <= 90 else byte) != rule[k]:
                break
            k += 1
        if k == len(rule):
            return True
    return False


@njit(nogil=True, cache=True)
def _hints_in(html: Array, start: int, end: int, words: Automaton) -> np.uint32:
    """The hints of an attribute value; where lower case turns to upper, and at every non-letter, a word begins."""
    state, bits = words.next_state[0, 0], np.uint32(0)
    was_lower, was_boundary = False, True
    for k in range(start, end + 1):
        byte = html[k] if k < end else SPACE
        lower, upper = 97 <= byte <= 122, 65 <= byte <= 90
        if not was_boundary and (not (lower or upper) or (upper and was_lower)):
            state = words.next_state[state, 0]
            bits |= words.found[state]
        was_lower, was_boundary = lower, not (lower or upper)
        if lower or upper:
            state = words.next_state[state, byte - (96 if lower else 64)]
            bits |= words.found[state]
    return bits


@njit(nogil=True, cache=True)
def _hash_name(html: Array, start: int) -> tuple[np.uint32, int]:
    """The hash of the lower-cased tag name that begins here, and where it ends."""
    value = FNV_START
    while start < len(html) and html[start] != GT and html[start] != SPACE:
        byte = html[start]
        value = np.uint32((value ^ np.uint32(byte + 32 if 65 <= byte <= 90 else byte)) * FNV_PRIME)
        start += 1
    return value, start


@njit(nogil=True, cache=True)
def _tag_of(value: np.uint32, tables: TagTables) -> Any:
    at = np.searchsorted(tables.hashes, value)
    return tables.hash_tags[at] if at < len(tables.hashes) and tables.hashes[at] == value else np.uint8(0)


@njit(nogil=True, cache=True)
def _attributes(
    html: Array, at: int, kind: int, words: Automaton, signature: np.uint32
) -> tuple[int, np.uint32, np.uint32, bool]:
    """Read the attributes up to `>`: where the tag ends, its hints, its signature, and whether it hides its content.

    Class names of <html> and <body> describe the page, not a part of it, so they give no hints; and what holds the
    whole page or article is hidden only until a script shows it, so that hiding does not count.
    """
    page_wide = kind in (HTML, BODY)
    hideable = not page_wide and kind != MAIN_TAG and kind != ARTICLE_TAG
    hints, hidden = np.uint32(0), False
    while at < len(html) and html[at] != GT:
        if html[at] == SPACE:
            at += 1
            continue
        name = at
        while at < len(html) and html[at] != EQUALS and html[at] != SPACE and html[at] != GT:
            at += 1
        name_end, value, value_end = at, at, at
        if at + 1 < len(html) and html[at] == EQUALS and html[at + 1] == QUOTE:
            value, value_end = at + 2, _find(html, at + 2, QUOTE)
            at = value_end + 1
        n_bytes = name_end - name
        if n_bytes == 5 and _equals(html, name, name_end, CLASS):
            hints |= _hints_in(html, value, value_end, words)
            for k in range(value, value_end):
                signature = np.uint32((signature ^ np.uint32(html[k])) * FNV_PRIME)
        elif n_bytes == 2 and _equals(html, name, name_end, ID):
            hints |= _hints_in(html, value, value_end, words)
        elif n_bytes == 4 and _equals(html, name, name_end, ROLE):
            hints |= _hints_in(html, value, value_end, words)
            if _equals(html, value, value_end, MAIN) or _equals(html, value, value_end, ARTICLE):
                hints |= LANDMARK
        elif n_bytes == 8 and _equals(html, name, name_end, ITEMPROP):
            hints |= _hints_in(html, value, value_end, words)
            if _equals(html, value, value_end, ARTICLE_BODY):
                hints |= LANDMARK
        elif n_bytes == 6 and _equals(html, name, name_end, HIDDEN):
            hidden = hidden or not _equals(html, value, value_end, UNTIL_FOUND)
        elif n_bytes == 11 and _equals(html, name, name_end, ARIA_HIDDEN):
            hidden = hidden or _equals(html, value, value_end, TRUE)
        elif n_bytes == 5 and _equals(html, name, name_end, STYLE):
            hidden = (
                hidden
                or _declares(html, value, value_end, NO_DISPLAY)
                or _declares(html, value, value_end, INVISIBLE)
            )
    return at + 1, np.uint32(0) if page_wide else hints, signature, hidden and hideable


@njit(nogil=True, cache=True)
def _is_blank(html: Array, start: int, end: int) -> bool:
    """White space and &nbsp; only?"""
    while start < end:
        if html[start] == AMP and start + 4 < end and html[start + 1] == 110 and html[start + 2] == 98:
            start += 6
        elif html[start] <= SPACE:
            start += 1
        else:
            return False
    return True


@njit(nogil=True, cache=True)
def _skip_raw(html: Array, at: int, name: np.uint32) -> int:
    """From inside a script, a style or the like to its end tag; what looks like markup in there is not."""
    while at < len(html):
        at = _find(html, at, LT)
        if at + 1 < len(html) and html[at + 1] == SLASH and _hash_name(html, at + 2)[0] == name:
            return at
        at += 1
    return at


@njit(nogil=True, cache=True)
def _skip_declaration(html: Array, at: int) -> int:
    """Past a comment or a doctype."""
    if at + 3 < len(html) and html[at + 2] == 45 and html[at + 3] == 45:
        at += 4
        while at + 2 < len(html) and not (html[at] == 45 and html[at + 1] == 45 and html[at + 2] == GT):
            at += 1
        return at + 3
    return _find(html, at, GT) + 1


@njit(nogil=True, cache=True)
def _scan(html: Array, n_tags: int, tables: TagTables, words: Automaton) -> Outline:
    size = n_tags + 2
    tag, parent, end = np.zeros(size, np.uint8), np.zeros(size, np.int32), np.zeros(size, np.int32)
    first_block, end_block = np.zeros(size, np.int32), np.zeros(size, np.int32)
    hints, signatures = np.zeros(size, np.uint32), np.zeros(size, np.uint32)
    piece_start, piece_end = np.zeros(size, np.int32), np.zeros(size, np.int32)
    piece_is_link, piece_block = np.zeros(size, np.bool_), np.zeros(size, np.int32)
    block_element, block_piece = np.zeros(size, np.int32), np.zeros(size, np.int32)
    block_is_pre = np.zeros(size, np.bool_)
    open_elements, holder = np.zeros(size, np.int32), np.zeros(size, np.int32)  # holder: nearest block-level element
    n_elements, n_blocks, n_pieces, depth, deepest = 0, 0, 0, 0, 0
    skipped_from, n_links, n_pres = 0, 0, 0  # depth at which a subtree without text began; open <a>, open <pre>
    block, after_break = -1, False
    title_start, title_end = 0, 0
    at = 0
    while at < len(html):
        if html[at] != LT:
            text_end = _find(html, at, LT)
            if skipped_from == 0 and depth > 0:
                blank = _is_blank(html, at, text_end)
                if block < 0 and not blank:
                    block = n_blocks
                    n_blocks += 1
                    block_element[block], block_is_pre[block], block_piece[block] = (
                        holder[depth - 1],
                        n_pres > 0,
                        n_pieces,
                    )
                if block >= 0:
                    after_break = after_break and blank
                    piece_start[n_pieces], piece_end[n_pieces] = at, text_end
                    piece_is_link[n_pieces], piece_block[n_pieces] = n_links > 0, block
                    n_pieces += 1
            elif title_end == 0 and depth > 0 and tag[open_elements[depth - 1]] == TITLE:
                title_start, title_end = at, text_end
            at = text_end
        elif at + 1 < len(html) and (html[at + 1] == 33 or html[at + 1] == 63):
            at = _skip_declaration(html, at)
        elif at + 1 < len(html) and html[at + 1] == SLASH:
            name, at = _hash_name(html, at + 2)
            at += 1
            kind = _tag_of(name, tables)
            if depth == 0 or tag[open_elements[depth - 1]] != kind:
                continue
            depth -= 1
            element = open_elements[depth]
            end[element], end_block[element] = n_elements, n_blocks
            if skipped_from > 0:
                skipped_from = 0 if skipped_from == depth + 1 else skipped_from
                continue
            if tables.is_block[kind]:
                block, after_break = -1, False
            n_links -= kind == A
            n_pres -= kind in (PRE, XMP)
        else:
            name, at = _hash_name(html, at + 1)
            kind = _tag_of(name, tables)
            at, bits, signature, hidden = _attributes(html, at, kind, words, name)
            if tables.is_void[kind]:
                if skipped_from > 0:
                    continue
                if kind == BR and block >= 0 and not after_break:
                    piece_end[n_pieces], piece_block[n_pieces] = -1, block
                    n_pieces += 1
                    after_break = True
                elif kind == BR or tables.is_block[kind]:
                    block, after_break = -1, False  # two breaks in a row, or a rule: a new paragraph
                continue
            element = n_elements
            n_elements += 1
            tag[element], hints[element], signatures[element] = kind, bits | tables.hints[kind], signature
            parent[element] = open_elements[depth - 1] if depth > 0 else -1
            first_block[element] = n_blocks
            open_elements[depth] = element
            holder[depth] = element if tables.is_block[kind] or depth == 0 else holder[depth - 1]
            depth += 1
            deepest = max(deepest, depth)
            if skipped_from == 0:
                if tables.is_skipped[kind] or hidden:
                    skipped_from = depth
                else:
                    if tables.is_block[kind]:
                        block, after_break = -1, False
                    n_links += kind == A
                    n_pres += kind in (PRE, XMP)
            if tables.is_raw[kind]:
                at = _skip_raw(html, at, name)
    while depth > 0:
        depth -= 1
        end[open_elements[depth]], end_block[open_elements[depth]] = n_elements, n_blocks
    return Outline(
        tag[:n_elements], parent[:n_elements], end[:n_elements], first_block[:n_elements], end_block[:n_elements],
        hints[:n_elements], signatures[:n_elements], piece_start[:n_pieces], piece_end[:n_pieces],
        piece_is_link[:n_pieces], piece_block[:n_pieces], block_element[:n_blocks], block_is_pre[:n_blocks],
        block_piece[:n_blocks], title_start, title_end, deepest,
    )  # fmt: skip
