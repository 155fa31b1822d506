"""The data of a distillation, opened: a token mixture as of `cpt`, conversations as of `sft`, or stored answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from curation.mixture.record import read_mixture
from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_distillation import Distill
from manifests.schema_training_stages import ChatData, Cpt, Sft
from manifests.store import Folder, resolve
from training.chat.control_tokens import add_missing, end_turns_with
from training.chat.rows import Left
from training.chat.template import Template, template_source
from training.distilling.rows import MixtureSource, PartSource, Source
from training.distilling.stored_rows import StoredRows
from training.jobs import Job, Table
from training.preferences.pair_tables import left_out_table
from training.pretraining.account import account
from training.pretraining.mixtures import open_mixtures
from training.pretraining.order import order_of
from training.pretraining.trainer import SequenceRows
from training.token_dataset import TokenDataset
from training.trainers import n_steps_of, rows_in_order
from training.tuning.batches import NOTHING, Sequences, packed
from training.tuning.examples import Examples, prepared
from training.tuning.loss import processes
from training.tuning.mixture import mixture_of

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Opened:
    """What is trained on, and what is held out."""

    source: Source
    held_out: Source | None
    counts: dict[str, int]
    left_out: dict[str, int] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    ends: tuple[int, ...] = ()
    """Tokens at which answers end, that of the template first."""


# Mixtures


def open_mixture(job: Job, stage: Distill) -> Opened:
    """Sequences of token mixtures in the order of training; what the mixtures hold out is held out.

    Raises:
        RequestError: a mixture is not there, or does not fit the student.
    """
    as_cpt = Cpt.model_validate(
        {
            "kind": "cpt",
            "name": stage.name,
            "mixture": [use.model_dump() for use in stage.mixture],
            "batch": stage.batch,
            "epochs": stage.epochs,
            "steps": stage.steps,
        }
    )
    mixtures = open_mixtures(as_cpt, job.manifest_base, job.models["model"])
    n_places = stage.steps * stage.batch if stage.steps else None
    order = order_of([one.supply for one in mixtures], job.seed, epochs=stage.epochs, n_places=n_places)
    planned = account(as_cpt, mixtures, order)
    return Opened(
        MixtureSource(SequenceRows(mixtures, order.filled(stage.batch))),
        _held_out_sequences(stage, job.manifest_base),
        {"steps": -(-len(order) // stage.batch), **planned.counts},
        planned.left_out,
        planned.tables,
    )


class _HeldOutRows:
    """Held-out sequences of several mixtures, one after the other, as rows of an order."""

    def __init__(self, datasets: Sequence[TokenDataset]) -> None:
        self._at = [(dataset, number) for dataset in datasets for number in range(len(dataset))]
        self.digest = ""

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, place: int) -> dict[str, Any]:
        dataset, number = self._at[place]
        return dataset[number]


def _held_out_sequences(stage: Distill, base: str) -> Source | None:
    paths = list(dict.fromkeys(resolve(use.path, base) for use in stage.mixture))
    with_some = [path for path in paths if read_mixture(Folder(path)).validation]
    datasets = [TokenDataset(path, split="validation", mask_boundaries=True) for path in with_some]
    rows = _HeldOutRows(datasets)
    return MixtureSource(rows) if len(rows) else None  # type: ignore[arg-type]


# Conversations


def open_chats(job: Job, stage: Distill, tokenizer: Any, teachers: Any, progress: Progress) -> Opened:
    """Conversations in packed sequences, of which the assistant's turns are trained.

    The template is the manifest's, or the student's own, or else the teacher's.

    Raises:
        RequestError: there is nothing to train on, or template and tokenizer do not go together.
    """
    examples = read_chats(job, stage, stage.data, tokenizer, teachers, progress)
    mixture = mixture_of(as_sft(stage, stage.data), examples, job.seed)
    held_out = np.concatenate(list(mixture.held_out.values()))
    ends = end_turns_with(tokenizer, max(examples.about.ends, key=lambda end: examples.about.ends[end]))
    opened = of_parts(stage, examples, mixture.without(None), held_out, job.seed, ends[0])
    left = Left(dict(examples.about.left_out), examples.about.left_out_first)
    left.count("held_out", len(held_out))
    left.count("over_weight", mixture.n_over_weight)
    return Opened(
        opened.source,
        opened.held_out,
        opened.counts | {"cut": examples.about.n_cut, "control_text": examples.about.n_with_control_text},
        left.counts,
        [table] if (table := left_out_table(left)) else [],
        tuple(ends),
    )


def read_chats(
    job: Job, stage: Distill, data: Sequence[ChatData], tokenizer: Any, teachers: Any, progress: Progress
) -> Examples:
    """All conversations in tokens; the tokenizer has their template then."""
    shown = tokenizer if tokenizer.chat_template or stage.template else teachers
    name, source = template_source(stage.template, shown, job.manifest_base)
    if added := add_missing(tokenizer, source):
        raise RequestError(
            f"{name} writes {', '.join(added)}, which neither model has as one token, so the teacher knows nothing "
            "of it: take a template whose tokens both have, as the teacher's own, or tune both with `sft` first"
        )
    tokenizer.chat_template = source
    told = job.model_copy(update={"stage": as_sft(stage, data)})
    return prepared(told, tokenizer, Template(name, source, tokenizer), progress, processes().is_main_process)


def as_sft(stage: Distill, data: Sequence[ChatData]) -> Sft:
    """The stage as one that tunes on the same data."""
    return Sft(kind="sft", name=stage.name, data=list(data), max_length=stage.max_length, held_out=stage.held_out)


def of_parts(
    stage: Distill,
    examples: Examples,
    chosen: I64,
    held_out: I64,
    seed: int,
    pad_id: int,
    stored: I64 | None = None,
) -> Opened:
    """Examples packed into sequences, in the order of training.

    Args:
        stage: of the manifest.
        examples: all.
        chosen: numbers of those that are trained on.
        held_out: of those that are not.
        seed: of the order.
        pad_id: what rows are filled up with.
        stored: see `PartSource`.
    """
    sequences = packed(chosen, examples.lengths, stage.max_length, seed)
    other = packed(held_out, examples.lengths, stage.max_length, seed) if len(held_out) else None
    opened = of_sequences(stage, examples, sequences, other, seed, pad_id, stored)
    return replace(opened, counts=opened.counts | {"examples": len(chosen)})


def of_sequences(
    stage: Distill,
    examples: Examples,
    sequences: Sequences,
    held_out: Sequences | None,
    seed: int,
    pad_id: int,
    stored: I64 | None = None,
) -> Opened:
    """Sequences of examples, in the order of training; arguments as of `of_parts`."""
    order = _order(stage, len(sequences), seed)
    hashed = xxhash.xxh3_128()
    for part in (examples.ids, examples.learnt, examples.bounds, sequences.examples, sequences.bounds, order):
        hashed.update(np.ascontiguousarray(part).data)
    digest = hashed.hexdigest()
    kept = None
    if held_out is not None:
        kept = PartSource(examples, held_out, np.arange(len(held_out)), pad_id, digest, stored)
    counts = {"steps": len(order) // stage.batch, "sequences": len(sequences)}
    return Opened(PartSource(examples, sequences, order, pad_id, digest, stored), kept, counts)


def _order(stage: Distill, n_sequences: int, seed: int) -> I64:
    """Numbers of sequences in the order of training, filled up to whole steps with ones that hold nothing."""
    order = rows_in_order(stage, n_sequences, seed)
    n_rows = n_steps_of(stage, n_sequences) * stage.batch
    return np.concatenate([order, np.full(n_rows - len(order), NOTHING, np.int64)])


# Stored probabilities


def open_stored(job: Job, stage: Distill, rows: StoredRows, pad_id: int) -> Opened:
    """Answers of the teacher in packed sequences, which are trained.

    Args:
        job: of the stage.
        stage: of the manifest.
        rows: that were stored.
        pad_id: what sequences are filled up with.
    """
    assert stage.logprobs is not None
    examples = rows.examples
    mixture = mixture_of(as_sft(stage, [ChatData(path=stage.logprobs)]), examples, job.seed)
    [held_out] = mixture.held_out.values()
    opened = of_parts(stage, examples, mixture.without(None), held_out, job.seed, pad_id, np.asarray(rows.stored))
    left = Left(dict(examples.about.left_out), examples.about.left_out_first)
    left.count("held_out", len(held_out))
    return replace(
        opened,
        counts=opened.counts | {"cut": examples.about.n_cut, "likeliest_tokens": rows.top_ids.shape[1]},
        left_out=left.counts,
        tables=[table] if (table := left_out_table(left)) else [],
    )
