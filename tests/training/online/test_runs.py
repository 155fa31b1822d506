"""Whole runs of online DPO: a planted preference is learnt, kill -9 changes no bit, two processes equal one."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from manifests.house import HOME
from tests.training import planted, tiny
from training.checkpoints import read_curve
from training.jobs import Job, Made
from training.launch import command
from training.online.online_dpo import run

pytestmark = pytest.mark.slow
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return planted.save_reward_model(tmp_path_factory.mktemp("reward") / "model")


def quiet(*_: Any) -> None:
    """Progress that nobody watches."""


def column(job: Job, name: str) -> list[Any]:
    return [line[name] for line in read_curve(job.path / "curve.jsonl")]


LEARNS = {
    "steps": 80,
    "batch": 8,
    "n": 4,
    "max_new_tokens": 12,
    "missing_eos_penalty": 1.0,
    "learning_rate": 2e-3,
    "checkpoints": {"every": 500},
}


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_planted_preference_is_learnt(reward: Path, tmp_path: Path, asynchronous: bool) -> None:
    """Mean rewards of the first and the last ten steps, over three policies; what they come to is printed."""
    first, last, lengths, divergence = list[float](), list[float](), list[float](), list[float]()
    for seed in SEEDS:
        policy = tiny.save_model(tmp_path / f"policy-{seed}", seed=seed)
        job = planted.online_job(tmp_path / str(seed), policy, reward, seed=seed, asynchronous=asynchronous, **LEARNS)
        run(job, quiet)
        scores = column(job, "score_mean")
        first.append(float(np.mean(scores[:10])))
        last.append(float(np.mean(scores[-10:])))
        lengths.append(
            float(np.mean(column(job, "answer_length")[-10:]) / np.mean(column(job, "answer_length")[:10]))
        )
        divergence.append(float(np.mean(column(job, "kl")[-10:])))
    rises = np.array(last) - np.array(first)
    print(f"\nasynchronous={asynchronous}: {first} -> {last}, length times {lengths}, kl {divergence}")
    assert rises.min() > 3 * np.std(first, ddof=1)
    assert rises.mean() > 3 * np.std(rises, ddof=1)
    assert max(lengths) < 1.1


def test_a_reference_that_follows_the_policy_lets_it_go_further(reward: Path, tmp_path: Path) -> None:
    """The control arm: measured against where it began, a policy with a refreshed reference is further away."""
    policy = tiny.save_model(tmp_path / "policy", seed=1)
    jobs = [
        planted.online_job(tmp_path / str(every), policy, reward, refresh_reference=every, **(LEARNS | {"beta": 1.0}))
        for every in (None, 8)
    ]
    for job in jobs:
        run(job, quiet)
    scores = [np.mean(column(job, "score_mean")[-10:]) for job in jobs]
    lengths = [np.mean(column(job, "answer_length")[-10:]) for job in jobs]
    print(f"\nfixed and refreshed: rewards {scores}, lengths {lengths}")
    assert scores[1] > scores[0]


# kill -9


def start(job: Job) -> "subprocess.Popen[bytes]":
    job.path.mkdir(parents=True, exist_ok=True)
    (job.path / "job.json").write_text(job.model_dump_json())
    return launched(job, 1)


def launched(job: Job, n_processes: int) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(HOME), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (job.path / "log.txt").open("ab") as log:
        called = command(job.path / "job.json", n_processes)
        return subprocess.Popen(called, stdout=log, stderr=log, env=environment, cwd=HOME)


@pytest.mark.parametrize("changes", [{}, {"lora": {"rank": 4, "dropout": 0.1}}])
def test_killed_at_random_it_ends_with_the_same_bits(reward: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    policy = tiny.save_model(tmp_path / "policy")
    settings = {"steps": 30, "checkpoints": {"every": 4, "keep": 2}} | changes
    whole = planted.online_job(tmp_path / "whole", policy, reward, **settings)
    assert start(whole).wait() == 0, (whole.path / "log.txt").read_text()[-2000:]
    killed = planted.online_job(tmp_path / "killed", policy, reward, **settings)
    chosen = random.Random(len(changes))
    for least in (5, 16):
        process = start(killed)
        while len(read_curve(killed.path / "curve.jsonl")) < least and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chosen.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert start(killed).wait() == 0, (killed.path / "log.txt").read_text()[-2000:]
    assert (killed.path / "curve.jsonl").read_bytes() == (whole.path / "curve.jsonl").read_bytes()
    weights = [load_file(job.model_path / "model.safetensors") for job in (whole, killed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


# Several processes


@pytest.mark.parametrize(
    "changes", [{"micro_batch": 2}, {"micro_batch": 1, "max_new_tokens": 1, "missing_eos_penalty": 0.0}]
)
def test_two_processes_equal_one(reward: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Also where most prompts make no pair, so that a process may have none."""
    policy = tiny.save_model(tmp_path / "policy")
    curves, made = [], []
    for n in (1, 2):
        settings = {"steps": 6, "batch": 4, "learning_rate": 1e-4} | changes
        job = planted.online_job(tmp_path / str(n), policy, reward, **settings)
        job.path.mkdir(parents=True)
        (job.path / "job.json").write_text(job.model_dump_json())
        assert launched(job, n).wait() == 0, (job.path / "log.txt").read_text()[-3000:]
        curves.append(read_curve(job.path / "curve.jsonl"))
        made.append(Made.model_validate_json((job.path / "made.json").read_bytes()))
    for one, two in zip(*curves, strict=True):
        assert one.keys() == two.keys()
        for name, value in one.items():
            assert two[name] == pytest.approx(value, rel=1e-4, abs=1e-5), (name, one, two)
    assert made[0].counts == made[1].counts
    assert made[0].left_out == made[1].left_out
    assert (made[0].left_out.get("equal_rewards", 0) > 5) == (changes["micro_batch"] == 1)
    assert made[0].tables[0].rows[0][1:] == pytest.approx(made[1].tables[0].rows[0][1:], rel=1e-4)
