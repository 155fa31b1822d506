"""Packing against a best-fit decreasing in plain Python, and on the lengths of real documents."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.mixture.packing import ENGLISH, KOREAN, OTHER, Packed, pack


def free_spaces_by_hand(lengths, capacity) -> list[int]:
    """Free spaces after best-fit decreasing, in ascending order; which of two equal spaces is taken changes none."""
    free = []
    for length in sorted(lengths, reverse=True):
        fitting = [space for space in free if space >= length]
        best = min(fitting, default=capacity)
        if fitting:
            free.remove(best)
        free.append(best - length)
    return sorted(free)


def hashes(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, n, np.uint64)


def sequences(packed: Packed) -> list[list[tuple[int, int, int]]]:
    entries = list(zip(packed.pieces.tolist(), packed.starts.tolist(), packed.lengths.tolist(), strict=True))
    return [entries[start:end] for start, end in itertools.pairwise(packed.bins.tolist())]


def assert_whole(packed: Packed, lengths: np.ndarray, capacity: int) -> None:
    """Every token of every piece stands in one sequence, and none holds too many."""
    seen = [set() for _ in lengths]
    for sequence, n_tokens in zip(sequences(packed), packed.n_tokens, strict=True):
        assert 0 < n_tokens == sum(length for _, _, length in sequence) <= capacity
        for piece, start, length in sequence:
            tokens = set(range(start, start + length))
            assert tokens and not tokens & seen[piece]
            seen[piece] |= tokens
    assert [len(tokens) for tokens in seen] == lengths.tolist()
    assert all(max(tokens) == len(tokens) - 1 for tokens in seen)


@st.composite
def pieces(draw):
    capacity = draw(st.sampled_from([1, 8, 63, 64, 65, 700, 5000]))
    lengths = draw(st.lists(st.integers(1, capacity), max_size=60))
    order = draw(st.lists(st.integers(0, draw(st.sampled_from([2, 2**64 - 1]))), min_size=60, max_size=60))
    groups = draw(st.lists(st.sampled_from([KOREAN, ENGLISH, OTHER]), min_size=60, max_size=60))
    n = len(lengths)
    return np.array(lengths, np.int64), np.array(order[:n], np.uint64), capacity, np.array(groups[:n], np.int8)


@settings(deadline=None)
@given(pieces())
def test_whole_pieces_as_best_fit_decreasing_has_them(drawn):
    lengths, order, capacity, _ = drawn
    packed = pack(lengths, order, capacity)
    assert_whole(packed, lengths, capacity)
    assert sorted((capacity - packed.n_tokens).tolist()) == free_spaces_by_hand(lengths.tolist(), capacity)
    assert not packed.starts.any() and sorted(packed.pieces) == list(range(len(lengths)))
    assert not packed.cross.any()
    for sequence in sequences(packed):
        ranks = [(order[piece], lengths[piece]) for piece, _, _ in sequence]
        assert ranks == sorted(ranks)
    assert len(lengths) == 0 or packed.n_tokens[-1] == packed.n_tokens.min()


@settings(deadline=None)
@given(pieces(), st.booleans(), st.sampled_from([0.0, 0.3, 1.0]), st.randoms(use_true_random=False))
def test_result_does_not_depend_on_how_pieces_are_numbered(drawn, cut_any, cross_frac, random):
    lengths, order, capacity, groups = drawn
    order = order + np.arange(len(order), dtype=np.uint64)  # mostly distinct; equal pieces are of one group below
    groups = (groups if len(set(order.tolist())) == len(order) else np.zeros(len(order), np.int8)).astype(np.int8)
    shuffled = np.array(random.sample(range(len(lengths)), len(lengths)), np.int64)
    options = {"cut_any": cut_any, "cross_frac": cross_frac}
    one = pack(lengths, order, capacity, groups=groups, **options)
    two = pack(lengths[shuffled], order[shuffled], capacity, groups=groups[shuffled], **options)
    for name in ("bins", "starts", "lengths", "n_tokens", "cross"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), name)
    np.testing.assert_array_equal(order[one.pieces], order[shuffled][two.pieces])


@settings(deadline=None)
@given(pieces(), st.sampled_from([0.0, 0.5]))
def test_cuts_leave_only_the_last_sequence_with_room(drawn, cross_frac):
    lengths, order, capacity, groups = drawn
    packed = pack(lengths, order, capacity, cut_any=True, groups=groups, cross_frac=cross_frac)
    assert_whole(packed, lengths, capacity)
    assert (packed.n_tokens[:-1] >= capacity - capacity // 512).all()
    assert len(packed.pieces) - len(lengths) <= len(packed.n_tokens)
    assert_cross_is_of_two_languages(packed, groups)


def assert_cross_is_of_two_languages(packed: Packed, groups: np.ndarray) -> None:
    for sequence, cross in zip(sequences(packed), packed.cross, strict=True):
        if cross:
            assert {groups[piece] for piece, _, _ in sequence} == {KOREAN, ENGLISH}


@settings(deadline=None)
@given(pieces(), st.sampled_from([0.2, 1.0]))
def test_sequences_across_languages(drawn, cross_frac):
    lengths, order, capacity, groups = drawn
    packed = pack(lengths, order, capacity, groups=groups, cross_frac=cross_frac)
    assert_whole(packed, lengths, capacity)
    assert not packed.starts.any()
    assert_cross_is_of_two_languages(packed, groups)
    small = lengths <= capacity // 2
    n_pairs = min((small & (groups == KOREAN)).sum(), (small & (groups == ENGLISH)).sum())
    n_wanted = min(n_pairs, round(cross_frac * lengths.sum() / capacity))
    assert packed.cross.sum() <= n_wanted
    plain = pack(lengths, order, capacity)
    empty, empty_plain = ((capacity - of.n_tokens[:-1]).sum() for of in (packed, plain))
    assert empty <= empty_plain + len(plain.n_tokens) * capacity / 512


def test_share_across_languages_is_met_where_there_is_enough():
    lengths, order = np.random.default_rng(2).integers(1, 900, 4000), hashes(4000)
    groups = np.random.default_rng(3).choice(np.array([KOREAN, ENGLISH, OTHER], np.int8), 4000, p=[0.2, 0.5, 0.3])
    for cross_frac in (0.1, 0.5):
        packed = pack(lengths, order, 2048, groups=groups, cross_frac=cross_frac)
        assert abs(packed.n_tokens[packed.cross].sum() / lengths.sum() - cross_frac) < 0.002
        assert packed.n_tokens.mean() > 0.998 * 2048


def test_fewer_are_across_languages_where_pieces_that_fill_them_run_out():
    """Half of the pieces fill a sequence by themselves, so half of the sequences can be of two languages, at most."""
    lengths = np.concatenate((np.full(100, 2048), np.random.default_rng(0).integers(1, 512, 800)))
    groups = np.tile(np.array([KOREAN, ENGLISH], np.int8), 450)
    packed = pack(lengths, hashes(900), 2048, groups=groups, cross_frac=1)
    assert 0.4 < packed.cross.mean() <= 0.51 and packed.n_tokens[:-1].mean() > 0.998 * 2048
    alone = pack(lengths, hashes(900), 2048, groups=np.zeros(900, np.int8), cross_frac=1)
    assert not alone.cross.any()


def test_languages_alternate_as_far_as_they_last():
    lengths, groups = np.full(6, 10), np.array([0, 0, 1, 1, 1, 0], np.int8)
    packed = pack(lengths, np.arange(6, dtype=np.uint64), 60, groups=groups, cross_frac=1)
    assert packed.pieces.tolist() == [0, 2, 1, 3, 5, 4]
    groups[5] = ENGLISH
    packed = pack(lengths, np.arange(6, dtype=np.uint64), 60, groups=groups, cross_frac=1)
    assert groups[packed.pieces].tolist() == [1, 0, 1, 1, 0, 1]


def test_optimum_of_small_cases_is_nearly_reached():
    """Best-fit decreasing takes at most 11/9 of the sequences of the optimum, and 6/9 of one (Dosa 2007)."""
    random = np.random.default_rng(3)
    for _ in range(30):
        lengths = random.integers(1, 21, 7)
        n_bins = len(pack(lengths, hashes(7), 20).n_tokens)
        assert n_bins <= 11 / 9 * fewest_bins(tuple(lengths.tolist()), 20) + 6 / 9


def fewest_bins(lengths: tuple[int, ...], capacity: int) -> int:
    def filled(left: tuple[int, ...], free: tuple[int, ...]) -> int:
        if not left:
            return len(free)
        places = {space for space in free if space >= left[0]}
        tries = [filled(left[1:], (*without(free, space), space - left[0])) for space in places]
        return min([*tries, filled(left[1:], (*free, capacity - left[0]))])

    def without(free: tuple[int, ...], space: int) -> tuple[int, ...]:
        i = free.index(space)
        return free[:i] + free[i + 1 :]

    return filled(lengths, ())


@pytest.mark.parametrize("cut_any", [False, True])
def test_chosen_piece_comes_last(cut_any):
    lengths = np.random.default_rng(5).integers(1, 100, 300)
    for last in (0, 17, 299):
        packed = pack(lengths, hashes(300), 100, cut_any=cut_any, last=last)
        assert_whole(packed, lengths, 100)
        assert any(piece == last and start + n == lengths[last] for piece, start, n in sequences(packed)[-1])


def test_sequences_are_shuffled():
    """They come neither by the length of what is in them nor by its order."""
    lengths = np.repeat(np.arange(1, 101), 10)
    packed = pack(lengths, np.arange(1000, dtype=np.uint64), 100)
    longest = np.maximum.reduceat(packed.lengths, packed.bins[:-1])
    first = packed.pieces[packed.bins[:-1]]
    for series in (longest, first):
        assert abs(np.corrcoef(series, np.arange(len(series)))[0, 1]) < 0.2


def test_large_capacity():
    lengths = np.random.default_rng(1).integers(1, 1 << 23, 400)
    packed = pack(lengths, hashes(400), 1 << 24)
    assert sorted(((1 << 24) - packed.n_tokens).tolist()) == free_spaces_by_hand(lengths.tolist(), 1 << 24)


def test_wrong_lengths_are_refused():
    with pytest.raises(ValueError, match="piece 1 has 9 tokens; expected 1 to 8"):
        pack(np.array([8, 9]), hashes(2), 8)
    with pytest.raises(ValueError, match="piece 0 has 0 tokens"):
        pack(np.array([0]), hashes(1), 8)


def lengths_of(shared_data: Path, capacity: int) -> np.ndarray:
    """Pieces of the documents of data/text, shuffled; about four characters to a token."""
    of_documents = np.concatenate(
        [
            pc.utf8_length(pq.read_table(path, columns=["text"])["text"]).to_numpy() // 4 + 1
            for path in sorted((shared_data / "text").glob("*.parquet"))
        ]
    )
    whole = np.full((of_documents // capacity).sum(), capacity)
    rests = of_documents % capacity
    return np.random.default_rng(0).permutation(np.concatenate((whole, rests[rests > 0]))).astype(np.int64)


@pytest.mark.parametrize("capacity", [2048, 8192])
def test_real_lengths_in_blocks_of_300_sequences(shared_data, capacity):
    """All but the last sequence of each block goes out; what is in that one is packed again with the next block."""
    lengths = lengths_of(shared_data, capacity)
    block_of = np.cumsum(lengths) // (300 * capacity)
    order, carried = hashes(len(lengths)), np.empty(0, np.int64)
    n_padding, n_sequences = 0, 0
    for block in range(block_of[-1] + 1):
        chosen = np.concatenate((carried, np.flatnonzero(block_of == block)))
        packed = pack(lengths[chosen], order[chosen], capacity)
        n_padding += (capacity - packed.n_tokens[:-1]).sum()
        n_sequences += len(packed.n_tokens) - 1
        carried = chosen[packed.pieces[packed.bins[-2] :]]
    assert lengths.sum() == n_sequences * capacity - n_padding + lengths[carried].sum()
    assert n_padding / (n_sequences * capacity) < 0.0005
