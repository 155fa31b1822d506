"""A run's folder: names that exist are whole, ranges are read without the rest."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from manifests.errors import RequestError
from manifests.store import Folder, KeyRange, ranges_for, resolve

SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("n", pa.int64())])


def write(folder: Folder, name: str, ids: list[str], row_group_rows: int | None = None) -> None:
    table = pa.table({"id": ids, "n": list(range(len(ids)))}, SCHEMA)
    with folder.table_writer(name, SCHEMA, "things", {"note": "here"}) as writer:
        writer.write(table, row_group_rows)


@pytest.mark.parametrize("base", ["{tmp}", "memory://bucket"])
def test_write_read_and_remove_anywhere(tmp_path: Path, base: str) -> None:
    folder = Folder(base.format(tmp=tmp_path)) / "run"
    folder.write_json("a.json", {"b": [1, "가"]})
    assert folder.read_json("a.json") == {"b": [1, "가"]}
    assert folder.names() == ["a.json"]
    folder.remove("a.json")
    folder.remove("a.json")
    assert not folder.exists("a.json")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with pytest.raises(KeyError), folder.writing("x") as path:
        Path(path).write_text("half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_ranges_partition_all_keys(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    ids = [*sorted(f"{i * 2654435761 % 2**32:08x}{i:024x}" for i in range(1000)), "f" * 32]
    write(folder, "a.parquet", ids[::2], 50)
    write(folder, "b.parquet", ids[1::2], 50)
    for count in (1, 2, 64):
        found = [folder.read_range("id", keys, ["id"])["id"].to_list() for keys in KeyRange().split(count)]
        assert sorted(name for part in found for name in part) == ids


def test_split_of_a_split_covers_it() -> None:
    assert KeyRange(1, 2).split(2) == [KeyRange(2, 4), KeyRange(3, 4)]
    assert KeyRange(0, 1).bounds == ("00000000", "g")


def test_ranges_for_keeps_each_small() -> None:
    assert len(ranges_for(0, 10)) == 1
    assert len(ranges_for(10, 10)) == 1
    assert len(ranges_for(11, 10)) == 2
    assert len(ranges_for(100, 10)) == 16


def test_the_file_of_each_row_is_known(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    write(folder, "a.parquet", ["1"])
    write(folder, "b.parquet", ["2"])
    assert folder.scan().sort("id").collect()["shard"].to_list() == ["a", "b"]


def test_another_table_is_refused(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    write(folder, "a.parquet", ["1"])
    assert folder.parquet_extra("a.parquet", "things")["note"] == "here"
    with pytest.raises(RequestError, match=r"a\.parquet: holds things, expected the table 'documents'"):
        folder.parquet_extra("a.parquet", "documents")


@pytest.mark.parametrize(
    ("path", "base", "expected"),
    [
        ("out", "/a/b", "/a/b/out"),
        ("../out", "/a/b", "/a/out"),
        ("/x", "/a", "/x"),
        ("s3://bucket/x", "/a", "s3://bucket/x"),
        ("x/y", "s3://bucket/k", "s3://bucket/k/x/y"),
    ],
)
def test_resolve(path: str, base: str, expected: str) -> None:
    assert resolve(path, base) == expected


def test_frames_of_ranges_keep_types(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    write(folder, "a.parquet", ["1"])
    assert folder.read_range("id", KeyRange(), ["id", "n"]).schema == {"id": pl.String, "n": pl.Int64}


def test_numbers_of_all_64_bits_are_read_by_range_on_any_filesystem(tmp_path: Path) -> None:
    schema, values = pa.schema([("key", pa.uint64())]), [0, 5, 2**63 - 1, 2**63, 2**64 - 1]
    for path in (str(tmp_path / "t"), "memory://numbers/t"):
        folder = Folder(path)
        with folder.table_writer("a.parquet", schema, "exchange") as writer:
            writer.write(pa.table({"key": pa.array(values, pa.uint64())}), row_group_rows=2)
        for low, high in ((0, 2**63 - 1), (2**63, 2**64 - 1), (5, 2**63), (6, 7)):
            found = folder.scan_numbers("key", low, high).select("key").collect()["key"].to_list()
            assert found == [value for value in values if low <= value <= high], path


def test_a_folder_that_cannot_be_made_is_the_wrong_request(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(RequestError, match=r"taken/out: this folder cannot be made: .*; name another output"):
        Folder(f"{tmp_path}/taken/out").write_json("a.json", {})
