"""What the tags and the class names of HTML say: tables that the kernels of `main_content` look things up in."""

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

NAMES = """
? html head body title script style noscript template iframe object svg math canvas video audio map textarea
select option button form fieldset input label nav header footer aside main article section div p blockquote pre
code ul ol li dl dt dd table caption thead tbody tfoot tr td th h1 h2 h3 h4 h5 h6 figure figcaption details
summary address hr br wbr img a b strong i em u span font small sup sub center time cite q del ins picture source
dialog menu hgroup search frame frameset noframes noembed embed xmp plaintext link meta base area col colgroup param
track legend datalist optgroup output progress meter applet basefont bgsound image keygen
"""
TAGS = tuple(NAMES.split())
TAG = {name: index for index, name in enumerate(TAGS)}

VOID = "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr"
RAW_TEXT = "script style xmp iframe noembed noframes plaintext noscript"
NEVER_TEXT = (
    "head script style noscript template iframe object svg math canvas video audio map textarea select option button "
    "input datalist noframes noembed embed applet frameset title dialog progress meter"
)
BLOCK_LEVEL = (
    "html body nav header footer aside main article section div p blockquote pre ul ol li dl dt dd table caption "
    "thead tbody tfoot tr td th h1 h2 h3 h4 h5 h6 figure figcaption details summary address hr center form fieldset "
    "menu hgroup search legend dialog xmp plaintext"
)
# What kind of block a tag makes; the tags that are not named here are 0.
KINDS = {
    1: "p", 2: "blockquote", 3: "pre", 4: "li dt dd", 5: "td th caption", 6: "h1", 7: "h2", 8: "h3", 9: "h4 h5 h6",
    10: "figcaption", 11: "div section article", 12: "address", 13: "summary",
}  # fmt: skip

# Vocabulary of class, id, role and itemprop, matched anywhere in the lower-cased value; `_` is a word boundary.
HINTS = {
    "nav": "_nav_ navig navbar _menu menu_ topbar toolbar _tabs_ pagin pager _skip breadcrumb crumbs _toc_ sitemap "
    "_nav leftnav topnav",
    "foot": "footer _foot_ colophon copyright _legal_ disclaimer contentinfo",
    "head": "header _head_ masthead banner",
    "side": "sidebar side_bar _side_ _aside_ sidecol rail_ _rail widget _right_ rightcol right_col leftcol left_col "
    "secondary complementary",
    "comment": "comment disqus _reply replies respond discussion _feedback reader_response livefyre",
    "share": "share sharing social addthis facebook twitter pinterest whatsapp linkedin _tweet follow bookmark",
    "related": "related recommend similar more_from read_more readmore also_like outbrain taboola popular trending "
    "most_ _latest_ recirc teaser _promo you_may _next_ _prev previous",
    "ad": "_ad_ _ads_ advert sponsor promo _dfp adsense banner_ad google_ad _adv_ commercial affiliate",
    "meta": "byline author _date_ posted dateline timestamp _meta_ entry_meta post_meta _info_ published category "
    "categories _tags_ _tag_ taglist",
    "form": "newsletter subscri signup sign_up login signin sign_in register search _form_ optin paywall donate",
    "legal": "cookie consent gdpr privacy",
    "popup": "popup modal overlay lightbox tooltip dropdown toast hidden collapse sr_only screen_reader "
    "visually_hidden offscreen",
    "caption": "caption credit photo_ gallery slideshow carousel slider _media_ figure",
    "content": "article content _main_ story _entry_ entry_content post_body _body_ body_text blog_post _text_ "
    "page_content maincontent main_content post_content articlebody _prose markdown _post_",
    "title": "headline _title_ heading",
    "tools": "print_ _print _tools_ _edit_ editsection _rating_ _vote votes _like_ _btn_ button _icon_",
    "bio": "about_author author_bio authorbox _bio_ biography profile",
    "note": "footnote _reference reflist citation _notes_",
    "landmark": "",  # <main>, <article>, their roles, and schema.org's articleBody
}
HINT_NAMES = tuple(HINTS)
TAG_HINTS = {
    "nav": "nav menu", "foot": "footer", "head": "header", "side": "aside", "form": "form search",
    "caption": "figure figcaption", "landmark": "main article", "bio": "address",
}  # fmt: skip

Array = npt.NDArray[Any]


class TagTables(NamedTuple):
    """One entry per tag of `TAGS`; the sorted FNV-1a hashes of the names, with the tag that each stands for."""

    hashes: Array
    hash_tags: Array
    is_void: Array
    is_raw: Array
    is_skipped: Array
    is_block: Array
    hints: Array
    kinds: Array


class Automaton(NamedTuple):
    """Aho-Corasick over boundary (0) and a-z (1-26): the next state, and the hints found on reaching a state."""

    next_state: Array
    found: Array


def fnv1a(word: str) -> int:
    """The 32-bit FNV-1a hash of a word in UTF-8."""
    value = 2166136261
    for byte in word.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def _marked(names: str) -> Array:
    marked = np.zeros(len(TAGS), np.bool_)
    marked[[TAG[name] for name in names.split()]] = True
    return marked


def tag_tables() -> TagTables:
    """The tables of tags, built once at import."""
    by_hash = sorted((fnv1a(name), index) for index, name in enumerate(TAGS) if index)
    hints, kinds = np.zeros(len(TAGS), np.uint32), np.zeros(len(TAGS), np.uint8)
    for hint, names in TAG_HINTS.items():
        hints[_marked(names)] = 1 << HINT_NAMES.index(hint)
    for kind, names in KINDS.items():
        kinds[_marked(names)] = kind
    return TagTables(
        np.array([value for value, _ in by_hash], np.uint32),
        np.array([index for _, index in by_hash], np.uint8),
        _marked(VOID), _marked(RAW_TEXT), _marked(NEVER_TEXT), _marked(BLOCK_LEVEL), hints, kinds,
    )  # fmt: skip


def automaton() -> Automaton:
    """The automaton that finds every word of `HINTS` in one pass over an attribute value."""
    children: list[dict[int, int]] = [{}]
    found = [0]
    for bit, words in enumerate(HINTS.values()):
        for word in words.split():
            state = 0
            for symbol in (0 if letter == "_" else ord(letter) - 96 for letter in word):
                if symbol not in children[state]:
                    children[state][symbol] = len(children)
                    children.append({})
                    found.append(0)
                state = children[state][symbol]
            found[state] |= 1 << bit
    return Automaton(_transitions(children, found), np.array(found, np.uint32))


def _transitions(children: list[dict[int, int]], found: list[int]) -> Array:
    """Breadth first, so that a state's longest proper suffix is complete before the state is."""
    table = np.zeros((len(children), 27), np.int16)
    suffix = [0] * len(children)
    queue = deque([0])
    while queue:
        state = queue.popleft()
        found[state] |= found[suffix[state]]
        for symbol in range(27):
            fallback = int(table[suffix[state], symbol]) if state else 0
            child = children[state].get(symbol)
            table[state, symbol] = fallback if child is None else child
            if child is not None:
                suffix[child] = fallback
                queue.append(child)
    return table
