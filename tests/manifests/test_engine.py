"""The same results with one process or several; clear words when one dies."""

import os
import signal
from pathlib import Path

import pytest

from manifests.engine import PeakMemory, Stopwatch, map_shards
from manifests.errors import RunError


def square(number: int) -> int:
    return number * number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("n_workers", [1, 2])
def test_every_item_comes_back_once(n_workers: int) -> None:
    assert sorted(map_shards(square, list(range(9)), n_workers)) == [(i, i * i) for i in range(9)]


def test_a_dead_worker_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(RunError, match="run the same command again"):
        list(map_shards(die_at_three, list(range(6)), 2))


def test_peak_memory_sees_a_large_array() -> None:
    with PeakMemory(0.01) as memory:
        before = memory.peak_bytes
        block = b"x" * (64 << 20)
        assert len(block) == 64 << 20
    assert memory.peak_bytes > max(before, 64 << 20)


def test_stopwatch_adds_up(tmp_path: Path) -> None:
    watch = Stopwatch()
    for _ in range(2):
        with watch("a"):
            pass
    assert list(watch.seconds) == ["a"]
