"""Small runs for the scenario tests: the shipped sample, or parts of it, under a manifest of one's own."""

import shutil
from pathlib import Path

import manifests
from curation.pipeline import Job, prepare
from manifests.engine import Workers
from manifests.load import load_manifest

SAMPLE = Path(manifests.__file__).parent / "sample"

MANIFEST = """
kind: corpus
name: small
inputs:
  - {source: apache, path: "data/*.warc.gz"}
  - {source: docs, path: "data/*.jsonl.zst", key: url, url: url, license: license}
  - {source: english, path: "data/*.parquet", key: url, url: url, license: license}
  - {source: notes, path: data/notes}
measure: {language: {}, signals: true}
rules:
  - {name: language, keep: "language in ('ko', 'en') and language_score >= 0.65"}
  - {ruleset: gopher, when: "language = 'en'"}
dedup: {exact: true}
limits: {shard_bytes: 200_000}
output: {path: out, shard_bytes: 500_000}
"""

LIGHT = (
    MANIFEST.replace("signals: true", "signals: false")
    .replace("  - {ruleset: gopher, when: \"language = 'en'\"}\n", "")
    .replace("{exact: true}", "{near: {}}")
)
"""The same without what takes long to compile, and with near-duplicates."""


def lay_out(folder: Path, manifest: str = MANIFEST) -> Path:
    """Put part of the sample and a manifest into a folder; returns the manifest's path."""
    data = folder / "data"
    data.mkdir(parents=True)
    for name in ("web/apache.warc.gz", "ko_docs.jsonl.zst", "en_docs.parquet"):
        shutil.copy(SAMPLE / name, data / Path(name).name)
    shutil.copytree(SAMPLE / "notes", data / "notes")
    path = folder / "web.yaml"
    path.write_text(manifest)
    return path


def job_of(manifest: Path, output: Path | None = None, n_workers: int = 1, *overrides: str) -> Job:
    """The job of a manifest, its output put elsewhere where asked."""
    chosen = load_manifest(str(manifest), overrides)
    return prepare(chosen, str(manifest.parent), str(output) if output else None, Workers(n_workers))


def document_files(output: Path) -> dict[str, bytes]:
    """The files of `documents`, by name."""
    return {path.name: path.read_bytes() for path in sorted((output / "documents").glob("*.parquet"))}
