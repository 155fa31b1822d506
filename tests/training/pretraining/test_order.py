import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.pretraining.order import (
    FILLER,
    PASSES_MAX,
    Order,
    Supply,
    draw,
    equal_amounts,
    interleave,
    order_of,
    range_of,
    shuffled,
)


def supply(n: int, seed: int = 0, **more: object) -> Supply:
    return Supply(np.random.default_rng(seed).integers(40, 65, n).astype(np.int32), **more)  # type: ignore[arg-type]


def tokens_of(order: Order, supplies: list[Supply]) -> list[int]:
    pairs = zip(order.mixture.tolist(), order.sequence.tolist(), strict=True)
    return [int(supplies[mixture].n_tokens[sequence]) for mixture, sequence in pairs]


def test_every_sequence_once_and_mixtures_one_after_another() -> None:
    order = order_of([supply(30), supply(20)], seed=3)
    assert order.mixture.tolist() == [0] * 30 + [1] * 20
    assert order.sequence.tolist() == [*range(30), *range(20)]


@given(st.integers(1, 90), st.integers(1, 12), st.integers(1, 5), st.integers(0, 9))
def test_every_sequence_once_in_each_epoch(n: int, block: int, epochs: int, seed: int) -> None:
    order = order_of([supply(n, block=block)], seed, epochs=epochs)
    passes = order.sequence.reshape(epochs, n)
    assert (np.sort(passes, axis=1) == np.arange(n)).all()
    assert passes[0].tolist() == list(range(n))


def test_later_passes_are_in_another_order_which_the_seed_names() -> None:
    order, again, other = (order_of([supply(50)], seed, epochs=3).sequence for seed in (1, 1, 2))
    assert (order == again).all()
    assert (order[:50] == other[:50]).all()
    assert (order[50:] != other[50:]).any()
    assert (order[50:100] != order[100:]).any()


def test_part_of_an_epoch_and_so_many_places() -> None:
    assert len(order_of([supply(30), supply(10)], 0, epochs=1.5)) == 60
    assert len(order_of([supply(30)], 0, epochs=0.1)) == 3
    order = order_of([supply(30), supply(10)], 0, n_places=100)
    assert order.mixture.tolist() == ([0] * 30 + [1] * 10) * 2 + [0] * 20
    assert (order.drawn(0, 30) + 0).tolist() == [2 + (n in order.sequence[80:]) for n in range(30)]


@given(st.integers(1, 5000))
def test_tokens_end_at_the_first_sequence_that_reaches_them(tokens: int) -> None:
    part = supply(20, tokens=tokens)
    drawn = draw(part, np.random.default_rng(0), 0)
    reached = np.cumsum(part.n_tokens[drawn])
    assert reached[-1] >= tokens
    assert len(drawn) == 1 or reached[-2] < tokens
    counts = np.bincount(drawn, minlength=20)
    assert counts.max() - counts.min() <= 1  # nothing comes twice before all is through


def test_a_mixture_that_is_begun_again_goes_on_in_another_order() -> None:
    order = order_of([supply(20, tokens=300)], seed=0, epochs=2)
    assert order.sequence.tolist()[:6] == list(range(6))
    assert order.sequence.tolist()[6:12] != list(range(6))


@given(st.integers(1, 60), st.integers(1, 40), st.floats(0.01, 0.9), st.integers(0, 5))
def test_replay_has_its_share_of_the_tokens(n: int, n_replay: int, share: float, seed: int) -> None:
    supplies = [supply(n, seed), supply(n_replay, seed + 1)]
    order = order_of(supplies[:1], seed, replay=supplies[1], share=share)
    tokens = np.array(tokens_of(order, supplies))
    own, all_ = tokens[order.mixture == 1].sum(), tokens.sum()
    assert -1e-6 <= own - share / (1 - share) * tokens[order.mixture == 0].sum() < 65 + 1
    assert order.sequence[order.mixture == 0].tolist() == list(range(n))
    assert own / all_ >= share - 1e-9


def test_replay_stands_evenly_among_the_others() -> None:
    supplies = [supply(400), supply(50, 1)]
    order = order_of(supplies[:1], 0, replay=supplies[1], share=0.2)
    tokens, replayed = np.array(tokens_of(order, supplies)), order.mixture == 1
    for end in range(20, len(order)):
        assert abs(tokens[:end][replayed[:end]].sum() - 0.2 * tokens[:end].sum()) < 2 * 65
    assert set(order.drawn(1, 50).tolist()) == {2, 3}


def test_replay_with_so_many_places() -> None:
    supplies = [supply(40), supply(10, 1)]
    order = order_of(supplies[:1], 0, replay=supplies[1], share=0.25, n_places=200)
    assert len(order) == 200
    assert np.mean(order.mixture == 1) == pytest.approx(0.25, abs=0.03)


def test_places_behind_the_end_fill_the_last_step() -> None:
    order = order_of([supply(10)], 0).filled(4)
    assert len(order) == 12
    assert order.mixture.tolist()[10:] == [FILLER, FILLER]
    assert order.drawn(0, 10).tolist() == [1] * 10
    assert len(order.filled(4)) == 12


def test_lengths_are_balanced() -> None:
    """Few long documents come back, many short ones are not all taken, and shares of tokens are equal."""
    random = np.random.default_rng(0)
    longest = np.concatenate([random.integers(1, 10, 300), random.integers(10, 40, 100), random.integers(40, 64, 60)])
    order = random.permutation(len(longest))
    part = supply(460, longest=longest[order].astype(np.int32), edges=(10, 40))
    drawn = draw(part, random, 0)
    total = part.n_tokens.sum()
    shares = [part.n_tokens[drawn][range_of(part.longest[drawn], part.edges) == of].sum() for of in range(3)]  # type: ignore[index]
    assert shares == pytest.approx([total / 3] * 3, abs=65)
    of = range_of(part.longest, part.edges)  # type: ignore[arg-type]
    counts = np.bincount(drawn, minlength=460)
    assert counts[of == 0].max() == 1
    assert counts[of == 2].min() >= 2
    halves = [
        part.n_tokens[half][range_of(part.longest[half], part.edges) == 2].sum() for half in np.array_split(drawn, 2)
    ]  # type: ignore[index]
    assert halves[0] == pytest.approx(halves[1], abs=2 * 65)


@given(st.integers(1, 10_000), st.lists(st.integers(0, 3000), min_size=1, max_size=5))
def test_amounts_of_ranges(wanted: int, available: list[int]) -> None:
    amounts = equal_amounts(wanted, available)
    assert all(0 <= amount <= PASSES_MAX * has for amount, has in zip(amounts, available, strict=True))
    can = min(wanted, PASSES_MAX * sum(available))
    assert can <= sum(amounts) < can + len(available)
    below = [amount for amount, has in zip(amounts, available, strict=True) if amount < PASSES_MAX * has]
    assert len(set(below)) <= 1  # who has enough gives the same
    assert all(amount <= max(below, default=amount) for amount in amounts)


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 3))
def test_shuffled_is_a_permutation_of_few_groups_at_a_time(n: int, block: int, seed: int) -> None:
    order = shuffled(n, np.random.default_rng(seed), block)
    assert sorted(order.tolist()) == list(range(n))
    window = order[: 16 * block] // block
    assert len(set(window.tolist())) <= 17


def test_lists_end_together() -> None:
    order = interleave([np.full(6, 10, np.int32), np.full(2, 10, np.int32), np.zeros(0, np.int32)])
    assert order.tolist() == [0, 6, 1, 2, 3, 4, 7, 5] or order.tolist() == [0, 1, 6, 2, 3, 4, 7, 5]
