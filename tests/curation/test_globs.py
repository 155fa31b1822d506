"""Patterns of file names: the same answer by both ways, and one in time whatever the pattern."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import globs
from curation.code.paths import Chooser, _pattern
from curation.licenses.debian import FilesParagraph
from curation.licenses.repository import of_summary
from manifests.errors import RequestError
from manifests.schema_readers import Code

EVIL = "*a" * 30 + "*b"


@given(st.text("ab/*?", max_size=9), st.text("ab/", max_size=9))
def test_both_ways_say_the_same(glob: str, path: str) -> None:
    found = globs.Glob(_pattern(glob).tokens)
    by_regex = re.fullmatch(globs._regex_of(found.tokens), path, re.DOTALL) is not None
    states = found._closed({0})
    for character in path:
        states = found._closed(found._after(states, character))
    assert (len(found.tokens) in states) == by_regex


def test_many_stars_take_no_time() -> None:
    start = time.process_time()
    assert not _pattern(EVIL).fullmatch("a" * 500)
    assert not FilesParagraph((EVIL,), "MIT").matches("a" * 500)
    reuse = f'[[annotations]]\npath = "{EVIL}"\nSPDX-License-Identifier = "MIT"\n'.encode()
    assert not of_summary("REUSE.toml", reuse)[0].paths[0].fullmatch("a" * 500)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("[!a].py", "b.py", True),
        ("[!a].py", "a.py", False),
        ("[a-c].py", "b.py", True),
        ("./src/**", "src/a/b.py", True),
        ("src/**/a.py", "src/a.py", True),
        ("src/*.py", "src/x/a.py", False),
    ],
)
def test_globs_as_gitignore_writes_them(glob: str, path: str, fits: bool) -> None:
    assert Chooser(Code(include=[glob]))(path) is fits


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(RequestError, match=r"code\.include: '\[z-a\]\.py'"):
        Chooser(Code(include=["[z-a].py"]))
