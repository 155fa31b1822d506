"""A whole training at toy size over three seeds: each stage moves its own measure, by more than seeds differ."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from tests.scenarios.training_runs import ROOT

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> list[dict[str, Any]]:
    """Stages of each seed by name: measures, figures, seconds. Two at once, of a thread each."""
    folders = [tmp_path_factory.mktemp(f"seed{seed}") / "toy" for seed in SEEDS]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(_run, folders, SEEDS, [shared_data / "text"] * len(SEEDS)))


def _run(out: Path, seed: int, text: Path) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "benchmarks/toy_training.py", out, "--seed", seed, "--text", text]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    print(f"seed {seed}:", json.dumps(found))
    return {"seconds": found["seconds"], **{stage["name"]: stage for stage in found["stages"]}}


def moved(runs: list[dict[str, Any]], before: str, after: str, name: str, figure: str) -> list[float]:
    """How far a stage moved a measure, of each seed."""
    return [run[after]["measures"][name][figure] - run[before]["measures"][name][figure] for run in runs]


def by_more_than_seeds_differ(changes: list[float], sign: int) -> None:
    signed = [sign * change for change in changes]
    assert min(signed) > max(signed) - min(signed), changes


def test_it_ends_in_ten_minutes(runs: list[dict[str, Any]]) -> None:
    assert max(run["seconds"] for run in runs) < 600


def test_pre_training_learns_korean_and_keeps_english(runs: list[dict[str, Any]]) -> None:
    by_more_than_seeds_differ(moved(runs, "base", "cpt", "ko", "bits_per_byte"), -1)
    for run in runs:
        before, after = (run[name]["measures"]["en"]["bits_per_byte"] for name in ("base", "cpt"))
        assert after <= before * 1.02


def test_tuning_learns_to_answer(runs: list[dict[str, Any]]) -> None:
    figures = [run["sft"]["figures"] for run in runs]
    by_more_than_seeds_differ([one["held_out_loss"] - one["held_out_loss_before"] for one in figures], -1)


def test_the_reward_model_tells_planted_preferences(runs: list[dict[str, Any]]) -> None:
    assert min(run["reward"]["figures"]["accuracy"] for run in runs) > 0.9


def test_the_merge_keeps_korean_and_is_no_linear_one(runs: list[dict[str, Any]]) -> None:
    """SLERP with the English sibling: most weights lie far enough apart for an arc, and Korean is not lost."""
    for run in runs:
        ko = {name: run[name]["measures"]["ko"]["bits_per_byte"] for name in ("base", "sft", "merged")}
        assert ko["merged"] < ko["base"]
        assert run["merged"]["figures"]["slerp_share"] > 0.5


def test_preferences_raise_the_reward_and_length_is_bounded(runs: list[dict[str, Any]]) -> None:
    margins = [run["dpo"]["figures"]["margin"] - run["dpo"]["figures"]["margin_before"] for run in runs]
    by_more_than_seeds_differ(margins, 1)
    assert min(moved(runs, "merged", "dpo", "answers", "reward_mean")) > 0
    by_more_than_seeds_differ(moved(runs, "merged", "online", "answers", "reward_mean"), 1)
    figures = [run["online"]["figures"] for run in runs]  # of what it draws: with the penalty for answers without end
    by_more_than_seeds_differ([one["reward_mean_last"] - one["reward_mean_first"] for one in figures], 1)
    assert min(moved(runs, "dpo", "online", "answers", "ended_frac")) >= 0
    for run in runs:
        lengths = [run[name]["measures"]["answers"]["mean_length"] for name in ("merged", "online")]
        assert lengths[1] <= 2 * lengths[0]
