"""Requests are read from files of several kinds; what is wrong in them is named with its line."""

from pathlib import Path

import polars as pl
import pytest

from curation.removal.entries import Request, read_request
from manifests.errors import RequestError

ID = "0123456789abcdef0123456789abcdef"


def names(request: Request) -> list[str]:
    return [entry.name for entry in request.entries]


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_text("﻿# of 2026\n\nhttps://www.Example.com/a/\r\nexample.com/a\n  https://한국.kr/b  \n", "utf-8")
    request = read_request({"urls": [str(path)]})
    assert names(request) == ["example.com/a", "xn--3e0b707e.kr/b"]
    assert request.files[0].n_entries == 3


def test_columns(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text('date,domain\n2026-01-01,"*.example.com"\n2026-01-02,https://blog.kr/\n,\n')
    (tmp_path / "d.tsv").write_text("site\tx\n.shop.kr\t1\n")
    (tmp_path / "i.jsonl").write_text(f'{{"id": "{ID.upper()}", "n": 1}}\n{{"id": null}}\n')
    pl.DataFrame({"url": ["a.kr/1", None]}).write_parquet(tmp_path / "u.parquet")
    assert names(read_request({"domains": [str(tmp_path / "d.csv")]})) == ["example.com", "blog.kr"]
    assert names(read_request({"domains": [str(tmp_path / "d.tsv")]}, "site")) == ["shop.kr"]
    assert names(read_request({"ids": [str(tmp_path / "i.jsonl")]})) == [ID]
    assert names(read_request({"urls": [str(tmp_path / "u.parquet")]})) == ["a.kr/1"]


def test_the_digest_is_of_what_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("https://a.kr/1\nb.kr/2\n")
    (tmp_path / "b.txt").write_text("# the same\nwww.b.kr/2/\na.kr/1\n")
    one, other = (read_request({"urls": [str(tmp_path / name)]}) for name in ("a.txt", "b.txt"))
    assert one.digest == other.digest
    assert one.files[0].sha256 != other.files[0].sha256
    assert read_request({"urls": [str(tmp_path / "a.txt")]}, copies=True).digest != one.digest


@pytest.mark.parametrize(
    ("kind", "name", "content", "message"),
    [
        ("ids", "i.txt", f"{ID}\n{ID[:31]}\n", r"i.txt:2: '0123.*' is no id: expected 32 hexadecimal digits"),
        ("ids", "i.txt", f"{ID}#0\n", "all copies of an id go"),
        ("urls", "u.txt", "# nothing\n", "names nothing to remove"),
        ("urls", "u.txt", "not a url\n", "is no URL"),
        ("domains", "d.txt", "example.com/page\n", "is no domain"),
        ("domains", "d.txt", "kr\n", "is no domain with a host of two parts"),
        ("domains", "d.csv", "host\na.kr\n", "has no column 'domain'; found: host"),
        ("urls", "u.txt", b"http://\xc7\xd1.kr\n", "is not UTF-8"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, kind: str, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RequestError, match=message):
        read_request({kind: [str(path)]})  # type: ignore[dict-item]


def test_nothing_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="name what to remove"):
        read_request({})
    with pytest.raises(RequestError, match=r"gone.txt: cannot be read"):
        read_request({"ids": [str(tmp_path / "gone.txt")]})
