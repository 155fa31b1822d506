"""Two answers to each prompt, a teacher's and the student's: what DistiLLM-2's contrastive form trains on.

A pair stands in one row, the teacher's answer first, and neither sees the other. So parts of a batch are a teacher's
and a student's by turns.
"""

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_distillation import Distill
from manifests.schema_training_stages import ChatData
from training.chat.control_tokens import end_turns_with
from training.chat.rows import Left
from training.distilling.opening import Opened, as_sft, of_sequences, read_chats
from training.jobs import Job
from training.preferences.pair_tables import left_out_table
from training.tuning.batches import Sequences, packed
from training.tuning.examples import Examples
from training.tuning.mixture import mixture_of

I64 = NDArray[np.int64]


def open_pairs(job: Job, stage: Distill, tokenizer: Any, teachers: Any, progress: Progress) -> Opened:
    """Pairs in the order of training.

    Raises:
        RequestError: there is nothing to train on, `data` has weights, or no prompt has both answers.
    """
    assert stage.contrastive is not None
    if any(data.weight is not None for data in stage.data):
        raise RequestError("data: `weight` has no meaning with `contrastive`, which takes all pairs; leave it out")
    students = ChatData(path=stage.contrastive.student, domain="students")
    data = [*(one.model_copy(update={"domain": "teachers"}) for one in stage.data), students]
    examples = read_chats(job, stage, data, tokenizer, teachers, progress)
    left = Left(dict(examples.about.left_out), examples.about.left_out_first)
    mixture = mixture_of(as_sft(stage, data), examples, job.seed)
    trained, n_alone = pairs_of(examples, mixture.without(None), len(stage.data))
    held_out = np.sort(np.concatenate(list(mixture.held_out.values())))
    held, n_alone_there = pairs_of(examples, held_out, len(stage.data))
    if not len(trained):
        raise RequestError(
            f"contrastive.student: {stage.contrastive.student}: no row has the prompt of a row of `data`, so there "
            "is no pair; give the student's answers to the very prompts of `data`, with their system prompts, tools"
        )
    left.count("no_pair", n_alone + n_alone_there)
    left.count("held_out", 2 * len(held))
    ends = end_turns_with(tokenizer, max(examples.about.ends, key=lambda end: examples.about.ends[end]))
    rows = rows_of_pairs(trained, examples, 2 * stage.max_length, job.seed)
    kept = rows_of_pairs(held, examples, 2 * stage.max_length, job.seed) if len(held) else None
    opened = of_sequences(stage, examples, rows, kept, job.seed, ends[0])
    tables = [table] if (table := left_out_table(left)) else []
    counts = opened.counts | {"examples": len(trained), "cut": examples.about.n_cut}
    return Opened(opened.source, opened.held_out, counts, left.counts, tables, tuple(ends))


def pairs_of(examples: Examples, chosen: I64, first_students: int) -> tuple[I64, int]:
    """Examples by twos, and how many of those that were chosen have no other.

    The n-th answer of the teacher to a prompt goes with the student's n-th.

    Args:
        examples: of both.
        chosen: numbers of some, ascending.
        first_students: entries of data from this one on are the student's.

    Returns:
        (pairs, 2): numbers of the teacher's and the student's.
    """
    waiting = defaultdict[int, list[int]](list)
    for number in chosen[examples.entry[chosen] >= first_students].tolist():
        waiting[int(examples.prompt_hash[number])].append(number)
    teachers = chosen[examples.entry[chosen] < first_students].tolist()
    queues = ((number, waiting[int(examples.prompt_hash[number])]) for number in teachers)
    found = [(number, queue.pop(0)) for number, queue in queues if queue]
    return np.array(found, np.int64).reshape(-1, 2), len(chosen) - 2 * len(found)


def rows_of_pairs(pairs: I64, examples: Examples, capacity: int, seed: int) -> Sequences:
    """Pairs packed into rows, none of them torn apart."""
    lengths = examples.lengths[pairs].sum(1)
    rows = packed(np.arange(len(pairs)), lengths, capacity, seed)
    return Sequences(pairs[rows.examples].reshape(-1), 2 * rows.bounds)
