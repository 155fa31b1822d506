"""The stage `contrast`: an encoder, by telling answers apart, measured by what its vectors find before and after."""

from collections.abc import Sequence
from typing import Any

import transformers

from manifests.engine import Progress
from manifests.schema_embedding import Contrast
from training.chat.rows import Left
from training.encoders.attention import check_can, see_both_ways
from training.encoders.contrast_trainer import AskedRows, Collator, ContrastTrainer
from training.encoders.domains import check_domains, domain_table, n_answers_trained
from training.encoders.encoder import FIELD, EncoderSettings, load_backbone, load_encoder
from training.encoders.measures import Searched, n_to_encode, searched, tables_of
from training.encoders.pooling import TextTokens
from training.encoders.retrieval_sets import RetrievalSet, read_set
from training.encoders.texts import AskedSet, order_of, read_texts
from training.jobs import Job, Made
from training.lora import adapted
from training.preferences.pair_tables import losses_of
from training.trainers import arguments, load_tokenizer, n_ranks, n_trained, save_model, shares, train


def run(job: Job, progress: Progress) -> Made:
    """Train an encoder, and measure it and the model before.

    Raises:
        RequestError: there is nothing to train on or to tell apart, or the model cannot see both ways.
        RunError: the loss is no number, or the disk is full.
    """
    stage, left, folder = job.stage, Left(), job.models["model"]
    assert isinstance(stage, Contrast)
    sets = [read_set(spec, job.manifest_base, f"retrieval[{n}]") for n, spec in enumerate(stage.retrieval)]
    texts = read_texts(stage, job.manifest_base, left, job.seed)
    check_domains(texts.trained)
    settings = EncoderSettings(pooling=stage.pooling, max_length=stage.max_length)
    tokenizer = load_tokenizer(folder)
    tokens = TextTokens(tokenizer, stage.max_length, stage.pooling)
    rows = AskedRows(texts.trained, order_of(texts.trained, stage, job.seed), tokens)
    trainer = _trainer(job, stage, rows, settings, tokenizer.pad_token_id or 0)
    n_weights = n_trained(trainer.model)
    curve = train(trainer, job, progress)
    save_model(trainer, tokenizer, job)
    counts = {"steps": len(rows) // stage.batch, "examples": len(texts.trained), "trained_parameters": n_weights}
    counts |= {"tokens": trainer.n_tokens(), "held_out": len(texts.held_out)}
    counts["held_out_answers_trained"], _ = n_answers_trained(texts)
    made = Made(counts=counts, figures=losses_of(curve), left_out=left.counts)
    if trainer.args.should_save:
        before = _measure(folder, settings, texts, sets, progress, f"{stage.name}: before")
        after = _measure(str(job.model_path), settings, texts, sets, progress, f"{stage.name}: after")
        made.figures |= {f"{name}_before": value for name, value in before.figures().items()}
        made.figures |= {f"{name}_after": value for name, value in after.figures().items()}
        made.tables += [*tables_of(before, after), domain_table(texts, stage.batch)]
    return made


def _trainer(job: Job, stage: Contrast, rows: AskedRows, settings: EncoderSettings, pad_id: int) -> ContrastTrainer:
    rows_at_once, _ = shares(stage.batch, stage.micro_batch, n_ranks())
    whole = job.model_copy(update={"stage": stage.model_copy(update={"micro_batch": None})})
    return ContrastTrainer(
        stage,
        rows_at_once,
        model=_model(job, stage, settings),
        args=arguments(whole, len(rows) // stage.batch),
        train_dataset=rows,
        data_collator=Collator(pad_id),
    )


def _model(job: Job, stage: Contrast, settings: EncoderSettings) -> Any:
    """The model that the stage goes on from, as an encoder."""
    transformers.set_seed(job.seed)  # of which new adapters are drawn
    model = load_backbone(job.models["model"])
    setattr(model.config, FIELD, settings.model_dump())
    if stage.bidirectional:
        check_can(model.config, stage.max_length, f"stage {stage.name}: bidirectional")
        see_both_ways(model)
    else:
        model.config.is_causal = True
    if stage.lora is None:
        return model
    if stage.recompute:
        model.enable_input_require_grads()
    return adapted(model, stage.lora, "FEATURE_EXTRACTION")


def _measure(
    folder: str,
    settings: EncoderSettings,
    texts: AskedSet,
    sets: Sequence[RetrievalSet],
    progress: Progress,
    label: str,
) -> Searched:
    """What a model's vectors find; it reads as it says itself, so a language model only backwards."""
    if not texts.held_out and not sets:
        return Searched()
    encoder, n_texts = load_encoder(folder, settings), n_to_encode(texts.held_out, sets)
    n_done = 0

    def told(n: int) -> None:
        nonlocal n_done
        n_done += n
        progress(label, n_done, n_texts)

    told(0)
    return searched(encoder, texts.held_out, sets, told)
