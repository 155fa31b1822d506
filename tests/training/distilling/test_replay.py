"""The buffer is first in, first out, gives no answer twice at once, and comes back as it was."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.checkpoints import load_extra, save_extra
from training.distilling.replay import DrawnAnswer, Replay


def answer(number: int) -> DrawnAnswer:
    return DrawnAnswer(tuple(range(number + 2)), number + 1)


@given(st.integers(1, 6), st.lists(st.integers(0, 9), max_size=20), st.integers(0, 9))
def test_the_oldest_go_first(capacity: int, numbers: list[int], n: int) -> None:
    made = Replay(capacity)
    for number in numbers:
        made.add([answer(number)])
    kept = numbers[-capacity:]
    assert len(made) == len(kept) and made.is_full == (len(numbers) >= capacity)
    found = made.sample(n, np.random.default_rng(0))
    assert len(found) == min(n, len(kept))
    counts = [found.count(answer(number)) for number in range(10)]
    assert all(count <= kept.count(number) for number, count in enumerate(counts))
    again = Replay(capacity)
    again.add([answer(3)])
    again.load(made.state())
    assert again.sample(n, np.random.default_rng(0)) == found and again.is_full == made.is_full


def test_it_survives_a_checkpoint(tmp_path: Path) -> None:
    made, again = Replay(3), Replay(3)
    made.add([answer(number) for number in range(5)])
    state = made.state()
    save_extra(tmp_path, 0, {"ids": state.pop("ids"), "buffer": state})
    loaded = load_extra(tmp_path, 0)
    again.load({**loaded["buffer"], "ids": loaded["ids"]})
    assert again.sample(3, np.random.default_rng(1)) == made.sample(3, np.random.default_rng(1))
