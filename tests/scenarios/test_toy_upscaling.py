"""Depth up-scaling on real text at toy size: what stacking costs is got back, and silent copies cost nothing."""

from pathlib import Path

import pytest
import torch

from benchmarks import toy_upscaling
from benchmarks.toy_upscaling import Outcome, Seed

pytestmark = pytest.mark.slow
SIZE = {"chars": 200_000, "base": 200, "further": 100, "hidden": 48}


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Seed:
    torch.set_num_threads(1)
    out: Path = tmp_path_factory.mktemp("toy") / "out"
    toy_upscaling.prepare(out, None, SIZE)
    return toy_upscaling.run_seed(out, 0, SIZE)


def stacked(outcome: Outcome) -> float:
    assert outcome.stacked is not None
    return outcome.stacked


def test_stacking_alone_makes_it_worse(seed: Seed) -> None:
    base = seed["base"].end
    assert stacked(seed["SOLAR's form"]) > base
    assert stacked(seed["most influence twice"]) > stacked(seed["least influence twice"]) > base
    assert stacked(seed["SOLAR's form, silent at first"]) == pytest.approx(base, abs=1e-6)


def test_training_further_gets_it_back(seed: Seed) -> None:
    """Below the model that was stacked, and not above it with the same further tokens, but for noise."""
    for name in toy_upscaling.ARMS:
        assert seed[name].end < seed["base"].end - 0.05, name
        assert seed[name].end < seed["further"].end + 0.02, name
