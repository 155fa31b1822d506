"""Semantic duplicates: clusters equal those of brute force, decisions equal fresh runs, models are read with care."""

import json
import shutil
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pytest

from classifiers import encoder as encoders
from classifiers.encoder import batches
from curation import pipeline
from curation.dedup import components, embeddings, semantic
from curation.dedup.centroids import nearest, normalized, train_centroids, worth_visiting
from curation.dedup.embeddings import Encoder
from curation.dedup.semantic import cluster_count, find_clusters
from curation.pipeline import changed_manifest, curate, decide_again
from manifests.errors import RequestError
from manifests.load import load_manifest
from manifests.schema import SemanticDedup
from manifests.store import Folder
from tests.scenarios.runs import document_files, job_of

pytestmark = pytest.mark.usefixtures("without_pages")

MANIFEST = """
kind: corpus
name: meaning
inputs: [{source: s, path: docs.jsonl, key: key}]
limits: {shard_bytes: 4000}
output: out
"""
WORDS = [f"단어{k}" for k in range(60)]
SYNONYMS = {word: word.replace("단어", "낱말") for word in WORDS}
N_DIMS = 16


def make_texts(seed: int, n: int) -> list[str]:
    """Texts of words, some of them other texts with synonyms and a word or two replaced, some the same."""
    rng = np.random.default_rng(seed)
    texts: list[list[str]] = []
    for _ in range(n):
        if texts and rng.random() < 0.5:
            words = list(texts[rng.integers(len(texts))])
            for at in rng.integers(0, len(words), int(rng.integers(0, 4))):
                words[at] = WORDS[rng.integers(len(WORDS))]
            words = [SYNONYMS.get(word, word) if rng.random() < 0.5 else word for word in words]
        else:
            words = [WORDS[k] for k in rng.integers(0, len(WORDS), int(rng.integers(8, 25)))]
        texts.append(words)
    return [" ".join(words) for words in texts]


def lay_out(folder: Path, texts: Sequence[str], manifest: str = MANIFEST) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [orjson.dumps({"key": str(k), "text": text}) for k, text in enumerate(texts)]
    (folder / "docs.jsonl").write_bytes(b"\n".join(rows))
    (folder / "meaning.yaml").write_text(manifest)
    return folder / "meaning.yaml"


def measured(folder: Path, texts: Sequence[str]) -> Folder:
    job = job_of(lay_out(folder, texts))
    curate(job)
    return Folder(job.output)


def embed_words(texts: pl.Series, encoder: Encoder) -> npt.NDArray[np.float16]:
    """A bag of words that have random directions, synonyms the same: an encoder that needs no torch."""
    found = np.empty((len(texts), encoder.n_dims), np.float16)
    for row, text in enumerate(texts):
        seeds = [int("".join(filter(str.isdigit, word)) or 0) for word in text.split()]
        total = sum(np.random.default_rng(seed).normal(size=encoder.n_dims) for seed in seeds)
        found[row] = total / np.linalg.norm(total)
    return found


@pytest.fixture
def words_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "words-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"hidden_size": N_DIMS}))
    (folder / "model.safetensors").write_bytes(b"stands in for weights")
    monkeypatch.setattr(embeddings, "embed", embed_words)
    for module in (embeddings, pipeline):
        monkeypatch.setattr(module, "check_installed", lambda: None)
    return str(folder)


def brute_force(run: Folder, cosine: float) -> set[frozenset[str]]:
    """Components of all pairs of texts whose cosine is high enough, by digest."""
    table = (run / "embeddings").scan().collect().unique("text_digest").sort("text_digest")
    digests, vectors = table["text_digest"].to_list(), table["embedding"].to_numpy().astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = vectors @ vectors.T >= cosine
    group = list(range(len(digests)))
    for a, b in combinations(range(len(digests)), 2):
        if similar[a, b]:
            old, new = group[b], group[a]
            group = [new if value == old else value for value in group]
    members = (frozenset(d for d, g in zip(digests, group, strict=True) if g == root) for root in set(group))
    return {found for found in members if len(found) > 1}


def clusters_of(run: Folder) -> tuple[set[frozenset[str]], pl.DataFrame]:
    digests = (run / "measured").scan().select("id", "text_digest").collect()
    rows = (run / "semantic").scan().drop("shard").collect().join(digests, on="id")
    found = rows.group_by("semantic_cluster").agg(pl.col("text_digest").unique())["text_digest"].to_list()
    return {frozenset(texts) for texts in found if len(texts) > 1}, rows


@pytest.mark.parametrize(("seed", "n_clusters"), [(1, 1), (2, 7), (3, 40)])
def test_clusters_are_those_of_brute_force(tmp_path: Path, words_model: str, seed: int, n_clusters: int) -> None:
    texts = make_texts(seed, 150)
    run = measured(tmp_path, texts)
    assert len((run / "measured").names(".parquet")) > 3
    settings = SemanticDedup(model=words_model, cosine=0.9, clusters=n_clusters, n_probe=n_clusters)
    counts = find_clusters(run, settings, len(texts))
    found, rows = clusters_of(run)
    expected = brute_force(run, 0.9)
    assert found == expected
    assert counts.n_clusters == len(expected) > 5
    assert counts.n_texts == sum(map(len, expected))
    assert counts.n_members == rows.height
    assert counts.n_centroids == n_clusters
    sizes = rows.group_by("semantic_cluster").agg(pl.len(), pl.col("semantic_cluster_size").unique())
    assert all(n == size for _, n, [size] in sizes.iter_rows())
    assert rows["near_cluster"].null_count() == rows.height


def test_ranges_blocks_and_rounds_change_nothing(
    tmp_path: Path, words_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make_texts(4, 120)
    run = measured(tmp_path, texts)
    settings = SemanticDedup(model=words_model, cosine=0.9, clusters=5, n_probe=5)
    before_counts = find_clusters(run, settings, len(texts))
    before = (run / "semantic").scan().drop("shard").collect().sort("id")
    run.remove("semantic")
    monkeypatch.setattr(semantic, "TEXTS_PER_RANGE", 20)
    monkeypatch.setattr(semantic, "VECTORS_PER_TASK", 30)
    monkeypatch.setattr(semantic, "PRODUCTS_AT_ONCE", 64)
    monkeypatch.setattr(components, "UNION_FIND_NODES_MAX", 10)
    tasks: list[int] = []
    counts = find_clusters(
        run, settings, len(texts), progress=lambda step, _, total: tasks.append(total) if step == "compare" else None
    )
    assert max(tasks) > 20
    assert counts == before_counts
    assert (run / "semantic").scan().drop("shard").collect().sort("id").equals(before)


def test_a_new_threshold_embeds_nothing(tmp_path: Path, words_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = make_texts(5, 80)
    run = measured(tmp_path, texts)
    strict = find_clusters(run, SemanticDedup(model=words_model, cosine=0.99), len(texts))
    monkeypatch.delattr(embeddings, "embed")
    loose = find_clusters(run, SemanticDedup(model=words_model, cosine=0.8, batch_tokens=7), len(texts))
    assert strict.n_texts < loose.n_texts
    with pytest.raises(NameError, match="embed"):
        find_clusters(run, SemanticDedup(model=words_model, prefix="query: "), len(texts))


def test_another_model_at_the_same_path_embeds_anew(tmp_path: Path, words_model: str) -> None:
    before = Encoder.of(SemanticDedup(model=words_model)).fingerprint
    (Path(words_model) / "model.safetensors").write_bytes(b"other weights, same place")
    assert Encoder.of(SemanticDedup(model=words_model)).fingerprint != before


def test_a_killed_run_goes_on_and_leaves_nothing_behind(tmp_path: Path, words_model: str) -> None:
    texts = make_texts(6, 60)
    run = measured(tmp_path, texts)
    settings = SemanticDedup(model=words_model, cosine=0.9, clusters=3)

    def killed(stop_at: str, step: str, done: int, total: int) -> None:
        if step == stop_at and done == 1:
            raise KeyboardInterrupt

    for step in ("embeddings", "number texts", "centroids", "place vectors", "compare", "place pairs", "group"):
        with pytest.raises(KeyboardInterrupt):
            find_clusters(run, settings, len(texts), progress=partial(killed, step))
        assert not run.exists("semantic")
    counts = find_clusters(run, settings, len(texts))
    assert run.folders("semantic") == ["semantic"]
    steps: list[str] = []
    assert find_clusters(run, settings, len(texts), progress=lambda step, *_: steps.append(step)) == counts
    assert not steps  # what was found is read back


def test_a_corpus_without_texts_has_no_clusters(tmp_path: Path, words_model: str) -> None:
    run = measured(tmp_path, ["", " "])
    counts = find_clusters(run, SemanticDedup(model=words_model), 2)
    assert (counts.n_members, counts.n_similar) == (0, 0)


def test_centroids_part_what_lies_apart() -> None:
    rng = np.random.default_rng(7)
    directions = normalized(rng.normal(size=(8, 32)))
    of = rng.integers(0, 8, 2000)
    vectors = normalized(directions[of] + 0.05 * rng.normal(size=(2000, 32)))
    places, cosines = nearest(vectors, train_centroids(vectors, 40), 1)
    assert (cosines > 0.9).all()
    assert len(set(zip(of.tolist(), places[:, 0].tolist(), strict=True))) == 40


def test_equal_vectors_leave_no_cluster_without_a_direction() -> None:
    vectors = np.tile(normalized(np.ones((1, 4))), (20, 1))
    centroids = train_centroids(vectors, 5)
    assert np.allclose(np.linalg.norm(centroids, axis=1), 1)


@pytest.mark.parametrize("n", [1, 3, 9])
def test_nearest_centroids_are_those_of_a_sort(n: int) -> None:
    rng = np.random.default_rng(8)
    vectors, centroids = normalized(rng.normal(size=(50, 6))), normalized(rng.normal(size=(9, 6)))
    places, cosines = nearest(vectors, centroids, n)
    expected = np.argsort(-(vectors @ centroids.T), axis=1)[:, :n]
    assert (places == expected).all()
    assert np.allclose(cosines, np.take_along_axis(vectors @ centroids.T, expected, 1))


@pytest.mark.parametrize("cosine", [0.5, 0.8, 0.95])
def test_no_similar_pair_is_lost_by_visiting_only_what_is_worth_it(cosine: float) -> None:
    rng = np.random.default_rng(9)
    seeds = rng.normal(size=(150, 6))
    vectors = normalized(np.concatenate([seeds, seeds + 0.3 * rng.normal(size=(150, 6))]))
    places, cosines = nearest(vectors, train_centroids(vectors, 12), 12)
    visits = worth_visiting(cosines, cosine)
    seen = [set(places[row][visits[row]].tolist()) for row in range(len(vectors))]
    left, right = np.nonzero(np.triu(vectors @ vectors.T >= cosine, 1))
    assert len(left) > 20
    assert all(
        places[a, 0] in seen[b] or places[b, 0] in seen[a] for a, b in zip(left.tolist(), right.tolist(), strict=True)
    )
    if cosine > 0.9:
        assert visits.mean() < 0.5


def test_batches_hold_texts_of_one_padded_length() -> None:
    lengths = np.random.default_rng(10).integers(0, 130, 300).tolist()
    seen = []
    for rows, n_padded in batches(lengths, 120, 256):
        assert len(rows) * n_padded <= 256 or len(rows) == 1
        assert all(max(n_padded - 16, -1) < min(max(lengths[row], 1), 120) <= n_padded for row in rows)
        seen += rows.tolist()
    assert sorted(seen) == list(range(300))


def test_clusters_are_as_many_as_keep_comparing_cheap() -> None:
    assert [cluster_count("auto", n) for n in (0, 10, 50_000, 10**8, 10**10)] == [1, 1, 5, 10**4, 10**5]
    assert cluster_count(300, 20) == 20


class TestModels:
    """What is checked of a model's folder."""

    def refuses(self, folder: Path, message: str, **settings: Any) -> None:
        with pytest.raises(RequestError, match=message):
            Encoder.of(SemanticDedup(model=str(folder), **settings))

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        self.refuses(tmp_path / "none", r"dedup\.semantic\.model: .*none is not a folder with a `config\.json`")

    def test_weights_that_are_pickled(self, words_model: str) -> None:
        folder = Path(words_model)
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        self.refuses(folder, "no `model.safetensors`; pickled weights are not read")

    def test_steps_that_are_not_supported(self, words_model: str) -> None:
        names = ["Transformer", "Pooling", "Dense"]
        modules = [{"type": f"sentence_transformers.models.{name}"} for name in names]
        (Path(words_model) / "modules.json").write_text(json.dumps(modules))
        self.refuses(Path(words_model), "has the step Dense after its transformer")

    def test_no_width(self, words_model: str) -> None:
        (Path(words_model) / "config.json").write_text("{}")
        self.refuses(Path(words_model), "names no width of the model")

    @pytest.mark.parametrize(
        ("config", "pooling"),
        [
            ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
            ({"pooling_mode_mean_tokens": True}, "mean"),
            ({"pooling_mode_lasttoken": True}, "last"),
            ({"pooling_mode": "cls"}, "cls"),
        ],
    )
    def test_pooling_is_the_models(self, words_model: str, config: dict[str, object], pooling: str) -> None:
        assert Encoder.of(SemanticDedup(model=words_model)).pooling == "mean"
        (Path(words_model) / "1_Pooling").mkdir()
        (Path(words_model) / "1_Pooling/config.json").write_text(json.dumps(config))
        assert Encoder.of(SemanticDedup(model=words_model)).pooling == pooling
        assert Encoder.of(SemanticDedup(model=words_model, pooling="last")).pooling == "last"

    def test_no_more_tokens_than_sentence_transformers_gives_it(self, words_model: str) -> None:
        (Path(words_model) / "sentence_bert_config.json").write_text(
            '{"max_seq_length": 256, "do_lower_case": false}'
        )
        assert Encoder.of(SemanticDedup(model=words_model)).max_tokens == 256
        assert Encoder.of(SemanticDedup(model=words_model, max_tokens=64)).max_tokens == 64
        (Path(words_model) / "sentence_bert_config.json").write_text("{}")
        assert Encoder.of(SemanticDedup(model=words_model)).max_tokens == 512

    def test_pooling_that_is_not_supported(self, words_model: str) -> None:
        (Path(words_model) / "1_Pooling").mkdir()
        (Path(words_model) / "1_Pooling/config.json").write_text('{"pooling_mode_max_tokens": true}')
        self.refuses(Path(words_model), "pools by pooling_mode_max_tokens")

    def test_the_extra_is_named_where_it_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(encoders, "find_spec", lambda name: None)
        with pytest.raises(
            RequestError, match=r"torch and transformers not installed: pip install 'onggi\[semantic\]'"
        ):
            embeddings.check_installed()


SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small BERT with random weights, to which a word and its synonym are the same."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    vocabulary = [*SPECIALS, *WORDS, *SYNONYMS.values()]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=False)
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    torch.manual_seed(1)
    model = transformers.BertModel(config)
    words = model.embeddings.word_embeddings.weight.data
    words[len(SPECIALS) + len(WORDS) :] = words[len(SPECIALS) : len(SPECIALS) + len(WORDS)]
    model.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_embeddings_are_those_of_one_text_at_a_time(bert: str, pooling: Any) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = [*make_texts(11, 40), " ".join(WORDS * 3), "모르는 말"]
    found = embeddings.embed(
        pl.Series(texts), Encoder.of(SemanticDedup(model=bert, pooling=pooling, batch_tokens=96))
    )
    tokenizer, model = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    for row, text in enumerate(texts):
        tokens = tokenizer(text, return_tensors="pt", truncation=True)
        with torch.no_grad():
            states = model(**tokens).last_hidden_state[0]
        vector = {"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling].numpy()
        assert np.allclose(found[row], vector / np.linalg.norm(vector), atol=1e-3)


def test_an_embedding_does_not_depend_on_its_company(bert: str) -> None:
    texts = make_texts(12, 20)
    encoder = Encoder.of(SemanticDedup(model=bert, batch_tokens=256))
    together = embeddings.embed(pl.Series(texts), encoder)
    apart = np.concatenate([embeddings.embed(pl.Series([text]), encoder) for text in texts])
    assert np.abs(together.astype(np.float64) - apart).max() < 1e-3
    assert np.allclose(np.linalg.norm(together.astype(np.float64), axis=1), 1, atol=2e-3)


def test_a_prefix_and_fewer_tokens_change_what_is_seen(bert: str) -> None:
    texts = pl.Series([" ".join(WORDS[:20]), " ".join(WORDS[:10])])
    whole = embeddings.embed(texts, Encoder.of(SemanticDedup(model=bert)))
    heads = embeddings.embed(texts, Encoder.of(SemanticDedup(model=bert, max_tokens=8)))
    prefixed = embeddings.embed(texts, Encoder.of(SemanticDedup(model=bert, prefix=WORDS[50] + " ")))
    assert (heads[0] == heads[1]).all()
    assert not np.allclose(whole[0], heads[0], atol=1e-2)
    assert not np.allclose(whole[0], prefixed[0], atol=1e-2)


WHOLE = """
kind: corpus
name: meaning
inputs: [{source: s, path: docs.jsonl, key: key}]
measure: {signals: true}
rules: [{name: short, keep: "signals.word_count >= 5"}]
dedup: {near: {jaccard: 0.7, shingle: {ko: word-2}}, semantic: {model: MODEL, cosine: 0.98}}
limits: {shard_bytes: 1024}
output: out
"""


def paraphrases() -> list[str]:
    """0; its synonyms throughout; nearly 0; nearly 1; 0 again; another text; a text too short; its synonyms."""
    words = WORDS[:20]
    synonyms = [SYNONYMS[word] for word in words]
    other, short = WORDS[30:50], WORDS[50:53]
    texts = [words, synonyms, [*words, WORDS[20]], [*synonyms, WORDS[21], WORDS[22]], words, other, short]
    return [" ".join(text) for text in texts]


def reasons(output: str) -> dict[str, tuple[str | None, str | None]]:
    """(reason, key of the survivor) of each document, by its key."""
    rows = (Folder(output) / "ledger").scan().select("id", "key", "reason", "duplicate_of").collect()
    keys = dict(rows.select("id", "key").iter_rows())
    return {key: (reason, keys.get(of)) for _, key, reason, of in rows.iter_rows()}


def test_documents_of_one_meaning_have_one_survivor(bert: str, tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path, paraphrases(), WHOLE.replace("MODEL", bert)))
    record = curate(job)
    assert reasons(job.output) == {
        "0": ("semantic_duplicate", "3"),
        "1": ("near_duplicate", "3"),
        "2": ("semantic_duplicate", "3"),
        "3": (None, None),
        "4": ("semantic_duplicate", "3"),
        "5": (None, None),
        "6": ("short", None),
    }
    documents = {row["key"]: row for row in (Folder(job.output) / "documents").scan().collect().to_dicts()}
    assert (documents["3"]["semantic_cluster_size"], documents["3"]["near_cluster_size"]) == (5, 2)
    assert (documents["5"]["semantic_cluster_size"], documents["5"]["semantic_cluster"]) == (1, None)
    assert record.counts["kept"] == 2


def test_a_new_decision_equals_a_fresh_run(bert: str, tmp_path: Path) -> None:
    path = lay_out(tmp_path, paraphrases(), WHOLE.replace("MODEL", bert))
    job = job_of(path)
    curate(job)
    changed = WHOLE.replace("MODEL", bert).replace("near: {jaccard: 0.7, shingle: {ko: word-2}}, ", "exact: true, ")
    path.write_text(
        changed.replace(">= 5", ">= 5 and semantic_cluster_size < 9").replace("0.98", "0.97, keep: first")
    )
    fresh = job_of(path, tmp_path / "fresh")
    record = curate(fresh)
    manifest = changed_manifest(Folder(job.output), load_manifest(str(path), ()), str(tmp_path), ())
    again = decide_again(Folder(job.output), manifest, str(tmp_path / "again"))
    assert again.digests == record.digests
    assert document_files(tmp_path / "again") == document_files(tmp_path / "fresh")
    found = {reason for reason, _ in reasons(fresh.output).values()}
    assert "semantic_duplicate" in found
    assert "near_duplicate" not in found


def test_weights_that_are_not_all_there_are_refused(bert: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "holes"
    shutil.copytree(bert, folder)
    weights = {
        name: value for name, value in load_file(folder / "model.safetensors").items() if "layer.1." not in name
    }
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert torch.numel(next(iter(weights.values()))) > 0
    with pytest.raises(RequestError, match=r"lack \d+ tensors \(first: encoder\.layer\.1"):
        embeddings.embed(pl.Series(["말"]), Encoder.of(SemanticDedup(model=str(folder))))


def test_a_model_with_code_of_its_own_is_refused(bert: str, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    shutil.copytree(bert, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(RequestError, match="cannot be loaded by transformers"):
        embeddings.embed(pl.Series(["말"]), Encoder.of(SemanticDedup(model=str(folder))))
    assert not (tmp_path / "ran").exists()


def test_a_model_that_is_not_there_stops_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lay_out(tmp_path, paraphrases(), WHOLE.replace("MODEL", "models/none"))
    monkeypatch.setattr(pipeline, "check_installed", lambda: None)
    with pytest.raises(RequestError, match=f"{tmp_path}/models/none is not a folder with a `config.json`"):
        job_of(path)


def test_a_policy_is_named_once(tmp_path: Path) -> None:
    path = lay_out(tmp_path, [], WHOLE.replace("cosine: 0.98", "keep: newest"))
    with pytest.raises(RequestError, match=r"`near\.keep` says which member of a group survives"):
        job_of(path)
