"""Rows that were made from removed documents go, and what was made from those."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import zstandard

from curation.removal.remove import remove
from manifests.errors import RequestError
from tests.curation.removal.requests_of import request_of
from tests.curation.removal.token_mixtures import id_of

pytestmark = pytest.mark.usefixtures("without_pages")


def made(number: int, parent: Any, **more: Any) -> dict[str, Any]:
    return {"id": f"made-{number}", "messages": [{"role": "user", "content": f"질문 {number}"}]} | {
        "provenance": {"teacher": "t", "parent": parent, **more}
    }


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def test_children_and_theirs(tmp_path: Path) -> None:
    first, second = tmp_path / "qa", tmp_path / "rewrites"
    (second / "deep").mkdir(parents=True)
    first.mkdir()
    pl.DataFrame([made(0, id_of(0)), made(1, id_of(1)), made(2, id_of(0).upper())]).write_parquet(first / "a.parquet")
    pl.DataFrame([made(3, id_of(3))]).write_parquet(first / "b.parquet")
    (second / "c.jsonl").write_bytes(lines([made(4, "made-0"), made(5, "made-1")]) + b'{"provenance": null}\n')
    (second / "deep/d.jsonl.gz").write_bytes(gzip.compress(lines([made(6, "made-4"), made(7, "made-5")])))
    (second / "e.jsonl.zst").write_bytes(zstandard.compress(lines([made(8, None, parents=["x", "made-6"])])))
    (second / "other.jsonl").write_bytes(b'{"text": "no provenance"}\n')
    untouched = [(first / "b.parquet").stat().st_mtime_ns, (second / "other.jsonl").stat().st_mtime_ns]
    request = request_of(tmp_path, ids=[id_of(0)])
    dry = remove([str(second), str(first)], request, dry_run=True)
    assert pl.read_parquet(first / "a.parquet").height == 3
    receipt = remove([str(second), str(first)], request)
    assert pl.read_parquet(first / "a.parquet")["id"].to_list() == ["made-1"]
    assert (second / "c.jsonl").read_bytes() == lines([made(5, "made-1")]) + b'{"provenance": null}\n'
    assert gzip.decompress((second / "deep/d.jsonl.gz").read_bytes()) == lines([made(7, "made-5")])
    assert zstandard.ZstdDecompressor().decompressobj().decompress((second / "e.jsonl.zst").read_bytes()) == b""
    assert [(first / "b.parquet").stat().st_mtime_ns, (second / "other.jsonl").stat().st_mtime_ns] == untouched
    assert [part["n_rows"] for part in receipt["runs"]] == [3, 2]
    assert [part["n_rows"] for part in dry["runs"]] == [3, 2]
    assert receipt["n_documents"] == 1
    again = remove([str(second), str(first)], request)
    assert [part["n_rows"] for part in again["runs"]] == [0, 0]


def test_a_folder_without_provenance(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/other.jsonl").write_bytes(b'{"text": "no provenance"}\n')
    with pytest.raises(RequestError, match="no table with a `provenance`"):
        remove([str(tmp_path / "x")], request_of(tmp_path, ids=[id_of(0)]))
