"""The tokens of conversations, and which of them are learnt: exactly those that say what the assistant says.

The text is encoded as a whole, as it will be when the model is used. Where a token then holds characters from both
sides of an edge of the assistant's turn, or text reads like a control token, it is encoded in parts. Either way the
tokens that are learnt are decoded again, and have to give the assistant's words and the end of its turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.errors import RequestError
from training.chat.rows import BadRow
from training.chat.template import Rendered, Span

AT_ONCE = 256
"""Conversations that are encoded at once."""


@dataclass(frozen=True)
class Encoded:
    """A conversation in tokens."""

    ids: NDArray[np.int32]
    """(tokens)"""
    learnt: NDArray[np.bool_]
    """(tokens): whether a loss is counted on it. Never the first, which nothing foretells."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_learnt(self) -> int:
        """Tokens that a loss is counted on."""
        return int(self.learnt.sum())

    def cut(self, length: int) -> "Encoded":
        """The first tokens."""
        return Encoded(self.ids[:length], self.learnt[:length])


class Encoder:
    """Encodes conversations that a template has written out."""

    def __init__(self, tokenizer: Any) -> None:
        """Take the model's tokenizer.

        Raises:
            RequestError: it is not one of the library `tokenizers`, so places of tokens in the text are not known.
        """
        if not tokenizer.is_fast:
            raise RequestError(
                f"{tokenizer.name_or_path}: has no tokenizer.json, which is needed to tell tokens apart"
            )
        self._tokenizer, self._backend = tokenizer, tokenizer.backend_tokenizer
        self._newline = tokenizer.encode("\n", add_special_tokens=False)

    def encode(self, many: Sequence[Rendered]) -> Iterator[Encoded | BadRow]:
        """Each in tokens, or why not: `not_its_text`, where they do not give back what the assistant says."""
        for first in range(0, len(many), AT_ONCE):
            some = many[first : first + AT_ONCE]
            whole = self._tokenizer(
                [rendered.text for rendered in some], add_special_tokens=False, return_offsets_mapping=True
            )
            places = zip(some, whole["input_ids"], whole["offset_mapping"], strict=True)
            for rendered, ids, offsets in places:
                yield self._encoded(rendered, ids, offsets)

    def _encoded(self, rendered: Rendered, ids: list[int], offsets: list[Span]) -> Encoded | BadRow:
        if not rendered.as_text:
            starts = np.array([start for start, _ in offsets], np.int64)
            edges = [tuple(np.searchsorted(starts, span)) for span in rendered.learnt]
            if all(self._gives(ids, edge, rendered, span) for edge, span in zip(edges, rendered.learnt, strict=True)):
                return _marked(ids, edges)
        ids, edges = self._in_parts(rendered)
        for edge, span in zip(edges, rendered.learnt, strict=True):
            if not self._gives(ids, edge, rendered, span):
                said = rendered.text[slice(*span)]
                return BadRow(
                    "not_its_text", f"the tokens of {said[:40]!r} do not give it back when they are decoded"
                )
        return _marked(ids, edges)

    def _gives(self, ids: list[int], edge: Span, rendered: Rendered, span: Span) -> bool:
        """Whether tokens between two edges are the text of a span, as it is or as the tokenizer normalizes it."""
        first, end = edge
        before = self._decode(ids[max(0, first - 1) : first])
        decoded = self._decode(ids[max(0, first - 1) : end]).removeprefix(before)
        text = rendered.text[slice(*span)]
        normalizer = self._backend.normalizer
        return decoded == text or (normalizer is not None and decoded == normalizer.normalize_str(text))

    def _decode(self, ids: list[int]) -> str:
        return str(self._backend.decode(ids, skip_special_tokens=False))

    def _in_parts(self, rendered: Rendered) -> tuple[list[int], list[Span]]:
        """(ids, first and last edge of each span in tokens), no token across the edges of a span or of a text that
        reads like a control token."""
        as_text = set(rendered.as_text)
        places = sorted({0, len(rendered.text), *(at for span in (*rendered.learnt, *as_text) for at in span)})
        ids, n_before = list[int](), {0: 0}
        for start, end in pairwise(places):
            is_text = any(first <= start and end <= last for first, last in as_text)
            ids += self._part(rendered.text[start:end], is_text, is_first=not start)
            n_before[end] = len(ids)
        return ids, [(n_before[start], n_before[end]) for start, end in rendered.learnt]

    def _part(self, text: str, is_text: bool, is_first: bool) -> list[int]:
        """The ids of a part; behind a line break, so that nothing is put before it as before the first of all."""

        def encode(some: str) -> list[int]:
            found: list[int] = self._tokenizer.encode(some, add_special_tokens=False, split_special_tokens=is_text)
            return found

        behind = [] if is_first else encode(f"\n{text}")
        n_newline = len(self._newline)
        return behind[n_newline:] if behind and behind[:n_newline] == self._newline else encode(text)


def _marked(ids: list[int], edges: Sequence[Span]) -> Encoded:
    learnt = np.zeros(len(ids), np.bool_)
    for first, end in edges:
        learnt[first:end] = True
    learnt[:1] = False
    return Encoded(np.array(ids, np.int32), learnt)
