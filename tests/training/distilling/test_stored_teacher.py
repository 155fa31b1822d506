"""Stored probabilities give the loss of the teacher that they are of, and are refused where they are of other ids."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import numpy as np
import torch

from manifests.engine import silent
from manifests.errors import RequestError
from tests.training import tiny
from tests.training.distilling import stored_tables
from tests.training.distilling.students import TEACHER, job, run
from training.distilling.distill import stored
from training.distilling.held_out import places_of
from training.distilling.predictions import Predicted, predicted
from training.distilling.teachers import OnlineTeacher
from training.pretraining.isolation import inputs_of
from training.trainers import load_model, load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
Pair = tuple[Path, Path]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The teacher is sure of what it says, as trained ones are: 20 tokens have nearly all of the probability."""
    folder = tmp_path_factory.mktemp("pair")
    student = tiny.save_model(folder / "student", seed=1, initializer_range=0.1)
    teacher = tiny.save_model(folder / "teacher", seed=2, **TEACHER)
    model = load_model(str(teacher))
    with torch.no_grad():
        model.lm_head.weight *= 10
    model.save_pretrained(teacher)
    return student, teacher


def both(folder: Path, pair: Pair, top: int, **settings: Any) -> tuple[Any, Any, Any, Any]:
    """Losses and their gradients by the hidden states: of stored probabilities, then of the teacher itself."""
    stored_tables.write(folder / "run", stored_tables.rows_of(pair[1], 12, top))
    asked = job(folder, pair[0], None, logprobs="run", **settings)
    opened, teacher = stored(asked, asked.stage, load_tokenizer(str(pair[0])), silent)
    online = OnlineTeacher(load_model(str(pair[1])), teacher.settings, tiny.VOCABULARY)
    batch = opened.source.batch([0, 1])
    places, labels = places_of(batch)
    student = load_model(str(pair[0]))
    inputs = inputs_of(batch["input_ids"], batch["position_ids"], "sdpa")
    found: list[Any] = []
    for one in (teacher, online):
        made = predicted(student, inputs, places, student)
        assert made.hidden is not None
        hidden = made.hidden.detach().requires_grad_()
        losses = one.losses(Predicted(hidden, made.weight), one.ask(batch, places), labels, asked.stage.ce_weight)
        losses.sum().backward()
        found += [losses.detach(), hidden.grad]
    return found[0], found[1], found[2], found[3]


@pytest.mark.parametrize("loss", ["forward_kl", "skew_kl"])
@pytest.mark.parametrize(("top", "tolerance"), [(tiny.VOCABULARY, 1e-5), (20, 1e-4)])
def test_the_loss_is_the_teachers(tmp_path: Path, pair: Pair, loss: str, top: int, tolerance: float) -> None:
    mine, of_mine, theirs, of_theirs = both(tmp_path, pair, top, loss=loss, ce_weight=0.25)
    assert len(mine) > 20 and float(theirs.mean()) > 0.5
    assert float(mine.mean()) == pytest.approx(float(theirs.mean()), abs=tolerance)
    assert float((of_mine - of_theirs).abs().max()) < 10 * tolerance
    if top == tiny.VOCABULARY:
        assert torch.allclose(mine, theirs, atol=tolerance)


def test_a_student_learns_from_stored_probabilities(tmp_path: Path, pair: Pair) -> None:
    rows = stored_tables.rows_of(pair[1], 24, 20)
    stored_tables.write(tmp_path / "run", rows)
    made = run(tmp_path, pair[0], None, logprobs="run", held_out=0.2, steps=12)
    figures = made.figures
    assert figures["held_out_divergence"] < figures["held_out_divergence_before"]
    assert made.counts["likeliest_tokens"] == 20 and made.left_out == {"held_out": 4}
    assert made.counts["trained_tokens"] > 0 and all(np.isfinite(list(figures.values())))


def test_tokens_of_another_tokenizer_are_refused(tmp_path: Path, pair: Pair) -> None:
    rows = stored_tables.rows_of(pair[1], 3, 5)
    for settings, change, said in (
        ({}, {"tokenizer": "00"}, r"3 rows hold ids of another tokenizer .*tokenizer.json.*onggi synth"),
        ({}, {"tokenizer": "00", "top_ids": [9999] * 500}, r"3 rows hold ids of another tokenizer"),
        ({}, {"top": 0, "top_ids": [], "top_logprobs": []}, r"no likeliest tokens were kept"),
        ({}, {"logprobs": [0.0]}, r"the table is damaged"),
        ({"max_length": 8}, {}, r"there is nothing to train on: .*the answer has nothing in the first 8 tokens"),
    ):
        stored_tables.write(tmp_path / "run", [{**row, **change} for row in rows])
        with pytest.raises(RequestError, match=said):
            run(tmp_path, pair[0], None, logprobs="run", steps=2, **settings)
    with pytest.raises(RequestError, match=r"logprobs: .*nowhere.*whose manifest has `teacher.logprobs`"):
        run(tmp_path, pair[0], None, logprobs="nowhere", steps=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"top_ids": [7, 7]}, r"`top_ids` has an id twice at token 1 of the answer"),
        ({"top_ids": [7, tiny.VOCABULARY]}, r"`top_ids` has the id 600; the student has 0 to 599"),
        ({"output_ids": [-1, 5]}, r"`output_ids` has the id -1; the student has 0 to 599"),
        ({"top_logprobs": [0.0, -0.7]}, r"`top_logprobs` are of probabilities that sum to 1\.49659 at token 1"),
        ({"top_logprobs": [float("nan"), -0.7]}, r"`top_logprobs` are of probabilities that sum to nan at token 1"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, pair: Pair, change: dict[str, list[Any]], said: str) -> None:
    """The second one, of which what stands at the second token, or at the end, is another."""
    rows = stored_tables.rows_of(pair[1], 3, 2)
    for column, values in change.items():
        n = 0 if column == "output_ids" else 2
        rows[1][column][n : n + 2] = values
    stored_tables.write(tmp_path / "run", rows)
    with pytest.raises(
        RequestError, match=rf"logprobs: .*run/logprobs/part-00000.parquet: 1: {said}.*run `onggi synth` again"
    ):
        run(tmp_path, pair[0], None, logprobs="run", steps=2)


def test_rows_with_fewer_of_the_likeliest_bound_the_others(tmp_path: Path, pair: Pair) -> None:
    few, many = stored_tables.rows_of(pair[1], 2, 4), stored_tables.rows_of(pair[1], 2, 9)
    stored_tables.write(tmp_path / "run", [few[0], many[1]])
    made = run(tmp_path, pair[0], None, logprobs="run", steps=1)
    assert made.counts["likeliest_tokens"] == 4
