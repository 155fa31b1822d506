"""Shingles as strings cut in Python say them; signatures that detect as the formula and datasketch say."""

import re

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given
from hypothesis import strategies as st

from curation.dedup.signatures import (
    Banding,
    detection,
    estimated_jaccard,
    optimal_bands,
    shingle_sets,
    sign,
)
from curation.kernels.shingles import DENSE, folded_letters
from manifests.schema import NearDedup, Shingle

IN_WORD = re.compile(r"\w+")
LETTERS = st.sampled_from("가나다라각ㅋㅠ中日あア한국어 aAbBÉéßΩ_09٣ \n\t.,!—😀👨‍👩‍👧é　")
TEXTS = st.text(LETTERS, max_size=120) | st.text(max_size=60)


def folded(word: str) -> str:
    """In lower case, where that is one character."""
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in word)


def words_of(text: str) -> list[str]:
    """What `\\w` matches: letters and numbers by Python's tables, and the underscore."""
    return [folded(word) for word in IN_WORD.findall(text)]


def is_dense(word: str) -> bool:
    return bool((folded_letters()[[ord(c) for c in word]] >= DENSE).any())


def grams(items: list[str] | str, n: int) -> set[str]:
    return {repr(items[k : k + n]) for k in range(max(1, len(items) - n + 1))} if items else set()


def shingles(text: str, ko: tuple[str, int] = ("char", 5), en: tuple[str, int] = ("word", 5)) -> set[str]:
    def cut(segment: list[str], unit: tuple[str, int]) -> set[str]:
        return grams("".join(segment) if unit[0] == "char" else segment, unit[1])

    words = words_of(text)
    if ko == en or not any(map(is_dense, words)):
        return cut(words, en)
    found: set[str] = set()
    first = at = 0
    while at < len(words):
        run = at
        while run < len(words) and not is_dense(words[run]):
            run += 1
        if run - at >= en[1]:
            found |= cut(words[first:at], ko) | cut(words[at:run], en)
            first = run
        at = run + 1
    return found | cut(words[first:], ko)


def column(*texts: str | None) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from([("char", 5), ("char", 2), ("word", 3)]))
def test_shingles_are_those_cut_from_strings(texts: list[str], ko: tuple[str, int]) -> None:
    en = ("word", 3)
    banding = Banding(ko="-".join(map(str, ko)), en="word-3")
    hashed = shingle_sets(column(*texts), banding).to_pylist()
    expected = [shingles(text, ko, en) for text in texts]
    assert [len(found) for found in hashed] == [len(found) for found in expected]
    assert all(found == sorted(set(found)) for found in hashed)
    for a in range(len(texts)):
        for b in range(a):
            assert len(set(hashed[a]) & set(hashed[b])) == len(expected[a] & expected[b])


@given(st.lists(st.text(LETTERS, min_size=1), max_size=30), st.sampled_from([" ", "  ", ". ", "!\n"]))
def test_spaces_punctuation_and_case_do_not_count(words: list[str], separator: str) -> None:
    banding = Banding()
    one, other = column(" ".join(words)), column(separator.join(words).upper().lower())
    if words_of(one[0].as_py()) == words_of(other[0].as_py()):
        assert shingle_sets(one, banding).equals(shingle_sets(other, banding))
        assert (sign(one, banding).bands == sign(other, banding).bands).all()


def test_names_in_korean_belong_to_it_and_english_paragraphs_do_not() -> None:
    sets = shingle_sets(
        column("우리는 GPU 두 장으로 LLM 을 학습했다", "The quick brown fox jumps over the lazy dog", "옹기"),
        Banding(),
    ).to_pylist()
    assert len(sets[0]) == len("우리는GPU두장으로LLM을학습했다") - 4
    assert len(sets[1]) == 9 - 4
    assert len(sets[2]) == 1
    mixed = "우리는 모델을 학습했다. The quick brown fox jumps over the lazy dog. 그리고 평가했다."
    (both,) = shingle_sets(column(mixed), Banding()).to_pylist()
    assert set(sets[1]) < set(both)


def test_rows_are_their_own_whatever_lies_around_them() -> None:
    texts = [
        "옹기는 숨을 쉬는 그릇이다",
        "",
        "...",
        "a",
        "한국어와 English 가 섞인 글이다",
        "옹기는 숨을 쉬는 그릇이다",
    ]
    alone = [sign(column(text), Banding()) for text in texts]
    together = sign(column("앞에 있는 글", *texts, None).slice(1), Banding())
    for k, one in enumerate(alone):
        assert (together.bands[k] == one.bands[0]).all()
        assert (together.minima[k] == one.minima[0]).all()
    assert together.n_shingles.tolist() == [len("옹기는숨을쉬는그릇이다") - 4, 0, 0, 1, 13, 7, 0]
    assert shingle_sets(column(), Banding()).to_pylist() == []


def similar_sets(rng: np.random.Generator, jaccard: float, n: int = 300) -> tuple[set[int], set[int]]:
    """Two sets of about this similarity."""
    n_common = round(2 * n * jaccard / (1 + jaccard))
    values = rng.choice(2**31, 2 * n - n_common, replace=False).tolist()
    return set(values[:n]), set(values[n - n_common :])


def as_text(values: set[int]) -> str:
    """A text whose shingles (single words) are these values."""
    return " ".join(f"w{value}" for value in sorted(values))


@pytest.mark.parametrize("jaccard", [0.5, 0.7, 0.8])
def test_detection_is_that_of_the_formula(jaccard: float) -> None:
    rng = np.random.default_rng(int(jaccard * 100))
    pairs = [similar_sets(rng, jaccard) for _ in range(60)]
    exact = np.array([len(a & b) / len(a | b) for a, b in pairs])
    left, right = (column(*(as_text(pair[side]) for pair in pairs)) for side in (0, 1))
    hits = [
        (sign(left, banding).bands == sign(right, banding).bands).any(axis=1).mean()
        for banding in (Banding(en="word-1", seed=seed) for seed in range(40))
    ]
    expected = np.mean([detection(value) for value in exact])
    assert np.mean(hits) == pytest.approx(expected, abs=0.03)


def test_estimates_are_as_good_as_those_of_datasketch() -> None:
    rng = np.random.default_rng(5)
    pairs = [similar_sets(rng, float(jaccard)) for jaccard in rng.uniform(0.2, 0.95, 150)]
    exact = np.array([len(a & b) / len(a | b) for a, b in pairs])
    banding = Banding(en="word-1")
    left, right = (
        sign(column(*(as_text(pair[side]) for pair in pairs)), banding).minima.astype(np.uint8) for side in (0, 1)
    )
    theirs = []
    for pair in pairs:
        hashes = [MinHash(num_perm=112) for _ in pair]
        for minhash, values in zip(hashes, pair, strict=True):
            minhash.update_batch([str(value).encode() for value in values])
        theirs.append(hashes[0].jaccard(hashes[1]))
    ours = np.abs(estimated_jaccard(left, right) - exact).mean()
    assert ours < 1.2 * np.abs(np.array(theirs) - exact).mean()
    assert estimated_jaccard(left, left).tolist() == [1.0] * len(pairs)


@pytest.mark.parametrize(("jaccard", "permutations"), [(0.5, 128), (0.7, 112), (0.9, 64)])
def test_bands_for_a_threshold_are_those_of_datasketch(jaccard: float, permutations: int) -> None:
    index = MinHashLSH(threshold=jaccard, num_perm=permutations)
    assert optimal_bands(jaccard, permutations) == (index.b, index.r)
    banding = Banding.of(NearDedup(jaccard=jaccard, permutations=permutations, bands="auto"))
    assert (banding.n_bands, banding.n_rows) == (index.b, index.r)


def test_settings_change_the_fingerprint() -> None:
    settings = [NearDedup(), NearDedup(bands=20), NearDedup(rows=4), NearDedup(shingle=Shingle(ko="char-6"))]
    assert len({Banding.of(near).fingerprint for near in settings}) == len(settings)
    assert Banding.of(NearDedup()).fingerprint == Banding.of(NearDedup(jaccard=0.5, verify=False)).fingerprint


def test_the_derived_table_has_a_row_per_text_with_letters() -> None:
    texts = ["옹기는 숨을 쉰다", "...", "옹기는 숨을 쉰다", None, "another text"]
    part = pa.table({"text_digest": ["b", "c", "b", None, "a"], "text": column(*texts)})
    table = Banding().derived.make(part)
    assert table.schema.equals(Banding().schema)
    assert table["text_digest"].to_pylist() == ["a", "b"]
    signed = sign(column("another text", "옹기는 숨을 쉰다"), Banding())
    assert pl.DataFrame(table.select(Banding().band_names)).to_numpy().tolist() == signed.bands.tolist()
    assert [len(sketch) for sketch in table["sketch"].to_pylist()] == [112, 112]
