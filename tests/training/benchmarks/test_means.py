"""Scores of all rows together, beside scikit-learn's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from training.benchmarks.means import f1_of, macro_f1, over_groups

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(PAIRS)
def test_macro_f1_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    golds, chosen = map(list, zip(*pairs, strict=True))
    assert macro_f1(golds, chosen) == pytest.approx(f1_score(golds, chosen, average="macro"), abs=1e-12)


def test_of_two_choices_the_chosen_one_follows() -> None:
    rows, golds = [{"label": 0}, {"label": 1}, {"label": 1}], [0, 1, 1]
    aggregate = f1_of(lambda row: row["label"], 2)
    expected = macro_f1(golds, [1, 1, 0])
    assert aggregate(rows, [{"acc": 0.0}, {"acc": 1.0}, {"acc": 0.0}]) == {"f1": expected}
    assert aggregate(rows, [{"acc": 0.0, "chosen": 1.0}, {"chosen": 1.0}, {"chosen": 0.0}]) == {"f1": expected}
    assert f1_of(lambda row: row["label"], 4)(rows, [{"acc": 0.0}] * 3) == {}
    assert aggregate([], []) == {}


def test_groups_count_the_same() -> None:
    rows = [{"subject": "a"}, {"subject": "a"}, {"subject": "b"}]
    aggregate = over_groups("acc", lambda row: row["subject"])
    assert aggregate(rows, [{"acc": 1.0}, {"acc": 0.0}, {"acc": 1.0}]) == {"acc_macro": 0.75}
    assert aggregate(rows, [{"other": 1.0}] * 3) == {}
