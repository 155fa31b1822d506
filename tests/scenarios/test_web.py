"""Every archive of the development corpora: nothing is lost, EUC-KR decodes, broken archives end as failed rows."""

from pathlib import Path

import polars as pl
import pytest

from curation.pipeline import curate
from manifests.record import RunRecord
from tests.scenarios.runs import job_of

MANIFEST = """
kind: corpus
name: web
inputs:
  - {source: web, path: "DATA/web"}
measure: {language: {}, signals: true}
output: out
"""


@pytest.fixture(scope="module")
def web(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """A run over all of `data/web`."""
    folder = tmp_path_factory.mktemp("web")
    path = folder / "web.yaml"
    path.write_text(MANIFEST.replace("DATA", str(shared_data)))
    return folder / "out", curate(job_of(path))


@pytest.mark.slow
def test_no_record_is_lost(web: tuple[Path, RunRecord], shared_data: Path) -> None:
    folder, record = web
    ledger = pl.read_parquet(folder / "ledger/*.parquet")
    assert ledger.height == record.counts["read"] > 2000
    archives = {str(path) for path in (shared_data / "web").rglob("*.warc*")}
    assert {entry.path for entry in record.inputs} == archives
    assert set(ledger["file"]) == archives


@pytest.mark.slow
def test_all_euc_kr_pages_are_hangul(web: tuple[Path, RunRecord]) -> None:
    documents = pl.read_parquet(web[0] / "documents/*.parquet")
    ledger = pl.read_parquet(web[0] / "ledger/*.parquet").select("id", "copy", "file")
    pages = documents.join(ledger, on=["id", "copy"]).filter(pl.col("file").str.contains("euckr"))
    assert pages.height == 69
    assert pages["text"].str.count_matches("[가-힣]").min() >= 50
    assert not pages["text"].str.contains("\ufffd").any()


@pytest.mark.slow
def test_broken_archives_end_as_failed_rows(web: tuple[Path, RunRecord]) -> None:
    ledger = pl.read_parquet(web[0] / "ledger/*.parquet").with_columns(pl.col("file").str.split("/").list.last())
    failed = ledger.filter(pl.col("verdict") == "failed").group_by("file").agg(pl.col("reason").unique().sort())
    assert dict(failed.rows())["warcio__example-trunc.warc"] == ["malformed_warc"]
    assert failed.height >= 1
