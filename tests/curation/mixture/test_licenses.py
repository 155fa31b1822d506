"""Licence policies: what is written in many ways, and what several licences together allow."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.mixture.licenses import allowed, is_allowed, normal
from manifests.schema_mixture import Licenses

NO_NC = Licenses(deny=["*-NC-*", "*-ND-*"])
OPEN = Licenses(allow=["CC-BY-4.0", "CC0-1.0", "MIT", "Apache-2.0", "public domain*"], unknown="deny")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("CC-BY-4.0", "CC-BY-4.0"),
        (" cc by  4.0 ", "CC-BY-4.0"),
        ("CC_BY_SA_3.0", "CC-BY-SA-3.0"),
        ("CC BY-NC-SA 4.0 International", "CC-BY-NC-SA-4.0"),
        ("CC BY 4.0 Deed", "CC-BY-4.0"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("https://creativecommons.org/licenses/by-sa/4.0/", "CC-BY-SA-4.0"),
        ("http://www.creativecommons.org/licenses/by-nc-nd/4.0/deed.ko", "CC-BY-NC-ND-4.0"),
        ("creativecommons.org/licenses/by/3.0/us/legalcode", "CC-BY-3.0-US"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "CC-PDM-1.0"),
        ("Creative Commons Attribution 4.0 International", "CC-BY-4.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0", "CC-BY-NC-SA-4.0"),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0 International", "CC-BY-NC-ND-4.0"),
        ("Apache-2.0", "APACHE-2.0"),
        ("OGL 3.0", "OGL 3.0"),
        ("public domain (US)", "PUBLIC DOMAIN (US)"),
    ],
)
def test_normal(written: str, name: str) -> None:
    assert normal(written) == name
    assert normal(name) == name


@pytest.mark.parametrize(
    ("license", "holds"),
    [
        ("mit", True),
        ("CC BY 4.0", True),
        ("CC-BY-SA-4.0", False),
        ("CC-BY-3.0", False),
        ("https://creativecommons.org/licenses/by/4.0/", True),
        ("https://creativecommons.org/licenses/by-nc/4.0/", False),
        ("public domain (US government)", True),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT and Apache-2.0", True),
        ("MIT; Apache-2.0", True),
        ("MIT; GPL-3.0", False),
        ("MIT/Apache-2.0", True),
        ("MIT, all rights reserved", False),
        ("(GPL-3.0 OR MIT) AND Apache-2.0", True),
        ("(GPL-3.0 OR LGPL-3.0) AND Apache-2.0", False),
        ("GPL-3.0 OR (MIT AND CC0-1.0)", True),
        ("MIT or later", False),
        ("public domain (US and UK)", True),
        (None, False),
        ("", False),
        ("NOASSERTION", False),
        ("n/a", False),
        ("MIT AND unknown", False),
        ("MITx", False),
    ],
)
def test_allow(license: str | None, holds: bool) -> None:
    assert is_allowed(license, OPEN) == holds


@pytest.mark.parametrize(
    ("license", "holds"),
    [
        ("CC-BY-NC-4.0", False),
        ("cc by-nc", False),
        ("CC-BY-ND-4.0", False),
        ("CC-BY-SA-4.0", True),
        ("Creative Commons Attribution-NonCommercial 4.0", False),
        ("CC-BY-4.0 AND CC-BY-NC-4.0", False),
        ("CC-BY-4.0,CC-BY-NC-4.0", False),
        ("CC-BY-4.0 OR CC-BY-NC-4.0", True),
        ("https://creativecommons.org/licenses/by-nc-sa/3.0/kr/; MIT", False),
        ("proprietary", True),
        (None, True),
    ],
)
def test_deny(license: str | None, holds: bool) -> None:
    assert is_allowed(license, NO_NC) == holds


def test_a_license_named_in_full_is_not_taken_apart() -> None:
    name = "Apache License, Version 2.0"
    assert not is_allowed(name, Licenses(allow=["Apache License*"]))
    assert is_allowed(name, Licenses(allow=["apache license, version 2.0"]))
    assert not is_allowed(name, Licenses(allow=[name], deny=["Apache*"]))


def test_only_the_star_is_a_wildcard() -> None:
    assert not is_allowed("MIT", Licenses(allow=["M?T"]))
    assert not is_allowed("MIT", Licenses(allow=["[M]IT"]))
    assert is_allowed("M[1]", Licenses(allow=["M[1]*"]))


def test_without_a_policy_all_is_allowed() -> None:
    assert allowed([None, "", "GPL-3.0", "anything"], Licenses()).all()


some = st.sampled_from(["MIT", "CC-BY-4.0", "GPL-3.0", "CC-BY-NC-4.0", "", "unknown", "x (y)"])


@given(some, some, st.sampled_from([OPEN, NO_NC, Licenses(allow=["MIT"], deny=["CC-*"])]))
def test_choices_and_lists_are_any_and_all(a: str, b: str, policy: Licenses) -> None:
    one, other = is_allowed(a, policy), is_allowed(b, policy)
    if a and b:
        assert is_allowed(f"{a} OR {b}", policy) == (one or other)
        for together in (" AND ", "; ", ", ", "/", " & "):
            assert is_allowed(f"{a}{together}{b}", policy) == (one and other)


@given(st.text(max_size=30))
def test_any_text_is_judged(text: str) -> None:
    assert is_allowed(text, Licenses(deny=["*"])) is False
    assert is_allowed(text, Licenses()) is True
    assert normal(normal(text)) == normal(text)


@given(st.lists(st.none() | some))
def test_series_agree_with_one_by_one(licenses: list[str | None]) -> None:
    found = allowed(pl.Series("license", licenses, pl.String), OPEN)
    assert found.dtype == pl.Boolean
    assert found.to_list() == [is_allowed(license, OPEN) for license in licenses]
    assert allowed(licenses, OPEN).to_list() == found.to_list()
