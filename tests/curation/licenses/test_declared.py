"""What package metadata and Debian's summaries declare; debian_inspector reads the same summaries another way."""

import fnmatch

import pytest
from debian_inspector.copyright import DebianCopyright
from hypothesis import given
from hypothesis import strategies as st

from curation.licenses.debian import FilesParagraph, paragraph_of, paragraphs, spdx
from curation.licenses.declared import declared, named

DEBIAN = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: thing

Files: *
Copyright: 2001 A
License: GPL-2+ with OpenSSL exception

Files: lib/*.c
  lib/x?.h
Copyright: 2002 B
License: Expat or Apache-2.0

Files: debian/*
Copyright: C
License: public-domain
 No rights are kept.

License: Expat
 Permission is hereby granted
"""


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("pyproject.toml", '[project]\nname = "x"\nlicense = "MIT OR Apache-2.0"', "MIT OR Apache-2.0"),
        ("pyproject.toml", '[project]\nlicense = {text = "BSD 3-Clause License"}', "BSD-3-Clause"),
        ("pyproject.toml", '[project]\nlicense = {file = "LICENSE"}', None),
        ("pyproject.toml", '[tool.poetry]\nlicense = "GPL-3.0-or-later"', "GPL-3.0-or-later"),
        ("pyproject.toml", "[project\n", None),
        (
            "setup.cfg",
            "[metadata]\nclassifiers =\n  Programming Language :: Python\n  License :: OSI Approved :: MIT License\n",
            "MIT",
        ),
        ("PKG-INFO", "Metadata-Version: 2.4\nName: x\nLicense-Expression: ISC\n\nbody", "ISC"),
        ("PKG-INFO", "License: UNKNOWN\nClassifier: License :: OSI Approved :: ISC License (ISCL)\n", "ISC"),
        ("package.json", '{"license": "(MIT OR GPL-3.0)"}', "MIT OR GPL-3.0-only"),
        ("package.json", '{"licenses": [{"type": "MIT"}, {"type": "GPL-2.0"}]}', "MIT OR GPL-2.0-only"),
        ("package.json", '{"license": "SEE LICENSE IN LICENSE.txt"}', None),
        ("package.json", '{"license": "UNLICENSED"}', "LicenseRef-scancode-proprietary-license"),
        ("package.json", "[" * 100_000, None),
        ("Cargo.toml", '[package]\nname = "x"\nlicense = "MIT/Apache-2.0"', "MIT OR Apache-2.0"),
        ("x.gemspec", "new do |s|\n  s.licenses = ['Ruby', 'BSD-2-Clause']\nend\n", "Ruby OR BSD-2-Clause"),
        ("x.cabal", "name: x\nlicense:             BSD3\n", "BSD-3-Clause"),
        ("pom.xml", "<license>\n <name>The Apache License, Version 2.0</name></license>", "Apache-2.0"),
    ],
)
def test_metadata(name: str, content: str, expected: str | None) -> None:
    assert declared(name, content.encode()) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("The MIT License (MIT)", "MIT"),
        ('BSD 3-Clause "New" or "Revised" License', "BSD-3-Clause"),
        ("GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
        ("GPLv3", "GPL-3.0-only"),
        ("LGPL", "LGPL-2.0-or-later"),
        ("Dual License", None),
        ("my own", None),
        ("", None),
    ],
)
def test_names_as_people_write_them(written: str, expected: str | None) -> None:
    assert named(written) == expected


@given(
    st.binary(max_size=200), st.sampled_from(["pyproject.toml", "setup.cfg", "PKG-INFO", "package.json", "a.gemspec"])
)
def test_metadata_of_any_bytes_never_fails(content: bytes, name: str) -> None:
    assert declared(name, content) is None or isinstance(declared(name, content), str)


def test_debian_paragraphs_as_another_reader_reads_them() -> None:
    ours = [(one.patterns, one.license) for one in paragraphs(DEBIAN)]
    theirs = [
        (tuple(one.files.values), one.license.name)
        for one in DebianCopyright.from_text(DEBIAN).paragraphs
        if type(one).__name__ == "CopyrightFilesParagraph"
    ]
    assert ours == theirs


@given(st.from_regex(r"[a-b*?/.]{1,8}", fullmatch=True), st.from_regex(r"[a-b/.]{1,8}", fullmatch=True))
def test_debian_patterns_are_globs_that_cross_folders(pattern: str, path: str) -> None:
    ours = FilesParagraph((pattern,), "MIT").matches(path)
    assert ours == fnmatch.fnmatchcase(path, pattern.removeprefix("./"))


def test_the_last_paragraph_counts() -> None:
    found = paragraphs(DEBIAN)
    said = {path: paragraph_of(path, found) for path in ("a.c", "lib/deep/a.c", "lib/xy.h", "lib/xyz.h")}
    assert [one.license if one else None for one in said.values()] == [
        "GPL-2+ with OpenSSL exception",
        "Expat or Apache-2.0",
        "Expat or Apache-2.0",
        "GPL-2+ with OpenSSL exception",
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("GPL-2+ with OpenSSL exception", "GPL-2.0-or-later"),
        ("Expat or Apache-2", "MIT OR Apache-2.0"),
        ("LGPL-2.1 and BSD-3-clause", "LGPL-2.1-only AND BSD-3-Clause"),
        ("public-domain", "LicenseRef-scancode-public-domain"),
        ("GPL-2+ or Less", None),
        ("A, B and C", None),
    ],
)
def test_debian_short_names(written: str, expected: str | None) -> None:
    assert spdx(written) == expected
