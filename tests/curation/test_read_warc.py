"""WARC: every record exactly one row, however the file is cut and whatever is broken."""

import base64
import hashlib
import random
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from xxhash import xxh3_128_digest

from curation import read_batch, read_warc_frames
from curation.read import plan_splits
from manifests.schema import Input, Limits

from .reading import HTML, Row, check_cursors, member, page, read_all, stored, without_place

ON_FILES = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
RECORDS = [page(f"<p>{i}</p>".encode() * (1 + 37 * i % 400), str(i)) for i in range(40)]


def rows_of(data: bytes, folder: Path, name: str = "a.warc.gz", shard_bytes: int = 1 << 40, **item: Any) -> list[Row]:
    (folder / name).write_bytes(data)
    return read_all(folder / name, shard_bytes, **item)[0]


def brief(rows: list[Row]) -> list[tuple[str, Any]]:
    return [(row["key"].removeprefix("urn:uuid:"), row["reason"] or row["content"]) for row in rows]


def test_a_response_becomes_a_row(tmp_path):
    info = member(stored(b"a: b", "0", "warcinfo", "application/warc-fields"))
    path = tmp_path / "a.warc.gz"
    path.write_bytes(info + member(page(b"<p>hello", headers=HTML + b"Server: x\r\n")))
    mapping = {"server": "HTTP:server", "kind": "warc-type", "none": "http:Via"}
    (row,), skipped = read_all(path, metadata=("kind", "none", "other", "server"), metadata_map=mapping)
    assert skipped == {"warcinfo": 1}
    assert row == row | {
        "source": "s",
        "key": "urn:uuid:1",
        "url": "http://e.example/1",
        "date": "2026-01-01T00:00:00Z",
        "metadata": {"kind": "response", "none": None, "other": None, "server": "x"},
        "kind": "html",
        "charset": "euc-kr",
        "utf8": False,
        "content": b"<p>hello",
        "content_digest": xxh3_128_digest(b"<p>hello"),
        "n_bytes": 8,
        "verdict": None,
        "file": str(path),
        "offset": len(info),
    }


def test_what_is_no_document_is_skipped_or_dropped_with_the_cause(tmp_path):
    kinds = ["warcinfo", "request", "metadata", "revisit", "continuation", "odd"]
    others = [stored(b"x", kind, kind) for kind in kinds]
    pages = [
        page(b"x", "404", b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n"),
        page(b"x", "png", b"HTTP/1.1 200 OK\r\nContent-Type: Image/PNG; x=y\r\n"),
        page(b"\x89PNG\0", "sniffed", b"HTTP/1.1 200 OK\r\n"),
        stored(b"x", "dns", content_type="text/dns"),
    ]
    (tmp_path / "a.warc").write_bytes(b"".join(others + pages))
    rows, skipped = read_all(tmp_path / "a.warc")
    assert skipped == dict.fromkeys(kinds[:-1], 1) | {"unknown type": 1}
    assert {row["verdict"] for row in rows} == {"dropped"}
    assert [(row["reason"], row["value"], row["threshold"], row["detail"]) for row in rows] == [
        ("http_status", 404, 200, None),
        ("content_type", None, None, "image/png"),
        ("content_type", None, None, "application/octet-stream (sniffed)"),
        ("content_type", None, None, "text/dns"),
    ]
    assert rows[0]["content_digest"] == xxh3_128_digest(pages[0][:-4])


@pytest.mark.parametrize(
    ("record", "kind", "charset"),
    [
        (page(b"<!doctype html>", headers=b"HTTP/1.1 200 OK\r\n"), "html", None),
        (page(b"words", headers=b"HTTP/1.1 200 OK\r\nContent-Type: */*\r\n"), "text", None),
        (page(b"x", headers=b'HTTP/1.0 200 OK\r\nContent-Type: text/plain;charset="UTF-8"\r\n'), "text", "utf-8"),
        (page(b"x", headers=b"HTTP/2 200\r\ncontent-type: application/xhtml+xml\r\n"), "html", None),
        (stored(b"plain words", kind="conversion", content_type="text/plain"), "text", None),
        (stored(b"<p>x", kind="resource", content_type="text/html; charset=cp949"), "html", "cp949"),
        (page(b"x").replace(b"\r\n", b"\n").replace(b"Content-Length: 61", b"Content-Length: 58"), "html", "euc-kr"),
    ],
)
def test_kind_and_charset(tmp_path, record, kind, charset):
    (row,) = rows_of(member(record), tmp_path)
    assert (row["kind"], row["charset"], row["reason"]) == (kind, charset, None)


bodies = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.just(b"\r\n\r\n"),
    st.sampled_from(RECORDS),  # an archive inside a record
    st.sampled_from(RECORDS).map(member),
    st.tuples(st.binary(min_size=1, max_size=8), st.integers(0, 3000)).map(lambda t: t[0] * t[1]),
)
levels = st.sampled_from([0, 6])  # 0 stores what is inside as it is


def packed(data: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


@ON_FILES
@given(
    members=st.lists(st.tuples(st.lists(bodies, min_size=1, max_size=3), levels), max_size=8),
    shard_bytes=st.integers(1, 4000),
    padding=st.sampled_from([b"", b"\0" * 512]),
)
def test_each_record_once_for_any_shard_size(tmp_path, members, shard_bytes, padding):
    expected, packs, plain = [], [], b""
    for group, level in members:
        records = [page(body, f"{len(expected) + i}") for i, body in enumerate(group)]
        expected += [(f"{len(expected) + i}", body) for i, body in enumerate(group)]
        packs.append(packed(b"".join(records), level))
        plain += b"".join(records)
    assert brief(rows_of(b"".join(packs) + padding, tmp_path, shard_bytes=shard_bytes)) == expected
    assert brief(rows_of(plain, tmp_path, "a.warc", shard_bytes)) == expected
    assert brief(rows_of(member(plain), tmp_path, "one.warc.gz", shard_bytes)) == expected


def test_an_archive_stored_in_a_record_is_never_split_open(tmp_path, monkeypatch):
    monkeypatch.setattr(read_warc_frames, "PROOF_BYTES", 140_000)
    rng = random.Random(3)
    inner = b"".join(packed(page(rng.randbytes(900), f"inner{i}"), 0) for i in range(300))
    members = [packed(page(inner if i % 3 == 0 else rng.randbytes(40_000), str(i)), 0) for i in range(12)]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(members))
    splits = plan_splits(Input(source="s", path=str(path)), "", 150_000)
    assert len(splits) > 3
    assert [row["key"] for row in read_all(path, 150_000)[0]] == [f"urn:uuid:{i}" for i in range(12)]


def test_members_that_end_inside_records_are_read_through(tmp_path):
    plain = b"".join(RECORDS)
    cut_anywhere = b"".join(member(plain[at : at + 1000]) for at in range(0, len(plain), 1000))
    assert brief(rows_of(cut_anywhere, tmp_path)) == brief(rows_of(plain, tmp_path, "a.warc"))


@ON_FILES
@given(data=st.data(), shard_bytes=st.sampled_from([100, 3000, 1 << 40]))
def test_a_member_that_is_cut_short_is_one_failed_row(tmp_path, data, shard_bytes):
    members = [packed(record, data.draw(levels)) for record in RECORDS[:12]]
    index = data.draw(st.integers(0, 11))
    members[index] = members[index][: data.draw(st.integers(1, len(members[index]) - 1))]
    rows = rows_of(b"".join(members), tmp_path, shard_bytes=shard_bytes)
    intact = brief(rows_of(b"".join(members[:index] + members[index + 1 :]), tmp_path))
    assert brief(rows[:index] + rows[index + 1 :]) == intact
    assert rows[index]["reason"] in ("malformed_gzip", "truncated")
    assert rows[index]["content_digest"] == xxh3_128_digest(members[index])
    whole = rows_of(b"".join(members), tmp_path)
    assert rows == whole


@ON_FILES
@given(data=st.data(), shard_bytes=st.sampled_from([100, 3000, 1 << 40]))
def test_a_record_that_is_cut_short_in_a_plain_file_is_one_failed_row(tmp_path, data, shard_bytes):
    records = RECORDS[:12]
    index = data.draw(st.integers(0, 11))
    records[index] = records[index][: data.draw(st.integers(1, len(records[index]) - 5))]
    rows = rows_of(b"".join(records), tmp_path, "a.warc", shard_bytes)
    intact = brief(rows_of(b"".join(records[:index] + records[index + 1 :]), tmp_path, "b.warc"))
    assert brief(rows[:index] + rows[index + 1 :]) == intact
    assert rows[index]["reason"] in ("malformed_warc", "truncated")
    assert rows[index]["content_digest"] == xxh3_128_digest(records[index])


@ON_FILES
@given(data=st.data(), shard_bytes=st.sampled_from([200, 1 << 40]))
def test_wrong_bytes_harm_only_their_member(tmp_path, data, shard_bytes):
    members = [packed(record, data.draw(levels)) for record in RECORDS[:12]]
    index = data.draw(st.integers(0, 11))
    at = data.draw(st.integers(0, len(members[index]) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=20))
    members[index] = members[index][:at] + noise + members[index][at + len(noise) :]
    rows = rows_of(b"".join(members), tmp_path, shard_bytes=shard_bytes)
    found = brief(rows)
    for i, body in enumerate(brief(rows_of(b"".join(map(member, RECORDS[:12])), tmp_path))):
        assert i == index or body in found
    assert rows == rows_of(b"".join(members), tmp_path)


def test_what_stands_between_records_is_a_failed_row(tmp_path):
    gzipped = member(RECORDS[0]) + b"\0\0garbage" + member(RECORDS[1]) + member(b"no record") + member(RECORDS[2])
    plain = b"garbage\n" + RECORDS[0] + b"more" + RECORDS[1] + RECORDS[2] + b"WARC/1.0 end"
    assert [r for _, r in brief(rows_of(gzipped, tmp_path))][1::2] == ["malformed_gzip", "malformed_warc"]
    assert [row["reason"] for row in rows_of(plain, tmp_path, "a.warc")] == [
        *("malformed_warc", None, "malformed_warc", None, None),
        "malformed_warc",
    ]


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"no http", "malformed_http"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html", "malformed_http"),
        (b"HTTP/1.1 OK\r\n\r\n", "malformed_http"),
        (HTML + b"Transfer-Encoding: chunked\r\n\r\n5\r\n<p>", "bad_chunking"),
        (HTML + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff\xff", "bad_encoding"),
        (HTML + b"Content-Encoding: gzip\r\n\r\n" + member(b"<p>hello" * 99)[:-20], "truncated"),
    ],
)
def test_a_response_that_cannot_be_decoded_fails_with_its_key(tmp_path, block, reason):
    record = stored(block, "bad")
    rows = rows_of(member(record) + member(RECORDS[0]), tmp_path)
    assert [(row["key"], row["reason"]) for row in rows] == [("urn:uuid:bad", reason), ("urn:uuid:0", None)]
    assert rows[0]["content_digest"] == xxh3_128_digest(record[:-4])
    assert rows[0]["n_bytes"] == len(record) - 4


@pytest.mark.parametrize("where", ["member", "encoding", "no record", "plain", "dropped"])
def test_a_bomb_is_a_row_and_takes_no_memory(tmp_path, where):
    zeros, n_bytes = bytes(1 << 20), 32 << 20
    block = HTML + b"\r\n" + zeros * 32
    n_block_bytes = len(block)
    record = stored(block, "bomb")
    bombs = {
        "member": member(record),
        "encoding": member(page(member(zeros * 32), "bomb", HTML + b"Content-Encoding: gzip\r\n")),
        "no record": member(zeros * 32),
        "plain": record,
        "dropped": member(record.replace(b"text/html; charset=EUC-KR", b"image/png; wh at=EUC-KR")),
    }
    pack = (lambda r: r) if where == "plain" else member
    name = "a.warc" if where == "plain" else "a.warc.gz"
    data = pack(RECORDS[0]) + bombs[where] + pack(RECORDS[1])
    (tmp_path / name).write_bytes(data)
    del block, record, bombs, data
    tracemalloc.start()
    rows = read_all(tmp_path / name)[0]
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 20 << 20
    value = {"member": n_bytes, "plain": n_bytes, "no record": n_bytes}.get(where)
    expected = ("content_type", None) if where == "dropped" else ("record_too_large", value)
    assert [(row["reason"], row["value"]) for row in rows] == [(None, None), expected, (None, None)]
    assert where in ("encoding", "no record") or rows[1]["n_bytes"] > n_block_bytes


def test_a_wrong_length_in_a_plain_file_does_not_swallow_what_follows(tmp_path):
    huge = RECORDS[1].replace(b"Content-Length: ", b"Content-Length: 9999999")
    rows = rows_of(RECORDS[0] + huge + b"".join(RECORDS[2:]), tmp_path, "a.warc")
    assert [row["reason"] for row in rows] == [None, "truncated"] + [None] * 38
    assert rows[1]["content_digest"] == xxh3_128_digest(huge)


def test_reading_resumes_from_every_cursor(tmp_path, monkeypatch):
    monkeypatch.setattr(read_batch, "BATCH_BYTES", 3000)
    files = {
        "members.warc.gz": b"".join(member(*RECORDS[i : i + 3]) for i in range(0, 40, 3)),
        "one.warc.gz": member(*RECORDS),
        "a.warc": b"".join(RECORDS),
        "broken.warc.gz": b"".join(map(member, RECORDS[:9])) + b"junk" + b"".join(map(member, RECORDS[9:]))[:-9],
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert check_cursors(tmp_path / name, 1 << 40) > 10
        assert check_cursors(tmp_path / name, 2000) > 10


def web_files(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "web").rglob("*.warc*"))


def test_every_real_archive_reads_as_warcio_reads_it(shared_data):
    n_compared = 0
    for path in web_files(shared_data):
        rows, skipped = read_all(path, limits=Limits())
        with open(path, "rb") as file:
            try:
                records = list(_oracle(file))
            except Exception:  # what warcio gives up on
                continue
        assert len(rows) == sum(kind == "response" for kind, _, _ in records), path.name
        assert sum(skipped.values()) == sum(kind != "response" for kind, _, _ in records), path.name
        contents = {key: content for kind, key, content in records if kind == "response"}
        kept = [row for row in rows if row["verdict"] is None]
        assert [row["content"] for row in kept] == [contents[row["key"]] for row in kept]
        n_compared += len(kept)
    assert n_compared == 2142


def _oracle(file: Any) -> Any:
    for record in ArchiveIterator(file):
        content = record.content_stream().read()
        yield record.rec_type, record.rec_headers.get_header("WARC-Record-ID").strip("<>"), content


def test_no_shard_size_changes_a_real_archive(shared_data):
    for path in web_files(shared_data):
        whole, skipped = read_all(path, limits=Limits())
        for shard_bytes in (50_000, 333_333):
            assert read_all(path, shard_bytes, Limits()) == (whole, skipped), path.name


def test_broken_archives_of_others_lose_nothing(shared_data):
    crawls = shared_data / "web" / "real_crawls"
    (row,), skipped = read_all(crawls / "warcio__example-trunc.warc")
    assert (row["reason"], skipped) == ("malformed_warc", {"warcinfo": 2, "request": 1})  # two bytes too few
    (row,), skipped = read_all(crawls / "warcio__example-wrong-chunks.warc.gz")  # members end inside records
    assert (row["reason"], row["n_bytes"], skipped) == (None, 1270, {"request": 1})
    (row,), skipped = read_all(crawls / "warcio__example-bad-non-chunked.warc.gz")  # one member for all
    assert (row["reason"], skipped) == (None, {"warcinfo": 2, "request": 2, "revisit": 1})


def test_payload_digests_of_a_real_archive_hold(shared_data):
    path = shared_data / "web" / "real_crawls" / "warcio__example-wrong-chunks.warc.gz"
    (row,) = read_all(path, metadata_map={"digest": "WARC-Payload-Digest"}, metadata=("digest",))[0]
    sha1 = base64.b32encode(hashlib.sha1(row["content"]).digest()).decode()
    assert row["metadata"]["digest"] == f"sha1:{sha1}"


def test_all_euc_kr_pages_arrive_as_bytes_with_their_charset(shared_data):
    rows = read_all(shared_data / "web" / "ko_euckr_apache.warc.gz", limits=Limits())[0]
    assert len(rows) == 69
    assert sum(row["charset"] == "euc-kr" for row in rows) == 45
    assert all(any("가" <= c <= "힣" for c in row["content"].decode("cp949", "replace")) for row in rows)


def test_rows_do_not_depend_on_the_file(tmp_path):
    first, second = (rows_of(b"".join(map(member, RECORDS)), tmp_path, name) for name in ("a.warc.gz", "b.warc.gz"))
    shifted = rows_of(b"".join(map(member, [RECORDS[5], *RECORDS])), tmp_path, "c.warc.gz")[1:]
    assert without_place(first) == without_place(second) == without_place(shifted)
