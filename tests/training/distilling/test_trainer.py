"""Steps of the trainer, each part against what it is to give."""

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl")

import numpy as np
import torch

from manifests.schema_distillation import OffPolicy
from training.distilling.off_policy import Scheduler, step_number
from training.distilling.replay import DrawnAnswer, Replay
from training.distilling.rows import Part, PartSource
from training.distilling.trainer import DistillTrainer
from training.token_dataset import NO_LOSS


def bare(**fields: Any) -> Any:
    """A trainer of nothing but some fields, alone unless they say else."""
    made = object.__new__(DistillTrainer)
    usual = {
        "args": SimpleNamespace(world_size=1, process_index=0, device=torch.device("cpu")),
        "accelerator": SimpleNamespace(reduce=lambda values, _: values, gather=lambda values: values),
        "state": SimpleNamespace(global_step=0),
        "answers": None,
        "contrast": None,
    }
    vars(made).update(usual | fields)
    return made


def test_drawn_answers_come_as_few_rows_at_a_time_as_the_data() -> None:
    """And as many batches in each process: the other one, of two, has three in its second micro-batch."""
    parts = [Part(np.arange(4, 4 + n), np.arange(n) >= 1) for n in (3, 4, 5, 6, 7)]
    args = SimpleNamespace(per_device_train_batch_size=2, device=torch.device("cpu"))
    source = object.__new__(PartSource)
    source.pad_id = 0
    others = torch.tensor([2, 3])
    gathering = SimpleNamespace(gather=lambda own: torch.cat([own, others]))
    made = bare(args=args, accelerator=gathering, source=source)
    first, second = made._batches_of_rows([[[one] for one in parts], [[]]])
    assert [tuple(batch["input_ids"].shape) for batch in first] == [(2, 4), (2, 6), (1, 7)]
    assert sum(int((batch["shift_labels"] != NO_LOSS).sum()) for batch in first) == 2 + 3 + 4 + 5 + 6
    assert len(second) == 3 and all(not batch["n_tokens"].any() for batch in second)


@pytest.mark.parametrize("n_full", [1, 2])
def test_a_step_is_of_one_kind_in_all_processes(n_full: int) -> None:
    """This process's buffer is full, and of two processes one or two are: only then answers are replayed."""
    from training.distilling.answers import StudentAnswers

    answers = object.__new__(StudentAnswers)
    answers.replay = Replay(1)
    answers.replay.add([DrawnAnswer((1, 2), 1)])
    answers.scheduler = Scheduler.of(OffPolicy(start=1.0, replay="constant"), 10)
    answers._seed = next(
        seed for seed in range(99) if step_number(seed, 1) > 0.6
    )  # not drawn anew where all are full
    args = SimpleNamespace(world_size=2, process_index=0, device=torch.device("cpu"))
    made = bare(
        answers=answers, args=args, accelerator=SimpleNamespace(reduce=lambda values, _: values + (n_full - 1))
    )
    assert made._origin() == {1: "drawn", 2: "replayed"}[n_full]
