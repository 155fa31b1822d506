"""Conditions beside a permissive licence."""

import pytest

from curation.licenses.debian import spdx
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
        ("Expat, or BSD-3-clause, and GPL-2+", "(MIT OR BSD-3-Clause) AND GPL-2.0-or-later"),
        ("MIT with non-commercial-use exception", None),
        ("GPL-2+ with OpenSSL exception or Expat", "GPL-2.0-or-later OR MIT"),
        ("Expat, and BSD-3-clause", "MIT AND BSD-3-Clause"),
    ],
)
def test_debians_commas_and_exceptions(written: str, expression: str | None) -> None:
    assert spdx(written) == expression
