"""Lists of addresses: every form that is read, and lookups equal to those in Python sets."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.addresses import blocklists
from curation.addresses.blocklist_lines import line_entries
from curation.addresses.blocklists import Blocklist, open_blocklist
from curation.addresses.urls import canonical_url
from manifests.errors import RequestError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        blocklists._opened.cache_clear()
        yield


def found(of: Blocklist, *urls: str) -> list[str | None]:
    return of.find(pa.array([canonical_url(url) for url in urls], pa.string())).to_pylist()


def listed(folder: Path, content: str | bytes, name: str = "list.txt") -> Blocklist:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_blocklist("mine", str(path))


@pytest.mark.parametrize(
    ("line", "entries"),
    [
        ("example.com", ["example.com"]),
        ("Example.COM.", ["example.com"]),
        ("*.example.com", ["example.com"]),
        (".example.com", ["example.com"]),
        ("한글.kr", ["xn--bj0bj06e.kr"]),
        ("example.com # why", ["example.com"]),
        ("0.0.0.0 a.com b.com", ["a.com", "b.com"]),
        ("127.0.0.1\tlocalhost", []),
        ("::1 ip6-localhost ads.kr", ["ads.kr"]),
        ("1.2.3.4", ["1.2.3.4"]),
        ("||example.com^", ["example.com"]),
        ("||example.com^$document,important", ["example.com"]),
        ("||example.com^$third-party", []),
        ("||example.com/ads/^", ["example.com/ads"]),
        ("||example.com/*/ads", []),
        ("@@||example.com^", []),
        ("example.com##.ad", []),
        ("https://www.example.com/", ["example.com/"]),
        ("http://example.com:8080/A/?b=1&a=2", ["example.com:8080/A/?a=2&b=1"]),
        ("example.com/~user/", ["example.com/~user"]),
        ("ftp://example.com/", []),
        ("# comment", []),
        ("! comment", []),
        ("[Adblock Plus 2.0]", []),
        ("com", []),
        ("(^|[-.])adult", []),
        ("two words.com", []),
        ("address=/evil.com/0.0.0.0", ["evil.com"]),
        ("address=/.a.com/b.com/#", ["a.com", "b.com"]),
        ("server=/evil.com/", ["evil.com"]),
        ("local=/evil.com/", ["evil.com"]),
        ("server=/corp.com/10.0.0.1", []),
        ("someone@example.com", []),
        ("mailto:someone@example.com", []),
        ("||someone@example.com^", []),
        ("example.com/@someone", ["example.com/@someone"]),
    ],
)
def test_lines(line: str, entries: list[str]) -> None:
    assert line_entries(line) == entries


def test_a_domain_covers_all_below_it(tmp_path: Path) -> None:
    of = listed(tmp_path, "example.com\nb.c.kr\n1.2.3.4\n")
    assert found(of, "http://example.com/", "https://a.b.example.com:99/x", "http://notexample.com/") == [
        "example.com",
        "example.com",
        None,
    ]
    assert found(of, "http://c.kr/", "http://a.b.c.kr/", "http://1.2.3.4/", "http://9.1.2.3.4/") == [
        None,
        "b.c.kr",
        "1.2.3.4",
        None,
    ]


def test_a_url_covers_what_begins_with_it(tmp_path: Path) -> None:
    of = listed(tmp_path, "http://www.a.kr/b/\na.kr/p?x=1\nc.kr/\n")
    urls = ["https://a.kr/b", "http://www.a.kr/b/c", "http://a.kr/b?q", "http://a.kr/bc", "http://m.a.kr/b"]
    assert found(of, *urls) == ["a.kr/b", "a.kr/b", "a.kr/b", None, None]
    urls = [
        "http://a.kr/p?y=2&x=1",
        "http://a.kr/p?x=1",
        "http://a.kr/p",
        "http://a.kr/p?x=12",
        "http://a.kr/p?x=1&y=2",
    ]
    assert found(of, *urls) == ["a.kr/p?x=1", "a.kr/p?x=1", None, None, "a.kr/p?x=1"]
    assert found(of, "https://c.kr/any/page", "http://sub.c.kr/") == ["c.kr/", None]
    assert of.find(pa.array([None], pa.string())).to_pylist() == [None]


def test_a_folder_as_toulouse_publishes_it(tmp_path: Path) -> None:
    folder = tmp_path / "adult"
    folder.mkdir()
    (folder / "domains").write_text("a.com\n")
    (folder / "urls").write_text("b.com/x\n")
    (folder / "expressions").write_text("c.com\n")
    (folder / "usage").write_text("black.com\n")
    (folder / ".hidden.txt").write_text("d.com\n")
    (folder / "more.txt.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfe.com\r\n\r\nF.com\n"))
    of = open_blocklist("adult", str(folder))
    urls = [f"http://{name}.com/x" for name in "abcdef"]
    assert found(of, *urls) == ["a.com", "b.com/x", None, None, "e.com", "f.com"]
    assert of.n_entries == 4
    both = open_blocklist("adult", [str(folder / "domains"), str(folder / "ur*")])
    assert both.n_entries == 2


DOMAINS = st.lists(st.sampled_from(["a", "b", "c1", "xn--bj0bj06e", "d-e"]), min_size=1, max_size=4).map(
    lambda labels: ".".join([*labels, "kr"])
)
PATHS = st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=3).map(lambda steps: "".join(f"/{s}" for s in steps))
QUERIES = st.sampled_from(["", "?x=1", "?x=1&y=2", "?y=2"])


def brute_force(url: str, domains: set[str], urls: set[str]) -> str | None:
    """The same by the words of the guide."""
    host, _, rest = url.removeprefix("http://").partition("/")
    labels = host.split(".")
    above = [".".join(labels[first:]) for first in range(len(labels))]
    for domain in reversed(above):
        if domain in domains:
            return domain
    bare = f"{host.removeprefix('www.')}/{rest}"
    ends = [end for end in range(1, len(bare) + 1) if bare[end - 1] == "/" or (bare + "/")[end] in "/?&"]
    return next((bare[:end] for end in ends if bare[:end] in urls), None)


@given(st.sets(DOMAINS, max_size=5), st.sets(st.tuples(DOMAINS, PATHS, QUERIES), max_size=5), st.data())
def test_lookups_equal_those_in_sets(
    tmp_path_factory: pytest.TempPathFactory, domains: set[str], urls: set[tuple[str, str, str]], data: st.DataObject
) -> None:
    entries = {entry for url in urls for entry in line_entries("http://" + "".join(url))}
    lines = [*domains, *("http://" + "".join(url) for url in urls), "none.example"]
    of = listed(tmp_path_factory.mktemp("list"), "\n".join(lines))
    asked = data.draw(
        st.lists(st.tuples(DOMAINS, PATHS, QUERIES).map(lambda url: "http://" + "".join(url)), max_size=6)
    )
    canonical = [str(canonical_url(url)) for url in asked]
    assert found(of, *asked) == [brute_force(url, domains, entries) for url in canonical]


def test_many_entries_are_all_found(tmp_path: Path) -> None:
    names = [f"site{number}.example{number % 7}.kr" for number in range(40_000)]
    of = listed(tmp_path, "\n".join(names[::2]))
    assert len(of.domains) == 20_000
    assert found(of, *(f"http://www.{name}/x" for name in names)) == [
        name if number % 2 == 0 else None for number, name in enumerate(names)
    ]


def test_processes_share_what_lies_on_disk(tmp_path: Path) -> None:
    first = listed(tmp_path, "a.com\nb.com/c\n")
    assert isinstance(first.domains.base, np.memmap)
    blocklists._opened.cache_clear()
    again = listed(tmp_path, "a.com\nb.com/c\n", "renamed.txt")
    assert again.digest == first.digest
    assert len(list((Path(os.environ["XDG_CACHE_HOME"]) / "onggi/blocklists").iterdir())) == 3
    other = listed(tmp_path, "a.com\nb.com/d\n", "renamed.txt")
    assert other.digest != first.digest and found(other, "http://b.com/c", "http://b.com/d") == [None, "b.com/d"]


def test_without_a_cache_each_process_holds_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert found(listed(tmp_path, "a.com\n"), "http://a.com/") == ["a.com"]


def test_what_is_broken_in_the_cache_is_made_anew(tmp_path: Path) -> None:
    listed(tmp_path, "a.com\n")
    for path in (Path(os.environ["XDG_CACHE_HOME"]) / "onggi/blocklists").iterdir():
        path.write_bytes(b"")
    blocklists._opened.cache_clear()
    assert found(listed(tmp_path, "a.com\n"), "http://a.com/") == ["a.com"]


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"blocklists\.mine: .*list\.txt holds no entry; expected lines such as"):
        listed(tmp_path, "# nothing yet\n127.0.0.1 localhost\n")
    with pytest.raises(
        RequestError,
        match=r"blocklists\.mine: 2 of 3 lines are not understood, the first in .*list\.txt: 'domain,reason'; "
        r"expected lines such as `example\.com`.*address=",
    ):
        listed(tmp_path, "domain,reason\n<html>\na.com\n")
    with pytest.raises(RequestError, match=r"blocklists\.mine: nothing to read at .*missing"):
        open_blocklist("mine", str(tmp_path / "missing"))
    with pytest.raises(RequestError, match=r"broken\.gz: cannot be read"):
        listed(tmp_path, gzip.compress(b"a.com\n" * 9)[:-9], "broken.gz")


def test_lines_are_counted(tmp_path: Path) -> None:
    lines = "# remark\n#### remark\n\n! remark\na.com\na.com\nb.com/x\n127.0.0.1 localhost\n||c.com^$third-party\n"
    of = listed(tmp_path, lines + "##.ad\nd.com##.ad\n@@||e.com^\n/banner[0-9]/\nsomeone@example.com\n")
    assert (of.n_entries, of.n_lines, of.n_passed_over, of.n_strange) == (2, 10, 6, 1)
    blocklists._opened.cache_clear()
    again = open_blocklist("mine", str(tmp_path / "list.txt"))  # as it lies in the cache
    assert again.record == of.record


def test_half_a_list_may_be_strange(tmp_path: Path) -> None:
    assert listed(tmp_path, "a.com\nwhat is this\n").n_strange == 1
