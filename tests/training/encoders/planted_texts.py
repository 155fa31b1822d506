"""Questions and answers whose words belong together, and jobs of the stages that make encoders."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from manifests.schema_training import TrainingStage
from training.jobs import Job

WORDS = (
    ("옹기", "된장"), ("기차", "부산"), ("날씨", "산책"), ("문제", "정답"), ("한국어", "말뭉치"), ("바다", "물고기"),
    ("fox", "dog"), ("bread", "flour"), ("river", "bridge"), ("winter", "snow"), ("music", "dance"), ("book", "page"),
)  # fmt: skip
FILLERS = ("그리고", "the", "또", "of", "하나", "and", "매우", "some")


class Killed(BaseException):
    """As if the process had ended: no handler of the libraries takes it."""


def killed_at(step: int) -> Callable[..., None]:
    """Progress that ends the process at a step."""

    def progress(name: str, done: float, total: float, note: str = "") -> None:
        if done == step and ":" not in name:
            raise Killed

    return progress


def job(folder: Path, model: Path, stage: Mapping[str, Any], seed: int = 3) -> Job:
    """A job whose data lies in the folder's parent."""
    folder.mkdir(parents=True, exist_ok=True)
    made: Any = TypeAdapter(TrainingStage).validate_python({"name": stage["kind"], "batch": 4} | dict(stage))
    return Job(
        stage=made, folder=str(folder), manifest_base=str(folder.parent), models={"model": str(model)}, seed=seed
    )


def planted(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows whose question has one word of a pair, and whose answer the other, among fillers."""
    random = np.random.default_rng(seed)

    def among(word: str) -> str:
        fillers = [str(random.choice(FILLERS)) for _ in range(random.integers(1, 4))]
        fillers.insert(int(random.integers(0, len(fillers) + 1)), word)
        return " ".join(fillers)

    rows = []
    for number in range(n):
        asked, answer = WORDS[number % len(WORDS)]
        other = WORDS[(number + 1 + int(random.integers(0, len(WORDS) - 1))) % len(WORDS)][1]
        rows.append({"query": f"{among(asked)} {number}", "positive": among(answer), "negative": [among(other)]})
    return rows
