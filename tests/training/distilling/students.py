"""Students, teachers and jobs of distillation for tests: tiny Llamas of one tokenizer, a second of training."""

from pathlib import Path
from typing import Any

from manifests.engine import silent
from manifests.schema_distillation import Distill
from tests.training import tiny
from training.jobs import Job, Made

TEACHER = {"hidden_size": 96, "initializer_range": 0.2}


def save_pair(folder: Path, **of_student: Any) -> tuple[Path, Path]:
    """(student, teacher): the teacher is wider, and sure of what it says."""
    student = tiny.save_model(folder / "student", seed=1, **of_student)
    return student, tiny.save_model(folder / "teacher", seed=2, **TEACHER)


def job(folder: Path, student: Path, teacher: Path | None, *, seed: int = 3, **settings: Any) -> Job:
    """A stage in a folder of its own, `stage`, whose data lie in the folder."""
    usual = {"kind": "distill", "name": "distill", "learning_rate": 3e-3, "batch": 4, "max_length": 96}
    if teacher is not None:
        usual["teacher"] = str(teacher)
    stage = Distill.model_validate(usual | settings)
    (folder / "stage").mkdir(exist_ok=True)
    models = {"model": str(student)} | ({str(teacher): str(teacher)} if teacher is not None else {})
    return Job(
        stage=stage, folder=str(folder / "stage"), manifest_base=str(folder), models=models, seed=seed, threads=1
    )


def run(*given: Any, **settings: Any) -> Made:
    """Run such a stage."""
    from training.distilling import distill

    return distill.run(job(*given, **settings), silent)


def weights(folder: Path) -> dict[str, Any]:
    """Of a model."""
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))
