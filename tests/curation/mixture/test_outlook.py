"""What a plan and a report say of runs beside each other, whatever is left of them."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curation.mixture.outlook import near_of
from tests.curation.mixture import small
from tests.curation.removal.corpora import rows, small_corpus

pytest.importorskip("tokenizers")
SOURCES = [
    {"name": "a", "run": "a/out", "category": "a", "where": "length(text) > 0"},
    {"name": "b", "run": "b/out", "category": "b"},
]


def two_runs(folder: Path) -> Path:
    small.tokenizer(folder / "tokenizer")
    for name, pages in (("a", rows()), ("b", rows()[::2])):
        (folder / name).mkdir()
        small_corpus(folder / name, pages)
    return small.manifest(folder, sources=SOURCES)


def test_runs_without_their_measured_parts_are_mixed(tmp_path: Path) -> None:
    path = two_runs(tmp_path)
    shutil.rmtree(tmp_path / "a/out/measured")
    [pair] = near_of(small.job(path))
    assert pair.found.refused is not None
    assert "what it was decided from is no longer" in pair.found.refused
    assert small.mixed(path).counts["tokens"] > 0


def test_a_run_without_documents(tmp_path: Path) -> None:
    path = two_runs(tmp_path)
    for file in (tmp_path / "a/out/documents").glob("*.parquet"):
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    [pair] = near_of(small.job(path))
    assert pair.found.n_pairs == 0
    taken = {source.name: source.taken_tokens for source in small.mixed(path).sources}
    assert taken["a"] == 0 < taken["b"]
