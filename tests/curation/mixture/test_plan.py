"""Stages, blocks and what each takes: where they end, and how near shares are."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.mixture import plan
from curation.mixture.order import PIECE, Pieces, mix
from curation.mixture.plan import Block, Taker, block_ends, held_out_blocks, stage_blocks
from curation.mixture.shares import Asked
from manifests.schema_mixture import Packing


@dataclass(frozen=True)
class Tape:
    """A source in memory: the lengths of its pieces, lot by lot; each epoch has them in another order."""

    lengths: tuple[tuple[int, ...], ...]
    number: int = 0

    @property
    def n_tokens(self) -> int:
        return sum(map(sum, self.lengths))

    def lots(self, epoch: int) -> list[int]:
        numbers = list(range(len(self.lengths)))
        return numbers[epoch % len(numbers) :] + numbers[: epoch % len(numbers)]

    def pieces(self, epoch: int, lot: int) -> Pieces:
        pieces = np.zeros(len(self.lengths[lot]), PIECE)
        pieces["length"] = self.lengths[lot]
        pieces["id_low"] = np.arange(len(pieces)) + 1000 * lot
        pieces["source"], pieces["epoch"], pieces["lot"] = self.number, epoch, lot
        key = np.arange(len(pieces), dtype=np.uint64) + np.uint64(1000 * lot + 10**6 * epoch + 10**9 * self.number)
        pieces["key"] = mix(key)
        return pieces


def taker(*lots: tuple[int, ...], epochs_max: float = 1, number: int = 0) -> Taker:
    tape: Any = Tape(lots, number)
    return Taker(tape, tape.n_tokens, int(tape.n_tokens * epochs_max))


def lengths(pieces: Pieces) -> list[int]:
    return pieces["length"].tolist()  # type: ignore[no-any-return]


def test_a_taker_takes_what_is_nearest() -> None:
    tape = taker((10, 10, 10), (4, 6))
    assert lengths(tape.take(14)) == [10]  # 10 is nearer than 20
    assert lengths(tape.take(15)) == [10]  # as near: the piece that crosses is taken
    assert lengths(tape.take(15)) == []
    assert lengths(tape.take(35)) == [10, 4]
    assert tape.n_taken == 34
    assert lengths(tape.take(1000)) == [6]
    assert lengths(tape.take(1000)) == []
    assert tape.next_length() == 0
    assert len(tape.take_one()) == 0


def test_a_taker_gives_back() -> None:
    tape = taker((10, 20, 30))
    tape.take(30)
    assert (tape.n_taken, tape.last_length(), tape.next_length()) == (30, 20, 30)
    tape.give_back()
    assert (tape.n_taken, tape.last_length(), tape.next_length()) == (10, 10, 20)
    assert lengths(tape.take_one()) == [20]


def test_a_taker_gives_back_what_is_of_another_lot_or_epoch() -> None:
    tape = taker((10,), (20,), epochs_max=10)
    tape.take(60)
    assert tape.next_length() == 10  # the third epoch has begun
    for length, left in ((10, 50), (20, 30), (20, 10)):
        assert tape.last_length() == length
        tape.give_back()
        assert tape.n_taken == left
    again = tape.take(90)
    assert lengths(again) == [20, 20, 10, 10, 20]
    assert again["epoch"].tolist() == [0, 1, 1, 2, 2]


def test_a_taker_goes_through_epochs_up_to_its_cap() -> None:
    tape = taker((5, 5), (5, 5), epochs_max=2.5)
    taken = tape.take(10**6)
    assert lengths(taken) == [5] * 10
    assert taken["epoch"].tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert taken["lot"].tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0]


def test_a_taker_of_nothing() -> None:
    tape: Any = Tape(((),))
    empty = Taker(tape, 0, 0)
    assert len(empty.take(100)) == 0
    assert empty.next_length() == empty.last_length() == 0


def stage(n_tokens: int, shares: list[float], before: list[float] | None = None, transition: int = 0) -> Asked:
    return Asked("s", n_tokens, np.array(shares), np.array(before or shares), transition)


def test_blocks_end_at_the_middle_and_the_end_of_a_transition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BLOCK_TOKENS", 1000)
    monkeypatch.setattr(plan, "BLOCK_SEQUENCES_MIN", 2)
    ends = block_ends(stage(10_000, [1.0], transition=4000), 100)
    assert {2000.0, 4000.0, 10_000.0} <= set(ends)
    assert ends == sorted(set(ends))
    assert block_ends(stage(10_000, [1.0], transition=10_000), 100)[-1] == 10_000
    assert block_ends(stage(1, [1.0]), 100) == [1.0]


def planned(asked: list[Asked], takers: list[Taker], length: int, cut: str = "long") -> list[list[Block]]:
    found, first = [], 0
    for one in asked:
        blocks = list(stage_blocks(one, takers, Packing(cut=cut), length, first))  # type: ignore[arg-type]
        assert [block.first_sequence for block in blocks] == np.cumsum(
            [first, *[len(block.n_tokens) for block in blocks]]
        )[:-1].tolist()
        first += sum(len(block.n_tokens) for block in blocks)
        found.append(blocks)
    return found


def check_stage(asked: Asked, blocks: list[Block], length: int) -> Counter[int]:
    """Fail where a stage does not end where it should; returns what it has of each source."""
    n_tokens = np.concatenate([block.n_tokens for block in blocks])
    assert n_tokens[:-1].sum() < asked.n_tokens <= n_tokens.sum()
    assert (n_tokens <= length).all()
    taken = Counter[int]()
    for block in blocks:
        sums = np.bincount(
            (block.spans["sequence"] - np.uint64(block.first_sequence)).astype(np.int64), block.spans["length"]
        )
        assert sums.astype(np.int64).tolist() == block.n_tokens.tolist()
        for number in np.unique(block.spans["source"]).tolist():
            taken[number] += int(block.spans["length"][block.spans["source"] == number].sum())
    for number, share in enumerate(asked.demand.tolist()):
        assert share or not taken[number], f"source {number} has no share"
    return taken


LENGTH = 16


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[list[Asked], list[tuple[tuple[int, ...], ...]]]:
    """Stages over sources that have enough."""
    n_sources = draw(st.integers(1, 4))
    lots = st.lists(st.integers(1, LENGTH), min_size=1, max_size=12).map(tuple)
    tapes = [tuple(draw(st.lists(lots, min_size=1, max_size=4))) for _ in range(n_sources)]
    asked, before = [], None
    for name in range(draw(st.integers(1, 3))):
        weights = draw(st.lists(st.integers(0, 5), min_size=n_sources, max_size=n_sources).filter(any))
        shares = np.array(weights, float) / sum(weights)
        n_tokens = draw(st.integers(1, 3000))
        transition = 0 if before is None else draw(st.integers(0, n_tokens))
        asked.append(Asked(f"s{name}", n_tokens, shares, shares if before is None else before, transition))
        before = shares
    return asked, tapes


@settings(max_examples=300)
@given(mixtures(), st.sampled_from(["long", "any"]))
@example(([stage(64, [1.0])], [((2, 7),)]), "any")
@example(([stage(2977, [0.25] * 4, transition=2976)], [((16,),)] * 4), "long")
@example(([stage(10, [1.0, 0.0], [1.0, 0.0])], [((16, 16), (3,)), ((1, 1, 1),)]), "long")
def test_stages_end_where_they_should(
    mixture: tuple[list[Asked], list[tuple[tuple[int, ...], ...]]], cut: str
) -> None:
    asked, tapes = mixture
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_TOKENS", 100)
        patch.setattr(plan, "BLOCK_SEQUENCES_MIN", 8)
        takers = [taker(*lots, epochs_max=60_000, number=number) for number, lots in enumerate(tapes)]
        for one, blocks in zip(asked, planned(asked, takers, LENGTH, cut), strict=True):
            taken = check_stage(one, blocks, LENGTH)
            for number, wanted in enumerate(one.demand.tolist()):
                assert abs(taken[number] - wanted) <= 1.5 * LENGTH
    spans = sum(taker.n_taken for taker in takers)
    assert spans >= sum(one.n_tokens for one in asked)


def test_shares_hold_at_every_block() -> None:
    drawn = np.random.default_rng(0)
    tapes = [tuple(tuple(drawn.integers(1, 17, 2000).tolist()) for _ in range(4)) for _ in range(3)]
    takers = [taker(*lots, epochs_max=100, number=number) for number, lots in enumerate(tapes)]
    asked = stage(150_000, [0.7, 0.2, 0.1], [0.1, 0.2, 0.7], 100_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_TOKENS", 8000)
        blocks = list(stage_blocks(asked, takers, Packing(), 64, 0))
    assert len(blocks) > 15
    n_done, taken = 0, np.zeros(3)
    for block in blocks:
        taken += np.bincount(block.spans["source"], block.spans["length"], 3)
        n_done += int(block.n_tokens.sum())
        # what is carried to the next block is at most a sequence
        assert np.abs(taken - asked.targets(n_done)).max() <= 1.5 * 64
    padding = sum(int(64 * len(block.n_tokens) - block.n_tokens.sum()) for block in blocks)
    assert padding <= 0.005 * 150_000 + 64


def test_what_is_held_out_is_packed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BLOCK_TOKENS", 100)
    pieces = Tape((tuple(range(1, 17)) * 4,)).pieces(0, 0)
    blocks = list(held_out_blocks(pieces, "validation", 16, 0))
    assert len(blocks) > 3
    spans = np.concatenate([block.spans for block in blocks])
    assert Counter(spans["id_low"].tolist()) == Counter(pieces["id_low"].tolist())
    assert spans["sequence"].max() + 1 == sum(len(block.n_tokens) for block in blocks)
