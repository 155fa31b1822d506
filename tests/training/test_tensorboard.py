"""Curves also go to TensorBoard, by transformers' own callback: its reader finds what `curve.jsonl` says."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("tensorboard")

from manifests.engine import silent  # noqa: E402
from tests.training.test_trainers import STEPS, Rows, StagedTrainer, job_in, tiny  # noqa: E402
from training import trainers  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard.*", "ignore::ResourceWarning")


def test_events_are_those_of_the_curve(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    job = job_in(tmp_path / "cpt").model_copy(update={"report_to": ("tensorboard",)})
    trainer = StagedTrainer(model=tiny(), args=trainers.arguments(job, STEPS), train_dataset=Rows())
    curve = trainers.train(trainer, job, silent)
    events = EventAccumulator(str(job.path / "tensorboard"))
    events.Reload()
    for tag, column in (("train/loss", "loss"), ("train/learning_rate", "learning_rate")):
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        assert [step for step, _ in found] == list(range(1, STEPS + 1))
        assert [value for _, value in found] == pytest.approx([float(line[column] or 0) for line in curve], rel=1e-5)
