"""The stage `reward`: a reward model by Bradley and Terry's likelihood of preferences, through TRL.

The loss of a pair is -log sigma(r_chosen - r_rejected - margin) + c (r_chosen + r_rejected)^2, its mean over a batch
(Kanana, section 3, and TRL). The model is the language model that the stage goes on from, with a new head of one
number; what is read is that head at the last token of an answered prompt (see `training.preferences.reward_model`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import transformers
from datasets import Dataset
from numpy.typing import NDArray
from trl import RewardConfig, RewardTrainer

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_training_preferences import Reward
from training.chat.rows import Left
from training.jobs import Job, Made
from training.lora import lora_config
from training.preferences.best_of_n import choose_best, prepare
from training.preferences.padding import set_padding
from training.preferences.pair_tables import FLOATS, Column, accuracy, counts_of, left_out_table, losses_of, table_of
from training.preferences.pairs import PairIds, read_pairs
from training.preferences.reward_model import RewardModel, check_vocabulary
from training.trainers import (
    arguments,
    load_model,
    load_tokenizer,
    n_trained,
    save_model,
    train,
    whole_steps,
)
from training.trl_trainers import StagedTrl, old_names_allowed

HEAD = "score"


class RewardOfPairs(StagedTrl, RewardTrainer):  # type: ignore[misc]
    """TRL's trainer of reward models, on pairs that are token ids already."""


def run(job: Job, progress: Progress) -> Made:
    """Train a reward model, measure it on held-out pairs, and choose among it and others where that is asked for.

    Raises:
        RequestError: there is nothing to train on, or a model that is named is no reward model.
        RunError: the loss is no number, or the disk is full.
    """
    stage, left = _stage_of(job), Left()
    tokenizer = load_tokenizer(job.models["model"])
    set_padding(tokenizer)
    asked = prepare(job, stage.best_of_n, left) if stage.best_of_n else []
    pairs = read_pairs(
        stage.data,
        job.manifest_base,
        tokenizer,
        left,
        max_length=stage.max_length,
        held_out=stage.held_out,
        seed=job.seed,
        margin=stage.margin,
    )
    order = whole_steps(stage, len(pairs.trained), job.seed)
    n_steps = len(order) // stage.batch
    trainer = _trainer(job, stage, pairs.trained, order, tokenizer, n_steps)
    n_weights = n_trained(trainer.model)
    lines = train(trainer, job, progress)
    save_model(trainer, tokenizer, job)
    made = Made(
        counts=counts_of(pairs.trained, order, n_steps, len(pairs.held_out)) | {"trained_parameters": n_weights},
        figures=losses_of(lines),
        left_out=left.counts,
        tables=[table for table in [left_out_table(left)] if table],
    )
    if trainer.args.should_save:
        if stage.best_of_n:
            choose_best(
                made, job, stage.best_of_n, asked, progress, lambda one: _accuracy(one, tokenizer, pairs.held_out)
            )
        _measure(made, RewardModel(job.model_path, precision="float32"), tokenizer, pairs.held_out)
    return made


def _stage_of(job: Job) -> Reward:
    assert isinstance(job.stage, Reward)
    return job.stage


def _trainer(
    job: Job, stage: Reward, pairs: Sequence[PairIds], order: NDArray[np.int64], tokenizer: Any, n_steps: int
) -> RewardOfPairs:
    args = arguments(
        job,
        n_steps,
        RewardConfig,
        max_length=None,
        center_rewards_coefficient=stage.centering or None,
    )
    with old_names_allowed():
        return RewardOfPairs(
            model=new_reward_model(job.models["model"], tokenizer, job.seed),
            args=args,
            train_dataset=dataset_of(pairs, stage.margin).select(order.tolist()),
            processing_class=tokenizer,
            peft_config=lora_config(stage.lora, "SEQ_CLS", new=(HEAD,)),
        )


def new_reward_model(folder: str, tokenizer: Any, seed: int) -> Any:
    """A language model without its output layer, with a head of one number that the seed alone makes.

    Raises:
        RequestError: there is no such model, or its architecture has no such head.
    """
    transformers.set_seed(seed)
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # it would tell that the head is new, which is what we want
    try:
        model = load_model(folder, heads=1)
    finally:
        transformers.logging.set_verbosity(level)
    if not hasattr(model, HEAD):
        raise RequestError(f"{folder}: {type(model).__name__} has no `{HEAD}` layer that a reward could be read from")
    check_vocabulary(folder, tokenizer, model)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model


def dataset_of(pairs: Sequence[PairIds], margin: bool) -> Dataset:
    """Pairs as TRL's collator takes them: whole sequences."""
    columns: dict[str, list[Any]] = {
        "chosen_ids": [np.concatenate([pair.prompt, pair.chosen]) for pair in pairs],
        "rejected_ids": [np.concatenate([pair.prompt, pair.rejected]) for pair in pairs],
    }
    return Dataset.from_dict(columns | ({"margin": [pair.margin for pair in pairs]} if margin else {}))


# What it is worth


def _measure(made: Made, model: RewardModel, tokenizer: Any, held_out: Sequence[PairIds]) -> None:
    """Rewards of held-out pairs, by the model that the stage makes."""
    if not held_out or not _reads_the_same(model.tokenizer, tokenizer):
        return
    rewards = rewards_of(model, held_out)
    margins = rewards[:, 0] - rewards[:, 1]
    made.figures |= {
        "accuracy": accuracy(margins),
        "margin": float(margins.mean()),
        "reward_chosen": float(rewards[:, 0].mean()),
        "reward_rejected": float(rewards[:, 1].mean()),
        "reward_mean": float(rewards.mean()),
        "reward_std": float(rewards.std()),
    }
    columns = [
        Column("accuracy", margins, is_share=True),
        Column("margin", margins),
        Column("reward of chosen", rewards[:, 0]),
        Column("of rejected", rewards[:, 1]),
        Column("tokens of chosen", _lengths(held_out, "chosen")),
        Column("of rejected", _lengths(held_out, "rejected")),
        Column("accuracy of the longer answer", _lengths(held_out, "chosen") - _lengths(held_out, "rejected"), True),
    ]
    note = (
        "Whole prompts were held out. `accuracy of the longer answer` is what a model would get that prefers length: "
        "where both are alike, look at answers before it is trusted."
    )
    made.tables.insert(0, table_of("Held-out pairs", held_out, columns, note))


def _accuracy(model: RewardModel, tokenizer: Any, held_out: Sequence[PairIds]) -> float | None:
    """Of a candidate; None where nothing is held out, or it reads other tokens than the pairs were turned into."""
    if not held_out or not _reads_the_same(model.tokenizer, tokenizer):
        return None
    rewards = rewards_of(model, held_out)
    return accuracy(rewards[:, 0] - rewards[:, 1])


def _reads_the_same(one: Any, other: Any) -> bool:
    return bool(one.chat_template == other.chat_template and one.get_vocab() == other.get_vocab())


def rewards_of(model: RewardModel, pairs: Sequence[PairIds]) -> FLOATS:
    """(pairs, 2): rewards of chosen and rejected answers."""
    rows = [np.concatenate([pair.prompt, one]).tolist() for pair in pairs for one in (pair.chosen, pair.rejected)]
    return np.array(model.score_ids(rows), np.float64).reshape(-1, 2)


def _lengths(pairs: Sequence[PairIds], side: str) -> FLOATS:
    return np.array([len(getattr(pair, side)) for pair in pairs], np.float64)
