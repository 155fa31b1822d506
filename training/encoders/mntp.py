"""The stage `mntp`: masked next token prediction (LLM2Vec, 2404.05961), on packed sequences of token mixtures.

Attention sees both ways, and what was masked at place i is predicted by the output at place i - 1, where the language
model has always had its next token. Documents do not see each other.
"""

from typing import Any

import torch
import transformers

from manifests.engine import Progress
from manifests.schema_embedding import Mntp
from manifests.schema_training_stages import Cpt
from training.encoders.attention import check_can, see_both_ways
from training.encoders.masked_measures import Predicted, both_ways, held_out_rows, predicted
from training.encoders.masking import MaskedRows, Masking, masking_of
from training.jobs import Cell, Job, Made, Table
from training.lora import adapted
from training.preferences.pair_tables import losses_of
from training.pretraining.account import account
from training.pretraining.head_loss import with_head_loss
from training.pretraining.mixtures import open_mixtures
from training.pretraining.order import order_of
from training.pretraining.trainer import CptTrainer, collate
from training.token_dataset import NO_LOSS
from training.trainers import arguments, load_model, load_tokenizer, n_trained, save_model, train


class MntpTrainer(CptTrainer):
    """Continued pre-training's, with attention that sees both ways."""

    def inputs_of(self, ids: torch.Tensor, positions: torch.Tensor) -> dict[str, Any]:
        """What the model is called with."""
        return both_ways(ids, positions, self.model)


def run(job: Job, progress: Progress) -> Made:
    """Train a stage, and measure what it predicts of what its mixtures hold out.

    Raises:
        RequestError: a mixture does not fit, the model cannot see both ways, or it has no such mask.
        RunError: the loss is no number, or the disk is full.
    """
    stage, folder = job.stage, job.models["model"]
    assert isinstance(stage, Mntp)
    tokenizer = load_tokenizer(folder)
    masking = masking_of(stage.mask, stage.replace, stage.mask_token, tokenizer)
    as_cpt = _as_cpt(stage)
    mixtures = open_mixtures(as_cpt, job.manifest_base, folder)
    n_places = stage.steps * stage.batch if stage.steps else None
    order = order_of([one.supply for one in mixtures], job.seed, epochs=stage.epochs, n_places=n_places)
    planned = account(as_cpt, mixtures, order)
    rows = MaskedRows(mixtures, order.filled(stage.batch), masking, job.seed)
    training = job.model_copy(update={"stage": as_cpt})
    trainer = _trainer(training, as_cpt, rows)
    n_weights = n_trained(trainer.model)
    curve = train(trainer, training, progress)
    save_model(trainer, tokenizer, job)
    counts = {"steps": int(curve[-1]["step"] or 0), **planned.counts, **trainer.totals()}
    counts["trained_parameters"] = n_weights
    made = Made(counts=counts, figures=losses_of(curve), left_out=planned.left_out, tables=planned.tables)
    if trainer.args.should_save:
        _measure(made, job, stage, masking, progress)
    return made


def _as_cpt(stage: Mntp) -> Cpt:
    """What the trainer of continued pre-training is told: the same data, steps and settings."""
    shared = set(Cpt.model_fields) & set(Mntp.model_fields) - {"gates"}
    return Cpt.model_validate(stage.model_dump(include=shared) | {"kind": "cpt"})


def _trainer(job: Job, stage: Cpt, rows: MaskedRows) -> MntpTrainer:
    transformers.set_seed(job.seed)  # of which new adapters are drawn
    model = _model(job.models["model"], rows.length, f"stage {stage.name}")
    gives_loss = with_head_loss(model)
    if stage.lora is not None:
        model = adapted(model, stage.lora)
        if stage.recompute:
            model.enable_input_require_grads()
    return MntpTrainer(
        gives_loss,
        model=model,
        args=arguments(job, len(rows) // stage.batch),
        train_dataset=rows,
        data_collator=collate,
    )


def _model(folder: str, length: int, at: str) -> Any:
    """The language model in a folder, which from now on sees both ways."""
    model = load_model(folder)
    check_can(model.config, length, at)
    see_both_ways(model)
    return model


# What came of it


def _measure(made: Made, job: Job, stage: Mntp, masking: Masking, progress: Progress) -> None:
    """Masked tokens of what is held out, by the model before, which has not learnt to see both ways, and after."""
    rows = held_out_rows(stage, job.manifest_base, masking)
    if not any((row["labels"] != NO_LOSS).any() for row in rows):
        return
    found = dict[str, Predicted]()
    for number, (when, folder) in enumerate((("before", job.models["model"]), ("after", str(job.model_path)))):
        progress(f"{stage.name}: masked tokens {when}", number, 2)
        model = _model(folder, len(rows[0]["input_ids"]), f"stage {stage.name}").eval()
        found[when] = predicted(model.to("cuda" if torch.cuda.is_available() else "cpu"), rows)
    for when, one in found.items():
        made.figures |= {f"masked_loss_{when}": one.loss, f"masked_accuracy_{when}": one.accuracy}
    made.tables.insert(0, _table(found, len(rows)))


def _table(found: dict[str, Predicted], n_rows: int) -> Table:
    rows: list[list[Cell]] = [
        [when, one.n_tokens, round(one.loss, 4), round(one.accuracy, 4)] for when, one in found.items()
    ]
    note = f"Of {n_rows:,} held-out sequences. Before is the model that the stage went on from, let see both ways."
    return Table(title="Masked tokens", columns=["", "tokens", "loss", "accuracy"], rows=rows, note=note)
