"""When a student counts as full, and what is shown of it then."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl")

import numpy as np
import torch

from manifests.engine import silent
from tests.training import tiny
from tests.training.distilling.students import job, run
from training.distilling import held_out
from training.distilling.distill import diagnosis, online
from training.distilling.divergences import Divergence
from training.distilling.held_out import HeldOut
from training.distilling.report import is_flat
from training.distilling.rows import Batch, Part, laid_out
from training.distilling.similar_layers import TITLE, similarity_table
from training.distilling.teachers import OnlineTeacher
from training.trainers import load_model, load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def curve(*losses: float) -> list[dict[str, Any]]:
    return [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)]


def test_flat_is_what_falls_by_less_than_a_hundredth_over_the_last_quarter() -> None:
    falls = [10 - 0.1 * step for step in range(9)]
    assert is_flat(curve(*falls, 2.0, 2.0, 2.0)) and is_flat(curve(*falls, 2.0, 1.999, 1.99))
    assert not is_flat(curve(*falls, 2.0, 1.98, 1.96))
    assert is_flat(curve(*falls, 2.0, 2.1, 2.2))  # what rises falls no more
    assert not is_flat(curve(1.0, 1.0))  # too few to tell


def test_the_table_is_of_a_student_that_is_full(tmp_path: Path) -> None:
    """A student that is its own teacher is alike in all layers; one with a gap and a flat loss is looked at."""
    torch.set_num_threads(1)
    tiny.write_jsonl(tmp_path / "chats.jsonl", tiny.chats(12))
    model = tiny.save_model(tmp_path / "model", seed=1)
    settings: dict[str, Any] = {"data": [{"path": "chats.jsonl"}], "held_out": 0.2, "learning_rate": 1e-12}
    made = run(tmp_path, model, model, **settings, steps=4)
    assert made.figures["held_out_divergence"] == pytest.approx(0, abs=1e-6)
    assert TITLE not in [table.title for table in made.tables]  # flat, but without a gap
    asked = job(tmp_path, model, model, **settings)
    opened, teacher = online(asked, asked.stage, load_tokenizer(str(model)), silent)
    flat, falling = curve(*[2.0] * 12), curve(*range(12, 0, -1))
    full = HeldOut(student=20.0, teacher=10.0, n_tokens=10)
    assert diagnosis(asked, asked.stage, opened, teacher, falling, full) is None
    table = diagnosis(asked, asked.stage, opened, teacher, flat, full)
    assert table is not None and table.title == TITLE and "1.000 nats per token above" in table.note
    assert [row[:2] for row in table.rows] == [[0, 0], [1, 1], [2, 2]]
    assert all(row[2:] == [1.0, 1.0] for row in table.rows)
    shutil.rmtree(asked.model_path)
    broken = diagnosis(asked, asked.stage, opened, teacher, flat, full)
    assert broken is not None and not broken.rows and "is no model" in broken.note  # the training stays made


def test_the_table_is_of_all_tokens_or_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process makes it, however many there are, and however few tokens are held out."""
    torch.set_num_threads(1)
    model = load_model(str(tiny.save_model(tmp_path / "model", seed=1)))
    teacher, ids = OnlineTeacher(model, Divergence(), tiny.VOCABULARY), np.arange(5, 11)
    source = Rows([[Part(ids + row, np.arange(6) >= 3)] for row in range(4)])
    state = SimpleNamespace(num_processes=4, process_index=1, is_main_process=False, device=torch.device("cpu"))
    monkeypatch.setattr(held_out, "processes", lambda: state)
    table = similarity_table(model, teacher, source, 1, 1.0)
    assert table is not None and "Of 12 held-out tokens" in table.note
    assert similarity_table(model, teacher, Rows([[Part(ids, np.arange(6) >= 5)]]), 1, 1.0) is None


class Rows:
    """Some rows as a source."""

    digest = ""

    def __init__(self, rows: list[list[Part]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, places: Sequence[int]) -> Batch:
        return laid_out([self.rows[place] for place in places], 0)
