"""An encoder of a toy language model finds more than the mean of its tokens does: Korean and English, three seeds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from tests.scenarios.training_runs import ROOT

pytestmark = pytest.mark.slow

SETS = ("korquad", "cpp")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> list[dict[str, Any]]:
    """Figures of each stage, of each seed."""
    out, questions = tmp_path_factory.mktemp("toy") / "encoder", shared_data / "benchmarks" / "korquad_v1_dev.jsonl"
    options = ["--text", shared_data / "text", "--questions", questions, "--seeds", 0, 1, 2]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.toy_encoder", out, *options]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, env=os.environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout.decode().splitlines()[-1])
    return [run["figures"] for run in found["runs"]]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("stage", ["causal", "encoder"])
def test_it_finds_more_than_the_mean_of_the_language_models_tokens(
    runs: list[dict[str, Any]], stage: str, name: str
) -> None:
    """`before` of the causal encoder is the language model."""
    gains = [run[stage][f"ndcg_{name}_after"] - run["causal"][f"ndcg_{name}_before"] for run in runs]
    assert min(gains) > 0, gains


def test_masked_tokens_are_predicted_better(runs: list[dict[str, Any]]) -> None:
    assert all(run["mntp"]["masked_loss_after"] < run["mntp"]["masked_loss_before"] for run in runs)
