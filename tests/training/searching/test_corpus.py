"""What models read is what the mixture's store has: the documents' ids, and those that are held out apart."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from manifests.errors import RequestError
from tests.curation.mixture import small
from tests.training import tiny
from tests.training.searching import mixtures
from training.searching import corpus as module
from training.searching.corpus import Corpus, holding_out, read_corpus


def read(path: Path, *overrides: str) -> Corpus:
    job = mixtures.job(path, mixtures.HERE, *overrides)
    return read_corpus(job, mixtures.surveyed(job))


def texts_of(job_path: Path, name: str) -> dict[str, list[int]]:
    """Each document's ids, end included, by a tokeniser that is asked directly."""
    import pyarrow.parquet as pq

    tokenizer = mixtures.job(job_path).tokenizer
    texts = pq.read_table(job_path.parent / f"data/{name}.parquet")["text"].to_pylist()
    ids, bounds = tokenizer.encode(pa.array(texts, pa.large_string()))
    spans = zip(texts, pairwise(bounds.tolist()), strict=True)
    return {text: [*ids[start:end].tolist(), tokenizer.eod_id] for text, (start, end) in spans}


def test_sources_and_held_out_are_the_documents(tmp_path: Path, tiny_tokenizer: Path) -> None:
    """Everything is read: each document is in a source or held out, whole, and numbered by rank."""
    path = mixtures.lay_out(tmp_path, tiny_tokenizer)
    found = read(path, "search.model.tokens=100000", "search.model.sequence_length=8")
    known = {name: texts_of(path, name) for name in ("ko", "en")}
    eod = mixtures.job(path).tokenizer.eod_id
    used = {number for of in known.values() for ids in of.values() for number in ids}
    back = np.array(sorted(used))
    assert found.n_ids == len(used) and found.sources == ("ko", "en")
    for name, rows, target in zip(found.sources, found.rows, found.targets, strict=True):
        trained = cut(back[rows.reshape(-1)].tolist(), eod)[:-1]
        held = cut(back[target.ids].tolist(), eod)[1:]
        documents = {tuple(ids): text for text, ids in known[name].items()}
        assert len(held) == target.n_documents == target.n_all_documents
        assert {*held} <= {*documents} and {*trained} <= {*documents} and not {*held} & {*trained}
        assert len(documents) - 2 <= len(held) + len({*trained}) <= len(documents)  # the last row's rest is left out
        assert target.n_bytes == sum(len(documents[ids].encode()) for ids in held)


def cut(ids: list[int], eod: int) -> list[tuple[int, ...]]:
    """Documents with their ends."""
    found, one = [], list[int]()
    for number in ids:
        one.append(number)
        if number == eod:
            found.append(tuple(one))
            one = []
    return [*found, *([tuple(one)] if one else [])]


def test_no_more_is_read_than_a_model_takes(tmp_path: Path, tiny_tokenizer: Path) -> None:
    found = read(mixtures.lay_out(tmp_path, tiny_tokenizer))
    assert all(rows.shape == (1280 // 32, 32) for rows in found.rows)
    assert found.digest == read(mixtures.lay_out(tmp_path, tiny_tokenizer)).digest
    assert found.digest != read(mixtures.lay_out(tmp_path, tiny_tokenizer, validation={"frac": 0.2})).digest


def test_long_targets_are_sampled(tmp_path: Path, tiny_tokenizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all sources of a category, not of the first one alone."""
    monkeypatch.setattr(module, "TARGET_TOKENS", 300)
    for name, words in (("a", (1, 4)), ("b", (8, 12))):
        small.parquet(tmp_path / f"data/{name}.parquet", small.rows(200, name, n_words=words))
    sources = [{"name": name, "path": f"data/{name}.parquet", "category": "all"} for name in ("a", "b")]
    path = mixtures.lay_out(tmp_path, tiny_tokenizer, sources=sources, validation={"frac": 0.3})
    found = read(path)
    (target,) = found.targets
    assert target.n_documents < target.n_all_documents and len(target.ids) <= 301
    tokenizer, eod = mixtures.job(path).tokenizer, 0  # the least id that occurs
    assert tokenizer.eod_id == 1 and target.ids[0] == eod
    lengths = Counter(len(ids) for ids in cut(target.ids.tolist(), eod)[1:])
    by_source = [Counter(len(ids) for ids in texts_of(path, name).values()) for name in ("a", "b")]
    assert lengths <= by_source[0] + by_source[1] and not lengths <= by_source[0] and not lengths <= by_source[1]


def test_documents_of_a_target_file_are_not_trained_on(tmp_path: Path, tiny_tokenizer: Path) -> None:
    rows = small.rows(150, "en")
    tiny.write_jsonl(tmp_path / "target.jsonl", rows[:60])
    settings = mixtures.SEARCH | {"targets": [{"name": "en", "path": "target.jsonl"}]}
    path = mixtures.lay_out(tmp_path, tiny_tokenizer, search=settings, validation=None)
    with_target = read(path, "search.model.tokens=100000")
    n_all = sum(len(ids) for text, ids in texts_of(path, "en").items())
    n_target = sum(len(texts_of(path, "en")[row["text"]]) for row in rows[:60])
    assert with_target.rows[1].size == (n_all - n_target) // 32 * 32
    assert with_target.targets[0].n_bytes == sum(len(row["text"].encode()) for row in rows[:60])


def test_something_is_held_out_by_default(tmp_path: Path, tiny_tokenizer: Path) -> None:
    of = mixtures.job(mixtures.lay_out(tmp_path, tiny_tokenizer, validation=None))
    found = holding_out(of.manifest)
    assert found.validation and found.validation.frac == module.HELD_FRAC
    kept = mixtures.job(mixtures.lay_out(tmp_path, tiny_tokenizer)).manifest
    assert holding_out(kept) is kept


def test_what_is_missing_is_told(tmp_path: Path, tiny_tokenizer: Path) -> None:
    path = mixtures.lay_out(tmp_path, tiny_tokenizer)
    with pytest.raises(RequestError, match=r"sources: ko: has .* tokens .* at least one row of 65536"):
        read(path, "search.model.sequence_length=65536", "search.model.tokens=100K")
    of = mixtures.job(path, mixtures.HERE, "validation.frac=0.000001")
    with pytest.raises(RequestError, match=r"validation.frac: 1e-06 .* none of category 'ko'; .*`search.targets`"):
        read_corpus(of, mixtures.surveyed(of))
