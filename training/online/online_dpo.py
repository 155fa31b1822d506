"""The stage `online_dpo`: a policy answers prompts, a reward model ranks the answers, DPO learns from the ranking.

It begins at the model of offline DPO, and is held to that one all through: Kanana (2502.18934, section 3) found that
a reference that follows the policy makes answers longer. Answers are drawn while the policy trains on those from
before (`training.online.batches`), by `training.online.generators`. The loop is transformers' own, with what TRL's
lacks (`training.online.trainer` says what).

Memory, for a policy of N weights trained whole: weights, gradients and AdamW's two means in float32 (16 N bytes), the
reference (4 N; it computes as the policy does, so that the first loss is exactly ln 2), the copy that draws (4 N in
float32, 2 N in bfloat16; none with `asynchronous: false`), its cache of keys and values for as many answers as a
micro-batch has, and the reward model. With LoRA, reference and copy share the base's weights (in bfloat16 the copy
has its own, 2 N), and what is left is 4 N plus the adapters.
"""

import os
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
import torch

from manifests.engine import Progress
from manifests.schema_training_preferences import OnlineDpo
from training.chat.rendering import as_text
from training.chat.rows import Left
from training.jobs import Cell, Job, Made, Table
from training.lora import adapted
from training.measuring.uncertainty import ks_distance
from training.online.batches import Batch, Drawer, Question
from training.online.generators import Generator, ModelGenerator, VllmGenerator, is_vllm
from training.online.policy_copies import PolicyCopy
from training.online.prompts import read_questions
from training.online.trainer import OnlineDpoTrainer
from training.preferences.pair_tables import left_out_table
from training.preferences.reference import check_same_vocabulary
from training.preferences.reward_model import RewardModel
from training.trainers import (
    arguments,
    in_bfloat16,
    load_model,
    load_tokenizer,
    n_trained,
    save_model,
    train,
    whole_steps,
)

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
NO_PAIR = {"identical_answers": "identical", "equal_rewards": "ties"}
"""Why a prompt of a step makes no pair, and the column of the curve that counts it."""
SAMPLES = 4
SAMPLE_CHARS = 1000
Line = dict[str, Cell]


def run(job: Job, progress: Progress) -> Made:
    """Train, write the model, and tell what came of it.

    Raises:
        RequestError: a model is none, the reference or its vocabulary does not fit, or there is no prompt.
        RunError: no two answers ever differ in reward, a reward or the loss is no number, or the disk is full.
    """
    stage = job.stage
    assert isinstance(stage, OnlineDpo)
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"  # reference and copy are whole in each process
    tokenizer, left = load_tokenizer(job.models["model"]), Left()
    questions = read_questions(stage.prompts, job.manifest_base, tokenizer, stage.max_prompt_length, left)
    order = whole_steps(stage, len(questions), job.seed)
    n_steps = len(order) // stage.batch
    trainer = _trainer(job, stage, [questions[number] for number in order], n_steps, tokenizer)
    n_weights, began = n_trained(trainer.model), perf_counter()
    try:
        curve = train(trainer, job, progress)
        waited_frac = trainer.drawer.waited_s / (perf_counter() - began)
        end = trainer.draw_again()
    finally:
        trainer.drawer.close()
    save_model(trainer, tokenizer, job)
    made = _made(trainer, tokenizer, curve, end, left, n_prompts=len(questions), n_weights=n_weights)
    made.figures["waited_frac"] = waited_frac
    return made


def _trainer(
    job: Job, stage: OnlineDpo, ordered: Sequence[Question], n_steps: int, tokenizer: Any
) -> OnlineDpoTrainer:
    """The trainer, with who draws, who judges and what the policy is held to."""
    policy = load_model(job.models["model"])
    without_dropout(policy)
    if stage.lora:
        torch.manual_seed(job.seed)
        policy = adapted(policy, stage.lora)
    trainer = OnlineDpoTrainer(policy, arguments(job, n_steps), stage, ordered)
    _hold(trainer, job, stage, tokenizer)
    at_once = stage.n * trainer.args.per_device_train_batch_size
    trainer.drawer = Drawer(
        _generator(trainer, job, stage, at_once),
        RewardModel(job.models[stage.reward], batch=at_once, device=str(trainer.args.device)),
        lambda place: ordered[place],
        trainer.places,
        batch=stage.batch,
        n_steps=n_steps,
        seed=job.seed,
        asynchronous=stage.asynchronous,
        device=trainer.args.device,
    )
    return trainer


def without_dropout(model: Any) -> None:
    """Take the model's own dropout away: log-probabilities of policy and reference are compared."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):  # what goes to scaled_dot_product_attention
            module.attention_dropout = 0.0


def _hold(trainer: OnlineDpoTrainer, job: Job, stage: OnlineDpo, tokenizer: Any) -> None:
    """Give the trainer its reference: the policy as it begins (without the adapter, with LoRA), or another model.

    Raises:
        RequestError: the other model has another vocabulary.
    """
    folder = job.models[stage.reference] if stage.reference else job.models["model"]
    if folder != job.models["model"]:
        check_same_vocabulary(tokenizer, load_tokenizer(folder), folder)
        trainer.reference = load_model(folder).to(trainer.args.device).eval().requires_grad_(False)
        return
    copy = PolicyCopy(trainer.model, device=trainer.args.device)
    trainer.reference = copy.model
    if stage.refresh_reference:
        trainer.refreshed = copy
    elif stage.lora:
        copy.model.disable_adapter_layers()


def _generator(trainer: OnlineDpoTrainer, job: Job, stage: OnlineDpo, at_once: int) -> Generator:
    tokenizer = load_tokenizer(job.models["model"])
    if is_vllm(stage):
        config = trainer.model.generation_config
        return VllmGenerator(job.models["model"], tokenizer, config, stage, in_bfloat16(stage))
    copied = stage.asynchronous or trainer.is_fsdp_enabled
    bfloat16 = in_bfloat16(stage)
    return ModelGenerator(
        trainer.model,
        tokenizer,
        stage,
        copied=copied,
        bfloat16=bfloat16,
        at_once=at_once,
        device=trainer.args.device,
    )


# What came of it


def _made(
    trainer: OnlineDpoTrainer,
    tokenizer: Any,
    curve: Sequence[Line],
    end: Batch,
    left: Left,
    n_prompts: int,
    n_weights: int,
) -> Made:
    """Counts, figures and tables: the curve's, and the first batch beside answers to the same prompts at the end."""
    assert trainer.start is not None
    start, end = trainer.everyones(trainer.start), trainer.everyones(end)
    scores = [np.array([answer.score for draw in batch.draws for answer in draw.answers]) for batch in (start, end)]
    names = ("answers", "pairs", "tokens", "trained_tokens")
    counts = {name: sum(int(line[name] or 0) for line in curve) for name in names}
    counts |= {"steps": trainer.state.global_step, "prompts": n_prompts, "examples": counts["pairs"]}
    counts["trained_parameters"] = n_weights
    for reason, name in NO_PAIR.items():
        left.count(reason, sum(int(line[name] or 0) for line in curve))
    tables = [_distributions(*scores), _samples(trainer, tokenizer, start, end), left_out_table(left)]
    return Made(
        counts=counts,
        figures=_figures(curve) | {"score_distance": ks_distance(*(some.tolist() for some in scores))},
        left_out=left.counts,
        tables=[one for one in tables if one],
    )


def _figures(curve: Sequence[Line]) -> dict[str, float]:
    figures = {}
    for name in ("loss", "reward_mean", "score_mean", "answer_length", "ended_frac", "kl", "margin", "accuracy"):
        values = [float(line[name] or 0) for line in curve if line.get(name) is not None]
        if values:
            share = max(1, len(values) // 10)
            figures[f"{name}_first"] = float(np.mean(values[:share]))
            figures[f"{name}_last"] = float(np.mean(values[-share:]))
    stale = [float(line["staleness"] or 0) for line in curve[1:]]
    return figures | ({"staleness": float(np.mean(stale))} if stale else {})


def _distributions(start: np.ndarray[Any, Any], end: np.ndarray[Any, Any]) -> Table:
    rows: list[list[Cell]] = [
        [name, len(scores), float(scores.mean()), float(scores.std()), *(float(one) for one in quantiles)]
        for name, scores, quantiles in (
            ("before", start, np.quantile(start, QUANTILES)),
            ("after", end, np.quantile(end, QUANTILES)),
        )
    ]
    return Table(
        title="Rewards of answers to the same prompts",
        columns=["", "answers", "mean", "std", *(f"{share:.0%}" for share in QUANTILES)],
        rows=rows,
        note="As the reward model gives them, without a penalty, to answers to the prompts of the first step, before "
        "the stage and after it. Where they leave the range that the reward model was trained on, do not trust them.",
    )


def _samples(trainer: OnlineDpoTrainer, tokenizer: Any, start: Batch, end: Batch) -> Table:
    rows: list[list[Cell]] = []
    for before, after in list(zip(start.draws, end.draws, strict=True))[:SAMPLES]:
        row: list[Cell] = [as_text(trainer.questions[before.place].prompt)[:SAMPLE_CHARS]]
        for draw in (before, after):
            row += [tokenizer.decode(draw.answers[0].ids)[:SAMPLE_CHARS], draw.answers[0].score]
        rows.append(row)
    return Table(
        title="Answers before and after",
        columns=["prompt", "before", "reward", "after", "reward"],
        rows=rows,
        note="The first answer to each of some prompts, drawn with the same random numbers.",
    )
