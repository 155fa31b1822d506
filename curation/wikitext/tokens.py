"""The flat stream of tokens that mwparserfromhell's tokenizer makes of wikitext, read forward with one position.

The tree that the library builds of it, and asks by building strings and parsing them again, takes five times as long.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from manifests.errors import RequestError, missing_extra

TAG_ENDS = ("TagCloseClose", "TagCloseSelfclose")


@cache
def token_types() -> Any:
    """The module of token types.

    Raises:
        RequestError: mwparserfromhell is not installed, or not one whose tokens are these.
    """
    try:
        from mwparserfromhell.parser import tokens
    except ImportError:
        raise missing_extra("format: mediawiki", "mwparserfromhell", "wiki") from None
    lacking = [name for name in ("Text", "TemplateOpen", "WikilinkOpen", *TAG_ENDS) if not hasattr(tokens, name)]
    if lacking:
        raise RequestError(f"this version of mwparserfromhell has no tokens {', '.join(lacking)}; 0.6 to 0.7 have")
    return tokens


def tokenize(text: str) -> list[Any]:
    """The tokens of a text; `''` stays text, as it needs no nesting.

    Raises:
        mwparserfromhell.parser.ParserError: the tokenizer's own state is broken.
    """
    token_types()
    import mwparserfromhell.parser as parser

    tokenizer: Any = getattr(parser, "CTokenizer", None)
    if tokenizer is None:
        from mwparserfromhell.parser.tokenizer import Tokenizer as tokenizer  # the same tokens, more slowly
    tokens: list[Any] = tokenizer().tokenize(text, 0, True)
    return tokens


_pause_lock = Lock()
_n_pauses = 0
_was_enabled = False


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without Python's collector of cycles, which would look through all tokens each time that some have been made:
    half a million to a few megabytes, gone with the page, and no cycle among them. Threads share one collector,
    hence the count.
    """
    global _n_pauses, _was_enabled
    with _pause_lock:
        if _n_pauses == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _n_pauses += 1
    try:
        yield
    finally:
        with _pause_lock:
            _n_pauses -= 1
            if _n_pauses == 0 and _was_enabled:
                gc.enable()
