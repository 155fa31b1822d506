"""Rows of files, against what Polars reads of them."""

import gzip
from pathlib import Path

import polars as pl
import pytest
import zstandard

from classifiers.rows import ROWS_AT_ONCE, frames, input_files
from manifests.errors import RequestError, RunError

ROWS = pl.DataFrame(
    {
        "id": [f"{k}" for k in range(2 * ROWS_AT_ONCE + 7)],
        "n": [k if k % 5 else None for k in range(2 * ROWS_AT_ONCE + 7)],
        "text": ["한글 " * (k % 7) for k in range(2 * ROWS_AT_ONCE + 7)],
    }
)


def written(folder: Path, ending: str) -> str:
    path = folder / f"a.{ending}"
    lines = ROWS.write_ndjson().encode()
    if ending == "parquet":
        ROWS.write_parquet(path)
    else:
        path.write_bytes({"gz": gzip.compress, "st": zstandard.compress}.get(ending[-2:], bytes)(lines))
    return str(path)


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "jsonl.gz", "jsonl.zst"])
def test_all_rows_in_bounded_batches(ending: str, tmp_path: Path) -> None:
    found = list(frames(written(tmp_path, ending), ["text", "n"]))
    assert pl.concat(found).equals(ROWS.select("text", "n"))
    assert max(part.height for part in found) == ROWS_AT_ONCE


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_column_that_is_not_there(ending: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"a\.\w+: has no column 'body'; found: id, n, text"):
        list(frames(written(tmp_path, ending), ["body"]))


def test_a_line_that_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n\n[3]\n')
    with pytest.raises(RunError, match=r"a\.jsonl:3: found list; expected a JSON object"):
        list(frames(str(tmp_path / "a.jsonl"), ["text"]))
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n{"text": \n')
    with pytest.raises(RunError, match=r"a\.jsonl:2: is no JSON"):
        list(frames(str(tmp_path / "a.jsonl"), ["text"]))


def test_files_of_a_path(tmp_path: Path) -> None:
    for name in ("b.parquet", "a.jsonl.gz", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [Path(path).name for path in input_files(str(tmp_path))] == ["a.jsonl.gz", "b.parquet"]
    assert [Path(path).name for path in input_files(f"{tmp_path}/b*")] == ["b.parquet"]
    with pytest.raises(RequestError, match=r"no file there ends in one of \.parquet"):
        input_files(f"{tmp_path}/*.txt")
    with pytest.raises(RequestError, match=r"c\.parquet: there is no such file or folder"):
        input_files(f"{tmp_path}/c.parquet")
