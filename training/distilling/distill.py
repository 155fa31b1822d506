"""The stage `distill`: a student learns a teacher's distribution of each next token.

Kanana compares final logits only, with the KL divergence and no cross entropy beside it (2502.18934, 2.3.3); DNA 1.0
takes DistiLLM's skewed KL with its adaptive off-policy scheme (2501.10648, 4.5). Both are a `loss` of this stage.

Memory, for a student of N weights and a teacher of M: 16 N bytes as of other stages, and the teacher, whole in each
process: 4 M bytes in float32, 2 M in bfloat16. Of models whose output is a matrix and nothing else (Llama, Mistral,
Qwen 2 and 3) no logits of a batch are made (`training.distilling.divergences`); of others all are, at all places.
"""

import gc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_distillation import Distill
from training.chat.control_tokens import end_answers_at
from training.distilling.answers import StudentAnswers
from training.distilling.contrasts import Contrast
from training.distilling.divergences import Divergence
from training.distilling.held_out import HeldOut, examine, keep, kept
from training.distilling.opening import Opened, open_chats, open_mixture, open_stored
from training.distilling.pairs import open_pairs
from training.distilling.predictions import with_reduction
from training.distilling.report import is_flat, made_of
from training.distilling.rows import PartSource
from training.distilling.similar_layers import TITLE, similarity_table
from training.distilling.stored_rows import read_stored
from training.distilling.stored_teacher import StoredTeacher
from training.distilling.teachers import OnlineTeacher, Teacher
from training.distilling.trainer import DistillTrainer
from training.distilling.vocabularies import check_vocabularies, n_common_ids, n_ids_of
from training.flops import read_config
from training.jobs import Cell, Job, Made, Table
from training.lora import adapted
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
from training.tuning.loss import processes

BEFORE, AFTER = "before.json", "after.json"


def run(job: Job, progress: Progress) -> Made:
    """Train a stage; what came of it, with what held-out tokens say before and after.

    Raises:
        RequestError: there is nothing to train on, or student, teacher and data do not go together.
        RunError: the loss is no number, or the disk is full.
    """
    stage = job.stage
    assert isinstance(stage, Distill)
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"  # the teacher is whole in each process
    tokenizer = load_tokenizer(job.models["model"])
    opened, teacher = (online if stage.teacher else stored)(job, stage, tokenizer, progress)
    before = _measured(job, stage, opened, teacher, BEFORE, job.models["model"])
    curve, counts = _train(job, stage, opened, teacher, tokenizer, progress)
    gc.collect()
    after = _measured(job, stage, opened, teacher, AFTER, str(job.model_path))
    alike = diagnosis(job, stage, opened, teacher, curve, after) if processes().is_main_process else None
    return made_of(opened, before, after, curve, counts, [alike] if alike else [])


def online(job: Job, stage: Distill, tokenizer: Any, progress: Progress) -> tuple[Opened, OnlineTeacher]:
    """The data of a stage, and its teacher, which is asked in each step.

    Raises:
        RequestError: its vocabulary is another one, or its context is shorter than the data's sequences.
    """
    assert stage.teacher is not None
    folder = job.models[stage.teacher]
    teachers = load_tokenizer(folder)
    check_vocabularies(tokenizer, teachers, folder)
    config = _config(folder)
    rows = {"the student": _config(job.models["model"])["vocab_size"], f"the teacher {folder}": config["vocab_size"]}
    n_ids = n_common_ids(tokenizer, rows)
    if stage.mixture:
        opened = open_mixture(job, stage)
    else:
        open_ = open_pairs if stage.contrastive else open_chats
        opened = open_(job, stage, tokenizer, teachers, progress)
    _check_context(stage, opened, config, folder)
    bfloat16 = in_bfloat16(stage)
    model = load_model(folder, is_packed=bfloat16, dtype=torch.bfloat16 if bfloat16 else torch.float32)
    teacher = OnlineTeacher(model, divergence_of(stage), n_ids, bfloat16)
    return opened, teacher.to(processes().device)


def stored(job: Job, stage: Distill, tokenizer: Any, progress: Progress) -> tuple[Opened, StoredTeacher]:
    """The data of a stage, and the teacher whose probabilities are stored with it.

    Raises:
        RequestError: there are none, or they are of other tokens.
    """
    n_ids = n_common_ids(tokenizer, {"the student": _config(job.models["model"])["vocab_size"]})
    n_tokens = min(n_ids, n_ids_of(tokenizer))
    rows = read_stored(job, stage, n_tokens, progress)
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return open_stored(job, stage, rows, pad_id or 0), StoredTeacher(rows, divergence_of(stage), n_tokens)


def divergence_of(stage: Distill) -> Divergence:
    """The stage's."""
    return Divergence(stage.loss, stage.skew, stage.temperature, stage.vocabulary_chunk)


def _measured(job: Job, stage: Distill, opened: Opened, teacher: Teacher, name: str, folder: str) -> HeldOut:
    """What held-out tokens say of a model; measured once, and kept over kills."""
    path = job.path / name
    if found := kept(path):
        return found
    if opened.held_out is None:
        return HeldOut()
    bfloat16 = in_bfloat16(stage)
    model = load_model(folder, is_packed=bfloat16)
    return keep(path, examine(model, teacher, opened.held_out, _micro(stage), bfloat16))


def _micro(stage: Distill) -> int:
    share = max(1, stage.batch // n_ranks())
    return min(stage.micro_batch or share, share)


def _train(
    job: Job, stage: Distill, opened: Opened, teacher: Teacher, tokenizer: Any, progress: Progress
) -> tuple[Sequence[dict[str, Cell]], dict[str, int]]:
    """Train and write the model; the curve, and what was counted."""
    trainer = _trainer(job, stage, opened, teacher, tokenizer)
    counts = {"trained_parameters": n_trained(trainer.model)}
    if not counts["trained_parameters"]:
        raise RequestError(f"{stage.name}: nothing of {job.models['model']} would be trained; leave out `lora`")
    curve = train(trainer, job, progress)
    save_model(trainer, tokenizer, job)
    return curve, counts | trainer.totals()


def _trainer(job: Job, stage: Distill, opened: Opened, teacher: Teacher, tokenizer: Any) -> DistillTrainer:
    student = load_model(job.models["model"], is_packed=in_bfloat16(stage))
    if opened.ends:
        end_answers_at(student, list(opened.ends))
    with_reduction(student)
    if stage.lora is not None:
        student = adapted(student, stage.lora)
        if stage.recompute:
            student.enable_input_require_grads()
    n_steps = len(opened.source) // stage.batch
    trainer = DistillTrainer(student, arguments(job, n_steps), stage, opened.source, teacher)
    if stage.contrastive is not None:
        assert isinstance(teacher, OnlineTeacher)
        trainer.contrast = Contrast(stage.contrastive, teacher.settings, n_steps, teacher.n_ids)
    if stage.off_policy is not None:
        assert isinstance(opened.source, PartSource)
        if opened.held_out is None:
            raise RequestError(
                f"held_out: {stage.held_out:g} of the prompts is none of them, and `off_policy` looks at the loss of "
                "what is held out: give conversations of more prompts, two at least"
            )
        trainer.held_out = opened.held_out
        trainer.answers = StudentAnswers(
            stage.off_policy,
            opened.source.examples,
            tokenizer,
            n_steps=n_steps,
            seed=job.seed,
            rank=trainer.args.process_index,
            n_processes=trainer.args.world_size,
            at_once=_micro(stage),
        )
        trainer.copy_for_drawing()
    return trainer


def diagnosis(
    job: Job, stage: Distill, opened: Opened, teacher: Teacher, curve: Sequence[Mapping[str, Cell]], after: HeldOut
) -> Table | None:
    """How alike the layers of both models are, where the loss is flat above the teacher's; else nothing.

    For one process. The model is trained and kept by now, so what goes wrong here only leaves the table out.
    """
    is_full = opened.held_out is not None and is_flat(curve) and after.gap > 0
    if not is_full or not isinstance(teacher, OnlineTeacher):
        return None
    assert opened.held_out is not None
    try:
        student = load_model(str(job.model_path)).to(processes().device)
        return similarity_table(student, teacher, opened.held_out, _micro(stage), after.gap)
    except Exception as error:  # too little memory for a second model, an architecture without hidden states
        return Table(title=TITLE, columns=[], rows=[], note=f"They could not be compared: {error}")


def _check_context(stage: Distill, opened: Opened, config: Mapping[str, Any], folder: str) -> None:
    """That the teacher can read what the student is trained on.

    Raises:
        RequestError: it cannot.
    """
    longest = config.get("max_position_embeddings")
    if longest is None:
        return
    if isinstance(opened.source, PartSource):
        of_answers = stage.off_policy.max_new_tokens if stage.off_policy is not None else 0
        length = min(stage.max_length, int(opened.source.examples.lengths.max()) + of_answers)
        what, instead = "conversations of the data have", f"set `max_length` to {longest} or less"
    else:
        length = opened.source.batch([0])["input_ids"].shape[1]
        what, instead = "sequences of the mixture have", "mix shorter ones"
    if length > longest:
        raise RequestError(
            f"teacher: {what} {length:,} tokens, more than the {longest:,} of the context of {folder}; {instead}"
        )


def _config(folder: str) -> dict[str, Any]:
    """Of the language model in a folder."""
    config = read_config(Path(folder))
    found: dict[str, Any] = config.get("text_config", config)
    return found
