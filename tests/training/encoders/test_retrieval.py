"""nDCG and recall against scikit-learn and by hand; sets in BEIR's files; InfoNCE against numpy."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RequestError
from manifests.schema_embedding import Retrieval
from tests.training import tiny
from training.encoders.info_nce import NEGATIVE, POSITIVE, QUERY, info_nce
from training.encoders.retrieval import search, top
from training.encoders.retrieval_sets import read_set


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 200))
def test_ndcg_is_scikit_learns(seed: int, n_texts: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    queries = random.standard_normal((5, 6)).astype(np.float32)
    corpus = random.standard_normal((n_texts, 6)).astype(np.float32)
    truth = np.where(random.random((5, n_texts)) < 0.2, random.integers(1, 4, (5, n_texts)), 0)
    truth[:, 0] = 1
    relevance = [{int(k): float(row[k]) for k in np.flatnonzero(row)} for row in truth]
    found = search(queries, corpus, relevance)
    scores = queries @ corpus.T
    for row in range(5):
        assert found.ndcg[row] == pytest.approx(metrics.ndcg_score(truth[row : row + 1], scores[row : row + 1], k=10))
        best = sorted(range(n_texts), key=lambda k, row=row: -scores[row, k])[:10]  # type: ignore[misc]
        right = [k for k in best if truth[row, k]]
        assert found.recall[row] == pytest.approx(len(right) / np.count_nonzero(truth[row]))


def test_equal_scores_are_taken_in_their_order() -> None:
    scores = np.zeros((1, 200), np.float32)
    scores[0, [150, 20]] = 1
    assert top(scores, 3)[0, :2].tolist() == [20, 150]
    assert top(scores[:, 100:103], 10)[0].tolist() == [0, 1, 2]


# Sets


def write_set(folder: Path, **changes: Any) -> Retrieval:
    queries = [{"_id": "q1", "text": "one"}, {"_id": "q2", "text": "two"}, {"_id": "q3", "text": "unanswered"}]
    corpus = [
        {"_id": "d1", "title": "", "text": "eins"},
        {"_id": "d2", "title": "Zahl", "text": "zwei"},
        {"_id": "d3", "title": "", "text": ""},
    ]
    tiny.write_jsonl(folder / "queries.jsonl", changes.pop("queries", queries))
    tiny.write_jsonl(folder / "corpus.jsonl", changes.pop("corpus", corpus))
    rows = changes.pop("rows", ["q1\td1\t1", "q2\td2\t2", "q2\td1\t0", "q1\td3\t1"])
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n")
    paths = {name: f"{name}.jsonl" for name in ("queries", "corpus")} | {"qrels": "qrels.tsv"}
    return Retrieval.model_validate({"name": "toy", **paths, **changes})


def test_a_set(tmp_path: Path) -> None:
    found = read_set(write_set(tmp_path), str(tmp_path), "retrieval[0]")
    assert found.queries == ["one", "two"] and found.corpus == ["eins", "Zahl zwei"] and found.n_empty == 1
    assert found.relevance[1] == {1: 2.0} and found.relevance[0][0] == 1.0
    vectors = np.eye(2, dtype=np.float32)
    searched = search(vectors, vectors, found.relevance)
    assert searched.ndcg[1] == 1 and searched.recall.tolist() == [0.5, 1]  # an empty answer is never found
    assert searched.ndcg[0] == pytest.approx(1 / (1 + 1 / np.log2(3)))


def test_a_question_does_not_find_itself(tmp_path: Path) -> None:
    """BEIR ignores the text with the question's own id (ArguAna, Quora)."""
    texts = [{"_id": "d1", "text": "one"}, {"_id": "q2", "text": "two"}, {"_id": "d2", "text": "zwei"}]
    spec = write_set(tmp_path, corpus=texts, rows=["q1\td1\t1", "q2\td2\t1", "q2\tq2\t0"])
    found = read_set(spec, str(tmp_path), "retrieval[0]")
    assert found.own == [None, 1]
    queries = np.array([[1, 0, 0], [0, 0.8, 0.6]], np.float32)
    searched = search(queries, np.eye(3, dtype=np.float32), found.relevance, own=found.own)
    assert searched.ndcg.tolist() == [1, 1]
    assert search(queries, np.eye(3, dtype=np.float32), [{0: 1.0}, {1: 1.0}], own=[None, 1]).recall.tolist() == [1, 0]


def test_qrels_may_be_compressed(tmp_path: Path) -> None:
    spec = write_set(tmp_path, qrels="qrels.tsv.gz")
    (tmp_path / "qrels.tsv.gz").write_bytes(gzip.compress((tmp_path / "qrels.tsv").read_bytes()))
    assert read_set(spec, str(tmp_path), "retrieval[0]").queries == ["one", "two"]


def test_qrels_may_be_jsonl(tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "qrels.jsonl", [{"query-id": "q1", "corpus-id": "d1", "score": 1}])
    assert read_set(write_set(tmp_path, qrels="qrels.jsonl"), str(tmp_path), "retrieval[0]").queries == ["one"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": ["q9\td1\t1"]}, r"retrieval\[0\].qrels: .*:2: `query-id` 'q9' is not in queries.jsonl"),
        ({"rows": ["q1\td9\t1"]}, "`corpus-id` 'd9' is not in corpus.jsonl"),
        ({"rows": ["q1\td1\tyes"]}, "`score`: found 'yes'; expected a finite number"),
        ({"rows": ["q1\td1\tinf"]}, ":2: `score`: found 'inf'; expected a finite number"),
        ({"rows": ["q1\td1"]}, ":2: expected 3 columns"),
        ({"rows": ["q1\td1\t0"]}, "says of no question what answers it"),
        ({"queries": [{"_id": "q1"}]}, "queries: .*:1: `text`: is missing"),
        ({"corpus": [{"_id": "d1", "text": "a"}] * 2}, "`id` 'd1' is there twice"),
        ({"qrels": "gone.tsv"}, "there is no such file"),
    ],
)
def test_a_set_that_is_wrong(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read_set(write_set(tmp_path, **changes), str(tmp_path), "retrieval[0]")


# The loss


def by_hand(queries: Any, positives: Any, negatives: Any, excluded: Any, temperature: float) -> float:
    losses = []
    for row, query in enumerate(queries):
        scores = [float(query @ one) / temperature for one in [*positives, *negatives]]
        kept = [score for place, score in enumerate(scores) if place == row or (row, place) not in excluded]
        losses.append(np.log(np.sum(np.exp(kept))) - scores[row])
    return float(np.mean(losses))


def test_info_nce_by_hand() -> None:
    """Three questions, of which the first and the last have one answer, and the second and third are the same."""
    random = np.random.default_rng(0)
    drawn = random.standard_normal((8, 5))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    roles = torch.tensor([QUERY, POSITIVE, NEGATIVE, QUERY, POSITIVE, QUERY, POSITIVE, NEGATIVE])
    asked = torch.tensor([10, 10, 10, 11, 11, 11, 11, 11])
    texts = torch.tensor([0, 1, 2, 3, 4, 3, 1, 4])
    found = info_nce(torch.tensor(drawn), roles, asked, texts, 0.05)
    excluded = {(0, 2), (2, 0), (1, 2), (2, 1), (1, 4)}  # same text; same question; a negative that is the answer
    expected = by_hand(drawn[[0, 3, 5]], drawn[[1, 4, 6]], drawn[[2, 7]], excluded, 0.05)
    assert float(found.loss) == pytest.approx(expected, abs=1e-10)


def test_the_golden_value_of_two_pairs() -> None:
    """Orthogonal pairs at a temperature of 1: log(1 + 1/e)."""
    vectors = torch.eye(2).repeat_interleave(2, 0)
    roles, numbers = torch.tensor([QUERY, POSITIVE] * 2), torch.arange(4)
    found = info_nce(vectors, roles, numbers // 2, numbers, 1.0)
    assert float(found.loss) == pytest.approx(np.log(1 + np.exp(-1)), abs=1e-6) and float(found.nearest_frac) == 1
