"""Which of several traces are kept."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from synth.tasks.distinct import JACCARD_MAX, choose

TEXTS = st.lists(st.text(st.sampled_from("가나다각ㄱㅏab 1é\u0301👍"), max_size=30), max_size=6)


def kept(texts: list[str], n_kept: int) -> list[str]:
    return [texts[place] for place in choose(texts, n_kept).kept]


def test_lengths_spread() -> None:
    texts = ["a" * n + chr(0x4E00 + n) * 9 * n for n in (1, 2, 3, 8, 9)]
    assert [len(text) for text in kept(texts, 3)] == [10, 90, 30]


def test_spaces_and_case_and_composition_make_no_difference() -> None:
    texts = ["사과는 모두 7개입니다", "사과는모두 7개입니다", "사과는  모두 7개입니다".encode().decode()]
    found = choose(texts, 3)
    assert len(found.kept) == 1
    assert {one.jaccard for one in found.duplicates.values()} == {1.0}


@given(TEXTS, st.integers(1, 6))
def test_the_order_of_samples_changes_nothing(texts: list[str], n_kept: int) -> None:
    expected = kept(texts, n_kept)
    for order in itertools.islice(itertools.permutations(texts), 30):
        assert kept(list(order), n_kept) == expected


@given(TEXTS, st.integers(1, 6))
def test_what_is_kept_is_distinct_and_includes_the_shortest(texts: list[str], n_kept: int) -> None:
    found = choose(texts, n_kept)
    assert len(found.kept) <= n_kept
    assert not set(found.kept) & set(found.duplicates)
    if texts:
        assert len(texts[found.kept[0]]) == min(map(len, texts))
    assert all(same.place in found.kept and same.jaccard >= JACCARD_MAX for same in found.duplicates.values())
    left = set(range(len(texts))) - set(found.kept) - set(found.duplicates)
    assert not left or len(found.kept) == n_kept
