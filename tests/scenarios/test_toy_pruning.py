"""Structured pruning at toy size: the orders of Kanana's table 15 that hold on a teacher trained long enough."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenarios.training_runs import ROOT

pytestmark = pytest.mark.slow

SEEDS = (0, 1)
Arms = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> list[Arms]:
    """Bits per byte of each seed's arms, right after pruning and healed."""
    out = tmp_path_factory.mktemp("toy") / "pruning"
    asked = [out, "--seeds", *SEEDS, "--text", shared_data / "text", "--only", "table_15"]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.toy_pruning", *asked]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    print(done.stdout.decode())
    return [json.loads((out / f"seed-{seed}" / "table_15.json").read_bytes()) for seed in SEEDS]


@pytest.mark.parametrize("when", ["pruned", "healed"])
@pytest.mark.parametrize("worse", ["heads of any group", "layers ranked alone", "random"])
def test_what_kanana_does_is_better(seeds: list[Arms], worse: str, when: str) -> None:
    """Heads by groups and layers that agree on channels, in all seeds; that random choices are worse is the floor."""
    assert all(arms["best"][when] < arms[worse][when] for arms in seeds)


@pytest.mark.parametrize("when", ["pruned", "healed"])
def test_layers_that_do_not_agree_are_worst(seeds: list[Arms], when: str) -> None:
    for arms in seeds:
        assert max(arms, key=lambda arm: arms[arm][when]) == "layers ranked alone"


def test_a_short_distillation_heals(seeds: list[Arms]) -> None:
    for arms in seeds:
        assert all(bits["healed"] < bits["pruned"] for bits in arms.values())
