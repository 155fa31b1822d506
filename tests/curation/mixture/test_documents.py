"""Rows of sources: whichever files they lie in, none is lost, and what cannot be read is named."""

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from curation.mixture.documents import ROW, Slice, column_types, read_columns, source_slices
from manifests.errors import RequestError, RunError
from manifests.schema_mixture import Source
from tests.curation.mixture.small import jsonl, parquet, rows


def source(path: Path | str, **more: Any) -> Source:
    return Source(name="s", path=str(path), category="c", **more)


def slices(path: Path | str, slice_bytes: int = 1 << 20, **more: Any) -> list[Slice]:
    return source_slices(source(path, **more), "/", slice_bytes)


def read(path: Path, *columns: str, slice_bytes: int = 1 << 20, batch_bytes: int = 1 << 20) -> pl.DataFrame:
    frames = [
        frame
        for piece in slices(path, slice_bytes)
        for frame in read_columns(piece, columns, batch_bytes=batch_bytes)
    ]
    return pl.concat(frames, how="vertical_relaxed")


@pytest.mark.parametrize("row_group_size", [7, 1000])
@pytest.mark.parametrize(("slice_bytes", "batch_bytes"), [(1024, 100), (1 << 20, 2000), (1 << 20, 1 << 20)])
def test_all_rows_of_parquet(tmp_path: Path, row_group_size: int, slice_bytes: int, batch_bytes: int) -> None:
    of = rows(100, "d")
    path = parquet(tmp_path / "d.parquet", of, row_group_size)
    found = read(path, "text", "absent", slice_bytes=slice_bytes, batch_bytes=batch_bytes)
    assert found[ROW].to_list() == list(range(100))
    assert found["text"].to_list() == [row["text"] for row in of]
    assert found["absent"].to_list() == [None] * 100
    pieces = slices(path, slice_bytes)
    assert (len(pieces) > 1) is (row_group_size == 7 and slice_bytes == 1024)
    assert len({piece.key for piece in pieces}) == len(pieces)


@pytest.mark.parametrize("columns", [(), ("absent",), ("text",)])
def test_rows_are_there_whatever_is_read_of_them(tmp_path: Path, columns: tuple[str, ...]) -> None:
    of = rows(50, "d")
    for path in (parquet(tmp_path / "d.parquet", of), jsonl(tmp_path / "d.jsonl", of)):
        assert read(path, *columns)[ROW].to_list() == list(range(50))


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_all_rows_of_jsonl(tmp_path: Path, ending: str) -> None:
    of = rows(5000, "d", n_words=(1, 3))
    plain = jsonl(tmp_path / "plain.jsonl", of).read_bytes()
    compress = {"jsonl": bytes, "jsonl.gz": gzip.compress, "jsonl.zst": zstandard.compress}[ending]
    path = tmp_path / f"d.{ending}"
    path.write_bytes(compress(plain))
    assert read(path, "text")["text"].to_list() == [row["text"] for row in of]


def test_numbers_of_jsonl_stay_what_they_are(tmp_path: Path) -> None:
    of = [{"text": "a", "score": 3} for _ in range(4096)] + [{"text": "b", "score": 3.7}]
    assert read(jsonl(tmp_path / "d.jsonl", of), "score")["score"].to_list()[-2:] == [3, 3.7]


def test_objects_of_jsonl_have_the_fields_of_the_first_rows(tmp_path: Path) -> None:
    of: list[dict[str, Any]] = [{"text": "a", "signals": {"words": 3, "lines": 1}} for _ in range(4096)]
    of += [{"text": "b", "signals": {"words": 2.5}}] + [{"text": "c"}] * 4096
    path = jsonl(tmp_path / "d.jsonl", of)
    assert column_types(str(path))["signals.lines"] == pa.int64()
    [piece] = slices(path)
    batches = [frame["signals"] for frame in read_columns(piece, ["signals"])]
    assert batches[1].struct.field("lines").to_list() == [None] * 4096
    assert batches[1].struct.field("words").to_list()[0] == 2.5
    assert batches[2].struct.field("words").to_list() == [None]


@pytest.mark.parametrize("wrong", [5, {"a": 1}, ["a"], True])
def test_values_of_another_kind_are_named(tmp_path: Path, wrong: object) -> None:
    of: list[dict[str, Any]] = [{"text": "a"}] * 4096 + [{"text": wrong}]
    with pytest.raises(
        RunError, match=r"d\.jsonl: row 4096 and on: the column 'text' holds .*; expected values of one"
    ):
        read(jsonl(tmp_path / "d.jsonl", of), "text")


def test_files_without_rows(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_bytes(b"\n")
    (tmp_path / "none.jsonl.gz").write_bytes(gzip.compress(b""))
    schema = pa.schema([("text", pa.string())])
    pq.write_table(schema.empty_table(), tmp_path / "none.parquet")
    with pq.ParquetWriter(tmp_path / "group.parquet", schema) as writer:
        writer.write_table(schema.empty_table())
    assert slices(tmp_path) == []


@pytest.mark.parametrize("write", [parquet, jsonl])
def test_columns_that_are_not_there(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / f"d.{write.__name__}", rows(3, "d"))
    with pytest.raises(RequestError, match=r"has no column 'body' \(`text`\); found: text, key, language"):
        slices(path, text="body")
    with pytest.raises(RequestError, match=r"has no column 'name' \(`key`\); found: text"):
        slices(path, key="name")
    with pytest.raises(RequestError, match=r"has no column 'licence' \(`license`\); found: text"):
        slices(path, license="licence")  # all would pass as unlicensed


def test_a_column_of_texts_that_holds_something_else(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", rows(3, "d"))
    parquet(tmp_path / "b.parquet", [{"text": 5}])
    with pytest.raises(RequestError, match=r"b\.parquet: the column 'text' holds int64; expected text"):
        slices(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "d.parquet", rows(500, "d"))
    content = bytearray(path.read_bytes())
    content[200:600] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"d\.parquet from row 0: cannot be read: "):
        read(path, "text")
    cut = tmp_path / "d.jsonl.gz"
    cut.write_bytes(gzip.compress(jsonl(tmp_path / "x.jsonl", rows(5000, "d")).read_bytes())[:-2000])
    with pytest.raises(RunError, match=r"d\.jsonl\.gz: is cut off or damaged"):
        read(cut, "text")
    not_utf8 = tmp_path / "u.jsonl"
    not_utf8.write_bytes(b'{"text": "a"}\n{"text": "\xff"}\n')
    with pytest.raises(RunError, match=r"u\.jsonl:2: is no JSON"):
        slices(not_utf8)
    not_utf8.write_bytes(b'{"text": "\\ud800"}\n')
    with pytest.raises(RunError, match=r"u\.jsonl:1: is no JSON"):
        slices(not_utf8)
    (tmp_path / "no.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(RequestError, match=r"no\.parquet: is no Parquet file that can be read"):
        slices(tmp_path / "no.parquet")


def test_a_slice_is_known_by_what_it_holds(tmp_path: Path) -> None:
    first = parquet(tmp_path / "a.parquet", rows(30, "d"))
    second = tmp_path / "moved" / "b.parquet"
    second.parent.mkdir()
    second.write_bytes(first.read_bytes())
    assert [piece.key for piece in slices(first)] == [piece.key for piece in slices(second)]
    other = parquet(tmp_path / "c.parquet", rows(30, "e"))
    assert slices(first)[0].key != slices(other)[0].key


def test_batches_of_jsonl_are_bounded_and_of_one_kind(tmp_path: Path) -> None:
    of: list[dict[str, object]] = [
        {"text": "x" * 1000, "tag": "ab" if number < 10 else None, "about": {"n": 1} if number < 10 else None}
        for number in range(40)
    ]
    [piece] = slices(jsonl(tmp_path / "d.jsonl", of))
    batches = list(read_columns(piece, ["text", "tag", "about"], 5000))
    assert max(len(batch) for batch in batches) == 5
    assert sum(len(batch) for batch in batches) == 40
    assert {batch["tag"].dtype for batch in batches} == {pl.String}  # also where it is null in all of a batch
    assert {batch["about"].dtype for batch in batches} == {pl.Struct({"n": pl.Int64})}
    assert pl.concat(batches)["tag"].to_list() == [row["tag"] for row in of]
