"""What the tree of a page tells of its blocks: the containers that hold them, their repetition, their names."""

import numpy as np
from numba import njit

from curation.main_content_counts import Counts, Totals, frac
from curation.main_content_outline import Outline
from curation.main_content_tags import HINT_NAMES, TAG, Array

NO_HINT = 2.0  # shares of the page are 0 to 1
TRUNK_FRAC = 0.6  # the trunk goes on into the child that holds this much of the prose
UL, OL, TABLE = TAG["ul"], TAG["ol"], TAG["table"]
DIV = 11  # the kind of <div> in main_content_tags.KINDS


@njit(nogil=True, cache=True)
def describe_parents(page: Outline, totals: Totals, rows: Array) -> None:
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
        if tag in (UL, OL):
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
            row.parent_link_frac = frac(totals.link, totals.text, first, end)
            held = page.parent[held]
        if held >= 0:
            first, end = page.first_block[held], page.end_block[held]
            row.grandparent_prose = (totals.prose[end] - totals.prose[first]) / prose
            row.grandparent_bytes = totals.text[end] - totals.text[first]
            row.grandparent_link_frac = frac(totals.link, totals.text, first, end)
            held = page.parent[held]
        if held >= 0:
            first, end = page.first_block[held], page.end_block[held]
            row.great_prose = (totals.prose[end] - totals.prose[first]) / prose
            row.great_link_frac = frac(totals.link, totals.text, first, end)
        held = nearest_list[element]
        if held >= 0:
            first, end = page.first_block[held], page.end_block[held]
            row.in_list, row.list_blocks, row.list_link_frac = (
                1,
                end - first,
                frac(totals.link, totals.text, first, end),
            )
            row.list_block_bytes = (totals.text[end] - totals.text[first]) / max(1, end - first)
        held = nearest_table[element]
        if held >= 0:
            first, end = page.first_block[held], page.end_block[held]
            row.in_table, row.table_blocks, row.table_link_frac = (
                1,
                end - first,
                frac(totals.link, totals.text, first, end),
            )


@njit(nogil=True, cache=True)
def describe_trunk(page: Outline, totals: Totals, rows: Array) -> None:
    """The trunk: from the root always into the child that holds most of the prose, while one does.

    A block's branch is the child of the trunk that holds it; `trunk_distance` counts the levels from its fork to the
    trunk's end.
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
        link_frac = frac(totals.link, totals.text, page.first_block[element], page.end_block[element])
        if points[element] * (1 - link_frac) > most:
            best, most = element, points[element] * (1 - link_frac)
    return best


@njit(nogil=True, cache=True)
def describe_best(page: Outline, counts: Counts, totals: Totals, kinds: Array, rows: Array) -> None:
    """Whether a block lies in the best container, and how far above it the block branches off."""
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
def describe_repetition(page: Outline, counts: Counts, totals: Totals, rows: Array) -> None:
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
def describe_hints(page: Outline, totals: Totals, shares_around: Array) -> None:
    """Per hint: the share of the page's text in the nearest element around the block that carries it."""
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
    for block in range(len(shares_around)):
        shares_around[block] = shares[page.block_element[block]]
