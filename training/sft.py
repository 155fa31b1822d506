"""Supervised fine-tuning: TRL's trainer on sequences whose tokens, labels and positions are made here.

TRL computes the loss of the tokens that are learnt only, without the logits of all others, and adds the accuracy and
entropy of those tokens to the curve. Its own preparation of data is not used: it lets text that reads like a control
token become one, and needs a template with `{% generation %}`.
"""

import gc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from datasets import Dataset
from numpy.typing import NDArray
from pydantic import BaseModel
from trl import SFTConfig, SFTTrainer

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_training import Sft
from training.chat.control_tokens import add_missing, end_turns_with, fit_embeddings
from training.chat.template import Template, template_source
from training.isolation import check_isolation, inputs_of
from training.jobs import Job, Made
from training.sft_batches import NOTHING, Collator, Sequences, one_by_one, packed
from training.sft_examples import Examples, prepared
from training.sft_loss import Loss, losses
from training.sft_mixture import Mixture, mixture_of
from training.sft_tables import made_of
from training.trainers import (
    Staged,
    arguments,
    in_bfloat16,
    load_model,
    load_tokenizer,
    n_steps_of,
    rows_in_order,
    save_model,
    train,
)

WITHOUT, BEFORE, TRAINED = "without", "before.json", "trained.json"
I64 = NDArray[np.int64]


class Measured(BaseModel):
    """Losses on what was held out, by domain."""

    losses: dict[str, Loss]


class Trained(Measured):
    """What came of one training: the stage's own, or one without a domain."""

    n_steps: int
    n_examples: int
    n_sequences: int
    n_tokens: int
    """That were read, over all steps, without padding."""
    n_learnt: int
    """Of these."""
    n_parameters: int
    """That were trained."""
    loss_first: float
    loss_last: float


@dataclass(frozen=True)
class _Stage:
    """What all trainings of a stage share."""

    job: Job
    stage: Sft
    tokenizer: Any
    added: list[str]
    """Control tokens that the tokenizer did not have."""
    examples: Examples
    mixture: Mixture
    held_out: Mapping[str, Sequences]
    progress: Progress


def run(job: Job, progress: Progress) -> Made:
    """Train on conversations; what came of it, with the loss on what was held out before and after.

    Raises:
        RequestError: there is nothing to train on, or template, tokenizer and model do not go together.
        RunError: the loss is no number, or the disk is full.
    """
    stage = job.stage
    assert isinstance(stage, Sft)
    opened = _open(job, stage, progress)
    before = _kept(job.path / BEFORE, Measured) or _measure(opened)
    trained = _train(opened, job, None)
    arms = {domain: _train(opened, _without(job, domain), domain) for domain in opened.mixture.domains}
    return made_of(stage, opened.examples, opened.mixture, opened.added, before, trained, arms)
