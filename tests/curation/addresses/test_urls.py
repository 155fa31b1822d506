"""Canonical addresses: golden spellings, properties, and what the URL Standard's own implementation says of them."""

import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.addresses.hosts import canonical_host, registered_domain
from curation.addresses.urls import address_columns, canonical_column, canonical_url
from manifests.schema_addresses import Urls

SAME = {
    "http://example.com/": [
        "HTTP://EXAMPLE.com:80", "http://example.com?", "http:\\\\example.com\\#top", "http:example.com",
    ],
    "https://example.com/a/b": [
        "https://example.com:443/a/./b", "https://example.com/x/../a/b#c", " https://example.com./a/%62\n",
        "https://user:secret@example.com/a/b", "https://ex%41mple.com/a/%2E/b", "https://example.com/a/x/%2e%2E/b",
        "https://example.com/a/b?utm_source=mail&fbclid=1", "https://example.com/a;JSESSIONID=0F/b?&&",
    ],
    "http://xn--bj0bj06e.kr/%EA%B0%80?q=%ED%95%9C": ["http://한글.kr/가?q=한", "HTTP://한글。KR/%ea%b0%80?q=%ed%95%9C"],
    "http://xn--fa-hia.de/": ["http://faß.de", "http://FAẞ.de/"],
    "http://example.com/?a=2&b=1&b=0": ["http://example.com/?b=1&a=2&b=0", "http://example.com/?b=1&gclid=x&b=0&a=2"],
    "http://x.kr/?%B0%A1=%B0%A2": ["http://x.kr/?%b0%a1=%b0%a2"],  # EUC-KR, which is no UTF-8
    "http://a.kr/%25zz%2F~%7C%5Bx%5D": ["http://a.kr/%zz%2f%7E|[x]"],
    "http://127.0.0.1/": ["http://0x7f.1", "http://2130706433/", "http://0177.0.0.01:80/"],
    "http://[2001:db8::1]:8080/": ["http://[2001:0DB8:0:0::0:1]:08080"],
    "http://a.kr/#!/board/1": ["http://a.kr#!/board/1"],
    "http://a.kr/?n=%27%5B%5D": ["http://a.kr/?n='[]"],
    "http://a.kr/?id=1": [
        "http://a.kr/?id=1&PHPSESSID=abc", "http://a.kr/?id=1&amp;utm_medium=x",
        "http://a.kr/?sid=0123456789abcdef0123&id=1", "http://a.kr/?NaPm=ct%3Dx&n_keyword=%EC%98%B9&id=1",
    ],
}  # fmt: skip

APART = [
    ("http://www.example.com/", "http://example.com/"),
    ("http://m.example.com/", "http://example.com/"),
    ("http://example.com/", "https://example.com/"),
    ("http://example.com/a", "http://example.com/a/"),
    ("http://example.com/A", "http://example.com/a"),
    ("http://example.com//a", "http://example.com/a"),
    ("http://example.com/a%2Fb", "http://example.com/a/b"),
    ("http://example.com/?a=1&a=2", "http://example.com/?a=2&a=1"),
    ("http://example.com/?a", "http://example.com/?a="),
    ("http://example.com/?sid=7", "http://example.com/"),
    ("http://example.com/index.html", "http://example.com/"),
    ("http://example.com:8080/", "http://example.com/"),
    ("http://example.com:0/", "http://example.com/"),
]

NO_ADDRESS = [
    "", "example.com/a", "//example.com/", "ftp://example.com/", "mailto:a@example.com", "urn:uuid:1", "dns:a.com",
    "http://", "http:///", "http://a..b/", "http://.a/", "http://exa mple.com/", "http://a:99999/", "http://a:b/",
    "http://a:" + "1" * 9000, "http://a:１/", "http://" + "가" * 3000 + ".kr", "http://xn--" + "a" * 3000 + ".kr",
    "http://[::1",
    "http://[fe80::1%25eth0]/", "http://256.1.1.1/", "http://1.2.3.4.5/", "http://a<b/", "http://xn--a/",
    "http://%FF.kr/", "http://" + "a" * 64 + ".kr/", "http://" + "a." * 130 + "kr/", "http://a.kr/" + "x" * 40_000,
]  # fmt: skip


@pytest.mark.parametrize("canonical", SAME)
def test_spellings_of_one_address(canonical: str) -> None:
    assert {url: canonical_url(url) for url in [canonical, *SAME[canonical]]} == dict.fromkeys(
        [canonical, *SAME[canonical]], canonical
    )


@pytest.mark.parametrize("pair", APART)
def test_addresses_that_stay_apart(pair: tuple[str, str]) -> None:
    one, other = map(canonical_url, pair)
    assert one != other and None not in (one, other)


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_what_is_no_address(text: str) -> None:
    assert canonical_url(text) is None


def test_what_a_manifest_leaves_out_besides() -> None:
    form = Urls(index_files=True, https=True, drop=["ref", "src_*"])
    assert canonical_url("http://a.kr/b/INDEX.php?SRC_a=1&ref=2&c=3", form) == "https://a.kr/b/?c=3"
    assert canonical_url("http://a.kr:8080/index.html", form) == "http://a.kr:8080/"  # another port, another server
    assert canonical_url("http://a.kr/index.html/x?reference=1", form) == "https://a.kr/index.html/x?reference=1"


URLS = st.one_of(
    st.builds(
        "{}{}{}{}{}{}".format,
        st.sampled_from(["http://", "HTTPS://", "http:/", "https:\\\\"]),
        st.one_of(
            st.sampled_from(
                ["example.com", "한글.kr", "EX%61mple.com:80", "u:p@a.b.c", "127.1", "[::1]:443", "xn--bj0bj06e.kr."]
            ),
            st.text("ab.-_한é%4:@", max_size=8),
        ),
        st.text("/.%2eEaB;=\\ |한\u1112~", max_size=16),
        st.sampled_from(["", "?", "#", "?a=1&b=", "?utm_source=1"]),
        st.text("&=%Bb0aA#!'[]+ 한?", max_size=12),
        st.sampled_from(["", "#", "#!a"]),
    ),
    st.text(max_size=30).map("http://".__add__),
)  # fmt: skip


@given(URLS)
def test_what_is_canonical_stays_so(url: str) -> None:
    canonical = canonical_url(url)
    if canonical is not None:
        assert canonical.isascii()
        assert canonical_url(canonical) == canonical
        everything = Urls(index_files=True, https=True)
        twice = canonical_url(url, everything)
        assert twice and canonical_url(twice, everything) == twice


@given(st.lists(st.one_of(st.none(), URLS, st.sampled_from([*SAME, *NO_ADDRESS])), max_size=8), st.booleans())
def test_a_column_is_its_addresses_one_by_one(urls: list[str | None], https: bool) -> None:
    form = Urls(https=https, index_files=https)
    urls = [url and url.encode("utf-8", "replace").decode() for url in urls]
    found = canonical_column(pa.array(urls, pa.string()), form).to_pylist()
    assert found == [None if url is None else canonical_url(url, form) for url in urls]


@given(URLS)
def test_the_url_standard_agrees(url: str) -> None:
    ada_url = pytest.importorskip("ada_url")
    url = url.encode("utf-8", "replace").decode()
    canonical = canonical_url(url)
    if canonical is None or any(one > "\U0001ffff" for one in url):  # Unicode grows there, and its tables are of 2025
        return
    assert ada_url.URL(canonical).href == canonical  # the standard's spelling of it is the same
    theirs = ada_url.URL(url).href
    assert canonical_url(theirs) == canonical  # and its spelling of what was written means the same to us


def test_the_url_standard_takes_no_address_for_none() -> None:
    """What has no canonical form is none for the standard either, but for names that no server can have."""
    ada_url = pytest.importorskip("ada_url")
    taken = [text for text in NO_ADDRESS if text.lower().startswith("http") and ada_url.check_url(text)]
    assert taken and all(".." in text or "//." in text or "xn--" in text or len(text) > 64 for text in taken)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.snu.ac.kr", "snu.ac.kr"),
        ("a.b.example.co.kr", "example.co.kr"),
        ("blog.example.co.uk", "example.co.uk"),
        ("a.github.io", "github.io"),  # the ICANN section alone
        ("xn--bj0bj06e.xn--3e0b707e", "xn--bj0bj06e.xn--3e0b707e"),
        ("co.kr", None),
        ("kr", None),
        ("localhost", None),
        ("10.0.0.1", None),
        ("[::1]", None),
    ],
)
def test_registered_domains(host: str, domain: str | None) -> None:
    pytest.importorskip("publicsuffixlist")
    assert registered_domain(host) == domain


def test_hosts_and_domains_of_a_column() -> None:
    pytest.importorskip("publicsuffixlist")
    urls = pa.array(["https://a.b.co.kr:8443/x", None, "http://[::1]/", "http://kr/"])
    columns = {name: column.to_pylist() for name, column in address_columns(urls).items()}
    assert columns == {"url_host": ["a.b.co.kr", None, "[::1]", "kr"], "url_domain": ["b.co.kr", None, None, None]}


def test_hosts_are_those_of_browsers() -> None:
    assert canonical_host("☃.NET") == "xn--n3h.net"
    assert canonical_host("Ⓔxample．com") == "example.com"
    assert canonical_host("a_b.-c.kr") == "a_b.-c.kr"
    names = [
        "\u0300b.kr",
        "א1.kr",
        "1א.kr",
        "אa.kr",
        "א.a1.kr",
        "a\u200db.kr",
        "क्\u200dष.kr",
        "א.1a.kr",
    ]
    ada_url = pytest.importorskip("ada_url")
    theirs = [
        ada_url.URL(f"http://{name}").hostname if ada_url.check_url(f"http://{name}") else None for name in names
    ]
    assert [canonical_host(name) for name in names] == theirs


@pytest.mark.parametrize("authority", ["@" * 32_000 + ":a", "@" * 32_000, "@" * 32_000 + "[", ":@" * 16_000 + ":a"])
def test_no_address_takes_longer_than_its_length(authority: str) -> None:
    started = time.perf_counter()
    assert canonical_url(f"http://{authority}/") is None
    assert time.perf_counter() - started < 0.5


def test_the_host_comes_behind_the_last_at() -> None:
    assert canonical_url("http://a@b:c@example.com:8080/x") == "http://example.com:8080/x"
    assert canonical_url("http://a@[::1]:81/") == "http://[::1]:81/"
    assert canonical_url("http://[a@b]/") is None
