"""The stage `dpo`: direct preference optimisation on pairs that are there, through TRL (DNA 1.0, section 4.4).

TRL cuts pairs that are longer than `max_length`, and says nothing of it; here they are left out and counted, as are
pairs of equal answers, before TRL sees any.
"""

from collections.abc import Sequence

import numpy as np

from manifests.engine import Progress
from manifests.schema_training_preferences import Dpo
from training.chat.rows import Left
from training.jobs import Job, Made
from training.preferences.dpo_trainer import PairTrainer, pair_trainer, stage_of
from training.preferences.padding import set_padding
from training.preferences.pair_tables import FLOATS, Column, accuracy, counts_of, left_out_table, losses_of, table_of
from training.preferences.pairs import PairIds, PairSet, read_pairs
from training.preferences.reference import check_same_vocabulary
from training.trainers import load_tokenizer, n_trained, save_model, train, whole_steps

NOTE = (
    "Margin: beta times the difference of both answers' log-ratios to the reference, 0 by definition where the "
    "policy begins as the reference; pairs of margin 0 count half. Where the log-probability of chosen answers "
    "falls, too, the policy moves away from both: a smaller learning rate, or `sft` among the losses, holds it."
)


def run(job: Job, progress: Progress) -> Made:
    """Train the policy on pairs.

    Raises:
        RequestError: there is nothing to train on, or the reference has another vocabulary.
        RunError: the loss or a log-probability is no number, or the disk is full.
    """
    stage, left = stage_of(job), Left()
    tokenizer = load_tokenizer(job.models["model"])
    if stage.reference:
        folder = job.models[stage.reference]
        check_same_vocabulary(tokenizer, load_tokenizer(folder), folder)
    set_padding(tokenizer)
    pairs = read_pairs(
        stage.data,
        job.manifest_base,
        tokenizer,
        left,
        max_length=stage.max_length,
        held_out=stage.held_out,
        seed=job.seed,
    )
    order = whole_steps(stage, len(pairs.trained), job.seed)
    n_steps = len(order) // stage.batch
    trainer = pair_trainer(job, progress, pairs, order, tokenizer, n_steps)
    n_weights, before = n_trained(trainer.model), _before(trainer, stage, pairs)
    lines = train(trainer, job, progress)
    after = trainer.held_out_logps() if pairs.held_out else None
    save_model(trainer, tokenizer, job)
    made = Made(
        counts=counts_of(pairs.trained, order, n_steps, len(pairs.held_out)) | {"trained_parameters": n_weights},
        figures=losses_of(lines),
        left_out=left.counts,
        tables=[table for table in [left_out_table(left)] if table],
    )
    if pairs.n_shortened_prompts:
        made.counts["shortened_prompts"] = pairs.n_shortened_prompts
    if after is not None:
        _add_held_out(made, stage.beta, pairs.held_out, trainer.held_out_reference(), before, after)
    return made


def _before(trainer: PairTrainer, stage: Dpo, pairs: PairSet) -> FLOATS | None:
    """What the policy says of held-out pairs before the first step: the reference's where it begins as that.

    Not known with FSDP and another reference: the policy is on no GPU before the training.
    """
    if not pairs.held_out or (stage.reference and trainer.is_fsdp_enabled):
        return None
    return trainer.held_out_logps() if stage.reference else trainer.held_out_reference()


def _add_held_out(
    made: Made, beta: float, pairs: Sequence[PairIds], reference: FLOATS, before: FLOATS | None, after: FLOATS
) -> None:
    """Margins of implicit rewards, and how log-probabilities moved, all (pairs, 2): chosen, rejected."""
    scored = _margins("", beta, reference, after)
    if before is not None:
        scored = [*_margins(" before", beta, reference, before), *scored]
    for one in scored:
        value = accuracy(one.values) if one.is_share else float(one.values.mean())
        made.figures[one.title.replace(" ", "_")] = value
    columns = list(scored)
    if before is not None:
        chosen, rejected = (after - before).T
        made.figures["chosen_logp_change"] = float(chosen.mean())
        made.figures["rejected_logp_change"] = float(rejected.mean())
        columns += [Column("log-probability of chosen, change", chosen), Column("of rejected, change", rejected)]
    chosen, rejected = np.array([[len(pair.chosen), len(pair.rejected)] for pair in pairs], np.float64).T
    columns += [Column("tokens of chosen", chosen), Column("of rejected", rejected)]
    made.tables.insert(0, table_of("Held-out pairs", pairs, columns, NOTE))


def _margins(when: str, beta: float, reference: FLOATS, logps: FLOATS) -> list[Column]:
    """Beta times the difference of both answers' log-ratios, and the share that is above 0."""
    margins = beta * np.diff(reference - logps)[:, 0]
    return [Column(f"accuracy{when}", margins, is_share=True), Column(f"margin{when}", margins)]
