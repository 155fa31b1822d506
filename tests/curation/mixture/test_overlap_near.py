"""Overlap of runs by their signatures, with each pair of texts looked at as the oracle."""

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pytest

from curation.dedup.signatures import Banding, estimated_jaccard, sign
from curation.mixture import overlap_near
from curation.mixture.overlap_near import near_overlap
from curation.pipeline import curate
from curation.shards import drop_texts
from manifests.errors import RequestError
from manifests.store import Folder
from tests.curation.dedup.test_near import ENGLISH, KOREAN, edited, write_sentences
from tests.scenarios.runs import job_of

MANIFEST = """
kind: corpus
name: crawl
inputs: [{source: s, path: docs.jsonl, key: key}]
limits: {shard_bytes: 20000}
rules: [{name: marked, keep: "key <> 'refused'"}]
dedup: {near: {jaccard: 0.7}}
output: out
"""


def run_of(folder: Path, texts: dict[str, str], manifest: str = MANIFEST) -> Folder:
    folder.mkdir(parents=True)
    rows = [orjson.dumps({"key": key, "text": text}) for key, text in texts.items()]
    (folder / "docs.jsonl").write_bytes(b"\n".join(rows))
    (folder / "crawl.yaml").write_text(manifest)
    curate(job_of(folder / "crawl.yaml"))
    return Folder(str(folder / "out"))


def make_texts() -> tuple[dict[str, str], dict[str, str]]:
    """Texts of two runs: equal, similar, and different ones; and one that the first run refuses."""
    rng = np.random.default_rng(0)
    old = {f"old{k}": write_sentences(rng, KOREAN if k % 2 else ENGLISH, 150) for k in range(30)}
    new = {f"new{k}": " ".join(write_sentences(rng, KOREAN, 150)) for k in range(20)}
    new |= {f"same{k}": " ".join(old[f"old{k}"]) for k in range(5)}
    for n_edits in (1, 3, 6, 10, 15):
        new |= {f"like{k}-{n_edits}": " ".join(edited(rng, old[f"old{k}"], n_edits)) for k in range(10, 16)}
    old["refused"] = write_sentences(rng, KOREAN, 150)
    new["taken"] = " ".join(old["refused"])
    return {key: " ".join(words) for key, words in old.items()}, new


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Folder]:
    folder = tmp_path_factory.mktemp("near")
    old, new = make_texts()
    return run_of(folder / "a", old), run_of(folder / "b", new)


def looked_at(a: Folder, b: Folder, jaccard: float, keys: str = "") -> tuple[int, int, int]:
    """(documents of a, documents of b, pairs) of the kept documents whose key begins so in b."""
    columns = [(folder / "documents").scan().select("key", "text").collect() for folder in (a, b)]
    columns[1] = columns[1].filter(pl.col("key").str.starts_with(keys))
    one, two = (sign(pa.array(frame["text"].to_list(), pa.large_string()), Banding()) for frame in columns)
    pairs = [
        (i, j)
        for i in range(len(one.bands))
        for j in range(len(two.bands))
        if (one.bands[i] == two.bands[j]).any()
        and estimated_jaccard(one.minima[[i]].astype(np.uint8), two.minima[[j]].astype(np.uint8))[0] >= jaccard
    ]
    return len({i for i, _ in pairs}), len({j for _, j in pairs}), len(pairs)


def test_agrees_with_looking_at_each_pair(runs: tuple[Folder, Folder]) -> None:
    found = near_overlap(*runs)
    assert (found.n_documents_a, found.n_documents_b, found.n_pairs) == looked_at(*runs, 0.7)
    assert found.n_documents_a == 11 and found.n_documents_b >= 11 and found.refused is None and found.jaccard == 0.7
    other_way = near_overlap(*runs[::-1])
    assert (other_way.n_documents_b, other_way.n_documents_a) == (found.n_documents_a, found.n_documents_b)


def test_a_run_shares_all_with_itself(runs: tuple[Folder, Folder]) -> None:
    n_kept = (runs[0] / "documents").scan().select(pl.len()).collect().item()
    found = near_overlap(runs[0], runs[0])
    assert n_kept == 30  # the refused one is not among them
    assert (found.n_documents_a, found.n_documents_b, found.n_pairs) == (30, 30, 30)


def test_a_condition_chooses_documents(runs: tuple[Folder, Folder]) -> None:
    found = near_overlap(*runs, where_b=pl.col("key").str.starts_with("same"))
    assert (found.n_documents_a, found.n_documents_b, found.n_pairs) == looked_at(*runs, 0.7, "same") == (5, 5, 5)
    nothing = near_overlap(*runs, where_a=pl.lit(None, pl.Boolean))
    assert (nothing.n_documents_a, nothing.n_documents_b, nothing.n_pairs) == (0, 0, 0)


def test_small_ranges_and_lost_texts_change_nothing(
    runs: tuple[Folder, Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = near_overlap(*runs)
    monkeypatch.setattr(overlap_near, "BAND_ROWS_PER_RANGE", 5)
    monkeypatch.setattr(overlap_near, "ROWS_PER_RANGE", 4)
    monkeypatch.setattr(overlap_near, "PAIRS_PER_RANGE", 3)
    assert near_overlap(*runs) == whole


def test_buckets_are_bounded(runs: tuple[Folder, Folder], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = near_overlap(*runs)
    monkeypatch.setattr(overlap_near, "PER_BUCKET", 1)
    few = near_overlap(*runs)
    assert 0 < few.n_pairs < whole.n_pairs


def test_texts_are_not_needed(tmp_path: Path) -> None:
    texts = {"one": " ".join(write_sentences(np.random.default_rng(1), KOREAN, 100))}
    a, b = run_of(tmp_path / "a", texts), run_of(tmp_path / "b", texts)
    drop_texts(a)
    assert near_overlap(a, b).n_pairs == 1


@pytest.mark.parametrize(
    ("near", "reason"),
    [
        (
            "{near: {bands: 10, shingle: {ko: char-7}}}",
            "different `bands` (14 and 10), `shingle.ko` (char-5 and char-7)",
        ),
        ("{exact: true}", "/b/out was curated without `dedup.near`"),
    ],
)
def test_runs_that_do_not_compare_say_why(tmp_path: Path, near: str, reason: str) -> None:
    texts = {"one": "글 하나가 여기에 있다."}
    a = run_of(tmp_path / "a", texts)
    b = run_of(tmp_path / "b", texts, MANIFEST.replace("{near: {jaccard: 0.7}}", near))
    found = near_overlap(a, b)
    assert found.n_pairs == 0
    assert reason in str(found.refused)


def test_signatures_of_another_version_or_missing_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"one": "글 하나가 여기에 있다."}
    a = run_of(tmp_path / "a", texts)
    with monkeypatch.context() as patched:
        patched.setattr("curation.dedup.signatures.code_digest", lambda *_: "other")
        b = run_of(tmp_path / "b", texts)
    assert "different versions of Onggi" in str(near_overlap(a, b).refused)
    b.remove("signatures")
    assert "signatures are not there" in str(near_overlap(a, b).refused)
    with pytest.raises(RequestError, match="holds no run"):
        near_overlap(a, Folder(str(tmp_path)))
