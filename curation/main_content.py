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
from curation.main_content_outline import AMP, SPACE, Outline, outline
from curation.main_content_scorer import Matrix, model, score, surroundings
from curation.main_content_tags import TAG, Array

MAX_TAGS = 1_500_000  # about 150 bytes of memory for each element and each piece of text of the tree
MAX_REOPENED = 5_000_000  # elements that a parser may have to open again (see _refuse_monsters)
KEEP_SCORE = 0.42  # best on the even half, folds held out
WEAK_PAGE_FRAC = 0.5  # a page without any convincing block is judged against its best one
N_WORDS = NAMES.index("n_words")
TD, TH = TAG["td"], TAG["th"]
NEWLINE, TAB = 10, 9


class ExtractError(Exception):
    """A page that gives no text; `reason` is the machine-readable why, such as `no_text` or `too_many_tags`."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


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
    weak_pages: bool = True  # lower the bar where no block convinces


def main_content(html: str, url: str | None = None, parts: Parts | None = None) -> str:
    """The main text of a page: a paragraph, list item or table row per line; ExtractError where there is none."""
    source, page = read_page(html)
    keep = select(source, page, parts or Parts())
    text = write(source, page, keep)
    if not text:
        raise ExtractError("no_text")
    return text


def read_page(html: str) -> tuple[bytes, Outline]:
    """The page as parsed and serialised again (UTF-8), and its outline."""
    _refuse_monsters(html)
    try:
        document = HTMLTree.parse(html).document
    except ValueError:
        document = None
    if document is None:
        raise ExtractError("html_unparsable")
    source = document.html.encode("utf-8", "replace")
    return source, outline(source)


def _refuse_monsters(html: str) -> None:
    """Refuse what would cost gigabytes: too many tags, or formatting elements left open before many blocks.

    A parser opens every unclosed <b>, <font> and the like again in each following block, so that the size of the tree
    is the product of the two.
    """
    n_tags = html.count("<")
    if n_tags > MAX_TAGS:
        raise ExtractError("too_many_tags")
    n_open = n_tags - 2 * html.count("</")
    if n_open * n_tags > MAX_REOPENED and n_open > 500:
        n_unclosed = sum(max(0, html.count(f"<{name}") - html.count(f"</{name}")) for name in ("font", "nobr"))
        if n_unclosed * n_tags > MAX_REOPENED:
            raise ExtractError("too_many_tags")


def select(source: bytes, page: Outline, parts: Parts) -> npt.NDArray[np.bool_]:
    """Which blocks are main content."""
    scores = score_blocks(source, page, parts)
    bar = KEEP_SCORE
    if parts.weak_pages and len(scores):
        bar = min(bar, WEAK_PAGE_FRAC * float(scores.max()))
    return scores >= bar


def score_blocks(source: bytes, page: Outline, parts: Parts) -> Matrix:
    """The probability of each block to be main content."""
    trees = model()
    matrix = features(source, page)
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
    room = np.empty(len(html) + len(keep) + 1, np.uint8)
    return room[: _write(html, page, keep, room)].tobytes().decode("utf-8", "replace").rstrip()


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
