"""Sequences of a token mixture, by number: what a training step is fed with.

A map-style dataset: `TokenDataset(folder)[i]` is sequence i in the order of training, for any DataLoader. The files
are memory-mapped, and some row groups are kept decoded. `training.token_batches` goes through it and resumes.
NumPy arrays come out, or tensors with `as_torch`; torch is imported only then.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.mixture.sequences import SequenceFiles, Sequences, Split
from manifests.errors import RequestError

I64 = NDArray[np.int64]
Item = dict[str, Any]
"""What is known of a sequence, by name: arrays or tensors."""

NO_LOSS = -100
"""The label of a position that counts in no loss: what torch's cross entropy ignores."""

GROUPS_KEPT = 32
"""Row groups kept decoded, each of about a quarter of a million tokens (1 MB)."""


class TokenDataset:
    """The sequences of a mixture, or of one of its stages, in the order of training."""

    def __init__(
        self,
        folder: str,
        *,
        split: Split = "train",
        stage: str | None = None,
        tokenizer_digest: str | None = None,
        fingerprint: str | None = None,
        mask_boundaries: bool = False,
        as_torch: bool = False,
        groups_kept: int = GROUPS_KEPT,
    ) -> None:
        """Open a mixture.

        Args:
            folder: of the mixture.
            split: `train`, or `validation` for what is held out.
            stage: only this one.
            tokenizer_digest: of the tokenizer that the model was made for.
            fingerprint: of the mixture that the training began with.
            mask_boundaries: whether the first token of a document counts in no loss where another one stands before
                it, which it cannot be foretold from. Every token counts without it.
            as_torch: whether tensors come out instead of NumPy arrays.
            groups_kept: row groups kept decoded.

        Raises:
            RequestError: there is no complete mixture, it was made with another tokenizer, it is another mixture, or
                it was written with a schema that this Onggi does not read.
        """
        self._files = SequenceFiles(folder, split)
        self.record = self._files.record
        _check("the tokenizer's digest", tokenizer_digest, self.record.tokenizer.digest, folder)
        _check("the mixture's fingerprint", fingerprint, self.record.fingerprint, folder)
        stretches = self._files.stretches(stage)
        self.first, self._end = stretches[0].first, stretches[-1].end
        self.mask_boundaries, self.as_torch = mask_boundaries, as_torch
        self._groups_kept, self._groups = max(1, groups_kept), OrderedDict[int, Sequences]()

    @property
    def files(self) -> SequenceFiles:
        """The files of the sequences."""
        return self._files

    @property
    def sequence_length(self) -> int:
        """Tokens per sequence."""
        return self.record.sequence_length

    def __len__(self) -> int:
        return self._end - self.first

    def __getitem__(self, index: int) -> Item:
        """Sequence `index`: `sequence` (its number in the mixture), and arrays.

        - `input_ids` (L), int64.
        - `labels` (L), int64: the ids again, -100 where no loss counts: padding, and with `mask_boundaries` first
          tokens of documents. They are not shifted: models of transformers do that.
        - `position_ids` (L), int64: restart where attention does.
        - `cu_seqlens` (segments + 1), int32: tokens attend within [cu_seqlens[i], cu_seqlens[i + 1]). Segments are
          documents, or all of a sequence whose documents may attend to each other; then the padding.
        - `document_starts` (documents), int32.
        - `n_tokens`: what follows is padding.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        sequence = self.first + index % len(self)
        group = self._group(self._files.group_of(sequence))
        item = self._item(group, sequence - group.first)
        return tensors(item) if self.as_torch else item

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Several sequences at once, as torch's DataLoader asks for them."""
        return [self[index] for index in indices]

    def _group(self, number: int) -> Sequences:
        """A row group, decoded; the ones used last are kept."""
        if number in self._groups:
            self._groups.move_to_end(number)
        else:
            self._groups[number] = self._files.group(number)
            if len(self._groups) > self._groups_kept:
                self._groups.popitem(last=False)
        return self._groups[number]

    def _item(self, group: Sequences, row: int) -> Item:
        length, n_tokens, starts = self.sequence_length, int(group.n_tokens[row]), group.starts_of(row)
        ids = group.input_ids[row].astype(np.int64)
        segments = starts[:1] if group.cross_document[row] else starts
        cu_seqlens = np.concatenate([segments, np.unique([n_tokens, length])]).astype(np.int32)
        labels = ids.copy()
        labels[n_tokens:] = NO_LOSS
        if self.mask_boundaries:
            labels[segments[1:]] = NO_LOSS
        return {
            "sequence": group.first + row,
            "input_ids": ids,
            "labels": labels,
            "position_ids": positions(cu_seqlens),
            "cu_seqlens": cu_seqlens,
            "document_starts": starts.copy(),
            "n_tokens": n_tokens,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_groups": OrderedDict()}


def _check(what: str, expected: str | None, found: str, folder: str) -> None:
    if expected is not None and expected != found:
        raise RequestError(
            f"{folder}: {what} is {found}, expected {expected}: its ids mean something else to this training; "
            "mix again with what the training expects, or begin a training with this mixture"
        )


def positions(cu_seqlens: NDArray[np.int32]) -> I64:
    """Place of each token in its segment, from 0."""
    lengths = np.diff(cu_seqlens)
    return np.arange(cu_seqlens[-1], dtype=np.int64) - np.repeat(cu_seqlens[:-1].astype(np.int64), lengths)


def collate(items: Sequence[Item]) -> Item:
    """A batch of B sequences: `input_ids`, `labels`, `position_ids` (B, L); `sequence`, `n_tokens` (B).

    `cu_seqlens` (int32) and `max_seqlen` speak of the batch laid end to end (B * L tokens), as kernels for sequences
    of unequal lengths take them.
    """
    batch = {
        name: np.stack([_array(item[name]) for item in items]) for name in ("input_ids", "labels", "position_ids")
    }
    for name in ("sequence", "n_tokens"):
        batch[name] = np.array([int(item[name]) for item in items], np.int64)
    length = batch["input_ids"].shape[1]
    ends = [_array(item["cu_seqlens"])[1:] + number * length for number, item in enumerate(items)]
    batch["cu_seqlens"] = np.concatenate([np.zeros(1, np.int32), *ends]).astype(np.int32)
    out: Item = {**batch, "max_seqlen": int(np.diff(batch["cu_seqlens"]).max())}
    return out if isinstance(items[0]["input_ids"], np.ndarray) else tensors(out)


def _array(value: Any) -> NDArray[Any]:
    return np.asarray(value)


def tensors(item: Mapping[str, Any]) -> Item:
    """The same with a tensor for each array.

    Raises:
        RequestError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise RequestError("as_torch: torch is not installed: pip install 'onggi[train]'") from error
    return {name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in item.items()}


def attention_mask(position_ids: Any) -> Any:
    """Where tokens may attend: true where the key is in the query's segment and not after it.

    Args:
        position_ids: (..., L), as of a sequence or a batch; arrays or tensors. A segment begins where they are 0.

    Returns:
        (..., L, L) of bool: rows are queries, columns keys. `mask[:, None]` is what `scaled_dot_product_attention`
        takes for a batch. Padding attends to itself, so that no row is empty.
    """
    segments = (position_ids == 0).cumsum(-1)
    length = position_ids.shape[-1]
    same = segments[..., :, None] == segments[..., None, :]
    if isinstance(position_ids, np.ndarray):
        causal: Any = np.tri(length, dtype=bool)
    else:
        import torch

        causal = torch.ones(length, length, dtype=torch.bool, device=position_ids.device).tril()
    return same & causal
