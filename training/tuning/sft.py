"""Supervised fine-tuning: TRL's trainer on sequences whose tokens, labels and positions are made here.

TRL computes the loss of the tokens that are learnt only, without the logits of all others, and adds the accuracy and
entropy of those tokens to the curve. Its own preparation of data is not used: it lets text that reads like a control
token become one, and needs a template with `{% generation %}`.
"""

import gc
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from pydantic import BaseModel
from trl import SFTConfig, SFTTrainer

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_training_stages import Sft
from training.chat.control_tokens import add_missing, end_answers_at, end_turns_with, fit_embeddings
from training.chat.template import Template, template_source
from training.jobs import CHECKPOINTS, Job, Made
from training.lora import lora_config
from training.pretraining.isolation import check_isolation, inputs_of
from training.trainers import (
    arguments,
    in_bfloat16,
    load_model,
    load_tokenizer,
    n_steps_of,
    n_trained,
    rows_in_order,
    save_model,
    train,
)
from training.trl_trainers import StagedTrl, old_names_allowed
from training.tuning.batches import NOTHING, Collator, Sequences, one_by_one, packed
from training.tuning.examples import Examples, prepared
from training.tuning.loss import Loss, losses, processes
from training.tuning.mixture import Mixture, mixture_of
from training.tuning.tables import Measured, Trained, made_of

TRIED_TOKENS = 256
WITHOUT, BEFORE, TRAINED = "without", "before.json", "trained.json"
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class _Stage:
    """What all trainings of a stage share."""

    job: Job
    stage: Sft
    tokenizer: Any
    added: list[str]
    """Control tokens that the tokenizer did not have."""
    ends: list[int]
    """Tokens at which answers end."""
    examples: Examples
    mixture: Mixture
    held_out: Mapping[str, Sequences]
    progress: Progress

    def sequences(self, chosen: I64) -> Sequences:
        """Examples as they are trained on."""
        return _sequences(self.stage, self.examples, chosen, self.job.seed)

    def model(self) -> Any:
        """The model that the stage goes on from, with rows for all tokens."""
        model = load_model(self.job.models["model"], is_packed=self.stage.packing and in_bfloat16(self.stage))
        fit_embeddings(model, self.tokenizer, self.added)
        end_answers_at(model, self.ends)
        return model


def run(job: Job, progress: Progress) -> Made:
    """Train on conversations; what came of it, with the loss on what was held out before and after.

    Raises:
        RequestError: there is nothing to train on, or template, tokenizer and model do not go together.
        RunError: the loss is no number, or the disk is full.
    """
    opened = _open(job, progress)
    before = _kept(job.path / BEFORE, Measured) or _before(opened)
    trained = _train(opened, job, None)
    left_out = opened.mixture.domains if opened.stage.leave_one_out else ()
    arms = {domain: _train(opened, _without(job, domain), domain) for domain in left_out}
    return made_of(opened.examples, opened.mixture, opened.added, before, trained, arms)


def _open(job: Job, progress: Progress) -> _Stage:
    """Tokenizer, template and examples."""
    stage = job.stage
    assert isinstance(stage, Sft)
    tokenizer = load_tokenizer(job.models["model"])
    template_name, source = template_source(stage.template, tokenizer, job.manifest_base)
    added = add_missing(tokenizer, source)
    if added and stage.lora:
        raise RequestError(
            f"template: the tokenizer lacks {', '.join(added)}, whose embeddings have to be learnt, and `lora` "
            "leaves embeddings as they are: train without `lora`, or take a template whose tokens the model has"
        )
    tokenizer.chat_template = source
    examples = prepared(
        job, tokenizer, Template(template_name, source, tokenizer), progress, processes().is_main_process
    )
    ends = end_turns_with(tokenizer, max(examples.about.ends, key=lambda end: examples.about.ends[end]))
    mixture = mixture_of(stage, examples, job.seed)
    held_out = {
        domain: _sequences(stage, examples, numbers, job.seed)
        for domain, numbers in mixture.held_out.items()
        if len(numbers)
    }
    return _Stage(job, stage, tokenizer, added, ends, examples, mixture, held_out, progress)


def _sequences(stage: Sft, examples: Examples, chosen: I64, seed: int) -> Sequences:
    if stage.packing:
        return packed(chosen, examples.lengths, stage.max_length, seed)
    return one_by_one(chosen)


def _before(opened: _Stage) -> Measured:
    """Measure the model that the stage goes on from."""
    found = Measured(losses={})
    if opened.held_out:
        found = Measured(losses=_losses(opened, opened.model()))
    return _keep(opened.job.path / BEFORE, found)


def _losses(opened: _Stage, model: Any) -> dict[str, Loss]:
    return losses(model, opened.examples, opened.held_out, in_bfloat16(opened.stage))


def _without(job: Job, domain: str) -> Job:
    """The job of a training without a domain, in a folder of its own."""
    stage = job.stage.model_copy(update={"name": f"{job.stage.name} without {domain}"})
    return job.model_copy(update={"stage": stage, "folder": str(job.path / WITHOUT / domain)})


# One training


class _Trainer(StagedTrl, SFTTrainer):  # type: ignore[misc]
    """TRL's, with the tokens that were read so far told by the step alone, so that a resumed one says the same."""

    n_tokens_by_step: I64

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Write a line of the curve; batches that hold nothing, at the end, do not count in its means."""
        metrics = self._metrics["train"]
        held = [entropy > 0 for entropy in metrics.get("entropy", [])]
        if any(held):
            for name in ("entropy", "mean_token_accuracy"):
                metrics[name] = [value for value, counts in zip(metrics[name], held, strict=True) if counts]
        step = min(self.state.global_step, len(self.n_tokens_by_step)) - 1
        metrics["num_tokens"] = [int(self.n_tokens_by_step[step])]
        super().log(logs, start_time)


def _train(opened: _Stage, job: Job, left_out: str | None) -> Trained:
    """Train on all domains, or on all but one; what is there already is kept."""
    if found := _kept(job.path / TRAINED, Trained):
        return found
    chosen = opened.mixture.without(left_out)
    sequences = opened.sequences(chosen)
    order = _order(opened.stage, len(sequences), job.seed)
    job.path.mkdir(parents=True, exist_ok=True)
    trainer = _trainer(opened, job, sequences, order)
    n_parameters = n_trained(trainer.model)
    curve = train(trainer, job, opened.progress)
    save_model(trainer, opened.tokenizer, job)
    del trainer
    gc.collect()
    after = _losses(opened, load_model(str(job.model_path))) if opened.held_out else {}
    lengths, n_learnt = opened.examples.lengths, opened.examples.n_learnt
    trained = Trained(
        losses=after,
        n_steps=len(order) // opened.stage.batch,
        n_examples=len(chosen),
        n_sequences=len(sequences),
        n_tokens=int(sequences.sums(lengths)[order[order != NOTHING]].sum()),
        n_learnt=int(sequences.sums(n_learnt)[order[order != NOTHING]].sum()),
        n_parameters=n_parameters,
        loss_first=float(curve[0]["loss"] or 0),
        loss_last=float(curve[-1]["loss"] or 0),
    )
    kept = _keep(job.path / TRAINED, trained)
    if left_out and processes().is_main_process:
        shutil.rmtree(job.path / CHECKPOINTS, ignore_errors=True)
    return kept


def _order(stage: Sft, n_sequences: int, seed: int) -> I64:
    """Numbers of sequences in the order of training, filled up to whole batches with ones that hold nothing."""
    order = rows_in_order(stage, n_sequences, seed)
    n_rows = n_steps_of(stage, n_sequences) * stage.batch
    return np.concatenate([order, np.full(n_rows - len(order), NOTHING, np.int64)])


def _trainer(opened: _Stage, job: Job, sequences: Sequences, order: I64) -> _Trainer:
    stage, model = opened.stage, opened.model()
    if stage.packing:
        _check_isolation(model, opened.examples)
    attention = model.config._attn_implementation
    steps = arguments(
        job,
        len(order) // stage.batch,
        SFTConfig,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    with old_names_allowed():
        trainer = _Trainer(
            model=model,
            args=steps,
            train_dataset=Dataset.from_dict({"sequence": order}),
            data_collator=Collator(opened.examples, sequences, attention, pad_id=opened.ends[0]),
            processing_class=opened.tokenizer,
            peft_config=lora_config(stage.lora, "CAUSAL_LM"),
        )
    lengths = np.append(sequences.sums(opened.examples.lengths), 0)  # the last one is NOTHING's
    trainer.n_tokens_by_step = np.cumsum(lengths[order].reshape(-1, stage.batch).sum(1))
    return trainer


def _check_isolation(model: Any, examples: Examples) -> None:
    """Try whether examples of a sequence see each other, on the device that the model is on."""
    attention = model.config._attn_implementation
    if "flash" in attention:  # runs on a GPU only, where the model is not yet
        return
    ids = torch.from_numpy(np.resize(examples.ids[:TRIED_TOKENS], (2, TRIED_TOKENS // 2)).astype(np.int64))

    def logits_of(ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model(**inputs_of(ids, positions, attention)).logits
        return found

    check_isolation(logits_of, ids, model.config)


# What is there already

Kept = TypeVar("Kept", bound=BaseModel)


def _kept(path: Path, kind: type[Kept]) -> Kept | None:
    return kind.model_validate_json(path.read_bytes()) if path.is_file() else None


def _keep(path: Path, value: Kept) -> Kept:
    """Write it whole or not at all, by the first process; the others wait for it."""
    state = processes()
    if state.is_main_process:
        partial = path.with_suffix(".partial")
        partial.write_text(value.model_dump_json(), "utf-8")
        partial.rename(path)
    state.wait_for_everyone()
    return value
