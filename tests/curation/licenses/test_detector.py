"""What a repository and its files say of their licence, on real texts."""

import random
import re
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.licenses.detector import FileLicense, LicenseDetector, RepositoryLicense
from curation.licenses.notice import Notices
from tests.curation.license_examples import (
    APACHE_NOTICE,
    CLASSPATH_NOTICE,
    GO_NOTICE,
    GPL_NOTICE,
    commented,
    standard,
    text,
)

NOWHERE = RepositoryLicense()
MIT = ("LICENSE", text("mit-attrs").encode())
GPL = ("COPYING", standard("gpl-3.0").encode())


@pytest.fixture(scope="module")
def detector() -> LicenseDetector:
    return LicenseDetector()


def said(found: FileLicense) -> tuple[str | None, str]:
    return found.expression, found.verdict


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mit-attrs", ("MIT", "permissive")),
        ("bsd3-flask", ("BSD-3-Clause", "permissive")),
        ("bsd3-cryptography", ("BSD-3-Clause", "permissive")),
        ("isc-semver", ("ISC", "permissive")),
        ("0bsd-tslib", ("0BSD", "permissive")),
        ("unlicense-yt-dlp", ("Unlicense", "permissive")),
        ("mit-or-wtfpl-path-is-inside", ("MIT OR WTFPL", "permissive")),
        ("mpl-certifi", ("MPL-2.0", "copyleft")),
        ("busl-uniswap", ("BUSL-1.1 AND GPL-2.0-or-later", "other")),  # what it changes to stands in it too
        ("proprietary-highcharts", ("LicenseRef-scancode-proprietary-license", "other")),
    ],
)
def test_license_files_of_real_packages(detector: LicenseDetector, name: str, expected: tuple[str, str]) -> None:
    found = said(detector.repository([("LICENSE", text(name).encode())]).root)
    assert found[1] == expected[1]
    assert set(re.split(" AND | OR ", found[0] or "")) == set(re.split(" AND | OR ", expected[0]))


@pytest.mark.parametrize(
    ("key", "spdx", "verdict"),
    [
        ("apache-2.0", "Apache-2.0", "permissive"),
        ("bsd-simplified", "BSD-2-Clause", "permissive"),
        ("bsd-original", "BSD-4-Clause", "permissive"),
        ("cc0-1.0", "CC0-1.0", "permissive"),
        ("zlib", "Zlib", "permissive"),
        ("boost-1.0", "BSL-1.0", "permissive"),
        ("wtfpl-2.0", "WTFPL", "permissive"),
        ("gpl-2.0", "GPL-2.0-only", "copyleft"),
        ("gpl-3.0", "GPL-3.0-only", "copyleft"),
        ("lgpl-2.1", "LGPL-2.1-only", "copyleft"),
        ("agpl-3.0", "AGPL-3.0-only", "copyleft"),
        ("epl-2.0", "EPL-2.0", "copyleft"),
        ("cc-by-sa-4.0", "CC-BY-SA-4.0", "copyleft"),
        ("cc-by-nc-4.0", "CC-BY-NC-4.0", "other"),
        ("mongodb-sspl-1.0", "SSPL-1.0", "other"),
        ("elastic-license-v2", "Elastic-2.0", "other"),
        ("json", "JSON", "other"),
    ],
)
def test_standard_texts(detector: LicenseDetector, key: str, spdx: str, verdict: str) -> None:
    holder = f"Copyright (c) 2021 Kim Cheolsu <kim@example.kr>\n\n{standard(key)}"
    assert said(detector.repository([("LICENSE.md", holder.encode())]).root) == (spdx, verdict)


@pytest.mark.parametrize(
    "changed",
    [
        lambda mit: standard("commons-clause") + "\n\n" + mit,
        lambda mit: mit + "\nThe Software may not be used for military purposes.\n",
        lambda mit: mit + "\n본 소프트웨어의 상업적 이용을 금지합니다.\n",
        lambda mit: mit.replace("The above copyright", "It must not be used by competitors.\n\nThe above copyright"),
        lambda mit: mit.replace(
            "distribute, sublicense, and/or sell", "and/or distribute for noncommercial use only"
        ),
        lambda mit: "The core is under the GPL version 3; all else is under this licence.\n\n" + mit,
    ],
)
def test_a_condition_more_is_never_permissive(detector: LicenseDetector, changed: object) -> None:
    content = changed(text("mit-attrs"))  # type: ignore[operator]
    assert detector.repository([("LICENSE", content.encode())]).root.verdict != "permissive"


@pytest.mark.parametrize("content", ["", "Copyright 2020 Foo. All rights reserved.", "../LICENSE", "TODO", "\0\1\2"])
def test_what_says_nothing_in_a_license_file_is_unknown(detector: LicenseDetector, content: str) -> None:
    repository = detector.repository([("LICENSE", content.encode()), ("README.md", b"## License\n\nMIT")])
    assert said(repository.root) == (None, "unknown")


def test_names_of_holders_do_not_matter(detector: LicenseDetector) -> None:
    before = detector.n_matched
    for holder in ("The Go Authors", "김철수", "Föö & Bär, Inc. All rights reserved."):
        content = f"MIT License\n\nCopyright (c) 2024, {holder}\n\n" + standard("mit")
        assert said(detector.repository([("LICENSE", content.encode())]).root) == ("MIT", "permissive")
    assert detector.n_matched - before <= 1


@pytest.mark.parametrize("sign", ["#", "//", "/*", ";", "--", "%", "dnl", "*"])
@pytest.mark.parametrize(
    ("notice", "expected"),
    [
        (APACHE_NOTICE, ("Apache-2.0", "permissive")),
        (GPL_NOTICE, ("GPL-2.0-or-later", "copyleft")),
        (CLASSPATH_NOTICE, ("GPL-2.0-only WITH Classpath-exception-2.0", "copyleft")),
        (GO_NOTICE, ("BSD-3-Clause", "permissive")),
    ],
)
def test_notices_in_the_comments_of_any_language(
    detector: LicenseDetector, sign: str, notice: str, expected: tuple[str, str]
) -> None:
    content = commented(notice, sign) + "\nint main = 1\n"
    found = detector.file("src/main", content.encode(), NOWHERE)
    assert said(found) == expected
    assert found.evidence.startswith("header (score")


def test_a_notice_in_a_docstring_and_behind_a_package_clause(detector: LicenseDetector) -> None:
    docstring = f'#!/usr/bin/env python\n"""{GPL_NOTICE}"""\nimport os\n'
    assert detector.file("a.py", docstring.encode(), NOWHERE).verdict == "copyleft"
    java = f"package kr.example;\n\nimport java.util.List;\n{commented(APACHE_NOTICE, '/*')}class A {{}}\n"
    assert said(detector.file("A.java", java.encode(), NOWHERE)) == ("Apache-2.0", "permissive")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("// SPDX-License-Identifier: GPL-2.0-or-later OR MIT", ("GPL-2.0-or-later OR MIT", "permissive")),
        ("/* SPDX-License-Identifier: (GPL-2.0 AND MIT) */", ("GPL-2.0-only AND MIT", "copyleft")),
        ("# SPDX-License-Identifier: mit", ("MIT", "permissive")),
        ("<!-- SPDX-License-Identifier: GPL-2.0 -->", ("GPL-2.0-only", "copyleft")),
        (".. SPDX-License-Identifier: NCSA WITH LLVM-exception", ("NCSA WITH LLVM-exception", "permissive")),
        ("// Copyright Foo. SPDX-License-Identifier: BSD-2-Clause", ("BSD-2-Clause", "permissive")),
        ("# SPDX-License-Identifier: LicenseRef-Ours", ("LicenseRef-Ours", "unknown")),
        ("# SPDX-License-Identifier: UNLICENSED OR", (None, "unknown")),
    ],
)
def test_tags_are_exact(detector: LicenseDetector, line: str, expected: tuple[str, str]) -> None:
    found = detector.file("a.c", f"{line}\nint x;\n".encode(), detector.repository([GPL]))
    assert (*said(found), found.evidence) == (*expected, "SPDX-License-Identifier")


def test_a_tag_in_a_string_is_no_tag(detector: LicenseDetector) -> None:
    content = b'x = 1\nHEADER = "SPDX-License-Identifier: MIT"\n'
    assert detector.file("a.py", content, detector.repository([GPL])).verdict == "copyleft"


def test_the_nearest_statement_counts(detector: LicenseDetector) -> None:
    repository = detector.repository([GPL, ("vendor/lib/LICENSE", text("bsd3-flask").encode())])
    plain, headed = b"int x;\n", commented(APACHE_NOTICE, "//").encode()
    assert said(detector.file("a.c", plain, repository)) == ("GPL-3.0-only", "copyleft")
    assert said(detector.file("vendor/lib/deep/a.c", plain, repository)) == ("BSD-3-Clause", "permissive")
    assert said(detector.file("vendor/a.c", plain, repository)) == ("GPL-3.0-only", "copyleft")
    assert said(detector.file("a.c", headed, repository)) == ("Apache-2.0", "permissive")
    assert detector.file("vendor/lib/a.c", plain, repository).evidence.startswith("vendor/lib/LICENSE")


def test_several_texts_hold_together_unless_a_choice_is_offered(detector: LicenseDetector) -> None:
    assert detector.repository([MIT, GPL]).root.verdict == "copyleft"
    offered = b"# thing\n\n## License\n\nLicensed under either the MIT license or the GPL-3.0, at your option.\n"
    readme = detector.repository([MIT, GPL, ("README.md", offered)]).root
    package = detector.repository([MIT, GPL, ("package.json", b'{"license": "(MIT OR GPL-3.0-or-later)"}')]).root
    assert (readme.verdict, package.verdict) == ("permissive", "permissive")


def test_a_file_that_points_to_others_says_how_they_hold(detector: LicenseDetector) -> None:
    files = [
        ("LICENSE", text("pointer-cryptography").encode()),
        ("LICENSE.APACHE", standard("apache-2.0").encode()),
        ("LICENSE.BSD", text("bsd3-cryptography").encode()),
    ]
    assert said(detector.repository(files).root) == ("Apache-2.0 OR BSD-3-Clause", "permissive")


def test_nothing_is_none(detector: LicenseDetector) -> None:
    repository = detector.repository([("main.c", b"int x;"), ("README.md", b"# thing\n\nIt does things.\n")])
    assert said(repository.root) == (None, "none")
    assert said(detector.file("main.c", b"int x;", repository)) == (None, "none")


@pytest.mark.parametrize(
    ("section", "verdict"),
    [
        ("## License\n\n[MIT](LICENSE)\n\n## Install\n", "permissive"),
        ("License\n-------\n\nIt is licensed under the Apache License 2.0.\n\nUsage\n-----\n", "permissive"),
        ("## 라이선스\n\nMIT License\n", "permissive"),
        ("## License\n\n### Commercial\n\nBuy it.\n\n### Open\n\nUse it under the terms of the GPLv3.\n", "copyleft"),
        ("## License\n\nAll rights reserved. Commercial use is prohibited.\n", "other or unknown"),
        ("## License\n\nAsk us.\n", "none"),
        ("The licence of the data is MIT.\n", "none"),
    ],
)
def test_the_section_of_a_readme(detector: LicenseDetector, section: str, verdict: str) -> None:
    assert detector.repository([("README.md", f"# thing\n\n{section}".encode())]).root.verdict in verdict.split(
        " or "
    )


def test_a_declaration_alone_counts_where_that_is_asked_for() -> None:
    files = [("package.json", b'{"name": "x", "license": "MIT"}')]
    assert LicenseDetector().repository(files).root.verdict == "none"
    trusted = LicenseDetector(trust_declared=True).repository(files).root
    assert (*said(trusted), trusted.evidence) == ("MIT", "permissive", "package.json (declared)")


def test_a_declaration_against_the_text_makes_it_stricter(detector: LicenseDetector) -> None:
    assert detector.repository([MIT, ("package.json", b'{"license": "GPL-3.0"}')]).root.verdict == "copyleft"
    assert detector.repository([MIT, ("package.json", b'{"license": "UNLICENSED"}')]).root.verdict == "other"
    assert detector.repository([MIT, ("package.json", b'{"license": "ISC"}')]).root.verdict == "permissive"


def test_references_leave_it_to_the_repository(detector: LicenseDetector) -> None:
    repository = detector.repository([MIT])
    for line in (
        "// Copyright 2020 Foo. All rights reserved.",
        "// See LICENSE in the project root for license information.",
        "// This file is distributed under the same license as the dos2unix package.",
        "// Checks the user's permission before redistribution of the tasks.",
    ):
        assert said(detector.file("a.js", f"{line}\nvar x\n".encode(), repository)) == ("MIT", "permissive"), line


def test_what_is_claimed_and_not_recognised_is_not_permissive(detector: LicenseDetector) -> None:
    repository = detector.repository([MIT])
    for line in (
        "// Licensed under the Foo Bar Community License v3.",
        "// PROPRIETARY AND CONFIDENTIAL. Unauthorized copying of this file is strictly prohibited.",
        "// 본 소스는 무단 복제 및 배포를 금지합니다.",
    ):
        found = detector.file("a.js", f"{line}\nvar x\n".encode(), repository).verdict
        assert found in ("unknown", "other"), line


def test_a_snippet_further_down_can_only_make_it_stricter(detector: LicenseDetector) -> None:
    body = "".join(f"x{number} = {number}\n" for number in range(40))
    gpl = (body + commented(GPL_NOTICE, "#")).encode()
    mit = (body + "# Taken from foo.py, released under the MIT license.\n").encode()
    assert detector.file("a.py", gpl, detector.repository([MIT])).verdict == "copyleft"
    assert detector.file("a.py", mit, detector.repository([GPL])).verdict == "copyleft"
    assert detector.file("a.py", mit, NOWHERE).verdict == "none"


def test_korean_notes_in_euc_kr_do_not_hide_a_notice(detector: LicenseDetector) -> None:
    note = "작성자: 홍길동 (서울대학교)\n한글 처리 모듈입니다.\n\n"
    content = commented(note + GPL_NOTICE, "#").encode("cp949")
    assert said(detector.file("a.py", content, NOWHERE)) == ("GPL-2.0-or-later", "copyleft")


def test_summaries_and_files_beside(detector: LicenseDetector) -> None:
    debian = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    debian += "Files: *\nCopyright: A\nLicense: GPL-2+\n\nFiles: lib/*\nCopyright: B\nLicense: Expat\n"
    reuse = 'version = 1\n[[annotations]]\npath = "data/**"\nSPDX-License-Identifier = "CC0-1.0"\n'
    files = [
        ("debian/copyright", debian),
        ("REUSE.toml", reuse),
        ("logo.c.license", "SPDX-License-Identifier: ISC\n"),
    ]
    repository = detector.repository((path, content.encode()) for path, content in files)
    expected = {"a.c": "copyleft", "lib/x/a.c": "permissive", "data/x/y.c": "permissive", "logo.c": "permissive"}
    assert {path: detector.file(path, b"int x;", repository).verdict for path in expected} == expected


def test_a_license_file_beyond_the_limit_proves_nothing(detector: LicenseDetector) -> None:
    content = text("mit-attrs").encode() + b"\n" * 300_000 + b"Not for commercial use."
    assert detector.repository([("LICENSE", content)]).root.verdict == "unknown"


def test_the_order_of_files_does_not_matter(detector: LicenseDetector) -> None:
    files = [
        MIT,
        ("COPYING", text("mpl-certifi").encode()),
        ("a/LICENSE", text("isc-semver").encode()),
        ("README.md", b"## License\n\nMIT or MPL-2.0\n"),
    ]
    files += [("package.json", b'{"license": "MIT"}'), ("a/LICENSE-MIT", text("mit-attrs").encode())]
    expected = LicenseDetector(notices=Notices()).repository(files)
    for seed in range(3):
        random.Random(seed).shuffle(files)
        assert LicenseDetector(notices=Notices()).repository(files) == expected


def test_threads_may_share_it() -> None:
    shared, found = LicenseDetector(notices=Notices()), {}
    headers = {sign: (commented(GPL_NOTICE, sign) + "x\n").encode() for sign in ("#", "//", ";", "/*")}

    def work(sign: str) -> None:
        found[sign] = said(shared.file("a", headers[sign], NOWHERE))

    threads = [threading.Thread(target=work, args=[sign]) for sign in headers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found.values()) == {("GPL-2.0-or-later", "copyleft")} and len(found) == len(headers)


@given(path=st.text(min_size=1, max_size=20), content=st.binary(max_size=300))
@settings(max_examples=50)
def test_whatever_bytes_a_file_holds_it_has_a_verdict(path: str, content: bytes) -> None:
    detector = LicenseDetector()
    found = detector.file(path, b"# license\n" + content, detector.repository([(path, content)]))
    assert found.verdict in ("permissive", "copyleft", "other", "none", "unknown")


CONDITIONS = [
    "Not for military purposes.",
    "상업적 이용을 금지합니다.",
    "Commercial use is prohibited.",
    "You must pay a fee if you are a company.",
    "For research purposes only.",
    "Companies must buy a license.",
    "Use by the military is forbidden.",
    "연구 목적으로만 사용할 수 있습니다.",
    "This license does not apply to files in enterprise/.",
]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_beside_a_licence_makes_it_doubtful(detector: LicenseDetector, condition: str) -> None:
    mit = MIT[1].decode()
    for whole in (f"{mit}\n\n{condition}\n", f"{condition}\n\n{mit}"):
        assert detector.repository([("LICENSE", whole.encode())]).root.verdict == "unknown"
        header = commented(whole, "//") + "\nint x;\n"
        assert detector.file("a.c", header.encode(), NOWHERE).verdict == "unknown"
    tagged = f"// SPDX-License-Identifier: MIT\n//\n// {condition}\nint x;\n"
    assert detector.file("a.c", tagged.encode(), NOWHERE).verdict == "unknown"


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-be"])
def test_a_notice_in_utf_16(detector: LicenseDetector, charset: str) -> None:
    content = (commented(GPL_NOTICE, "//") + "\nint x;\n").encode(charset)
    content = content if charset == "utf-16" else b"\xfe\xff" + content
    assert detector.file("a.c", content, detector.repository([MIT])).verdict == "copyleft"


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        ("// SPDX-License-Identifier: MIT\n" + commented(GPL_NOTICE, "//") + "\nint x;\n", "copyleft"),
        ("// see SPDX-License-Identifier: MIT\nint x;\n", "none"),
        (commented(GPL_NOTICE, "//") + "\nint x;\n// SPDX-License-Identifier: MIT\n", "copyleft"),
        ("int x;\n" * 30 + "// SPDX-License-Identifier: MIT\n", "none"),
        (
            "// SPDX-License-Identifier: MIT\n" + "int x;\n" * 30 + "// SPDX-License-Identifier: GPL-2.0-only\n",
            "copyleft",
        ),
        ("// SPDX-SnippetBegin\n// SPDX-License-Identifier: MIT\n// SPDX-SnippetEnd\nint x;\n", "none"),
    ],
)
def test_only_a_tag_of_the_header_frees_a_file(detector: LicenseDetector, content: str, verdict: str) -> None:
    assert detector.file("a.c", content.encode(), NOWHERE).verdict == verdict


def test_a_notice_below_a_tag_in_one_comment_is_seen(detector: LicenseDetector) -> None:
    content = f"/* SPDX-License-Identifier: MIT\n{GPL_NOTICE}\n*/\nint x;\n"
    assert detector.file("a.c", content.encode(), NOWHERE).verdict == "copyleft"


@pytest.mark.parametrize("name", ["jquery-license.txt", "d3.LICENSE"])
def test_the_licence_of_something_else_frees_nothing(detector: LicenseDetector, name: str) -> None:
    assert detector.repository([(name, MIT[1])]).root.verdict == "none"
    assert detector.repository([(name, GPL[1]), MIT]).root.verdict == "copyleft"
    assert detector.repository([("MIT-LICENSE.txt", MIT[1])]).root.verdict == "permissive"
