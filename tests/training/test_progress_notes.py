"""What the terminal says of a step."""

import pytest

from training.jobs import Cell
from training.progress_notes import curve_note


@pytest.mark.parametrize(
    ("line", "n_steps", "note"),
    [
        ({}, 10, ""),
        ({"step": 3, "loss": 2.31416, "learning_rate": 1.2e-5}, 500, "3/500 · loss 2.3142 · lr 1.2e-05"),
        ({"step": 3, "loss": 2}, None, "loss 2.0000"),
        (
            {"loss": 0.69, "rewards/margins": 0.1234, "rewards/accuracies": 0.6, "learning_rate": 1e-6, "epoch": 0.5},
            None,
            "loss 0.6900 · margin 0.123 · right 60% · lr 1.0e-06",
        ),
        (
            {"step": 1200, "reward": -0.5, "length": 93.4, "loss": None},
            4800,
            "1,200/4,800 · reward -0.500 · length 93",
        ),
        ({"loss": "nan", "tokens_per_s": 3412.3}, None, "tok/s 3,412"),
    ],
)
def test_notes(line: dict[str, Cell], n_steps: int | None, note: str) -> None:
    assert curve_note(line, n_steps) == note
