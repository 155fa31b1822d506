"""What is measured of held-out places: the divergence, both models' own losses, and where they say the same."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from pydantic import BaseModel

from training.distilling.predictions import Predicted, predicted
from training.distilling.rows import Batch, Source
from training.distilling.teachers import ROWS_AT_ONCE, Teacher
from training.pretraining.isolation import inputs_of
from training.token_dataset import NO_LOSS
from training.tuning.loss import processes
from training.whole_files import write


class HeldOut(BaseModel):
    """Sums over held-out tokens."""

    divergence: float = 0.0
    """Nats, by the stage's own `loss` (without `ce_weight`)."""
    student: float = 0.0
    """Nats of cross entropy."""
    teacher: float = 0.0
    agreed: float = 0.0
    """Tokens where both models find the same one the likeliest."""
    n_tokens: int = 0

    def mean(self, name: str) -> float:
        """Of a sum, per token."""
        return float(getattr(self, name)) / self.n_tokens if self.n_tokens else math.nan

    @property
    def gap(self) -> float:
        """Loss of the student above the teacher's, nats per token."""
        return self.mean("student") - self.mean("teacher")


def rows_at(source: Source, start: int, micro: int) -> Batch:
    """A batch of a source, on this process's device."""
    batch = source.batch(range(start, min(start + micro, len(source))))
    return {name: values.to(processes().device) for name, values in batch.items()}


def batches_of(source: Source, micro: int) -> Iterator[Batch]:
    """This process's share of the batches of a source.

    All processes get as many, since sharded weights are gathered by all at once: where some have one less, they get
    the last one of all again, without anything that counts.
    """
    state = processes()
    starts = range(0, len(source), micro)
    n_rounds = math.ceil(len(starts) / state.num_processes)
    for turn in range(n_rounds):
        number = turn * state.num_processes + state.process_index
        batch = rows_at(source, starts[min(number, len(starts) - 1)], micro)
        if number >= len(starts):
            batch["shift_labels"].fill_(NO_LOSS)
        yield batch


def places_of(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """(places that are trained, the ids that come next there), of the B * L places of a batch."""
    targets = batch["shift_labels"].reshape(-1)
    places = torch.nonzero(targets != NO_LOSS).flatten()
    return places, targets[places]


def examine(model: Any, teacher: Teacher, source: Source, micro: int, bfloat16: bool = False) -> HeldOut:
    """Measure a student; processes share the work, and all get the sums.

    Args:
        model: a causal language model, itself; it is moved to this process's device, its mode is the same afterwards.
        teacher: whom it is compared with.
        source: held-out rows.
        micro: of them at once.
        bfloat16: whether the student computes in bfloat16.
    """
    state, was_training = processes(), model.training
    model.to(state.device).eval()
    sums, n_tokens = torch.zeros(4, dtype=torch.float64), 0
    for batch in batches_of(source, micro):
        places, labels = places_of(batch)
        said = teacher.ask(batch, places)
        student = _student(model, batch, places, bfloat16)
        for start in range(0, len(places), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            sums += teacher.examined(student, said, labels, rows).summed().cpu()
        n_tokens += len(places)
    model.train(was_training)
    found = gather_object([(sums.tolist(), n_tokens)])
    totals = [math.fsum(each) for each in zip(*(one for one, _ in found), strict=True)]
    divergence, student_loss, teacher_loss, agreed = totals
    return HeldOut(
        divergence=divergence,
        student=student_loss,
        teacher=teacher_loss,
        agreed=agreed,
        n_tokens=sum(n for _, n in found),
    )


def loss_of(model: Any, source: Source, micro: int, bfloat16: bool = False) -> float:
    """The student's own loss on held-out rows, nats per token: what the off-policy scheduler looks at.

    Args:
        model: as it is trained, wrapped or not; its mode is the same afterwards.
        source: held-out rows.
        micro: of them at once.
        bfloat16: whether it computes in bfloat16.
    """
    was_training = model.training
    model.eval()
    nats, n_tokens = 0.0, 0
    for batch in batches_of(source, micro):
        places, labels = places_of(batch)
        found = _reduced(model, batch, places, labels, bfloat16)
        nats += float(found["nats"])
        n_tokens += len(places)
    model.train(was_training)
    parts = gather_object([(nats, n_tokens)])
    return math.fsum(part for part, _ in parts) / max(1, sum(int(n) for _, n in parts))


@torch.no_grad()  # type: ignore[untyped-decorator]
def _reduced(model: Any, batch: Batch, places: torch.Tensor, labels: torch.Tensor, bfloat16: bool) -> Any:
    def nats(student: Predicted) -> dict[str, torch.Tensor]:
        total = torch.zeros((), dtype=torch.float64)
        for start in range(0, len(places), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            logits = student.logits_of(rows)
            total += torch.nn.functional.cross_entropy(logits, labels[rows], reduction="sum").cpu()
        return {"nats": total}

    device = batch["input_ids"].device.type
    config = getattr(model, "module", model).config
    inputs = inputs_of(batch["input_ids"], batch["position_ids"], config._attn_implementation)
    with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
        return model(**inputs, places=places, reduce=nats)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _student(model: Any, batch: Batch, places: torch.Tensor, bfloat16: bool) -> Predicted:
    inputs = inputs_of(batch["input_ids"], batch["position_ids"], model.config._attn_implementation)
    with torch.autocast(batch["input_ids"].device.type, torch.bfloat16, enabled=bfloat16):
        return predicted(model, inputs, places, model)


# What is there already


def kept(path: Path) -> HeldOut | None:
    """What was measured before a kill."""
    return HeldOut.model_validate_json(path.read_bytes()) if path.is_file() else None


def keep(path: Path, value: HeldOut) -> HeldOut:
    """Write it by the first process; the others wait for it."""
    state = processes()
    if state.is_main_process:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, value.model_dump_json())
    state.wait_for_everyone()
    return value
