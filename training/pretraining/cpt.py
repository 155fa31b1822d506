"""The stage `cpt`: continued pre-training on packed sequences of token mixtures, in which documents do not see each
other."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import transformers

from manifests.engine import Progress
from manifests.errors import RunError
from manifests.schema_training_stages import Cpt
from training.flops import Training
from training.jobs import Job, Made
from training.lora import adapted
from training.pretraining.account import Account, account
from training.pretraining.context import extended
from training.pretraining.head_loss import with_head_loss
from training.pretraining.mixtures import Opened, open_mixtures
from training.pretraining.order import Order, order_of
from training.pretraining.trainer import CptTrainer, SequenceRows, collate
from training.schedules import deepseek_law
from training.trainers import (
    arguments,
    in_bfloat16,
    load_model,
    load_tokenizer,
    n_ranks,
    n_trained,
    save_model,
    train,
)


def run(job: Job, progress: Progress) -> Made:
    """Train a stage.

    Raises:
        RequestError: a mixture, the context or the model does not fit the others, or documents would see each other.
        RunError: the loss is no number, the disk is full, or tokens were lost.
    """
    stage, folder = job.stage, job.models["model"]
    assert isinstance(stage, Cpt)
    mixtures = open_mixtures(stage, job.manifest_base, folder)
    config = _config(stage, folder)
    model = load_model(folder, is_packed=in_bfloat16(stage), config=config)
    stage, order, law = plan(stage, mixtures, job.seed, model.num_parameters(), n_ranks())
    job = job.model_copy(update={"stage": stage})
    planned = account(stage, mixtures, order)
    gives_loss = with_head_loss(model)
    if stage.lora is not None:
        model = adapted(model, stage.lora)
        if stage.recompute:
            model.enable_input_require_grads()
    data = SequenceRows(mixtures, order.filled(stage.batch))
    trainer = CptTrainer(
        gives_loss,
        model=model,
        args=arguments(job, len(data) // stage.batch),
        train_dataset=data,
        data_collator=collate,
    )
    n_weights = n_trained(trainer.model)
    curve = train(trainer, job, progress)
    save_model(trainer, load_tokenizer(folder), job)
    made = _made(planned, trainer.totals(), curve, stage, law)
    return made.model_copy(update={"counts": made.counts | {"trained_parameters": n_weights}})


def _config(stage: Cpt, folder: str) -> Any:
    """The model's configuration, with the longer context where there is one."""
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return config if stage.context is None else extended(config, stage.context)


def plan(
    stage: Cpt, mixtures: Sequence[Opened], seed: int, n_weights: int, n_processes: int
) -> tuple[Cpt, Order, dict[str, float]]:
    """The stage with the learning rate and the batch that its law gives, the order of its sequences, and what the law
    was asked and said."""
    compute = stage.law.compute if stage.law is not None else None
    if compute is not None:
        stage = by_law(stage, compute, mixtures[0].dataset.sequence_length, n_processes)
    has_replay = stage.replay is not None
    supplies = [one.supply for one in mixtures]
    order = order_of(
        supplies[:-1] if has_replay else supplies,
        seed,
        replay=supplies[-1] if has_replay else None,
        share=stage.replay.share if stage.replay is not None else 0.0,
        epochs=stage.epochs,
        n_places=stage.steps * stage.batch if stage.steps else None,
    )
    if stage.law is not None and compute is None:
        compute = Training(n_weights, order.n_tokens(supplies)).flops
        stage = by_law(stage, compute, mixtures[0].dataset.sequence_length, n_processes)
    law = {} if compute is None else {"law_compute": compute, "law_batch_tokens": deepseek_law(compute)[1]}
    return stage, order, law


def by_law(stage: Cpt, compute: float, length: int, n_processes: int) -> Cpt:
    """A stage with the learning rate and the batch of DeepSeek's law.

    The batch is that of the law in whole sequences, at least one; among several processes the nearest multiple of
    them. `micro_batch` is lowered to what divides it, which changes nothing that is computed.
    """
    learning_rate, batch_tokens = deepseek_law(compute)
    batch = n_processes * max(1, round(batch_tokens / length / n_processes))
    share, micro = batch // n_processes, stage.micro_batch
    if micro is not None:
        micro = next(n for n in range(min(micro, share), 0, -1) if share % n == 0)
    return stage.model_copy(update={"learning_rate": learning_rate, "batch": batch, "micro_batch": micro})


# What came of it


def _made(
    planned: Account,
    totals: Mapping[str, int],
    curve: Sequence[Mapping[str, Any]],
    stage: Cpt,
    law: Mapping[str, float],
) -> Made:
    """Counts, measures and tables.

    Raises:
        RunError: not all tokens of the order were read.
    """
    if totals["tokens"] != planned.n_tokens:
        raise RunError(
            f"{stage.name}: {totals['tokens']:,} tokens were read of {planned.n_tokens:,} that its mixtures hold: "
            "files changed while it ran; run it again"
        )
    figures = {"loss_first": curve[0]["loss"], "loss_last": curve[-1]["loss"], "batch": stage.batch}
    figures |= {"learning_rate": stage.learning_rate, **law}
    for name in ("tokens_per_s", "mfu"):
        if found := [line[name] for line in curve if name in line]:
            figures[name] = statistics.median(found)
    counts = {"steps": int(curve[-1]["step"]), **planned.counts, **totals}
    return Made(counts=counts, figures=figures, left_out=planned.left_out, tables=planned.tables)
