"""Questions, their answers, and texts that are none: read, checked, held out, and put into batches.

A batch is of one domain, as LLM2Vec has it: the other texts of a batch are what an answer is told apart from, and a
Korean one is told from English ones by its letters alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.errors import RequestError
from manifests.schema_embedding import Contrast, Texts
from training.chat.rows import BadRow, Left, Row, content_hash, parsed, source_of
from training.preferences.pairs import split

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """A question and its answer."""

    query: str
    positive: str
    negatives: tuple[str, ...]
    """Texts that do not answer it."""
    instruction: str
    domain: str

    @property
    def prompt_hash(self) -> int:
        """Of the question."""
        return content_hash(self.query)


@dataclass
class AskedSet:
    """What is trained on, and what is held out."""

    trained: list[Asked] = field(default_factory=list)
    held_out: list[Asked] = field(default_factory=list)


def read_texts(stage: Contrast, base: str, left: Left, seed: int) -> AskedSet:
    """All rows of a stage, in the order of its files.

    Args:
        stage: of the manifest.
        base: where relative paths start.
        left: rows that are left out are counted here.
        seed: of which questions are held out.

    Raises:
        RequestError: there is no file, no row of one is any good, nothing is left to train on, or a batch of 1 has
            nothing that an answer could be told apart from.
        RunError: a line is no JSON object.
    """
    rows = [row for number, entry in enumerate(stage.data) for row in _read(entry, base, f"data[{number}]", left)]
    if not rows:
        faults = "; ".join(left.examples.values()) or "the files are empty"
        raise RequestError(f"data: no question is left to train on: {faults}")
    trained, held_out = split(rows, stage.held_out, seed)
    if not trained:
        raise RequestError(f"held_out: {stage.held_out} leaves no question to train on")
    if stage.batch == 1 and not all(row.negatives for row in trained):
        raise RequestError(
            "batch: 1 has no other answer that a question's own could be told apart from; take more, or name a "
            "`negative` column that each row has something in"
        )
    return AskedSet(trained, held_out)


def _read(entry: Texts, base: str, at: str, left: Left) -> list[Asked]:
    names = [entry.query, entry.positive, *([entry.negative] if entry.negative else [])]
    source = source_of(entry.path, base, at, where=entry.where, limit=entry.limit)

    def parse(row: Row) -> Asked:
        query, positive = (_text(row.values[name], name) for name in (entry.query, entry.positive))
        negatives = _texts(row.values[entry.negative], entry.negative) if entry.negative else ()
        if positive in negatives:
            raise BadRow("answer_is_negative", f"`{entry.negative}`: holds the answer itself")
        return Asked(query, positive, negatives, entry.instruction, entry.domain)

    return [asked for _, asked in parsed(source, names, parse, left)]


def _text(value: Any, name: str) -> str:
    if value is None:
        raise BadRow("no_text", f"`{name}`: is missing; expected a text")
    if not isinstance(value, str):
        raise BadRow("no_text", f"`{name}`: found {type(value).__name__}; expected a text")
    if not value.strip():
        raise BadRow("empty_text", f"`{name}`: is empty")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    """A text or a list of them; a row may have none."""
    if value is None:
        return ()
    return tuple(_text(one, name) for one in (value if isinstance(value, list) else [value]))


def order_of(rows: Sequence[Asked], stage: Contrast, seed: int) -> I64:
    """Numbers of rows in the order of training: `batch` after `batch`, each of one domain, the last one of a domain
    filled up with its first rows again.

    Returns:
        (steps * batch): those of the stage's `steps`, or of its `epochs`, at least one.
    """
    domains = dict[str, list[int]]()
    for number, row in enumerate(rows):
        domains.setdefault(row.domain, []).append(number)
    per_epoch = sum(math.ceil(len(numbers) / stage.batch) for numbers in domains.values())
    n_steps = stage.steps or max(1, round(per_epoch * stage.epochs))
    random, batches = np.random.default_rng(seed), list[I64]()
    while len(batches) < n_steps:
        of_epoch = [batch for numbers in domains.values() for batch in _batches(numbers, stage.batch, random)]
        batches += [of_epoch[place] for place in random.permutation(len(of_epoch))]
    return np.concatenate(batches[:n_steps])


def _batches(numbers: Sequence[int], batch: int, random: np.random.Generator) -> list[I64]:
    shuffled = np.array(numbers, np.int64)[random.permutation(len(numbers))]
    n_batches = math.ceil(len(shuffled) / batch)
    return list(np.resize(shuffled, n_batches * batch).reshape(n_batches, batch))
