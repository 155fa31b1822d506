"""Conditions beside a permissive licence, and globs that a repository brings."""

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.licenses.debian import glob, spdx
from curation.licenses.detector import LicenseDetector
from tests.scenarios.category_data import MIT

CONDITIONS = [
    "Not for military purposes.",
    "Commercial use is prohibited.",
    "You must pay a fee if you are a company.",
    "For research purposes only.",
    "Companies must buy a license.",
    "Use by the military is forbidden.",
    "This license does not apply to files in enterprise/.",
    "상업적 이용을 금지합니다.",
    "연구 목적으로만 사용할 수 있습니다.",
]


@pytest.fixture(scope="module")
def detector() -> LicenseDetector:
    return LicenseDetector()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_in_a_paragraph_of_its_own_makes_it_unknown(detector: LicenseDetector, condition: str) -> None:
    lines = f"{MIT}\n{condition}".split("\n")
    header = "\n".join(f"// {line}".rstrip() for line in lines) + "\nint x;\n"
    assert detector.file("a.c", header.encode(), detector.repository([])).verdict == "unknown"
    whole = detector.repository([("LICENSE", f"{MIT}\n{condition}\n".encode())])
    assert detector.file("a.c", b"int x;", whole).verdict == "unknown"


@pytest.mark.parametrize(
    ("written", "expression"),
    [
        ("Expat, or BSD-3-clause, and GPL-2+", None),
        ("MIT with non-commercial-use exception", None),
        ("GPL-2+ with OpenSSL exception or Expat", "GPL-2.0-or-later OR MIT"),
        ("Expat, and BSD-3-clause", "MIT AND BSD-3-Clause"),
    ],
)
def test_debians_commas_and_exceptions(written: str, expression: str | None) -> None:
    assert spdx(written) == expression


@given(st.text("ab/*?", max_size=8), st.text("ab/", max_size=8))
def test_globs_match_as_fnmatch_does(pattern: str, path: str) -> None:
    found = glob(pattern, {"*": ".", "?": "."}).fullmatch(path) is not None
    assert found == fnmatch.fnmatchcase(path, pattern)


def test_globs_with_two_kinds_of_stars() -> None:
    signs = {"**": ".", "*": "[^/]"}
    assert glob("**/a*b", signs).fullmatch("x/ab/q/acb")
    assert glob("src/**/a*.c", signs).fullmatch("src/x/y/ab.c")
    assert not glob("src/*.c", signs).fullmatch("src/x/y.c")


def test_no_glob_takes_long() -> None:
    started = time.perf_counter()
    assert not glob("*a" * 12 + "*b", {"*": ".", "?": "."}).fullmatch("a" * 4000)
    assert time.perf_counter() - started < 1
