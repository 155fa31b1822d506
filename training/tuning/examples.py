"""The examples of supervised fine-tuning: all conversations of a stage in tokens, on disk, made once.

They lie beside the checkpoints, as arrays that every process maps into its memory; the first process makes them. A
stage that was killed finds them there, and so does each training without a domain.
"""

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_training_stages import ChatData, Sft
from training.chat.conversations import COLUMNS, Conversation, conversation
from training.chat.rows import BadRow, Left, Row, content_hash, parsed, source_of
from training.chat.template import Rendered, Template
from training.chat.tokens import Encoded, Encoder
from training.jobs import CHECKPOINTS, Job

FOLDER, ABOUT = "examples", "examples.json"
ARRAYS = ("ids", "learnt", "bounds", "entry", "prompt_hash")
AT_ONCE = 1024
WAIT_S = 0.5
PARALLEL = "TOKENIZERS_PARALLELISM"


class About(BaseModel):
    """What is known of the examples beside their tokens."""

    left_out: dict[str, int]
    left_out_first: dict[str, str]
    """The first row of each reason: where it is, and what is wrong."""
    n_cut: int
    """Examples that were longer than `max_length`."""
    n_with_control_text: int
    """Examples in whose text something reads like a control token; it is text in the tokens, too."""
    ends: dict[str, int]
    """Examples by the control token that ends the assistant's last turn."""


@dataclass(frozen=True)
class Examples:
    """All examples, one after the other."""

    ids: NDArray[np.int32]
    """(tokens)"""
    learnt: NDArray[np.bool_]
    """(tokens): whether a loss is counted on it."""
    bounds: NDArray[np.int64]
    """(examples + 1): example i has the tokens from bounds[i] to bounds[i + 1]."""
    entry: NDArray[np.int32]
    """(examples): which entry of the manifest's `data` it is of."""
    prompt_hash: NDArray[np.uint64]
    """(examples): of what stands before the first answer that is learnt."""
    about: About

    def __len__(self) -> int:
        return len(self.entry)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(examples): tokens."""
        return np.diff(self.bounds)

    @property
    def n_learnt(self) -> NDArray[np.int64]:
        """(examples): tokens that a loss is counted on."""
        sums = np.concatenate([[0], np.cumsum(self.learnt, dtype=np.int64)])
        return np.asarray(sums[self.bounds[1:]] - sums[self.bounds[:-1]], np.int64)

    def __getitem__(self, number: int) -> Encoded:
        part = slice(int(self.bounds[number]), int(self.bounds[number + 1]))
        return Encoded(self.ids[part], self.learnt[part])


def prepared(job: Job, tokenizer: Any, template: Template, progress: Progress, is_first: bool) -> Examples:
    """The examples of a stage: read, rendered and encoded by the first process, unless they are there.

    Raises:
        RequestError: there is no data, or none that could be learnt from; names file, row and field.
        RunError: a line is no JSON object.
    """
    folder = job.path / CHECKPOINTS / FOLDER
    if is_first and not folder.is_dir():
        stage = job.stage
        assert isinstance(stage, Sft)
        with _all_cores(job.threads):
            examples = make_examples(stage, job.manifest_base, tokenizer, template, progress)
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name in ARRAYS:
            np.save(partial / f"{name}.npy", getattr(examples, name))
        (partial / ABOUT).write_text(examples.about.model_dump_json(), "utf-8")
        partial.rename(folder)
    while not folder.is_dir():  # not a barrier: those of GPUs give up after some minutes
        time.sleep(WAIT_S)
    about = About.model_validate_json((folder / ABOUT).read_bytes())
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
    return Examples(**arrays, about=about)


@contextmanager
def _all_cores(n_threads: int | None) -> Iterator[None]:
    """Let the tokenizer use all cores, unless the manifest wants one thread; ids are the same."""
    before = os.environ.get(PARALLEL)
    os.environ[PARALLEL] = "false" if n_threads == 1 else "true"
    try:
        yield
    finally:
        os.environ.pop(PARALLEL)
        if before is not None:
            os.environ[PARALLEL] = before


@dataclass
class _Making:
    """Examples so far."""

    left: Left = field(default_factory=Left)
    encoded: list[Encoded] = field(default_factory=list)
    entry: list[int] = field(default_factory=list)
    prompt_hash: list[int] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    n_cut: int = 0
    n_with_control_text: int = 0


def make_examples(stage: Sft, base: str, tokenizer: Any, template: Template, progress: Progress) -> Examples:
    """All examples, in the order of the manifest's entries and of their files."""
    making, encoder = _Making(), Encoder(tokenizer)
    for number, data in enumerate(stage.data):
        progress(f"{stage.name}: reading", number, len(stage.data), data.path)
        n_before = len(making.encoded)
        for some in _some(_written(number, data, base, template, making.left)):
            _encode(some, number, encoder, stage.max_length, making)
        if len(making.encoded) == n_before:
            faults = "; ".join(making.left.examples.values()) or f"rows left out: {making.left.counts or 'none'}"
            raise RequestError(f"data[{number}]: {data.path}: there is no example to learn from: {faults}")
    progress(f"{stage.name}: reading", len(stage.data), len(stage.data))
    about = About(
        left_out=making.left.counts,
        left_out_first=making.left.examples,
        n_cut=making.n_cut,
        n_with_control_text=making.n_with_control_text,
        ends=dict(making.ends),
    )
    return Examples(
        ids=np.concatenate([one.ids for one in making.encoded]),
        learnt=np.concatenate([one.learnt for one in making.encoded]),
        bounds=np.concatenate([[0], np.cumsum([len(one) for one in making.encoded])]).astype(np.int64),
        entry=np.array(making.entry, np.int32),
        prompt_hash=np.array(making.prompt_hash, np.uint64),
        about=about,
    )


Written = tuple[Row, Conversation, Rendered]


def _written(number: int, data: ChatData, base: str, template: Template, left: Left) -> Iterator[Written]:
    """Conversations of an entry as the template writes them; bad rows are counted."""

    def parse(row: Row) -> tuple[Conversation, Rendered]:
        said = conversation(row)
        try:
            return said, template.write(said)
        except RequestError as error:
            raise RequestError(f"{row.place}: {error}") from None

    source = source_of(data.path, base, f"data[{number}]", where=data.where, limit=data.limit)
    return ((row, *made) for row, made in parsed(source, COLUMNS, parse, left))


def _some(rows: Iterable[Written]) -> Iterator[list[Written]]:
    iterator = iter(rows)
    while some := list(islice(iterator, AT_ONCE)):
        yield some


def _encode(some: Sequence[Written], number: int, encoder: Encoder, max_length: int, making: _Making) -> None:
    """Add conversations in tokens; those of which nothing is left to learn are counted and left out."""
    for (row, said, rendered), found in zip(some, encoder.encode([one for *_, one in some]), strict=True):
        if isinstance(found, BadRow):
            making.left.count(found.reason, example=f"{row.place}: {found.said}")
            continue
        encoded = found.cut(max_length)
        if not encoded.n_learnt:
            where = f"the first {max_length} of its {len(found)} tokens (`max_length`)"
            making.left.count("no_trained_token", example=f"{row.place}: the assistant says nothing in {where}")
            continue
        making.n_cut += len(found) > max_length
        making.n_with_control_text += bool(rendered.as_text)
        making.ends[rendered.end] += 1
        making.encoded.append(encoded)
        making.entry.append(number)
        making.prompt_hash.append(content_hash(_before_the_answer(said)))


def _before_the_answer(said: Conversation) -> list[Any]:
    """What the first answer that is learnt stands behind."""
    roles = [message["role"] for message in said.messages]
    return [list(said.tools), *said.messages[: roles.index("assistant", said.n_context)]]
