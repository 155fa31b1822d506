"""Reward models chosen by what they pick: a planted bad one comes last, and the best becomes what the stage makes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from manifests.errors import RequestError
from tests.training import tiny
from tests.training.preferences.planted_pairs import job, planted, silent
from training.chat.prompts import Asked
from training.online.sampling import Drawn
from training.preferences import reward
from training.preferences.best_of_n import compare, judge_answers
from training.preferences.padding import set_padding
from training.preferences.reward import new_reward_model
from training.trainers import load_tokenizer

CHOICE = {"prompts": "prompts.jsonl", "n": 6, "max_new_tokens": 12, "candidates": ["./bad", "./good"]}
REWARD = {"kind": "reward", "learning_rate": 1e-5, "steps": 1, "held_out": 0.2}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def models(tmp_path: Path, tiny_model: Path) -> dict[str, Path]:
    """A judge; a candidate that agrees with it; and one that thinks the opposite."""
    tokenizer = load_tokenizer(str(tiny_model))
    set_padding(tokenizer)
    tiny.write_jsonl(tmp_path / "pairs.jsonl", planted(20))
    for name, sign in (("judge", 1.0), ("good", 1.0), ("bad", -1.0)):
        model = new_reward_model(str(tiny_model), tokenizer, seed=11)
        model.score.weight.data *= 50 * sign
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    return {"model": tiny_model} | {f"./{name}": tmp_path / name for name in ("judge", "good", "bad")}


def test_a_planted_bad_model_is_last_and_the_best_is_what_the_stage_makes(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    tiny.write_jsonl(tmp_path / "prompts.jsonl", [{"prompt": f"{n}?"} for n in range(8)] + [{"prompt": ""}])
    made = job(tmp_path / "stage", models, REWARD | {"best_of_n": CHOICE | {"judge": "./judge"}})
    done = reward.run(made, silent)
    [table] = [table for table in done.tables if table.title == "Best of 6"]
    rows = {str(row[0]): row[1:] for row in table.rows}
    order = [str(row[0]) for row in table.rows]
    assert order == ["the best of all (oracle)", "./good", "reward", "./bad", "a random one"]
    assert rows["./good"][0] == rows[order[0]][0] and rows["./good"][2] == 1.0
    means: list[float] = [float(rows[name][0] or 0) for name in ("./bad", "a random one", order[0])]
    assert means == sorted(means) and means[0] < means[1] < means[2]
    saved = load_file(made.model_path / "model.safetensors")
    assert torch.equal(saved["score.weight"], load_file(models["./good"] / "model.safetensors")["score.weight"])
    assert done.figures["accuracy"] == rows["./good"][3] and done.figures["best_of_n/./bad"] < means[1]
    assert done.left_out == {"best_of_n.empty_prompt": 1}


def test_the_stages_own_model_stays_where_it_is_the_best(tmp_path: Path, models: dict[str, Path]) -> None:
    tiny.write_jsonl(tmp_path / "prompts.jsonl", [{"messages": tiny.conversation("안녕", "네", "1+1?")}] * 2)
    choice = CHOICE | {"candidates": ["./bad"], "judge": "./judge"}
    made = job(tmp_path / "stage", models, REWARD | {"best_of_n": choice}, seed=11)
    reward.run(made, silent)  # the head of seed 11 is the judge's
    saved = load_file(made.model_path / "model.safetensors")["score.weight"]
    assert not torch.equal(saved, load_file(models["./bad"] / "model.safetensors")["score.weight"])


def test_picks_are_counted() -> None:
    judged = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    rewards = {
        "ties": np.zeros((3, 3)),  # the first of equal ones
        "perfect": judged.copy(),
        "worst": -judged,
    }
    found = compare(rewards, judged)
    assert [(one.name, one.score) for one in found] == [("perfect", 2 / 3), ("ties", 1 / 3), ("worst", 0.0)]
    assert [one.best_frac for one in found] == [1.0, 2 / 3, 1 / 3]
    assert found[0].error == pytest.approx(np.std([1, 1, 0], ddof=1) / np.sqrt(3))
    assert [one.name for one in compare({"a": judged, "b": judged}, judged)] == ["a", "b"]


def test_final_answers_are_judged() -> None:
    asked = [Asked("1+1?", "2", (), "x:1"), Asked([{"role": "user", "content": "수도?"}], "서울", (), "x:2")]
    answers = [
        [Drawn((1,), r"So it is \boxed{2}.", True), Drawn((1,), r"\boxed{3}", True), Drawn((1,), "hm", False)],
        [Drawn((1,), "정답은: 부산", True), Drawn((1,), "정답은: 서울", True), Drawn((1,), "", True)],
    ]
    assert judge_answers(asked, answers).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"candidates": ["./policy"], "judge": "./judge"}, "is no reward model"),
        ({"judge": "./policy"}, "is no reward model"),
        ({"judge": "answers"}, "`answer`: is missing"),
        ({"judge": "./judge", "prompts": "empty.jsonl"}, "empty.jsonl has no prompt"),
    ],
)
def test_what_cannot_be_chosen_by_is_refused(
    tmp_path: Path, models: dict[str, Path], tiny_model: Path, change: dict[str, Any], said: str
) -> None:
    tiny.write_jsonl(tmp_path / "prompts.jsonl", [{"prompt": "1?"}])
    (tmp_path / "empty.jsonl").write_bytes(b"")
    stage = REWARD | {"best_of_n": CHOICE | change}
    with pytest.raises(RequestError, match=said):
        reward.run(job(tmp_path / "stage", models | {"./policy": tiny_model}, stage), silent)
    assert not (tmp_path / "stage/curve.jsonl").exists()  # before anything was trained


def test_a_reward_model_of_another_vocabulary_reads_answers_as_texts(tmp_path: Path, models: dict[str, Path]) -> None:
    """It has its own tokenizer, so it may be a candidate; its accuracy on pairs of other tokens is left empty."""
    other = tiny.save_model(tmp_path / "other-base", special=tiny.SPECIAL[:2], template="chatml")
    tokenizer = load_tokenizer(str(other))
    set_padding(tokenizer)
    new_reward_model(str(other), tokenizer, 0).save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    tiny.write_jsonl(tmp_path / "prompts.jsonl", [{"prompt": "1?"}])
    choice = CHOICE | {"candidates": ["./other"], "judge": "./judge"}
    made = job(tmp_path / "stage", models | {"./other": tmp_path / "other"}, REWARD | {"best_of_n": choice})
    [table] = [one for one in reward.run(made, silent).tables if one.title == "Best of 6"]
    [row] = [row for row in table.rows if row[0] == "./other"]
    assert row[4] is None and isinstance(row[1], float)
