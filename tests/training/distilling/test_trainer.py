"""Steps of the trainer, each part against what it is to give."""

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl")

import numpy as np
import torch

from manifests.schema_distillation import Contrastive, Distill, OffPolicy
from training.distilling import trainer
from training.distilling.contrasts import Contrast
from training.distilling.divergences import Divergence
from training.distilling.off_policy import Scheduler, step_number
from training.distilling.predictions import Predicted
from training.distilling.replay import DrawnAnswer, Replay
from training.distilling.rows import Part, PartSource
from training.distilling.teachers import OnlineTeacher
from training.distilling.trainer import DistillTrainer
from training.token_dataset import NO_LOSS

N_IDS = 7


def bare(**fields: Any) -> Any:
    """A trainer of nothing but some fields, alone unless they say else."""
    made = object.__new__(DistillTrainer)
    usual = {
        "args": SimpleNamespace(
            world_size=1, process_index=0, device=torch.device("cpu"), per_device_train_batch_size=2
        ),
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


def padded_student(gradients: bool = True) -> Predicted:
    """Of 5 places, with 3 rows of output more than there are tokens."""
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(5, 4, generator=generator, requires_grad=gradients)
    return Predicted(hidden, torch.randn(N_IDS + 3, 4, generator=generator, requires_grad=gradients))


def summing(kind: str, **fields: Any) -> tuple[Any, Predicted, Any]:
    """(a trainer, what its student predicts, what its teacher says)."""
    student, model = padded_student(), torch.nn.Module()
    teacher = OnlineTeacher(model, Divergence("forward_kl"), N_IDS)
    made = bare(teacher=teacher, **fields)
    other = padded_student(gradients=False).of_ids(N_IDS)
    assert other.hidden is not None
    said = Predicted(other.hidden * 2, other.weight)
    if kind == "logits":
        return made, Predicted(None, None, student.logits_of(slice(None))), said.as_logits()
    return made, student, said


LABELS = torch.tensor([1, 2, 3, 4, 0])


@pytest.mark.parametrize("kind", ["matrix", "logits"])
def test_the_curves_divergence_is_without_cross_entropy(kind: str) -> None:
    made, student, said = summing(kind, _ce_share=0.0)
    wanted = made._sums(student, said, {}, torch.arange(5), LABELS)["total"].detach()
    made._ce_share = 0.9
    found = made._sums(student, said, {}, torch.arange(5), LABELS)
    assert float(found["divergence"]) == pytest.approx(float(wanted), abs=1e-4) and float(wanted) > 0.1
    assert not found["divergence"].requires_grad
    logits = student.of_ids(N_IDS).logits_of(slice(None)).detach()
    entropy = torch.nn.functional.cross_entropy(logits, LABELS, reduction="sum")
    assert float(found["total"].detach()) == pytest.approx(0.1 * float(wanted) + 0.9 * float(entropy), abs=1e-4)


def test_padding_of_the_output_is_not_trained_by_cross_entropy_alone() -> None:
    made, student, _ = summing("matrix")
    made._sums(student, None, {}, torch.arange(5), LABELS)["total"].backward()
    assert student.weight is not None and student.weight.grad is not None
    assert student.weight.grad[:N_IDS].any() and not student.weight.grad[N_IDS:].any()


def test_drawn_steps_have_no_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Distill.model_validate(
        {"kind": "distill", "name": "d", "teacher": "./t", "data": [{"path": "x"}], "held_out": 0.1}
        | {"ce_weight": 0.4, "off_policy": {"start": 0.5}}
    )
    source = object.__new__(PartSource)
    source.pad_id = 0
    monkeypatch.setattr(PartSource, "batch", lambda *_: {})
    monkeypatch.setattr(PartSource, "numbers", lambda *_: [])
    answers = SimpleNamespace(replayed=lambda numbers, step: [[]])
    counts = {"replayed_steps": 0, "student_answers": 0}
    made = bare(stage=stage, source=source, answers=answers, job=SimpleNamespace(seed=0), _counts=counts)
    made._logged = {"steps": 0, "student_steps": 0}
    for origin, share in (("data", 0.4), ("replayed", 0.0), ("data", 0.4)):
        monkeypatch.setattr(DistillTrainer, "_origin", lambda _, origin=origin: origin)
        made._micro_batches([[0]])
        assert made._ce_share == share


def test_a_process_that_is_new_has_the_anchors_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    first, new = (Contrast(Contrastive(student="x"), Divergence(), 20, N_IDS) for _ in range(2))
    first._gaps = torch.tensor([0.5, 0.25, 1.0], dtype=torch.float64)
    first.settle(lambda values: values)
    monkeypatch.setattr(trainer, "broadcast_object_list", lambda _: [first.state()])
    args = SimpleNamespace(world_size=2, process_index=1)
    bare(contrast=new, args=args, _counts={}).load_extra_state({})
    assert new.state() == first.state() == {"teacher": [1, 0.5], "student": [1, 0.25]}


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
