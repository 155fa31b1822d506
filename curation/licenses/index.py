"""ScanCode's index of licence texts and notices: which of its rules a text holds, and how exactly.

Only the matcher of scancode-toolkit is used. Its index is read once a process (about 3 s and 1.1 GB) from the file
that the package brings; nothing is downloaded, built or written.
"""

import gc
import importlib.util
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from manifests.errors import RequestError, missing_extra

UNBUILT = "scancode-toolkit holds no built index at {path}: pip install --force-reinstall scancode-toolkit-mini"
FILE_TYPES = ("typecode", "typecode.contenttype", "textcode.analysis")
_MATCHING = threading.Lock()


@dataclass(frozen=True)
class Match:
    """One rule of ScanCode found in a text."""

    expression: str
    """In ScanCode's own keys, as `mit` or `gpl-2.0 WITH classpath-exception-2.0`."""
    coverage: float
    """How much of the rule the text holds, in percent; 100 is word for word."""
    relevance: int
    """How surely the rule means this licence, in percent, as its authors say."""
    kind: str
    """`text`, `notice`, `tag`, `reference`, `intro` or `clue`."""
    first_line: int
    last_line: int
    """Lines of the text, from 1."""
    n_words: int
    """Words of the text that the rule covers."""
    inserted: str
    """Words between these that the rule does not have, as far as ScanCode knows them."""


def require() -> None:
    """Raise RequestError where scancode-toolkit is not installed."""
    if importlib.util.find_spec("licensedcode") is None:
        raise missing_extra("code.licenses", "scancode-toolkit-mini", "code")


def find(text: str, approximate: bool = True) -> tuple[Match, ...]:
    """The rules that a text holds, in the order of its lines; word for word only, or nearly so with `approximate`.

    ScanCode searches a text for near copies of every rule if words of licences are left over once exact copies are
    found; that takes a hundred times as long as finding those.
    """
    index = _licenses().index
    with _MATCHING:  # it holds the GIL anyway; its parser of expressions makes no promise about threads
        found = index.match(query_string=text, approximate=approximate) if text.strip() else []
    return tuple(sorted((_match(match) for match in found), key=lambda match: (match.first_line, match.expression)))


def database() -> dict[str, Any]:
    """ScanCode's licences by key: `spdx_license_key`, `other_spdx_license_keys`, `category`, ..."""
    return dict(_licenses().db)


def _match(match: Any) -> Match:
    rule = match.rule
    kinds = ("text", "notice", "tag", "reference", "intro", "clue")
    kind = next((kind for kind in kinds if getattr(rule, f"is_license_{kind}", False)), "text")
    lines = match.start_line, match.end_line
    words = rule.license_expression, match.coverage(), rule.relevance, kind
    return Match(*words, *lines, match.len(), _inserted(match))


def _inserted(match: Any) -> str:
    tokens, matched = match.query.tokens, set(match.qspan)
    between = [tokens[at] for at in range(match.qstart, match.qend + 1) if at not in matched]
    return " ".join(_words()[token] for token in between if token is not None)


@cache
def _words() -> dict[int, str]:
    """The words of all rules, by ScanCode's number of each; it makes this anew whenever it is asked."""
    return dict(_licenses().index.tokens_by_tid)


@cache
def _licenses() -> Any:
    require()
    with _without_file_types(), _without_collection():
        import scancode_config

        index = Path(scancode_config.licensedcode_cache_dir) / "license_index" / "index_cache"
        if not index.is_file():  # it would take minutes to build one, and write it into the installed package
            raise RequestError(UNBUILT.format(path=index))
        from licensedcode.cache import get_cache

        loaded = get_cache()
        _remove_empty(scancode_config.scancode_temp_dir)
    return loaded


@contextmanager
def _without_file_types() -> Iterator[None]:
    """Import the matcher without ScanCode's detection of file types, which texts in memory have no need of.

    That loads libmagic, which is not on every machine, at import, and plugincode, which fails beside pluggy 1.7.
    """
    absent = [name for name in FILE_TYPES if name not in sys.modules]
    for name in absent:
        sys.modules[name] = _Absent(name)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


class _Absent(types.ModuleType):
    """Stands for a module while others import names from it; none of these is called."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Millions of objects are made that stay for good: collect none meanwhile, and look at none of them later."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if enabled:
            gc.enable()


def _remove_empty(folder: str) -> None:
    """ScanCode makes a temporary folder for each process that imports it, and leaves it behind."""
    made = Path(folder)
    if made.is_dir() and not any(made.iterdir()):
        made.rmdir()
