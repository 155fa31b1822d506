"""Debian's expressions: commas, exceptions."""

import pytest

from curation.licenses.debian import spdx
from curation.licenses.verdicts import verdict_of


@pytest.mark.parametrize(
    ("written", "verdict"),
    [
        ("Expat, or BSD-3-clause, and GPL-2+", "copyleft"),
        ("Expat or BSD-3-clause, and GPL-2+", "copyleft"),
        ("GPL-2+ and Expat, or BSD-3-clause", "permissive"),
        ("Expat, BSD-3-clause and GPL-2+", None),
        ("MIT with non-commercial-use exception", None),
        ("GPL-2+ with OpenSSL exception or Expat", "permissive"),
        ("GPL-2+ with unheard-of exception", "copyleft"),
    ],
)
def test_commas_and_exceptions(written: str, verdict: str | None) -> None:
    found = spdx(written)
    assert (found and verdict_of(found)) == verdict
