"""JSONL: every line that is not blank exactly one row, compressed or not."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from curation import read_batch
from manifests.schema import Limits

from .reading import Row, check_cursors, read_all, without_place

ON_FILES = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def rows_of(data: bytes, folder: Path, name: str = "a.jsonl", **options: Any) -> list[Row]:
    (folder / name).write_bytes(data)
    return read_all(folder / name, **options)[0]


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def test_columns_are_mapped_and_become_strings(tmp_path):
    line = {"body": "글", "id": 12, "meta": {"url": "u", "d": None}, "a.b": True, "n": 1.5, "list": ["x", "한"]}
    (row,) = rows_of(
        json.dumps(line).encode(),
        tmp_path,
        text="body",
        key="id",
        url="meta.url",
        date="meta.d",
        license="a.b",
        set={"category": "news"},
        metadata=("list", "n", "no", "other"),
        metadata_map={"n": "n", "list": "list", "no": "meta.url.no"},
    )
    assert row == row | {
        "key": "12",
        "url": "u",
        "date": None,
        "license": "true",
        "category": "news",
        "metadata": {"n": "1.5", "list": '["x", "한"]', "no": None, "other": None},
        "kind": "text",
        "utf8": True,
        "charset": None,
        "content": "글".encode(),
        "content_digest": xxh3_128_digest("글".encode()),
        "n_bytes": 3,
        "offset": 0,
    }


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"text": "a', "malformed_json", "at column 10 of the line"),
        (b"{'text': 1}", "malformed_json", "at column 2 of the line"),
        (b"[" * 100_000, "malformed_json", "nested too deeply"),
        (b'{"text": "a"} {}', "malformed_json", "at column 15 of the line"),
        (b'["text"]', "not_an_object", "the line holds a list"),
        (b'{"title": "a"}', "missing_text", "no 'text'; the line has title"),
        (b'{"text": null}', "missing_text", "no 'text'; the line has text"),
        (b'{"text": 5}', "text_not_string", "'text' is of type int"),
        (b'{"text": "\xc5\xa5\xff"}', "invalid_utf8", "invalid start byte, at byte 13 of the line"),
        (b'{"text": "' + b"a" * (1 << 20) + b'"}', "record_too_large", None),
    ],
)
def test_a_bad_line_is_a_failed_row_between_good_ones(tmp_path, line, reason, detail):
    good = b'{"text": "good"}'
    rows = rows_of(b"\n".join([good, line, good]), tmp_path)
    assert [row["reason"] for row in rows] == [None, reason, None]
    bad = rows[1]
    assert (bad["detail"] or "").endswith(detail or "")
    assert (bad["offset"], bad["n_bytes"], bad["content_digest"]) == (17, len(line), xxh3_128_digest(line))
    if reason == "record_too_large":
        assert (bad["value"], bad["threshold"]) == (len(line), 1 << 20)


@pytest.mark.parametrize(
    ("line", "content"),
    [
        (rb'{"text": "cut \ud83d"}', "cut \ufffd"),
        (rb'{"text": "\ud83d\ude00", "x": "\udc00"}', "😀"),
        (b'{"text": "x", "score": NaN, "n": -Infinity}', "x"),
        (b'\xef\xbb\xbf{"text": "x"}\r', "x"),
        (b'{"text": ""}', ""),
        (b'{"text": "a", "text": "b"}', "b"),
    ],
)
def test_what_writers_write_beyond_the_standard_is_read(tmp_path, line, content):
    (row,) = rows_of(line, tmp_path)
    assert (row["reason"], row["content"]) == (None, content.encode())


def test_blank_lines_are_counted(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\n{"text": "a"}\r\n \r\n\n{"text": "b"}\n\n')
    rows, skipped = read_all(tmp_path / "a.jsonl")
    assert [row["content"] for row in rows] == [b"a", b"b"]
    assert skipped == {"blank line": 4}


lines = st.one_of(
    st.text(max_size=60).map(lambda text: json.dumps({"text": text}, ensure_ascii=False).encode()),
    st.text(max_size=60).map(lambda text: json.dumps({"text": text}).encode()),
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")),
    st.integers(1, 4000).map(lambda n: json.dumps({"text": "가" * n}).encode()),
)


def expected(line: bytes, start_of_file: bool) -> bytes | str | None:
    line = line.removeprefix(b"\xef\xbb\xbf") if start_of_file else line
    if not line.strip(b" \t\r\n\x0b\x0c"):
        return None
    try:
        return json.loads(line.decode())["text"].encode()
    except (ValueError, TypeError, KeyError, AttributeError):
        return "failed"


@ON_FILES
@given(lines=st.lists(lines, max_size=30), ending=st.sampled_from([b"", b"\n"]), shard_bytes=st.integers(1, 5000))
def test_each_line_once_for_any_shard_size_and_compression(tmp_path, lines, ending, shard_bytes):
    data = b"\n".join(lines) + ending
    assume(not data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")))  # a file that begins so is a compressed one
    half = len(data) // 2
    wanted = [expected(line, i == 0) for i, line in enumerate(lines)]
    wanted = [w for w in wanted if w is not None]
    packs = {
        "a.jsonl": data,
        "a.jsonl.gz": gzip.compress(data[:half]) + gzip.compress(data[half:]),
        "a.ndjson.zst": zst(data[:half]) + b"\x50\x2a\x4d\x18\x02\0\0\0ab" + zst(data[half:]),
    }
    rows = [rows_of(packed, tmp_path, name, shard_bytes=shard_bytes) for name, packed in packs.items()]
    assert [row["content"] if row["verdict"] is None else row["verdict"] for row in rows[0]] == wanted
    assert without_place(rows[0]) == without_place(rows[1]) == without_place(rows[2])
    assert [row["offset"] for row in rows[0]] == [row["offset"] for row in rows[1]]


@pytest.mark.parametrize("pack", [gzip.compress, zst])
def test_a_broken_stream_keeps_what_came_before_and_goes_on_after(tmp_path, pack):
    name = "a.jsonl.gz" if pack is gzip.compress else "a.jsonl.zst"
    parts = [b"".join(b'{"text": "%d %d"}\n' % (part, i) for i in range(20_000)) for part in range(3)]
    middle = pack(parts[1])
    cut = len(middle) * 3 // 4
    rows = rows_of(pack(parts[0]) + middle[:cut] + pack(parts[2]), tmp_path, name)
    failed = [row for row in rows if row["verdict"] == "failed"]
    contents = [row["content"] for row in rows if row["verdict"] is None]
    n_middle = sum(content.startswith(b"1 ") for content in contents)
    assert [content for content in contents if not content.startswith(b"1 ")] == [
        b"%d %d" % (part, i) for part in (0, 2) for i in range(20_000)
    ]
    assert n_middle > 5_000
    assert failed[0]["reason"] in ("malformed_gzip", "malformed_zstd", "truncated")
    assert len(failed) <= 3
    whole = rows_of(pack(parts[0]) + middle[:cut], tmp_path, name)
    assert [row["reason"] for row in whole if row["verdict"]] == ["truncated"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_a_bomb_is_a_row_and_takes_no_memory(tmp_path, name):
    pack = {"a.jsonl": bytes, "a.jsonl.gz": gzip.compress, "a.jsonl.zst": zst}[name]
    good = b'{"text": "good"}\n'
    (tmp_path / name).write_bytes(pack(good + b'{"text": "' + bytes(48 << 20) + b'"}\n' + good))
    tracemalloc.start()
    rows = read_all(tmp_path / name)[0]
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row["reason"] for row in rows] == [None, "record_too_large", None]
    assert rows[1]["value"] == (48 << 20) + 12
    assert peak_bytes < (80 << 20 if name.endswith("zst") else 10 << 20)


def test_reading_resumes_from_every_cursor(tmp_path, monkeypatch):
    monkeypatch.setattr(read_batch, "BATCH_BYTES", 500)
    data = b"".join(b'{"text": "%s"}\n%s' % (b"x" * (i * 31 % 400), b"\n" * (i % 3)) for i in range(60)) + b"[]"
    for name, packed in {"a.jsonl": data, "a.jsonl.gz": gzip.compress(data), "a.jsonl.zst": zst(data)}.items():
        (tmp_path / name).write_bytes(packed)
        assert check_cursors(tmp_path / name, 1 << 40) > 20
        assert check_cursors(tmp_path / name, 1500) > 20


def test_html_columns(tmp_path):
    (row,) = rows_of(b'{"page": "<p>x"}', tmp_path, html="page", limits=Limits())
    assert (row["kind"], row["utf8"], row["content"]) == ("html", True, b"<p>x")
