"""Dumps of MediaWiki: every page exactly one row, however the dump is compressed, cut, shuffled or damaged."""

import bz2
import gzip
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from curation.read import plan_splits
from curation.read_mediawiki import site_of
from curation.read_mediawiki_stream import Bz2Streams
from manifests.errors import RequestError
from manifests.schema import Input
from tests.curation.wiki_dump import WikiPage, dump, head, page_xml, streams, written_pages

from .reading import LIMITS, Row, check_cursors, read_all, without_place

pytest.importorskip("mwparserfromhell")

ON_FILES = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
OTHERS = [
    WikiPage("옹기장", "#넘겨주기 [[옹기]]", 901, redirect="옹기"),
    WikiPage("Old", "#REDIRECT [[New]] {{r}}", 902),
    WikiPage("틀:가", "{{{1}}}", 903, namespace=10),
    WikiPage("모듈.js", "return 1", 904, model="javascript"),
    WikiPage("배 (동음이의)", "* [[배]]", 905),
    WikiPage("수", "* [[수]]\n{{동음이의}}", 906),
    WikiPage("빈 문서", "{{토막글}}", 907),
]
PAGES = written_pages("ko") + OTHERS
FACTS = ("title", "page_id", "revision_id", "n_formulas", "n_formulas_in", "n_templates_dropped")


def rows_of(path: Path, shard_bytes: int = 1 << 40, **item: Any) -> list[Row]:
    return read_all(
        path,
        shard_bytes,
        format="mediawiki",
        metadata=FACTS,
        metadata_map=dict.fromkeys(FACTS, "") | {name: name for name in FACTS},
        **item,
    )[0]


@pytest.fixture
def written(tmp_path: Path) -> dict[str, Path]:
    """The same pages in every form."""
    plain = dump(PAGES)
    forms = {
        "d.xml": plain,
        "d.xml.gz": gzip.compress(plain, mtime=0),
        "d.xml.bz2": bz2.compress(plain),
        "multistream.xml.bz2": b"".join(streams(PAGES, 5)),
        "cut-anywhere.xml.bz2": b"".join(bz2.compress(plain[at : at + 3000]) for at in range(0, len(plain), 3000)),
        "old.xml": dump(PAGES, version="0.10"),
    }
    for name, data in forms.items():
        (tmp_path / name).write_bytes(data)
    return {name: tmp_path / name for name in forms}


@pytest.mark.parametrize("key", ["--5", "9" * 5000, "", "٣", "5.0", "-"])
def test_a_namespace_whose_number_is_none_has_no_name(key):
    named = b'<namespaces><namespace key="%s">X</namespace><namespace key="-1">Y</namespace></namespaces>'
    site = site_of(b"<mediawiki><siteinfo>" + named % key.encode() + b"</siteinfo>")
    assert site.namespaces == {-1: "Y"}


def test_pages_become_rows(written):
    rows = rows_of(written["multistream.xml.bz2"])
    assert len(rows) == len(PAGES)
    first = rows[0]
    assert first["content"].decode().startswith("피타고라스 정리(영어: Pythagorean theorem)는")
    assert first == first | {
        "key": "1",
        "url": "https://ko.wikipedia.org/wiki/%ED%94%BC%ED%83%80%EA%B3%A0%EB%9D%BC%EC%8A%A4_%EC%A0%95%EB%A6%AC",
        "date": "2026-01-02T03:04:05Z",
        "license": "CC-BY-SA-4.0",
        "category": "encyclopedia",
        "kind": "text",
        "utf8": True,
        "content_digest": xxh3_128_digest(PAGES[0].text.encode()),
        "metadata": {
            "title": "피타고라스 정리",
            "page_id": "1",
            "revision_id": "9001",
            "n_formulas": "11",
            "n_formulas_in": "12",
            "n_templates_dropped": "2",
        },
        "notes": [{"kind": "formulas_dropped", "detail": "1 of 12: 1 in section"}],
    }
    assert [(row["reason"], row["detail"]) for row in rows[-len(OTHERS) :]] == [
        ("redirect", "옹기"),
        ("redirect", "New"),
        ("namespace", "10"),
        ("content_model", "javascript"),
        ("disambiguation", "배 (동음이의)"),
        ("disambiguation", "수"),
        ("empty", "nothing is left of the page"),
    ]


@pytest.mark.parametrize("shard_bytes", [1 << 40, 9000, 2000])
def test_every_form_gives_the_same_rows_however_it_is_cut(written, shard_bytes):
    expected = without_place(rows_of(written["d.xml"]))
    n_splits = {}
    for name, path in written.items():
        assert without_place(rows_of(path, shard_bytes)) == expected, name
        n_splits[name] = len(plan_splits(Input(source="s", path=str(path), format="mediawiki"), "", shard_bytes))
    if shard_bytes == 2000:
        assert n_splits["d.xml"] > 10 and n_splits["multistream.xml.bz2"] > 4 and n_splits["d.xml.gz"] == 1


def test_reading_goes_on_from_each_cursor(written, monkeypatch):
    monkeypatch.setattr("curation.read_batch.BATCH_RECORDS", 1)
    for name in ("d.xml", "d.xml.gz", "multistream.xml.bz2", "cut-anywhere.xml.bz2"):
        assert check_cursors(written[name], 9000, format="mediawiki") >= len(PAGES)


def test_shuffled_pages_are_the_same_documents(tmp_path):
    shuffled = random.Random(3).sample(PAGES, len(PAGES))
    for name, pages in (("a.xml", PAGES), ("b.xml", shuffled)):
        (tmp_path / name).write_bytes(dump(pages))
    by_key = [sorted(map(repr, without_place(rows_of(tmp_path / name)))) for name in ("a.xml", "b.xml")]
    assert by_key[0] == by_key[1]


@ON_FILES
@given(data=st.data(), shard_bytes=st.sampled_from([600, 3000, 1 << 40]))
def test_a_damaged_stream_harms_only_its_pages(tmp_path, data, shard_bytes):
    packed = streams(PAGES[:20], 2)
    index = data.draw(st.integers(1, len(packed) - 2))
    broken = packed[index]
    if data.draw(st.booleans()):
        broken = broken[: data.draw(st.integers(1, len(broken) - 1))]
    else:
        at = data.draw(st.integers(12, len(broken) - 11))
        broken = broken[:at] + bytes([broken[at] ^ data.draw(st.integers(1, 255))]) + broken[at + 1 :]
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(b"".join([*packed[:index], broken, *packed[index + 1 :]]))
    rows = rows_of(path, shard_bytes)
    assert rows == rows_of(path)
    lost = {str(page.number) for page in PAGES[2 * (index - 1) : 2 * index]}
    kept = [row["key"] for row in rows if row["verdict"] != "failed"]
    assert [key for key in kept if key not in lost] == [
        str(p.number) for p in PAGES[:20] if str(p.number) not in lost
    ]
    failed = [row["reason"] for row in rows if row["verdict"] == "failed"]
    assert failed == ["malformed_bzip2"] or kept == [str(page.number) for page in PAGES[:20]]


@ON_FILES
@given(data=st.data(), form=st.sampled_from(["a.xml", "a.xml.bz2", "a.xml.gz"]))
def test_noise_never_stops_reading(tmp_path, data, form):
    pack = {"a.xml": lambda raw: raw, "a.xml.bz2": bz2.compress, "a.xml.gz": lambda raw: gzip.compress(raw, mtime=0)}
    parts = [head().encode(), *(page_xml(page).encode() for page in PAGES[:9]), b"</mediawiki>\n"]
    raw = b"".join(map(pack[form], parts))
    at = data.draw(st.integers(len(pack[form](parts[0])), len(raw) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=30))
    (tmp_path / form).write_bytes(raw[:at] + noise + raw[at + len(noise) :])
    rows = rows_of(tmp_path / form)
    assert rows == rows_of(tmp_path / form)
    assert len([row for row in rows if row["verdict"] is None]) >= 6


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ((b"</title>", b""), "malformed_xml", "mismatched tag"),
        ((b"<title>", b"<title>&lol;"), "malformed_xml", "undefined entity"),
        ((b"<title>", b"<!DOCTYPE x [<!ENTITY a 'b'>]><title>"), "malformed_xml", "not well-formed"),
        ((b"<title>", b"<title>\xff"), "malformed_xml", "not well-formed"),
        ((b"<id>1</id>", b""), "malformed_xml", "a title, an id"),
        ((b"<ns>0</ns>", b"<ns>x</ns>"), "malformed_xml", "a namespace"),
        ((b"</page>", b""), "truncated", "another page begins"),
        ((b"<page>", b"<pagX>"), "malformed_xml", "a page ends that has no beginning"),
    ],
)
def test_a_damaged_page_is_one_failed_row(tmp_path, change, reason, detail):
    parts = [page_xml(page).encode() for page in PAGES[:3]]
    second = parts[1].replace(b"<id>2</id>", b"<id>1</id>").replace(*change, 1)
    path = tmp_path / "a.xml"
    path.write_bytes(head().encode() + parts[0] + second + parts[2] + b"</mediawiki>")
    rows = rows_of(path)
    assert [row["key"] for row in rows] == ["1", "", "3"]
    assert (rows[1]["reason"], rows[1]["verdict"]) == (reason, "failed")
    assert detail in rows[1]["detail"]
    assert without_place(rows_of(path, 500)) == without_place(rows)
    (tmp_path / "end.xml").write_bytes(head().encode() + parts[0] + parts[2][:-40])
    assert [row["reason"] for row in rows_of(tmp_path / "end.xml")] == [None, "truncated"]


def test_the_newest_revision_counts(tmp_path):
    xml = page_xml(PAGES[0])
    old = xml[xml.index("    <revision>") : xml.index("  </page>")]
    newer = (
        old.replace("2026-01-02", "2026-02-02").replace("피타고라스 정리'''(", "새 글'''(").replace(">9001<", ">8<")
    )
    (tmp_path / "a.xml").write_text(head() + xml.replace(old, newer + old) + "</mediawiki>")
    (row,) = rows_of(tmp_path / "a.xml")
    assert row["content"].decode().startswith("새 글(") and row["metadata"]["revision_id"] == "8"


def test_other_slots_and_deleted_texts(tmp_path):
    xml = page_xml(PAGES[0])
    slot = "<content><role>x</role><model>json</model><text>{}</text></content>\n    </revision>"
    deleted = page_xml(PAGES[1])
    start, end = deleted.index("      <text"), deleted.index("      <sha1>")
    (tmp_path / "a.xml").write_text(
        head() + xml.replace("</revision>", slot) + deleted[:start] + deleted[end:] + "</mediawiki>"
    )
    rows = rows_of(tmp_path / "a.xml")
    assert [row["reason"] for row in rows] == [None, "missing_text"]
    assert rows[0]["content_digest"] == xxh3_128_digest(PAGES[0].text.encode())


def test_policy_decides_what_is_a_document(tmp_path):
    (tmp_path / "a.xml").write_bytes(dump(OTHERS))
    policy = {"namespaces": [0, 10], "disambiguation": "keep"}
    reasons = [row["reason"] for row in rows_of(tmp_path / "a.xml", mediawiki=policy)]
    assert reasons == ["redirect", "redirect", "empty", "content_model", None, None, "empty"]


def test_what_is_no_dump_is_refused(tmp_path):
    for name, data, message in [
        ("a.xml", b"<html></html>", "no XML export"),
        ("b.xml", b'<!DOCTYPE m [<!ENTITY a "b">]>' + dump(PAGES[:1]), "document type"),
        ("c.xml.bz2", bz2.compress(b"text"), "no XML export"),
    ]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(RequestError, match=message):
            rows_of(tmp_path / name)


def test_a_broken_head_costs_the_addresses_only(tmp_path):
    packed = streams(PAGES[:6], 2)
    (tmp_path / "a.xml.bz2").write_bytes(b"".join([packed[0][:-20], *packed[1:]]))
    rows = rows_of(tmp_path / "a.xml.bz2")
    assert [row["reason"] for row in rows] == ["malformed_bzip2", *[None] * 6]
    assert rows[1]["url"] is None


def test_large_pages_fail_and_memory_is_bounded(tmp_path):
    large = WikiPage("큰 문서", "가 " * (4 << 20), 2)
    data = bz2.compress(dump([PAGES[0], large, PAGES[2]]))
    (tmp_path / "bomb.xml.bz2").write_bytes(data)
    tracemalloc.start()
    rows = rows_of(tmp_path / "bomb.xml.bz2")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(row["key"], row["reason"]) for row in rows] == [("1", None), ("", "record_too_large"), ("3", None)]
    assert rows[1]["value"] > 16 << 20 and rows[1]["threshold"] == LIMITS.record_bytes
    assert peak < 12 << 20
    assert rows == rows_of(tmp_path / "bomb.xml.bz2", 1)


def test_streams_of_bzip2_decode_as_the_library_does(tmp_path):
    rng = random.Random(1)
    texts = [rng.randbytes(rng.randrange(3_000_000)) if i % 2 else b"a" * rng.randrange(9_000_000) for i in range(4)]
    (tmp_path / "a").write_bytes(b"".join(map(bz2.compress, texts)))
    with open(tmp_path / "a", "rb") as file:
        source, out = Bz2Streams(file, 0, (tmp_path / "a").stat().st_size), []
        while piece := source.next():
            assert len(piece.data) <= 1 << 20
            if piece.first:
                out.append(b"")
            out[-1] += piece.data
    assert out == texts
