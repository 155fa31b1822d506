"""Which part of a page is its main content: the engine `onggi`.

A page is parsed as browsers do, outlined into blocks of text, and every block is scored by what it looks like, where
it stands, what stands around it, and what its containers are called. No rule names a site; the scores come from
trees that were fitted on the even half of `data/extraction` (see docs/extraction.md).
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from numba import njit
from resiliparse.parse.html import HTMLTree

from curation.main_content_features import GROUPS, NAMES, features
from curation.main_content_limits import ExtractError, refuse_monsters
from curation.main_content_outline import AMP, SPACE, Outline, outline
from curation.main_content_scorer import Matrix, model, score, surroundings
from curation.main_content_tags import TAG, Array
from curation.main_content_tree import NO_HINT

KEEP_SCORE = 0.42  # best on the even half, folds held out
WEAK_PAGE_FRAC = 0.5  # a page without any convincing block is judged against its best one
MENU_LINK_FRAC = 0.8
N_WORDS, LINK_FRAC = NAMES.index("n_words"), NAMES.index("link_frac")
IN_NAV, IN_BEST = NAMES.index("hint_nav"), NAMES.index("in_best")
TD, TH = TAG["td"], TAG["th"]
NEWLINE, TAB = 10, 9


@dataclass(frozen=True)
class Parts:
    """What the engine looks at; benchmarks switch off one part at a time to see what it contributes."""

    text: bool = True  # length, punctuation, letter case of the block itself
    links: bool = True  # share of link text in the block, its neighbours and its containers
    tags: bool = True  # kind of element, lists, tables, headings
    position: bool = True  # how much text and prose stands before and after
    headline: bool = True  # distance to the headline; agreement with the title
    neighbours: bool = True  # length and prose of the blocks around
    containers: bool = True  # prose held by parents; distance to the part of the tree that holds most prose
    repetition: bool = True  # blocks with the same tag and class
    hints: bool = True  # generic vocabulary of tags, roles, class names and ids
    second_look: bool = True  # score again, knowing the scores of what stands around
    menus: bool = True  # never links alone in navigation outside the best container
    weak_pages: bool = True  # lower the bar where no block convinces


ALL_PARTS = Parts()


def main_content(html: str, parts: Parts = ALL_PARTS) -> str:
    """The main text of a page: a paragraph, list item or table row per line; ExtractError where there is none."""
    source, page = read_page(html)
    keep = select(source, page, parts)
    text = write(source, page, keep)
    if not text:
        raise ExtractError("no_text")
    return text


def read_page(html: str) -> tuple[bytes, Outline]:
    """The page as parsed and serialised again (UTF-8), and its outline."""
    raw = html.encode("utf-8", "replace")
    refuse_monsters(raw)
    try:
        document = HTMLTree.parse_from_bytes(raw, "utf-8").document
    except ValueError:
        document = None
    if document is None:
        raise ExtractError("html_unparsable")
    del raw
    source = document.html.encode("utf-8")
    del document  # a tree takes more memory than all that follows
    return source, outline(source)


def select(source: bytes, page: Outline, parts: Parts) -> npt.NDArray[np.bool_]:
    """Which blocks are main content."""
    matrix = features(source, page)
    scores = score_blocks(matrix, page, parts)
    bar = KEEP_SCORE
    if parts.weak_pages and len(scores):
        bar = min(bar, WEAK_PAGE_FRAC * float(scores.max()))
    keep: npt.NDArray[np.bool_] = scores >= bar
    if parts.menus:
        keep &= ~((matrix[:, LINK_FRAC] > MENU_LINK_FRAC) & (matrix[:, IN_NAV] < NO_HINT) & (matrix[:, IN_BEST] == 0))
    return keep


def score_blocks(matrix: Matrix, page: Outline, parts: Parts) -> Matrix:
    """The probability of each block to be main content."""
    trees, matrix = model(), matrix.copy()
    for field in fields(parts):
        if field.name in GROUPS and not getattr(parts, field.name):
            hidden = [NAMES.index(name) for name in GROUPS[field.name].split()]
            matrix[:, hidden] = trees.neutral[hidden]
    scores = score(matrix, trees.first)
    if not parts.second_look:
        return scores
    seen = surroundings(page, scores, np.ascontiguousarray(matrix[:, N_WORDS]))
    return score(np.hstack([matrix, seen]), trees.second)


def write(source: bytes, page: Outline, keep: npt.NDArray[np.bool_]) -> str:
    """The text of the kept blocks: a line each, cells of a table row on one line, preformatted text as it stands."""
    html = np.frombuffer(source, np.uint8)
    sizes = np.where(keep[page.piece_block], page.piece_end - page.piece_start, 0)
    room = np.empty(int(sizes.clip(0).sum()) + len(sizes) + len(keep), np.uint8)
    return str(room[: _write(html, page, keep, room)].data, "utf-8", "replace").rstrip()


@njit(nogil=True, cache=True)
def _separator(page: Outline, last: int, block: int) -> int:
    """Tab between two cells of one row, else a newline."""
    one, other = page.block_element[last], page.block_element[block]
    if one == other or page.parent[one] != page.parent[other]:
        return NEWLINE
    one_is_cell = page.tag[one] == TD or page.tag[one] == TH
    return TAB if one_is_cell and (page.tag[other] == TD or page.tag[other] == TH) else NEWLINE


@njit(nogil=True, cache=True)
def _write(html: Array, page: Outline, keep: Array, room: Array) -> int:
    """Write the kept blocks into `room`; the number of bytes written."""
    n_bytes, last = 0, -1
    start = 0  # where the present block began in `room`
    for piece in range(len(page.piece_start)):
        block = page.piece_block[piece]
        if not keep[block]:
            continue
        if block != last:
            if last >= 0:
                while n_bytes > start and room[n_bytes - 1] <= SPACE:
                    n_bytes -= 1
                if n_bytes > start:
                    room[n_bytes] = _separator(page, last, block)
                    n_bytes += 1
            last, start = block, n_bytes
        if page.piece_end[piece] < 0:
            while n_bytes > start and room[n_bytes - 1] == SPACE:
                n_bytes -= 1
            room[n_bytes] = NEWLINE
            n_bytes += 1
            continue
        verbatim, at = page.block_is_pre[block], page.piece_start[piece]
        while at < page.piece_end[piece]:
            byte = html[at]
            at += 1
            if byte == AMP:
                byte = SPACE if html[at] == 110 else 60 if html[at] == 108 else 62 if html[at] == 103 else AMP
                byte = 34 if html[at] == 113 else byte
                while at < len(html) and html[at - 1] != 59:
                    at += 1
            if byte <= SPACE and not verbatim:
                if n_bytes == start or room[n_bytes - 1] <= SPACE:
                    continue
                byte = SPACE
            room[n_bytes] = byte
            n_bytes += 1
    return n_bytes
