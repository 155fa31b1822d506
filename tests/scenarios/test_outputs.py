"""The output folder loads with datasets, DuckDB and Polars as it is, and carries its card and report."""

import os
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

from curation.pipeline import curate
from manifests.contracts import LEDGER, check_version, documents_schema
from manifests.errors import RequestError
from manifests.record import RunRecord
from tests.scenarios.runs import MANIFEST, job_of, lay_out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """A finished run's folder and record."""
    folder = tmp_path_factory.mktemp("outputs")
    manifest = MANIFEST.replace('data/*.warc.gz"}', 'data/*.warc.gz", metadata: {type: "http:Content-Type"}}')
    return folder / "out", curate(job_of(lay_out(folder, manifest)))


@pytest.mark.parametrize("name", ["README.md", "documents/thesis.doc"])
def test_what_no_run_wrote_is_not_replaced(tmp_path: Path, name: str) -> None:
    job = job_of(lay_out(tmp_path))
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(RequestError, match=f"out holds {name.split('/')[0]}, which a run would replace"):
        curate(job)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [mine]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path))
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RequestError, match="out is a file; a run needs a folder"):
        curate(job)


def test_datasets(run: tuple[Path, RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setitem(os.environ, "HF_DATASETS_CACHE", str(tmp_path))
    from datasets import load_dataset

    folder, record = run
    documents = load_dataset(str(folder), split="train", cache_dir=str(tmp_path))
    assert documents.num_rows == record.counts["kept"]
    ledger = load_dataset(str(folder), "ledger", split="train", cache_dir=str(tmp_path))
    assert ledger.num_rows == record.counts["read"]


def test_duckdb_and_polars(run: tuple[Path, RunRecord]) -> None:
    folder, record = run
    query = f"select count(*), sum(signals.word_count) from '{folder}/documents/*.parquet'"
    ((n_docs, n_words),) = duckdb.sql(query).fetchall()
    frame = pl.read_parquet(folder / "documents/*.parquet")
    assert n_docs == frame.height == record.counts["kept"]
    assert n_words == frame["signals"].struct.field("word_count").sum()
    verdicts = duckdb.sql(f"select verdict, count(*) from '{folder}/ledger/*.parquet' group by 1").fetchall()
    assert dict(verdicts) == {name: record.counts[name] for name in ("kept", "dropped", "failed")}


def test_tables_hold_their_contracts(run: tuple[Path, RunRecord]) -> None:
    from curation.signals import SIGNAL_TYPE

    folder, _ = run
    for table, schema in (("documents", documents_schema(["type"], SIGNAL_TYPE)), ("ledger", LEDGER)):
        for path in (folder / table).glob("*.parquet"):
            found = pq.read_schema(path)
            check_version(found, table, str(path))
            assert found.equals(schema)


def test_metadata_and_constants_are_carried(run: tuple[Path, RunRecord]) -> None:
    frame = pl.read_parquet(run[0] / "documents/*.parquet")
    types = frame.group_by("source").agg(pl.col("metadata").struct.field("type").drop_nulls().len())
    counts = dict(types.rows())
    assert counts["apache"] > 0
    assert counts["docs"] == 0


def test_the_card_states_what_is_there(run: tuple[Path, RunRecord]) -> None:
    folder, record = run
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["language"] == ["en", "ko"]
    assert card["size_categories"] == ["n<1K"]
    assert f"{record.counts['kept']:,} documents" in body
    assert "CC-BY-4.0" in body
    assert record.digests["documents"] in body


def test_the_report_adds_up(run: tuple[Path, RunRecord]) -> None:
    folder, record = run
    report = (folder / "report.html").read_text()
    for name in ("read", "kept", "dropped", "failed"):
        assert f"{record.counts[name]:,}" in report
    assert "<script" not in report.lower()


def test_inputs_are_recorded_with_their_digests(run: tuple[Path, RunRecord]) -> None:
    _, record = run
    assert {entry.source for entry in record.inputs} == {"apache", "docs", "english", "notes"}
    assert all(entry.digest and entry.size_bytes > 0 for entry in record.inputs)


def test_the_same_columns_without_language_and_signals(tmp_path: Path) -> None:
    """What a manifest does not name does not happen: everything that could be read is kept."""
    manifest = MANIFEST.split("measure:")[0] + "output: out\n"
    record = curate(job_of(lay_out(tmp_path, manifest)))
    assert record.counts["kept"] + record.counts["dropped"] + record.counts["failed"] == record.counts["read"]
    ledger = pl.read_parquet(tmp_path / "out/ledger/*.parquet")
    assert set(ledger.filter(pl.col("verdict") == "dropped")["stage"]) <= {"read"}
    frame = pl.read_parquet(tmp_path / "out/documents/*.parquet")
    assert "signals" not in frame.columns
    assert frame["language"].null_count() == frame["exact_size"].null_count() == frame.height > 0
