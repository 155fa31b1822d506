"""Every category of Kanana's mixture, from raw data to the plan of its second stage; the same however it is run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from curation.mixture.outlook import outlook
from curation.mixture.survey import prepare as prepare_mixture
from curation.pipeline import curate, prepare
from manifests.engine import Workers, open_engine
from manifests.load import load_kind, load_manifest
from manifests.recipes import find_manifest
from manifests.record import RunRecord
from manifests.schema import CorpusManifest
from manifests.schema_mixture import MixtureManifest
from manifests.schema_readers import Latex
from tests.curation.tokens.small import byte_level
from tests.manifests.test_recipes import STAGE_2
from tests.scenarios.category_data import N_PAPERS, lay_out_categories, write_paper
from tests.scenarios.runs import document_files, job_of

pytestmark = pytest.mark.usefixtures("without_pages")

MANIFEST = """
kind: corpus
name: categories
inputs:
  - {source: arxiv, path: arxiv, format: latex}
  - {source: wiki, path: dumps, format: mediawiki}
  - {source: code, path: repos, format: code}
  - {source: reports, path: reports, format: pdf}
  - source: chats
    path: chats
    key: id
    template: {parts: [{each: conversations, parts: ["{from}: {value}"]}]}
measure: {language: {}}
dedup: {exact: true}
limits: {shard_bytes: 8_000}
output: {path: out, shard_bytes: 100_000}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """Raw data of every kind and a finished run over them."""
    folder = lay_out_categories(tmp_path_factory.mktemp("categories"))
    (folder / "all.yaml").write_text(MANIFEST)
    return folder, curate(job_of(folder / "all.yaml"))


def test_every_reader_fills_category_license_facts_and_notes(finished: tuple[Path, RunRecord]) -> None:
    folder, record = finished
    documents = pl.read_parquet(folder / "out/documents/*.parquet")
    categories = dict(documents.group_by("source").agg(pl.col("category").first()).iter_rows())
    assert categories == {"arxiv": "academic", "wiki": "encyclopedia", "code": "code", "reports": None, "chats": None}
    of_wiki = documents.filter(pl.col("source") == "wiki")
    assert of_wiki["license"].unique().to_list() == ["CC-BY-SA-4.0"]
    assert set(of_wiki["metadata"].struct.field("n_formulas")) == {"2"}
    of_code = documents.filter(pl.col("source") == "code").select("metadata").unnest("metadata")
    verdicts = dict(of_code.filter(pl.col("path").str.ends_with(".py")).group_by("license_verdict").len().iter_rows())
    assert verdicts == {"permissive": 18, "none": 6}
    ledger = pl.read_parquet(folder / "out/ledger/*.parquet")
    notes = (
        ledger.filter(pl.col("source") == "arxiv")
        .select("notes")
        .explode("notes")
        .unnest("notes")["kind"]
        .value_counts()
    )
    assert dict(notes.drop_nulls().iter_rows()) == {"missing_input": N_PAPERS, "input_cycle": N_PAPERS}
    reasons = dict(ledger.filter(pl.col("source") == "wiki")["reason"].drop_nulls().value_counts().iter_rows())
    assert reasons == {"redirect": 1, "disambiguation": 1}
    assert record.counts["read"] == record.counts["kept"] + record.counts["dropped"] + record.counts["failed"]


@pytest.mark.parametrize("shard_bytes", [1_500, 10_000_000])
def test_another_shard_size_gives_the_same(
    finished: tuple[Path, RunRecord], tmp_path: Path, shard_bytes: int
) -> None:
    folder, record = finished
    again = curate(job_of(folder / "all.yaml", tmp_path / "out", 1, f"limits.shard_bytes={shard_bytes}"))
    assert again.digests == record.digests
    assert document_files(tmp_path / "out") == document_files(folder / "out")


def test_two_workers_give_the_same(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    folder, record = finished
    assert curate(job_of(folder / "all.yaml", tmp_path / "out", 2)).digests == record.digests


def test_members_of_archives_in_another_order_give_the_same(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    folder, record = finished
    again = lay_out_categories(tmp_path / "again")
    for number in range(N_PAPERS):
        write_paper(again / f"arxiv/2401.{number:05d}v1.tar.gz", number, order=7)
    (again / "all.yaml").write_text(MANIFEST)
    assert curate(job_of(again / "all.yaml")).digests == record.digests
    assert document_files(again / "out") == document_files(folder / "out")


def test_killed_with_parts_on_disk_and_resumed(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    folder, record = finished
    code = "import sys, onggi; sys.exit(onggi.main())"
    command = [sys.executable, "-c", code, "curate", str(folder / "all.yaml"), "--output", str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    measured = tmp_path / "out/measured"
    while process.poll() is None and len(list(measured.glob("*.parquet"))) < 3:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert curate(job_of(folder / "all.yaml", tmp_path / "out")).digests == record.digests


RECIPES = {
    "kanana-web": {"web": "web/*.warc.gz"},
    "arxiv": {"arxiv": "papers"},
    "code": {"code": "repos"},
    "wikipedia": {"wikipedia": "dumps"},
    "structured-text": {"chats": "chats/*.jsonl", "reports": "reports"},
}
"""The recipe of each run that the second stage takes, and where its sources are here."""


def curate_recipe(folder: Path, name: str, places: dict[str, str]) -> RunRecord:
    """Curate the data of one category by its recipe; sources that are not here are left out."""
    whole = load_manifest(find_manifest(name))
    papers = {"latex": Latex(licenses="papers.json")}
    inputs = [
        item.model_copy(update={"path": places[item.source], **(papers if item.source == "arxiv" else {})})
        for item in whole.inputs
        if item.source in places
    ]
    output = whole.output.model_copy(update={"path": f"out/{name}"})
    manifest = CorpusManifest.model_validate(
        whole.model_copy(update={"inputs": inputs, "output": output}).model_dump()
    )
    return curate(prepare(manifest, str(folder)))


def test_the_second_stage_is_planned_of_all_six_categories(finished: tuple[Path, RunRecord]) -> None:
    folder, _ = finished
    records = {name: curate_recipe(folder, name, places) for name, places in RECIPES.items()}
    assert all(record.counts["kept"] > 0 for record in records.values())
    byte_level(folder)
    overrides = ["stages.stage2.tokens=8000", "sequence_length=128", f"tokenizer={folder / 'tokenizer.json'}"]
    manifest = load_kind(MixtureManifest, find_manifest("kanana-stage2"), overrides)
    with open_engine(Workers(1)) as engine:
        found = outlook(prepare_mixture(manifest, str(folder)), engine, lambda *_: None, exact=True)
    assert not found.problem
    taken = {source.category: source.taken_tokens for source in found.sources}
    shares = {name: n_tokens / sum(taken.values()) for name, n_tokens in taken.items()}
    assert shares == pytest.approx({name: share / 100.1 for name, share in STAGE_2.items()}, abs=0.02)
