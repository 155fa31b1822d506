"""When a mixture is another one: what its fingerprint depends on."""

import shutil
from pathlib import Path

import orjson
import pytest

from tests.curation.mixture import small

pytest.importorskip("tokenizers")
EN = {"name": "en", "path": "data/*.parquet", "category": "en"}


def fingerprint(folder: Path) -> str:
    return small.job(small.manifest(folder, sources=[EN])).fingerprint


def test_a_file_that_stands_there_twice_counts_twice(tmp_path: Path) -> None:
    small.tokenizer(tmp_path / "tokenizer")
    small.parquet(tmp_path / "data/a.parquet", small.rows(20, "en"), row_group_size=5)
    once = fingerprint(tmp_path)
    n_tokens = small.mixed(small.manifest(tmp_path, sources=[EN])).counts["tokens"]
    shutil.copy(tmp_path / "data/a.parquet", tmp_path / "data/b.parquet")
    assert fingerprint(tmp_path) != once
    assert small.mixed(small.manifest(tmp_path, sources=[EN])).counts["tokens"] == 2 * n_tokens
    (tmp_path / "data/a.parquet").rename(tmp_path / "data/c.parquet")
    twice = fingerprint(tmp_path)
    (tmp_path / "data/b.parquet").rename(tmp_path / "data/a.parquet")
    assert fingerprint(tmp_path) == twice


def test_what_padding_is_filled_with(tmp_path: Path) -> None:
    small.tokenizer(tmp_path / "tokenizer")
    small.parquet(tmp_path / "data/a.parquet", small.rows(20, "en"))
    before = fingerprint(tmp_path)
    configuration = tmp_path / "tokenizer/tokenizer_config.json"
    settings = orjson.loads(configuration.read_bytes()) if configuration.exists() else {}
    configuration.write_bytes(orjson.dumps(settings | {"pad_token": "a"}))
    assert fingerprint(tmp_path) != before


def test_not_how_weights_are_looked_for(tmp_path: Path) -> None:
    """What was mixed before a search stays, and its record does not tell of one."""
    small.tokenizer(tmp_path / "tokenizer")
    small.parquet(tmp_path / "data/a.parquet", small.rows(20, "en"))
    before = fingerprint(tmp_path)
    record = small.mixed(small.manifest(tmp_path, sources=[EN]))
    changed = small.manifest(tmp_path, sources=[EN], search={"proxies": 9, "seed": 3})
    assert small.job(changed).fingerprint == before == record.fingerprint
    assert small.mixed(changed).created == record.created
    assert "search" not in record.manifest
