"""Parquet: every row exactly one row, by columns of many types."""

import random
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from curation import read_parquet
from curation.read import plan_splits, read_split
from manifests.errors import RequestError, RunError
from manifests.schema import Input, Limits

from .reading import LIMITS, check_cursors, read_all

ON_FILES = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(folder, columns, **options):
    pq.write_table(pa.table(columns), folder / "a.parquet", **options)
    return folder / "a.parquet"


def test_columns_are_mapped_and_become_strings(tmp_path):
    path = write(
        tmp_path,
        {
            "text": ["글", None, "x" * 2000],
            "n": [1, None, 3],
            "day": [date(2026, 1, 2)] * 3,
            "meta": [{"url": "u", "tags": ["a"]}, None, {"url": None, "tags": []}],
            "unused": [1.0] * 3,
        },
    )
    rows, _ = read_all(
        path,
        limits=Limits(record_bytes=1024),
        key="n",
        date="day",
        url="meta.url",
        set={"license": "CC0-1.0"},
        metadata=("meta", "other"),
        metadata_map={"meta": "meta"},
    )
    assert rows[0] == rows[0] | {
        "key": "1",
        "date": "2026-01-02",
        "url": "u",
        "license": "CC0-1.0",
        "metadata": {"meta": '{"url": "u", "tags": ["a"]}', "other": None},
        "kind": "text",
        "utf8": True,
        "content": "글".encode(),
        "content_digest": xxh3_128_digest("글".encode()),
        "n_bytes": 3,
        "verdict": None,
        "offset": 0,
        "file": str(path),
    }
    assert (rows[1]["key"], rows[1]["url"]) == ("", None)
    assert [(row["reason"], row["value"], row["threshold"]) for row in rows[1:]] == [
        ("missing_text", None, None),
        ("record_too_large", 2000, 1024),
    ]
    assert rows[2]["content_digest"] == xxh3_128_digest(b"x" * 2000)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_kind_of_string(tmp_path, kind):
    texts = ["a", "나", None, "", "a"]
    rows, _ = read_all(write(tmp_path, {"text": pa.array(texts, pa.string()).cast(kind)}), key="text")
    assert [row["content"] for row in rows] == [None if t is None else t.encode() for t in texts]
    assert [row["key"] for row in rows] == ["a", "나", "", "", "a"]


def test_bytes_keep_their_charset(tmp_path):
    path = write(tmp_path, {"page": ["글".encode("cp949"), b"x"], "enc": ["euc-kr", None]})
    rows, _ = read_all(path, html="page", charset="enc")
    assert [(r["kind"], r["utf8"], r["charset"], r["content"]) for r in rows] == [
        ("html", False, "euc-kr", "글".encode("cp949")),
        ("html", False, None, b"x"),
    ]


def test_invalid_utf8_in_a_string_column_fails_that_row_only(tmp_path):
    raw = pa.array([b"good", b"\xea\xb0", None, b"x"], pa.binary())
    text = pa.StringArray.from_buffers(4, *raw.buffers()[1:], raw.buffers()[0])
    rows, _ = read_all(write(tmp_path, {"text": text, "id": text}), key="id")
    assert [row["reason"] for row in rows] == [None, "invalid_utf8", "missing_text", None]
    assert rows[1]["detail"] == "unexpected end of data, at byte 1 of the text"
    assert [row["key"] for row in rows] == ["good", "\ufffd", "", "x"]


@ON_FILES
@given(
    texts=st.lists(st.none() | st.text(max_size=30) | st.integers(0, 5000).map("가".__mul__), max_size=40),
    group_rows=st.integers(1, 20),
    shard_bytes=st.sampled_from([1, 500, 5000, 1 << 40]),
)
def test_each_row_once_for_any_shard_size(tmp_path, texts, group_rows, shard_bytes):
    path = write(tmp_path, {"text": pa.array(texts, pa.string())}, row_group_size=group_rows)
    rows, _ = read_all(path, shard_bytes)
    assert [row["content"] for row in rows] == [None if t is None else t.encode() for t in texts]
    assert [row["offset"] for row in rows] == list(range(len(texts)))


def test_batches_are_bounded_and_resume(tmp_path, monkeypatch):
    rng = random.Random(5)
    texts = [rng.choice("가나다") * rng.choice([10, 1000, 100_000]) + str(i) for i in range(60)]
    path = write(tmp_path, {"text": texts}, row_group_size=25)  # bounds are checked where it is read
    assert [row["content"].decode() for row in read_all(path)[0]] == texts
    assert check_cursors(path, 1 << 40) == 3
    monkeypatch.setattr(read_parquet, "BATCH_BYTES", 5000)
    short = write(tmp_path, {"text": [text[:900] for text in texts]}, row_group_size=16)
    assert check_cursors(short, 1 << 40) > 8
    assert check_cursors(short, 1) > 8


def test_a_long_text_that_a_dictionary_repeats_is_not_expanded_at_once(tmp_path):
    path = write(tmp_path, {"text": pa.DictionaryArray.from_arrays(pa.array([0] * 5000), ["x" * 900_000])})
    item = Input(source="s", path=str(path))
    (split,) = plan_splits(item, "", 1 << 40)
    before = pa.total_allocated_bytes()
    batches = read_split(split, item, LIMITS, [])
    for _ in range(20):
        next(batches)
        assert pa.total_allocated_bytes() - before < 50 << 20


def test_wrong_columns_are_refused_by_name(tmp_path):
    path = write(tmp_path, {"body": ["a"], "meta": [{"url": "u"}], "n": [1]})
    for item, message in [
        ({}, r"a.parquet: source 's' maps the column 'text'; the file has body, meta, n"),
        ({"text": "body", "url": "meta.uri"}, r"maps the column 'meta.uri'"),
        ({"text": "n"}, r"the column 'n' is of type int64; text must be a string or bytes"),
    ]:
        with pytest.raises(RequestError, match=message):
            plan_splits(Input(source="s", path=str(path), **item), "", 1)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no parquet at all" * 9])
def test_what_is_no_parquet_file_is_refused(tmp_path, data):
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(RequestError, match=r"a\.parquet: not a Parquet file"):
        read_all(tmp_path / "a.parquet")


def test_a_damaged_row_group_stops_the_run_by_name(tmp_path):
    path = write(tmp_path, {"text": [random.Random(1).randbytes(50_000).hex()]}, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[1000:30_000] = bytes(29_000)
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"a\.parquet: row groups 0 to 0 cannot be read"):
        read_all(path)


def test_every_real_file_reads_as_pyarrow_reads_it(shared_data):
    for path in sorted((shared_data / "text").glob("*.parquet"))[:6]:
        table = pq.read_table(path, columns=["id", "text", "url"])
        rows, _ = read_all(path, 1 << 20, key="id", url="url")
        assert [row["content"].decode() for row in rows] == table["text"].to_pylist()
        assert [row["key"] for row in rows] == table["id"].to_pylist()
