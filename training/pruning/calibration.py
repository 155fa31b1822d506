"""The texts or sequences that importance is measured on: always the same ones of the same data."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import xxhash

from manifests.errors import RequestError
from manifests.schema_surgery import Calibration
from manifests.store import resolve
from training.measuring.mixture_ids import why_other_ids
from training.measuring.open_model import OpenModel
from training.measuring.validation_sets import documents_in
from training.pruning.importance import Batch
from training.token_dataset import Item, TokenDataset

LENGTH = 2048
"""Tokens of a text that are read where nothing else is asked for."""

Sample = Sequence[Sequence[int]]
"""Rows of ids that do not see each other: a text is one, a packed sequence has one per document."""


@dataclass(frozen=True)
class Samples:
    """Calibration data as ids."""

    samples: list[Sample]
    pad_id: int = 0

    @property
    def n_tokens(self) -> int:
        """Of all samples."""
        return sum(len(row) for sample in self.samples for row in sample)

    def batches(self, micro_batch: int) -> Iterator[Batch]:
        """So many samples at a time, in their order."""
        for start in range(0, len(self.samples), micro_batch):
            yield batch_of(self.samples[start : start + micro_batch], self.pad_id)


def batch_of(samples: Sequence[Sample], pad_id: int = 0) -> Batch:
    """Samples as one batch, padded behind: with causal attention no token sees what follows it."""
    rows = [(number, row) for number, sample in enumerate(samples) for row in sample]
    lengths = np.array([len(row) for _, row in rows], np.int64)
    ids = np.full((len(rows), int(lengths.max())), pad_id, np.int64)
    for line, (_, row) in zip(ids, rows, strict=True):
        line[: len(row)] = row
    return Batch(ids, lengths, np.array([number for number, _ in rows], np.int64))


def read_samples(asked: Calibration, opened: OpenModel, base: str) -> Samples:
    """The calibration data of a stage, for a model.

    Args:
        asked: what is taken of what.
        opened: the model that reads it.
        base: where relative paths start.

    Raises:
        RequestError: there is no such data, or a mixture's ids are not the model's; names the field.
    """
    samples = _sequences(asked, opened, base) if asked.mixture else _texts(asked, opened, base)
    n_rows = opened.model.get_input_embeddings().num_embeddings
    if (greatest := max(max(row) for sample in samples for row in sample)) >= n_rows:
        raise RequestError(
            f"calibration: holds token {greatest}, and the model has embeddings of {n_rows:,}; its tokenizer is "
            "another model's"
        )
    return Samples(samples)


def _texts(asked: Calibration, opened: OpenModel, base: str) -> list[Sample]:
    assert asked.text is not None
    at = "calibration.text"
    texts = documents_in(asked.text, base, "text", asked.samples, at, at).texts
    length = opened.window(asked.length or LENGTH)
    return [[[*opened.prefix, *opened.ids(text)][:length]] for text in texts]


def _sequences(asked: Calibration, opened: OpenModel, base: str) -> list[Sample]:
    assert asked.mixture is not None
    use, at = asked.mixture, "calibration.mixture"
    try:
        dataset = TokenDataset(resolve(use.path, base), stage=use.stage)
    except RequestError as error:
        raise RequestError(f"{at}: {error}") from error
    hashes = ((xxhash.xxh3_64_intdigest(str(number).encode()), number) for number in range(len(dataset)))
    numbers = [number for _, number in heapq.nsmallest(asked.samples, hashes)]
    samples: list[Sample] = [rows for number in sorted(numbers) if (rows := _documents(dataset[number]))]
    if not samples:
        raise RequestError(f"{at}: {use.path}: has no sequence with tokens")
    ids = set(chain.from_iterable(chain.from_iterable(samples)))
    if why := why_other_ids(opened.folder, opened.tokenizer, dataset.record, ids):
        raise RequestError(f"{at}: {use.path}: {why}")
    if (context := opened.window()) < (longest := max(len(row) for sample in samples for row in sample)):
        raise RequestError(
            f"{at}: {use.path}: holds {longest:,} tokens in a row, more than the {context:,} of the model's context"
        )
    return samples


def _documents(item: Item) -> list[list[int]]:
    """The stretches of a sequence that do not see each other, without padding."""
    n_tokens = int(item["n_tokens"])
    bounds = [0, *(int(end) for end in item["cu_seqlens"] if 0 < end < n_tokens), n_tokens]
    return [item["input_ids"][start:end].tolist() for start, end in pairwise(bounds) if end > start]
