"""Clusters of near-duplicates equal those of brute force, whatever way they are computed."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from curation.dedup import candidates, components, near, verify
from curation.dedup.near import find_clusters
from curation.dedup.signatures import Banding, detection, sign
from curation.pipeline import curate
from curation.shards import drop_texts
from manifests.errors import RequestError
from manifests.schema import NearDedup, Shingle
from manifests.store import Folder
from tests.scenarios.runs import job_of

pytestmark = pytest.mark.usefixtures("without_pages")

MANIFEST = """
kind: corpus
name: near
inputs: [{source: s, path: docs.jsonl, key: key}]
limits: {shard_bytes: 8000}
output: out
"""
KOREAN = ["정부", "대한민국", "데이터", "정책", "기술", "회의", "서울", "발표", "조사", "결과", "시민", "문제"]
ENGLISH = ["the", "of", "data", "curation", "pipeline", "model", "text", "corpus", "quality", "filter", "language"]


def write_sentences(rng: np.random.Generator, words: Sequence[str], n: int) -> list[str]:
    return [words[k] + str(rng.integers(50)) for k in rng.integers(0, len(words), n)]


def edited(rng: np.random.Generator, words: list[str], n: int) -> list[str]:
    words = list(words)
    for at in rng.integers(0, len(words), n):
        words[at] += str(rng.integers(1000))
    return words


def make_texts(seed: int, n: int) -> list[str]:
    """Texts, some of them edited versions of others, some the same."""
    rng = np.random.default_rng(seed)
    texts: list[list[str]] = []
    for k in range(n):
        if texts and rng.random() < 0.5:
            texts.append(edited(rng, texts[rng.integers(len(texts))], int(rng.integers(0, 5))))
        else:
            texts.append(write_sentences(rng, KOREAN if k % 2 else ENGLISH, int(rng.integers(30, 120))))
    return [" ".join(words) for words in texts]


def lay_out(folder: Path, texts: list[str]) -> Folder:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [orjson.dumps({"key": str(k), "text": text}) for k, text in enumerate(texts)]
    (folder / "docs.jsonl").write_bytes(b"\n".join(rows))
    (folder / "near.yaml").write_text(MANIFEST)
    job = job_of(folder / "near.yaml")
    curate(job)
    return Folder(job.output)


def shingles_of(text: str) -> set[str]:
    """Word 5-grams, or character 5-grams where a text is all Korean."""
    words = re.findall(r"\w+", text.lower())
    if any("가" <= c <= "힣" for c in text):
        joined = "".join(words)
        return {joined[i : i + 5] for i in range(max(1, len(joined) - 4))}
    return {" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def join(n: int, connected: Callable[[int, int], bool]) -> list[int]:
    """The components of a graph of n nodes."""
    group = list(range(n))
    for a, b in combinations(range(n), 2):
        if group[a] != group[b] and connected(a, b):
            old, new = group[b], group[a]
            group = [new if value == old else value for value in group]
    return group


def brute_force(texts: list[str], banding: Banding, jaccard: float) -> set[frozenset[str]]:
    """Clusters of texts: what is similar enough among the texts that chains of candidates connect."""
    different = sorted(set(texts))
    bands = sign(pl.Series(different).to_arrow(), banding).bands
    sets = [shingles_of(text) for text in different]
    component = join(len(different), lambda a, b: bool((bands[a] == bands[b]).any()))
    assert max(component.count(root) for root in component) <= verify.ALL_PAIRS_MAX
    group = join(
        len(different),
        lambda a, b: component[a] == component[b] and len(sets[a] & sets[b]) >= jaccard * len(sets[a] | sets[b]),
    )
    members = {root: frozenset(t for t, g in zip(different, group, strict=True) if g == root) for root in group}
    return {texts_of for texts_of in members.values() if len(texts_of) > 1}


def clusters_of(run: Folder) -> tuple[set[frozenset[str]], pl.DataFrame]:
    grouped = (run / "near").scan().collect()
    measured = (run / "measured").scan().select("id", "text", "text_digest").collect()
    rows = grouped.join(measured, on="id")
    found = rows.group_by("near_cluster").agg("text")["text"].to_list()
    return {frozenset(texts) for texts in found if len(set(texts)) > 1}, rows


@pytest.mark.parametrize("seed", [1, 2])
def test_clusters_are_those_of_brute_force(tmp_path: Path, seed: int) -> None:
    texts = make_texts(seed, 150)
    run = lay_out(tmp_path, texts)
    assert len((run / "measured").names(".parquet")) > 3
    settings = NearDedup(jaccard=0.7)
    counts = find_clusters(run, settings, len(texts))
    found, rows = clusters_of(run)
    expected = brute_force(texts, Banding.of(settings), 0.7)
    assert found == expected
    assert len(expected) == counts.n_clusters > 5
    assert counts.n_texts == sum(map(len, expected))
    assert counts.n_members == rows.height
    sizes = rows.group_by("near_cluster").agg(pl.len(), pl.col("near_cluster_size").unique())
    assert all(n == size for _, n, [size] in sizes.iter_rows())
    assert (rows["exact_size"] > 1).any()
    for cluster, digests in rows.group_by("near_cluster").agg("text_digest").iter_rows():
        assert cluster == min(digests)


def test_ranges_blocks_workers_and_rounds_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = make_texts(3, 120)
    run = lay_out(tmp_path, texts)
    settings = NearDedup(jaccard=0.7)
    find_clusters(run, settings, len(texts))
    before = (run / "near").scan().drop("shard").collect().sort("id")
    run.remove("near")
    monkeypatch.setattr(near, "TEXTS_PER_RANGE", 20)
    monkeypatch.setattr(near, "BAND_ROWS_PER_RANGE", 30)
    monkeypatch.setattr(near, "SHINGLES_PER_RANGE", 2000)
    monkeypatch.setattr(verify, "SHINGLES_PER_RANGE", 50)
    monkeypatch.setattr(components, "UNION_FIND_NODES_MAX", 10)
    find_clusters(run, settings, len(texts))
    assert len((run / "near").names(".parquet")) == 8
    assert (run / "near").scan().drop("shard").collect().sort("id").equals(before)


def test_a_killed_run_goes_on_and_leaves_nothing_behind(tmp_path: Path) -> None:
    texts = make_texts(4, 60)
    run = lay_out(tmp_path, texts)
    settings = NearDedup()

    def killed(stop_at: str, step: str, done: int, total: int) -> None:
        if step == stop_at and done == 1:
            raise KeyboardInterrupt

    for step in ("signatures", "number texts", "join bands", "place pairs", "gather shingles", "compare", "group"):
        with pytest.raises(KeyboardInterrupt):
            find_clusters(run, settings, len(texts), progress=partial(killed, step))
        assert not run.exists("near")
    counts = find_clusters(run, settings, len(texts))
    assert run.folders("near") == ["near"]
    steps: list[str] = []
    assert find_clusters(run, settings, len(texts), progress=lambda step, *_: steps.append(step)) == counts
    assert not steps  # what was found is read back


def test_without_comparison_one_band_is_enough(tmp_path: Path) -> None:
    texts = make_texts(5, 100)
    run = lay_out(tmp_path, texts)
    settings = NearDedup(verify=False, bands=4, rows=2)
    counts = find_clusters(run, settings, len(texts))
    found, _ = clusters_of(run)
    assert found == brute_force(texts, Banding.of(settings), 0.0)
    assert counts.n_compared == 0


def test_texts_that_are_gone_are_an_error_unless_nothing_is_compared(tmp_path: Path) -> None:
    texts = make_texts(8, 40)
    run = lay_out(tmp_path, texts)
    before = find_clusters(run, NearDedup(), len(texts))
    drop_texts(run)
    assert find_clusters(run, NearDedup(), len(texts)) == before
    with pytest.raises(RequestError, match=r"store: columns.*verify: false"):
        find_clusters(run, NearDedup(jaccard=0.5), len(texts))
    assert find_clusters(run, NearDedup(verify=False), len(texts)).n_compared == 0


def test_large_buckets_are_joined_without_all_pairs(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    words = write_sentences(rng, KOREAN, 200)
    texts = [" ".join(edited(rng, words, 1)) for _ in range(200)]
    run = lay_out(tmp_path, texts)
    counts = find_clusters(run, NearDedup(), len(texts))
    assert counts.n_clusters == 1
    assert counts.n_texts == len(set(texts)) > candidates.count_pairs.py_func.__globals__["ALL_PAIRS_MAX"]
    assert counts.n_pairs < 14 * 200 * 199 / 4


def test_settings_of_another_kind_are_another_result(tmp_path: Path) -> None:
    texts = make_texts(7, 60)
    run = lay_out(tmp_path, texts)
    strict = find_clusters(run, NearDedup(jaccard=1.0), len(texts))
    loose = find_clusters(run, NearDedup(jaccard=0.5, shingle=Shingle(ko="word-2", en="char-9")), len(texts))
    assert strict.n_clusters < loose.n_clusters


def test_detection_follows_the_formula() -> None:
    """Golden values of papers.md §4.4 for 14x8."""
    expected = {0.5: 0.053, 0.6: 0.211, 0.7: 0.565, 0.75: 0.772, 0.8: 0.924, 0.85: 0.988, 0.9: 0.9996}
    for jaccard, probability in expected.items():
        assert detection(jaccard) == pytest.approx(probability, abs=6e-4)
