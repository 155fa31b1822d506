"""Texts that are alike, against a comparison of every pair."""

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.dedup.signatures import detection
from synth.gates.similar import PERMUTATIONS, Allowed, Similar, banding, digest, normalised, similar

WORDS = [
    *("바다", "나무", "하늘", "구름", "사람", "도시", "시간", "공간", "음악", "그림"),
    *("역사", "과학", "수학", "언어", "문장", "단어", "마음", "생각", "기억", "약속"),
]
EN = [
    *("sea", "tree", "sky", "cloud", "human", "city", "time", "space", "music"),
    *("paint", "past", "science", "number", "tongue", "line", "word", "mind", "thought"),
]


def everything(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.ones(len(left), bool)


def found(texts: Sequence[str], jaccard: float = 0.8, allowed: Allowed = everything, batch: int = 3) -> Similar:
    def each() -> Iterator[Sequence[str]]:
        return (texts[start : start + batch] for start in range(0, len(texts), batch))

    return similar(each, jaccard, allowed)


def pairs(of: Similar) -> set[tuple[int, int]]:
    return set(zip(of.left.tolist(), of.right.tolist(), strict=True))


def story(seed: int, n_words: int = 120, words: Sequence[str] = WORDS) -> list[str]:
    drawn = random.Random(seed)
    return [drawn.choice(words) + drawn.choice(words) for _ in range(n_words)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("정답은 3개입니다.", "정답은  3개 입니다", True),
        ("Hello, World!", "hello world!", True),
        ("“1.5”", "1.5", True),
        ("1.5", "15", False),
        ("3+5", "3-5", False),
        ("(3+5)*2", "3+5*2", False),
        ("5!", "5", False),
        ("\u1112\u1161\u11ab", "한", True),
        ("", " ...", True),
    ],
)
def test_equal_but_for_case_spaces_and_marks(one: str, other: str, same: bool) -> None:
    assert (digest(one) == digest(other)) == same


@example("e \u0301")
@example("*:*")
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@pytest.mark.parametrize("jaccard", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_find_what_is_just_similar_enough(jaccard: float) -> None:
    found = banding(jaccard, "char-5", "word-5")
    assert isinstance(found.n_bands, int)
    assert found.n_bands * found.n_rows <= PERMUTATIONS
    assert detection(jaccard, found.n_bands, found.n_rows) >= 0.99


def test_long_texts_with_few_words_changed() -> None:
    texts = [" ".join(story(seed)) for seed in range(8)]
    near = story(2)
    near[60] = "바꿈"
    of = found([*texts, " ".join(near), " ".join(story(3, words=EN)), " ".join([*story(3, words=EN), "extra"])])
    assert pairs(of) == {(2, 8), (9, 10)}
    assert (of.jaccard >= 0.8).all() and (of.jaccard < 1).all()
    assert of.first.tolist() == list(range(11))


def test_short_texts_are_other_ones_where_a_number_or_an_operator_is() -> None:
    question = "철수는 사과를 {} 개 가지고 있고 영희는 배를 {} 개 가지고 있습니다. 과일은 모두 몇 개입니까?"
    texts = [question.format(3, 5), question.format(3, 6), question.format(3, 5).replace("모두", "다 해서 모두")]
    assert pairs(found(texts, 0.7)) == {(0, 2)}
    assert pairs(found(["What is 3 + 5 in total?", "What is 3 - 5 in total?"])) == set()
    assert pairs(found(["3 + 5 = ?", "3 × 5 = ?"])) == set()
    english = "Tom buys {} apples and gives two of them to his younger sister Mary, so how many are left for him"
    changed = english.format(9).replace("younger ", "")
    assert pairs(found([english.format(9), english.format(8), changed], 0.7)) == {(0, 2)}


def test_equal_texts_are_first_ones_and_others() -> None:
    of = found(["가나다라마바사", "", "가나다라 마바사!", "  ", "다른 말입니다", "가나다라마바사"])
    assert of.first.tolist() == [0, 1, 0, 3, 4, 0]
    assert pairs(of) == set()


def test_only_what_is_allowed_is_compared_and_salts_keep_apart() -> None:
    texts = [" ".join(story(1)), " ".join([*story(1), "끝"]), " ".join([*story(1), "더"])]
    assert pairs(found(texts)) == {(0, 1), (0, 2), (1, 2)}
    assert pairs(found(texts, allowed=lambda left, right: left == 0)) == {(0, 1), (0, 2)}
    salts = np.array([1, 1, 2], np.uint64)
    of = similar(lambda: iter([texts]), 0.8, everything, salts)
    assert pairs(of) == {(0, 1)}
    of = similar(lambda: iter([["같은 말"] * 3]), 0.8, everything, salts)
    assert of.first.tolist() == [0, 0, 2]


def test_those_before_a_text_come_in_order() -> None:
    texts = [" ".join(story(1)), "x", " ".join([*story(1), "끝"]), " ".join([*story(1), "더"])]
    assert [other for other, _ in found(texts).before(3)] == [0, 2]
    assert list(found(texts).before(0)) == []


def grams(text: str, size: int) -> set[str]:
    """Runs of letters and digits, as the shingles of Hangul are."""
    letters = "".join(filter(str.isalnum, text))
    return {letters[start : start + size] for start in range(max(len(letters) - size + 1, 1))}


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.tuples(st.integers(0, 59), st.integers(0, 19)), max_size=12)),
        min_size=2,
        max_size=9,
    )
)
def test_pairs_are_those_of_an_exact_comparison(changes: list[tuple[int, list[tuple[int, int]]]]) -> None:
    """Texts far over and far under the threshold; in between chance decides whether a band is shared."""
    texts = []
    for seed, swaps in changes:
        words = story(seed, 60)
        for place, word in swaps:
            words[place] = WORDS[word]
        texts.append(" ".join(words))
    of = found(texts)
    for right in range(len(texts)):
        for left in range(right):
            one, other = grams(texts[left], 5), grams(texts[right], 5)
            exact = len(one & other) / len(one | other)
            if digest(texts[left]) == digest(texts[right]):
                assert of.first[left] == of.first[right]
            elif of.first[left] == left and of.first[right] == right:
                assert not (exact >= 0.9) or (left, right) in pairs(of)
                assert exact >= 0.79 or (left, right) not in pairs(of)


def test_nothing_to_compare() -> None:
    assert len(found([]).first) == 0
    assert pairs(found([""])) == set()
