"""Surveys: what is drawn, what the estimates are, and that the intervals hold the truth as often as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.tune_survey import Bins, allocate, cut_bins, draw, lots_of, number_between, survey

PASSES = {">=": np.greater_equal, ">": np.greater, "<=": np.less_equal, "<": np.less}


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=300),
    st.sampled_from(sorted(PASSES)),
    st.integers(-1, 41),
    st.integers(10, 120),
)
def test_bins_hold_all_documents_and_part_no_equal_values(whole: list[int], op: str, threshold: int, n: int) -> None:
    values = np.array(whole, float)
    bins = cut_bins(values, op, threshold, n)
    assert bins.n_docs.tolist() == [
        int(((values >= low) & (values <= high)).sum()) for low, high in zip(bins.low, bins.high, strict=True)
    ]
    assert bins.n_docs.sum() == len(values)
    assert (bins.high[:-1] < bins.low[1:]).all()
    for side, passes in zip((bins.low, bins.high), (bins.passes, bins.passes), strict=True):
        assert (PASSES[op](side, threshold) == passes).all()
    takes = allocate(bins.n_docs, n)
    assert takes.sum() == min(n, len(values))
    assert (takes <= bins.n_docs).all()
    full = takes == bins.n_docs
    assert np.ptp(takes[~full]) <= 1 if (~full).any() else True


def test_draws_are_whole_rounds_over_bins_without_order_of_value() -> None:
    rng = np.random.default_rng(3)
    values = rng.random(4000)
    bins = cut_bins(values, ">=", 0.7, 50)
    lots = lots_of(rng.integers(0, 2**63, 4000).astype(np.uint64), np.zeros(4000, np.int64), 0)
    rows, bin_of = draw(values, lots, bins, 50)
    assert len(set(rows.tolist())) == 50
    assert [sorted(bin_of[i : i + 10].tolist()) for i in range(0, 50, 10)] == [list(range(10))] * 5
    assert bin_of[:10].tolist() != sorted(bin_of[:10].tolist())
    assert (bins.low[bin_of] <= values[rows]).all()
    assert (values[rows] <= bins.high[bin_of]).all()
    more, _ = draw(values, lots, bins, 80)
    assert set(rows.tolist()) <= set(more.tolist())


def test_lots_depend_on_the_document_and_the_seed_and_are_even() -> None:
    keys, copies = np.arange(20000, dtype=np.uint64), np.zeros(20000, np.int64)
    lots = lots_of(keys, copies, 0)
    assert len(np.unique(lots)) == 20000
    assert abs(np.bincount((lots >> np.uint64(60)).astype(int), minlength=16) - 1250).max() < 200
    assert not (lots == lots_of(keys, copies, 1)).any()
    assert not (lots == lots_of(keys, copies + 1, 0)).any()


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6), st.sampled_from(sorted(PASSES)))
def test_a_number_between_two_values_parts_them(below: float, gap: float, op: str) -> None:
    above = below + gap
    if below == above:
        return
    number = number_between(below, above, op)
    keeps_high = op in (">", ">=")
    assert [bool(PASSES[op](value, number)) for value in (below, above)] == [not keeps_high, keeps_high]


def test_numbers_are_short() -> None:
    assert number_between(0.6123, 0.68123, ">=") == 0.68
    assert number_between(38, 47, ">=") == 40
    assert number_between(38, 47, "<=") == 40
    assert number_between(0.1, 0.2, "<") == 0.2


BINS = Bins(
    low=np.array([0.0, 0.3, 0.6]),
    high=np.array([0.2, 0.5, 0.9]),
    n_docs=np.array([100, 300, 600]),
    passes=np.array([False, True, True]),
)


def answers(*of_bins: str) -> tuple[np.ndarray, np.ndarray]:
    """Bins and answers from strings such as "++-"."""
    bin_of = np.array([number for number, said in enumerate(of_bins) for _ in said], np.int64)
    return bin_of, np.array([letter == "+" for said in of_bins for letter in said])


def test_estimates_weigh_bins_by_their_documents() -> None:
    found = survey(BINS, *answers("+---", "++--", "++++-"), ">=", 0.3, 0.7)
    assert (found.n_answers, found.n_good) == (13, 7)
    kept = {candidate.threshold: candidate for candidate in found.candidates}
    assert list(kept) == [0, 0.3, 0.6]
    assert [candidate.n_kept for candidate in kept.values()] == [1000, 900, 600]
    good = (100 / 4, 300 / 2, 600 * 0.8)
    assert [candidate.precision.value for candidate in kept.values()] == pytest.approx(
        [sum(good) / 1000, sum(good[1:]) / 900, 0.8]
    )
    assert [candidate.recall.value for candidate in kept.values()] == pytest.approx(
        [1, sum(good[1:]) / sum(good), good[2] / sum(good)]
    )
    f1 = [2 * p * r / (p + r) for p, r in ((c.precision.value, c.recall.value) for c in found.candidates)]
    assert [candidate.f1 for candidate in found.candidates] == pytest.approx(f1)
    assert found.current is kept[0.3]
    assert kept[0.6].change is not None
    assert kept[0.6].change.value == pytest.approx(0.8 - 0.7)
    assert kept[0.3].change is None
    assert found.reaches is kept[0.3]
    assert found.surely_reaches is None
    assert found.best_f1 is max(found.candidates, key=lambda candidate: candidate.f1)
    for candidate in found.candidates:
        assert candidate.precision.low < candidate.precision.value < candidate.precision.high


def test_the_other_direction_is_the_mirror_image() -> None:
    mirrored = Bins(-BINS.high[::-1], -BINS.low[::-1], BINS.n_docs[::-1], BINS.passes[::-1])
    bin_of, good = answers("+---", "++--", "++++-")
    up = survey(BINS, bin_of, good, ">=", 0.3, 0.7)
    down = survey(mirrored, 2 - bin_of, good, "<=", -0.3, 0.7)
    for one, other in zip(up.candidates, down.candidates, strict=True):
        assert one.threshold == -other.threshold
        for name in ("n_kept", "kept_frac", "f1"):
            assert getattr(one, name) == pytest.approx(getattr(other, name))
        for name in ("precision", "recall"):
            assert vars(getattr(one, name)) == pytest.approx(vars(getattr(other, name)))


def test_a_bin_that_was_judged_whole_is_certain() -> None:
    bins = Bins(np.array([0.0, 0.6]), np.array([0.5, 0.9]), np.array([400, 12]), np.array([False, True]))
    found = survey(bins, *answers("+--", "+++++++++++-"), ">=", 0.6, 0.9)
    strict = found.candidates[-1].precision
    assert (strict.value, strict.low, strict.high) == pytest.approx((11 / 12, 11 / 12, 11 / 12))
    assert found.candidates[0].precision.low < found.candidates[0].precision.value


def test_equal_answers_are_not_certain() -> None:
    bins = Bins(np.array([0.0, 0.6]), np.array([0.5, 0.9]), np.array([4000, 4000]), np.array([False, True]))
    found = survey(bins, *answers("----------", "++++++++++"), ">=", 0.6, 0.9)
    strict = found.candidates[-1]
    assert strict.precision.value == strict.precision.high == 1
    assert 0.65 < strict.precision.low < 0.75  # Wilson's interval of 10 of 10: from .72
    assert strict.recall.low < 0.95


def test_bins_without_answers_join_their_neighbours() -> None:
    bins = Bins(
        np.arange(6.0), np.arange(6.0) + 0.5, np.array([10, 20, 30, 40, 50, 60]), np.array([False] * 3 + [True] * 3)
    )
    found = survey(bins, *answers("", "+++--", "", "", "+++++", ""), ">=", 3, 0.9)
    assert [candidate.n_kept for candidate in found.candidates] == [210, 150]
    assert found.candidates[1].is_current


@pytest.mark.parametrize(
    "said", [("+---", "", ""), ("", "++++++", "++++++"), ("+-", "+-", "+-")], ids=["few", "one side", "six"]
)
def test_too_few_answers_propose_nothing(said: tuple[str, ...]) -> None:
    found = survey(BINS, *answers(*said), ">=", 0.3, 0.9)
    assert (found.candidates, found.proposed, found.good) == ((), None, None)


@pytest.mark.parametrize(
    ("n_docs", "slope", "middle", "n"),
    [
        (800, 8, 0.5, 50),
        (800, 8, 0.1, 50),
        (800, 20, 0.5, 50),
        (800, 0, 0.5, 50),
        (200, 8, 0.5, 50),
        (800, 8, 0.3, 20),
    ],
)
def test_intervals_hold_the_truth(n_docs: int, slope: float, middle: float, n: int) -> None:
    """300 surveys of documents whose chance to be good rises with their value; at every threshold of each."""
    rng = np.random.default_rng(7)
    values = rng.beta(2, 2, n_docs)
    chance = 1 / (1 + np.exp(-slope * (values - middle)))
    bins = cut_bins(values, ">=", 0.5, n)
    holds: dict[int, list[tuple[bool, bool, bool]]] = {}
    for _ in range(300):
        good = rng.random(n_docs) < chance
        rows, bin_of = draw(values, rng.integers(0, 2**63, n_docs).astype(np.uint64), bins, n)
        found = survey(bins, bin_of, good[rows], ">=", 0.5, 0.9)
        now = good[values >= 0.5].mean()
        for place, candidate in enumerate(found.candidates):
            kept = values >= candidate.threshold
            assert candidate.n_kept == kept.sum()
            truth, recall = good[kept].mean(), good[kept].sum() / good.sum()
            holds.setdefault(place, []).append(
                (
                    candidate.precision.low <= truth <= candidate.precision.high,
                    candidate.recall.low - 1e-3 <= recall <= candidate.recall.high + 1e-3,  # its grid
                    candidate.change is None or candidate.change.low <= truth - now <= candidate.change.high,
                )
            )
    covered = np.array([np.mean(at, axis=0) for at in holds.values()])
    assert covered.mean(axis=0).min() >= 0.94
    assert covered.min() >= 0.92
