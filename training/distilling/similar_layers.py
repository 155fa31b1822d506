"""How alike the layers of student and teacher see held-out tokens, as a table: what is shown of a full student."""

import math
from typing import Any

import torch

from training.distilling.held_out import rows_at
from training.distilling.rows import Batch, Source
from training.distilling.similarity import layer_similarities
from training.distilling.teachers import OnlineTeacher
from training.jobs import Cell, Table
from training.pretraining.isolation import inputs_of
from training.token_dataset import NO_LOSS

TITLE = "Similarity of hidden states"
TOKENS = 4096
"""Held-out tokens that are looked at, or some more."""
States = list[torch.Tensor]


def similarity_table(student: Any, teacher: OnlineTeacher, source: Source, micro: int, gap: float) -> Table | None:
    """Layer by layer, by one process alone; nothing where fewer than two tokens are held out.

    Args:
        student: a causal language model.
        teacher: whom it learned from.
        source: held-out rows.
        micro: of them at once.
        gap: held-out loss of the student above the teacher's, nats per token.
    """
    ours, theirs, n_tokens = list[States](), list[States](), 0
    for start in range(0, len(source), micro):
        batch = rows_at(source, start, micro)
        here = batch["shift_labels"] != NO_LOSS
        ours.append(_states(student.eval(), batch, here))
        theirs.append(_states(teacher.model, batch, here))
        n_tokens += int(here.sum())
        if n_tokens >= TOKENS:
            break
    if n_tokens < 2:
        return None
    found = layer_similarities(_joined(ours), _joined(theirs))
    rows: list[list[Cell]] = [
        [
            one.student_layer,
            one.teacher_layer,
            _cell(one.cka),
            _cell(one.cosine),
        ]
        for one in found
    ]
    return Table(
        title=TITLE,
        columns=["student's layer", "teacher's layer", "linear CKA", "mean cosine"],
        rows=rows,
        note=f"Of {n_tokens:,} held-out tokens; layer 0 is the embeddings, and layers are compared at the same "
        f"relative depth. The loss of training is flat, and held-out loss is {gap:.3f} nats per token above the "
        "teacher's: a student without room (a reading of DNA 1.0). CKA is 1 where tokens lie to each other alike, "
        "whatever the widths; cosines are of equal widths only, and mean something where the student was made from "
        "the teacher.",
    )


def _cell(value: float | None) -> Cell:
    return None if value is None or math.isnan(value) else round(value, 4)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _states(model: Any, batch: Batch, here: torch.Tensor) -> States:
    """Hidden states of the embeddings and of each layer, of some tokens."""
    inputs = inputs_of(batch["input_ids"], batch["position_ids"], model.config._attn_implementation)
    found = model(**inputs, output_hidden_states=True, logits_to_keep=1).hidden_states
    return [states[here].float() for states in found]


def _joined(parts: list[States]) -> States:
    return [torch.cat(layers) for layers in zip(*parts, strict=True)]
