"""Pairs of answers: who goes with whom, the mean over the pairs of a step, and anchors over a kill."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")

import torch

from manifests.errors import RequestError
from tests.training import tiny
from tests.training.distilling.students import run, save_pair, weights
from training.checkpoints import read_curve
from training.distilling import contrasts, trainer
from training.distilling.pairs import pairs_of, rows_of_pairs
from training.tuning.examples import About, Examples

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
Pair = tuple[Path, Path]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return save_pair(tmp_path_factory.mktemp("pair"))


def examples(entry: list[int], prompts: list[int]) -> Examples:
    n = len(entry)
    about = About(left_out={}, left_out_first={}, n_cut=0, n_with_control_text=0, ends={})
    bounds = np.cumsum([0, *range(3, n + 3)]).astype(np.int64)
    ids = np.arange(bounds[-1], dtype=np.int32)
    hashes = np.array(prompts, np.uint64)
    return Examples(ids, ids > 0, bounds, np.array(entry, np.int32), hashes, about)


def test_the_nth_answer_goes_with_the_nth() -> None:
    made = examples(entry=[0, 0, 1, 2, 2, 2, 2], prompts=[7, 8, 7, 7, 9, 7, 7])
    pairs, n_alone = pairs_of(made, np.arange(7), first_students=2)
    assert pairs.tolist() == [[0, 3], [2, 5]] and n_alone == 3  # no answer to 8; 9; the third to 7
    rows = rows_of_pairs(pairs, made, capacity=20, seed=0)
    found = sorted(rows[row].tolist() for row in range(len(rows)))
    assert found == [[0, 3], [2, 5]]  # 3 + 6 and 5 + 8 tokens have no room in one row of 20
    [one] = [rows_of_pairs(pairs, made, capacity=40, seed=0)]
    assert sorted(one[0].tolist()) == [0, 2, 3, 5] and one[0].tolist()[:2] in ([0, 3], [2, 5])


def data(folder: Path, n: int = 16) -> dict[str, Any]:
    """Of two answerers; the last prompt is the teacher's alone."""
    chats = tiny.chats(n)
    others = [
        {"messages": [chat["messages"][0], {"role": "assistant", "content": tiny.ENGLISH[k % 6]}]}
        for k, chat in enumerate(chats[:-1])
    ]
    tiny.write_jsonl(folder / "teachers.jsonl", chats)
    tiny.write_jsonl(folder / "students.jsonl", others)
    return {"data": [{"path": "teachers.jsonl"}], "contrastive": {"student": "students.jsonl"}, "held_out": 0.1}


def test_steps_are_the_same_however_they_are_shared_out(tmp_path: Path, pair: Pair) -> None:
    found = []
    for micro in (4, 2):
        made = run(tmp_path, *pair, **data(tmp_path), steps=2, micro_batch=micro)
        found.append((made, weights(tmp_path / "stage" / "model")))
        shutil.rmtree(tmp_path / "stage")
    (one, whole), (other, halves) = found
    assert one.left_out == other.left_out == {"no_pair": 1, "held_out": 2} and one.counts["examples"] == 14
    assert one.figures == pytest.approx(other.figures, abs=1e-5)
    assert all(torch.allclose(weight, halves[name], atol=1e-4) for name, weight in whole.items())


class Killed(Exception):
    """What stands for `kill -9` at a step."""


def test_a_killed_stage_goes_on_to_the_same_bits(tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The anchors are made of steps before and after the kill, and used after it."""
    monkeypatch.setattr(contrasts, "ANCHOR_STEPS", 5)
    settings: dict[str, Any] = {**data(tmp_path), "steps": 8, "checkpoints": {"every": 3}, "learning_rate": 2e-3}
    made = run(tmp_path, *pair, **settings)
    whole, curve = weights(tmp_path / "stage/model"), (tmp_path / "stage/curve.jsonl").read_bytes()
    lines = read_curve(tmp_path / "stage/curve.jsonl")
    assert [line["beta"] for line in lines] == [1 + 0.125 * min(step, 4) for step in range(8)]
    assert made.figures["held_out_divergence"] < made.figures["held_out_divergence_before"]
    shutil.rmtree(tmp_path / "stage")
    of_step = trainer.DistillTrainer.get_batch_samples

    def killed(self: Any, *given: Any) -> Any:
        if self.state.global_step == 4:
            raise Killed
        return of_step(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.DistillTrainer, "get_batch_samples", killed)
        with pytest.raises(Killed):
            run(tmp_path, *pair, **settings)
    assert run(tmp_path, *pair, **settings) == made
    assert (tmp_path / "stage/curve.jsonl").read_bytes() == curve
    assert all(torch.equal(weight, whole[name]) for name, weight in weights(tmp_path / "stage/model").items())


def test_no_common_prompt_is_an_error(tmp_path: Path, pair: Pair) -> None:
    settings = data(tmp_path)
    tiny.write_jsonl(tmp_path / "students.jsonl", [{"messages": tiny.conversation("다른 것", "답")}])
    with pytest.raises(RequestError, match=r"contrastive\.student: students\.jsonl: no row has the prompt"):
        run(tmp_path, *pair, **settings, steps=2)
