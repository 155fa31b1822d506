"""The arithmetic of merges: golden numbers, what has to hold for any tensors, and mergekit as the oracle."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.merging.arithmetic import (
    Cut,
    Products,
    agreed,
    arc,
    cut_at,
    divided,
    drawn,
    linear,
    lower_counts,
    magnitude_of,
    nth_largest,
    products,
    slerp,
    task_arithmetic,
    ties,
    upper_counts,
    weighted,
)

NUMBERS = st.floats(-100, 100, width=32).map(lambda x: 0.0 if abs(x) < 1e-3 else x)
PAIRS = st.integers(1, 40).flatmap(
    lambda n: st.tuples(arrays(np.float32, n, elements=NUMBERS), arrays(np.float32, n, elements=NUMBERS))
)


def of(*numbers: float) -> np.ndarray[Any, Any]:
    return np.array(numbers, np.float32)


def norm(v: np.ndarray[Any, Any]) -> float:
    return float(np.linalg.norm(v.astype(np.float64)))


def angle(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    a, b = a.astype(np.float64) / norm(a), b.astype(np.float64) / norm(b)
    return 2 * math.asin(min(norm(a - b) / 2, 1.0))


def slerp_in_float64(t: float, first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    norms = [n if (n := norm(v)) > 1e-8 else 1.0 for v in (first, second)]
    cosine = float((first / norms[0] * second / norms[1]).sum())
    assume(abs(abs(cosine) - 0.9995) > 1e-5)
    if abs(cosine) > 0.9995:
        return (1 - t) * first + t * second
    theta = math.acos(cosine)
    return (math.sin((1 - t) * theta) * first + math.sin(t * theta) * second) / math.sin(theta)


def test_golden() -> None:
    assert slerp(0.25, of(1, 2), of(3, -1)) == pytest.approx([1.946594, 1.420609], abs=1e-6)
    unit, other = of(1, 0), of(0.5, math.sqrt(0.75))
    assert norm(slerp(0.5, unit, other)) == pytest.approx(1.0, abs=1e-6)
    assert norm(linear([unit, other], [0.5, 0.5])) == pytest.approx(0.8660, abs=1e-4)


@settings(max_examples=60)
@given(PAIRS)
def test_ends_are_the_models_themselves(pair: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> None:
    first, second = pair
    assert slerp(0.0, first, second).tobytes() == first.tobytes()
    assert slerp(1.0, first, second).tobytes() == second.tobytes()


@settings(max_examples=60)
@given(PAIRS, st.floats(0, 1))
def test_equal_norms(pair: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], t: float) -> None:
    first, second = pair
    assume(norm(first) > 0.1 and norm(second) > 0.1)
    second = (second * (norm(first) / norm(second))).astype(np.float32)
    found = arc(products(first, second), t)
    between = slerp(t, first, second)
    if found.path == "slerp":
        assert norm(between) == pytest.approx(norm(first), rel=2e-3 if abs(found.cosine) > 0.999 else 1e-4)
        assert angle(first, between) == pytest.approx(t * found.angle, abs=2e-3)
    else:
        assert between == pytest.approx((1 - t) * first + t * second, abs=1e-4)


@settings(max_examples=60)
@given(PAIRS, st.floats(0, 1))
def test_against_float64(pair: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], t: float) -> None:
    first, second = (v.astype(np.float64) for v in pair)
    expected = slerp_in_float64(t, first, second)
    scale = max(1.0, float(np.abs(first).max()), float(np.abs(second).max()))
    assert slerp(t, *pair) == pytest.approx(expected, abs=2e-6 * scale)


def test_opposite_and_equal_take_the_straight_line() -> None:
    v = of(1, -2, 3)
    opposite = arc(products(v, -v), 0.25)
    assert (opposite.path, opposite.weights, opposite.cosine) == ("linear", (0.75, 0.25), pytest.approx(-1))
    assert slerp(0.25, v, -v) == pytest.approx(0.5 * v)
    assert arc(products(v, 2 * v), 0.5).path == "linear"
    beyond, within = math.acos(0.99951), math.acos(0.99949)
    for theta, path in ((beyond, "linear"), (within, "slerp")):
        assert arc(products(of(1, 0), of(math.cos(theta), math.sin(theta))), 0.5).path == path


def test_zeros_and_numbers_beyond_float32() -> None:
    zero, v = of(0, 0, 0), of(1, 2, 3)
    assert slerp(0.5, zero, v) == pytest.approx(math.sin(math.pi / 4) * v)  # as of a right angle, as mergekit has it
    assert slerp(0.3, zero, zero) == pytest.approx(zero)
    large = of(1e25, -2e25, 0)
    assert products(large, large).first == pytest.approx(5e50, rel=1e-6)
    assert arc(products(large, of(0, 0, 1)), 0.5).cosine == 0


def test_products_add_up() -> None:
    random = np.random.default_rng(0)
    a, b = (random.normal(size=1000).astype(np.float32) for _ in range(2))
    total = sum((products(a[i : i + 77], b[i : i + 77]) for i in range(0, 1000, 77)), Products())
    whole = products(a, b)
    assert total.cosine == pytest.approx(whole.cosine, abs=1e-6)
    assert total.n_different == whole.n_different == 1000


def test_sums() -> None:
    a, b = of(1, -0.0), of(3, 5)
    assert weighted([a, b], [1, 0]).tobytes() == a.tobytes()
    assert linear([a, b], [1, 3]) == pytest.approx([2.5, 3.75])
    assert linear([a, b], [1, 3], normalize=False) == pytest.approx([10, 15])
    assert divided([1, -1]) == [1, -1]
    base = of(1, 1)
    assert task_arithmetic(base, [a, b], [1, 0.5], scale=2) == pytest.approx([1 + 2 * (0 + 1), 1 + 2 * (-1 + 2)])
    assert task_arithmetic(base, [a, b], [1, 3], normalize=True) == pytest.approx([2.5, 3.75])


@given(
    arrays(np.float32, st.integers(1, 60), elements=st.sampled_from([0.0, -1.0, 1.0, 0.5, -2.0, 3e-30, 1e20])),
    st.floats(0, 1),
)
def test_cut_keeps_exactly_so_many_of_the_largest(change: np.ndarray[Any, Any], density: float) -> None:
    n = max(1, int(density * change.size)) if density > 0 else 0
    order = sorted(range(change.size), key=lambda at: (-abs(change[at]), at))[:n]
    expected = np.zeros_like(change)
    expected[order] = change[order]
    assert np.array_equal(cut_at(change, density).kept(change, 0), expected)


def test_nth_largest_by_bits() -> None:
    change = np.random.default_rng(0).normal(size=999).astype(np.float32)
    order = np.sort(np.abs(change))[::-1]
    for n in (1, 2, 500, 999):
        upper, n_above = nth_largest(upper_counts(change), n)
        lower, n_between = nth_largest(lower_counts(change, upper), n - n_above)
        assert magnitude_of(upper, lower) == order[n - 1]
        assert n_above + n_between == n - 1


def test_cut_over_parts_counts_equal_ones() -> None:
    cut, change = Cut(1.0, 2), of(1, -1, 1, 2)
    assert cut.kept(change, 0).tolist() == [1, -1, 0, 2]
    assert cut.kept(change, 1).tolist() == [1, 0, 0, 2]
    assert cut.kept(change, 2).tolist() == [0, 0, 0, 2]


def test_signs_are_agreed_on() -> None:
    changes = [of(1, -3, 0, 2), of(2, 1, -1, -2), of(3, 1, -1, 0)]
    assert agreed(changes, [1, 1, 1], True).tolist() == [2, -3, -1, 2]  # a sum of 0 counts as positive
    assert agreed(changes, [1, 1, 1], False).tolist() == [6, -3, -2, 2]
    assert agreed(changes, [2, 1, 1], True).tolist() == [7 / 4, -3, -1, 2]


def test_ties_by_hand() -> None:
    base = of(1, 1, 1, 1)
    tensors = [base + of(4, 0.1, -3, 0.2), base + of(2, 0.1, 5, -0.1)]
    assert ties(base, tensors, [1, 1], [0.5, 0.5]) == pytest.approx([1 + 3, 1, 1 + 5, 1])


def test_draws_keep_their_share_and_their_mean() -> None:
    change = np.ones(200_000, np.float32)
    kept = drawn(change, 0.3, "7:x:0")
    assert set(np.unique(kept).tolist()) == {0.0, float(np.float32(1 / 0.3))}
    assert kept.mean() == pytest.approx(1, abs=0.02)  # five standard deviations
    assert np.array_equal(kept, drawn(change, 0.3, "7:x:0"))
    assert not np.array_equal(kept, drawn(change, 0.3, "7:x:1"))
    assert np.array_equal(drawn(change, 1.0, ""), change)
    assert not drawn(change, 0.0, "").any()


# mergekit

ignored = pytest.mark.filterwarnings("ignore")


@ignored
@pytest.mark.parametrize("shape", [(7,), (64, 32), (3, 5, 11), (1000, 333)])
@pytest.mark.parametrize("near", [0.0, 0.9, 0.999, 0.99999, -0.99999])
def test_slerp_is_mergekits(shape: tuple[int, ...], near: float) -> None:
    """Within 2e-7; beyond some 100,000 numbers mergekit's norms in float32 are off by more than that, so there what
    it is off from float64 is allowed on top, and ours has to be the nearer one."""
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("mergekit.merge_methods.slerp")
    random = np.random.default_rng(3)
    first = random.normal(scale=0.05, size=shape).astype(np.float32)
    other = random.normal(scale=0.05, size=shape)
    second = (near * first + math.sqrt(1 - near**2) * other).astype(np.float32)
    for t in (0.0, 0.1, 0.37, 0.5, 0.8, 1.0):
        ours = slerp(t, first, second)
        found = theirs.slerp(torch.tensor([t]), *(torch.from_numpy(v)[None] for v in (first, second)))[0].numpy()
        exact = slerp_in_float64(t, first.astype(np.float64), second.astype(np.float64))
        off = 0.0 if first.size < 100_000 else float(np.abs(found - exact).max())
        assert float(np.abs(ours - found).max()) <= 2e-7 + off
        assert float(np.abs(ours - exact).max()) <= 4e-8


@ignored
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 1), st.booleans())
def test_ties_is_mergekits(seed: int, density: float, normalize: bool) -> None:
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("mergekit.merge_methods.generalized_task_arithmetic")
    sparsify = pytest.importorskip("mergekit.sparsify")
    random = np.random.default_rng(seed)
    base, *tensors = (random.normal(size=(9, 7)).astype(np.float32) for _ in range(4))
    weights = [0.5, 1.0, 0.3]
    changes = [
        sparsify.magnitude(torch.from_numpy(tensor) - torch.from_numpy(base), density) * weight
        for tensor, weight in zip(tensors, weights, strict=True)
    ]
    stacked = torch.stack(changes)
    mask = theirs.get_mask(stacked, method="sum")
    mixed = (stacked * mask).sum(dim=0)
    if normalize:
        divisor = (torch.tensor(weights)[:, None, None] * mask).sum(dim=0)
        divisor[divisor == 0] = 1
        mixed = mixed / divisor
    found = ties(base, tensors, weights, [density] * 3, normalize)
    assert float(np.abs(found - (torch.from_numpy(base) + mixed).numpy()).max()) <= 1e-6
