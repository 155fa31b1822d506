"""Addresses that are one come to one spelling, and others do not."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.removal.addresses import HOST_PATTERN, canonical_host, canonical_url, host_of, parent_domains

SAME = [
    ("http://Example.com", "https://www.example.com/"),
    ("example.com/a", "https://example.com:443/a/"),
    ("http://example.com:80/a", "//example.com./a#top"),
    ("https://user:secret@example.com/a", "example.com/a"),
    ("https://한국.kr/길", "http://xn--3e0b707e.kr/%EA%B8%B8"),
    ("https://한국.KR/길", "https://한국。kr/길/"),
    ("https://example.com/각", "https://example.com/" + "각"),  # composed and decomposed
    ("https://example.com/%7euser", "https://example.com/~user"),
    ("https://example.com/a%2fb", "https://example.com/a%2Fb"),
    ("https://example.com/%c7%d1", "https://example.com/%C7%D1"),  # EUC-KR
    ("https://example.com/a/./b/../c", "https://example.com/a/c"),
    ("https://example.com/a b", "https://example.com/a%20b"),
    ("https://[2001:DB8::0:1]/", "http://[2001:db8::1]"),
    ("  https://example.com/a\n", "https://example.com/a"),
    ("https://example.com/a?", "https://example.com/a"),
]
OTHER = [
    ("https://example.com/a", "https://example.com/A"),
    ("https://example.com/a", "https://example.com/a?page=2"),
    ("https://example.com/a?x=1&y=2", "https://example.com/a?y=2&x=1"),
    ("https://example.com/a", "https://m.example.com/a"),
    ("https://example.com/a/b", "https://example.com/a%2Fb"),
    ("https://example.com/#!/a", "https://example.com/#!/b"),
    ("https://example.com:8080/", "https://example.com/"),
    ("ftp://example.com/a", "https://example.com/a"),
    ("https://example.com/?q=a%26b", "https://example.com/?q=a&b"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_address(one: str, other: str) -> None:
    assert canonical_url(one) == canonical_url(other)
    assert canonical_url(one) is not None


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_two_addresses(one: str, other: str) -> None:
    assert canonical_url(one) != canonical_url(other)


@pytest.mark.parametrize("url", ["", "https://", "https:///path", "http://-bad-/", "한" * 70 + ".kr"])
def test_no_address(url: str) -> None:
    assert canonical_url(url) is None


@given(st.text())
def test_any_text_has_one_spelling_or_none(text: str) -> None:
    name = canonical_url(text)
    assert name is None or canonical_url(name) == name


@given(st.sampled_from([url for pair in SAME + OTHER for url in pair]))
def test_spelling_a_second_time_changes_nothing(url: str) -> None:
    name = canonical_url(url)
    assert name is not None
    assert canonical_url(name) == name


@pytest.mark.parametrize("url", [url for pair in SAME + OTHER for url in pair])
def test_the_host_of_a_column_is_that_of_the_address(url: str) -> None:
    found = pl.Series([url]).str.extract(HOST_PATTERN)[0]
    assert canonical_host(found) == host_of(url)
    assert (canonical_url(url) or "").removeprefix("ftp://").startswith(host_of(url) or "-")


def test_domains_above_a_host() -> None:
    assert parent_domains("a.b.example.co.kr") == ["a.b.example.co.kr", "b.example.co.kr", "example.co.kr", "co.kr"]
    assert parent_domains("127.0.0.1") == ["127.0.0.1"]
    assert parent_domains("localhost") == ["localhost"]
