"""TRL's trainer of DPO with what it lacks: pairs that are tokenised already, and a reference that is asked once."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from trl import DPOConfig, DPOTrainer

from manifests.engine import Progress
from manifests.schema_training_preferences import Dpo
from training.jobs import Job
from training.lora import lora_config
from training.preferences.pairs import PairIds, PairSet, columns_of
from training.preferences.reference import check_finite, digest_of, read_said, write_said
from training.trainers import arguments, in_bfloat16, load_model
from training.trl_trainers import StagedTrl, old_names_allowed

FLOATS = NDArray[np.float64]


class PairTrainer(StagedTrl, DPOTrainer):  # type: ignore[misc]
    """DPO on pairs that are token ids."""

    train_dataset: Any

    def __init__(
        self, job: Job, progress: Progress, pairs: PairSet, order: NDArray[np.int64], reference: str, **more: Any
    ):
        """Load what is needed, and ask the reference.

        Args:
            job: of the stage.
            progress: is told how far the reference is.
            pairs: to train on, and held out.
            order: of training: numbers of pairs, epoch after epoch.
            reference: folder of the model that the policy is held to, as errors name it.
            more: for TRL's trainer.
        """
        self.job, self.progress, self.reference_folder = job, progress, reference
        first = list(dict.fromkeys(order.tolist()))  # the first epoch, in its order
        places = {number: place for place, number in enumerate(first)}
        trained = [pairs.trained[number] for number in first]
        self.digest = digest_of(
            [trained, pairs.held_out], reference, more["args"].ld_alpha, in_bfloat16(stage_of(job))
        )
        self.said = read_said(job.path, self.digest)
        held_out = dataset_of(pairs.held_out) if pairs.held_out else None
        with old_names_allowed():
            super().__init__(train_dataset=dataset_of(trained), eval_dataset=held_out, **more)
        self.train_dataset = self.train_dataset.select([places[number] for number in order.tolist()])
        self.ref_model = None
        if self.args.should_save:
            write_said(job.path, self.digest, self.said)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        """Nothing is left to do: TRL would render, cut and drop."""
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """What the reference says of a set, as two columns more."""
        if f"{name}.chosen" not in self.said:
            model = self.ref_model or self.model
            batches = self._batches(dataset, batch_size)
            said = [self._said(model, batch, name, n, len(batches)) for n, batch in enumerate(batches)]
            for number, side in enumerate(("chosen", "rejected")):
                self.said[f"{name}.{side}"] = torch.cat([pair[number] for pair in said])
            check_finite(self.said, self.reference_folder)
        for side in ("chosen", "rejected"):
            dataset = dataset.add_column(f"ref_{side}_logps", self.said[f"{name}.{side}"].tolist())
        return dataset

    def _batches(self, dataset: Dataset, batch_size: int) -> Any:
        return self.accelerator.prepare(DataLoader(dataset, batch_size, collate_fn=self.data_collator, shuffle=False))

    def _said(self, model: Any, batch: Any, name: str, done: int, total: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.progress(f"{self.job.stage.name}: reference", done, total, name)
        logps = self.compute_ref_log_probs(model, batch)
        chosen, rejected = self.accelerator.gather_for_metrics(logps)
        return chosen.float().cpu(), rejected.float().cpu()

    def compute_loss(self, model: Any, inputs: Mapping[str, Any], *arguments: Any, **named: Any) -> Any:
        """TRL's loss; the curve also gets how long answers are."""
        lengths = self.accelerator.gather(inputs["completion_mask"].sum(1).float())
        mode = "train" if self.model.training else "eval"
        for side, half in zip(("chosen", "rejected"), self._halves(lengths), strict=True):
            self._metrics[mode][f"lengths/{side}"].append(half.mean().item())
        return super().compute_loss(model, inputs, *arguments, **named)

    def _halves(self, gathered: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Chosen and rejected: each process has a half of either."""
        by_process = gathered.view(self.accelerator.num_processes, 2, -1)
        return by_process[:, 0], by_process[:, 1]

    def held_out_logps(self) -> FLOATS:
        """(pairs, 2): sums of the policy's log-probabilities of chosen and rejected held-out answers."""
        dataset = self.eval_dataset
        found = [
            torch.stack(self.accelerator.gather_for_metrics(self._policy_logps(batch)), dim=1).cpu()
            for batch in self._batches(dataset, self.args.per_device_train_batch_size)
        ]
        logps: FLOATS = torch.cat(found).double().numpy()
        return logps

    def _policy_logps(self, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        mask = batch["completion_mask"]
        with torch.no_grad(), self.accelerator.autocast():
            log_probs = self.model_wrapped(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                labels=batch["input_ids"].masked_fill(mask == 0, -100),
                use_cache=False,
                fused_lm_head=True,
            ).log_probs
        chosen, rejected = sums(log_probs, mask[:, 1:], self.ld_alpha).chunk(2)
        return chosen, rejected

    def held_out_reference(self) -> FLOATS:
        """(pairs, 2): the same of the reference."""
        logps: FLOATS = torch.stack([self.said["eval.chosen"], self.said["eval.rejected"]], dim=1).double().numpy()
        return logps


def sums(log_probs: torch.Tensor, mask: torch.Tensor, alpha: float | None) -> torch.Tensor:
    """Sums over answers; with alpha, tokens beyond the shorter answer's length count so much (LD-DPO).

    Args:
        log_probs: (2 pairs, tokens - 1): of chosen answers, then of rejected ones.
        mask: the same shape, 1 where an answer is.
        alpha: weight, or None for 1.
    """
    place = mask.cumsum(1)
    shorter = torch.minimum(*mask.sum(1).chunk(2)).repeat(2)[:, None]
    weights = torch.where(place <= shorter, 1.0, 1.0 if alpha is None else alpha)
    return (log_probs * mask * weights).sum(1)


def dataset_of(pairs: Sequence[PairIds]) -> Dataset:
    """Pairs as TRL's collator takes them."""
    return Dataset.from_dict(columns_of(pairs))


def stage_of(job: Job) -> Dpo:
    """The stage, by its kind."""
    assert isinstance(job.stage, Dpo)
    return job.stage


def uses_fsdp() -> bool:
    """Whether weights are shared out among GPUs; the policy is then on none of them before the training."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true", "yes")


def pair_trainer(
    job: Job, progress: Progress, pairs: PairSet, order: NDArray[np.int64], tokenizer: Any, n_steps: int
) -> PairTrainer:
    """The trainer of a stage."""
    stage = stage_of(job)
    own, reference = job.models["model"], job.models[stage.reference] if stage.reference else job.models["model"]
    args = arguments(
        job,
        n_steps,
        DPOConfig,
        beta=stage.beta,
        loss_type=list(stage.loss),
        loss_weights=list(stage.loss.values()),
        label_smoothing=stage.label_smoothing,
        ld_alpha=stage.length_desensitization,
        precompute_ref_log_probs=True,
        max_length=None,
    )
    return PairTrainer(
        job,
        progress,
        pairs,
        order,
        reference,
        model=load_model(own),
        ref_model=load_model(reference) if reference != own or (stage.lora and uses_fsdp()) else None,
        args=args,
        processing_class=tokenizer,
        peft_config=lora_config(stage.lora, "CAUSAL_LM"),
    )
