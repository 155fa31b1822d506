"""Overlap by content, with counting one by one as the oracle."""

from collections import Counter
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.mixture import overlap
from curation.mixture.overlap import ContentOverlap, Shared, Stored, content_overlap

Sources = dict[str, list[int]]

hashes = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1]))
some = st.lists(hashes, min_size=1, max_size=6).flatmap(
    lambda pool: st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from(pool), max_size=12), min_size=1)
)


def counted(sources: Sources) -> ContentOverlap:
    shared = []
    for a, b in combinations(sources, 2):
        both = set(sources[a]) & set(sources[b])
        n_a, n_b = (sum(Counter(sources[name])[content] for content in both) for name in (a, b))
        if both:
            shared.append(Shared(a, b, n_a, n_b, len(both)))
    n_repeated = {name: len(found) - len(set(found)) for name, found in sources.items()}
    return ContentOverlap({name: len(found) for name, found in sources.items()}, n_repeated, shared)


def arrays(sources: Sources) -> dict[str, np.ndarray]:
    return {name: np.array(found, np.uint64) for name, found in sources.items()}


@given(some)
def test_agrees_with_counting(sources: Sources) -> None:
    assert content_overlap(arrays(sources)) == counted(sources)


@pytest.mark.parametrize("per_range", [1, 7, 100])
def test_ranges_change_nothing(per_range: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    pool = rng.integers(0, 2**64, 200, np.uint64)
    sources = {name: rng.choice(pool, n) for name, n in (("a", 150), ("b", 90), ("c", 0), ("d", 60))}
    expected = counted({name: found.tolist() for name, found in sources.items()})
    assert sum(shared.n_contents for shared in expected.shared) > 50
    monkeypatch.setattr(overlap, "HASHES_PER_RANGE", per_range)
    assert content_overlap(sources) == expected


def test_stored_hashes_are_read_by_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "HASHES_PER_RANGE", 4)
    a, b = np.array([5, 2**62, 2**63, 2**64 - 1, 5], np.uint64), np.array([5, 2**64 - 1, 9], np.uint64)
    seen = []

    def read(low: int, high: int) -> Iterable[np.ndarray]:
        seen.append((low, high))
        for value in a[::-1]:
            if low <= int(value) <= high:
                yield np.array([value])

    found = content_overlap({"a": Stored(5, read), "b": b})
    assert found.shared == [Shared("a", "b", 3, 2, 2)]
    assert found.n_repeated == {"a": 1, "b": 0}
    assert seen == [(0, 2**63 - 1), (2**63, 2**64 - 1)]
