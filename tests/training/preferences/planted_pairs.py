"""Jobs of the stages `reward` and `dpo`, on pairs of which a rule prefers one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from manifests.schema_training import TrainingStage
from tests.training import tiny
from training.jobs import Job


class Killed(BaseException):
    """As if the process had ended: no handler of the libraries takes it."""


def killed_at(step: int) -> Callable[..., None]:
    """Progress that ends the process at a step."""

    def progress(name: str, done: float, total: float, note: str = "") -> None:
        if done == step and ":" not in name:
            raise Killed

    return progress


def silent(*_: Any) -> None:
    """Progress that nobody watches."""


def job(folder: Path, models: Mapping[str, Path], stage: Mapping[str, Any], seed: int = 3) -> Job:
    """A job whose data lies in the folder's parent."""
    folder.mkdir(parents=True, exist_ok=True)
    defaults = {"name": stage["kind"], "data": [{"path": "pairs.jsonl"}], "batch": 4, "max_length": 300}
    made: Any = TypeAdapter(TrainingStage).validate_python(defaults | stage)
    named = {name: str(path) for name, path in models.items()}
    return Job(stage=made, folder=str(folder), manifest_base=str(folder.parent), models=named, seed=seed)


KIND = ("밝은 봄날", "맑은 하늘", "고운 노래", "warm bread", "fine answer")
RUDE = ("흐린 겨울", "찬 바람", "낡은 소리", "cold stone", "bad reply")


def planted(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Pairs of which the chosen answer has a kind word among fillers, the rejected one a rude word."""
    random = np.random.default_rng(seed)

    def answer(words: Sequence[str]) -> list[dict[str, str]]:
        filler = [str(random.choice(["그리고", "the", "또", "of", "하나"])) for _ in range(random.integers(0, 4))]
        filler.insert(int(random.integers(0, len(filler) + 1)), str(random.choice(words)))
        return [{"role": "assistant", "content": " ".join(filler)}]

    return [
        {
            "prompt": [{"role": "user", "content": f"{tiny.QUESTIONS[i % len(tiny.QUESTIONS)]} ({i})"}],
            "chosen": answer(KIND),
            "rejected": answer(RUDE),
        }
        for i in range(n)
    ]
