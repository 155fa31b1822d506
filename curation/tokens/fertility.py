"""How many bytes and characters of a language a token holds: what a tokenizer makes of a text costs by the token."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from curation.tokens.engines import text_bytes
from curation.tokens.texts import LANGUAGES, Texts
from curation.tokens.tokenizer import Tokenizer
from manifests.errors import RunError


@dataclass(frozen=True)
class Fertility:
    """Tokens of the texts in one language."""

    language: str
    n_texts: int
    n_bytes: int
    n_chars: int
    n_tokens: int

    @property
    def bytes_per_token(self) -> float:
        """Bytes of UTF-8."""
        return self.n_bytes / max(self.n_tokens, 1)

    @property
    def chars_per_token(self) -> float:
        """Characters, that is code points."""
        return self.n_chars / max(self.n_tokens, 1)


@dataclass(frozen=True)
class Comparison:
    """The same texts before and after a tokenizer was extended."""

    before: Fertility
    after: Fertility
    n_unchanged: int
    """Texts whose ids are those that they had."""


def fertility(tokenizer: Tokenizer, texts: Texts) -> list[Fertility]:
    """What a tokenizer makes of texts, by their languages; languages without a text are left out."""
    found = []
    for language in LANGUAGES:
        chosen = texts.of(language)
        if len(chosen):
            n_chars = pc.sum(pc.utf8_length(chosen)).as_py() or 0
            ids, _ = tokenizer.encode(chosen)
            found.append(Fertility(language, len(chosen), text_bytes(chosen), n_chars, len(ids)))
    return found


def compare(old: Tokenizer, new: Tokenizer, texts: Texts) -> list[Comparison]:
    """Texts with a tokenizer and with what was made of it.

    Raises:
        RunError: a text that came back whole from the old one does not from the new one.
    """
    befores, afters = fertility(old, texts), fertility(new, texts)
    return [
        Comparison(before, after, _n_unchanged(old, new, texts, before.language))
        for before, after in zip(befores, afters, strict=True)
    ]


def _n_unchanged(old: Tokenizer, new: Tokenizer, texts: Texts, language: str) -> int:
    chosen = texts.of(language)
    ids, bounds = old.encode(chosen)
    new_ids, new_bounds = new.encode(chosen)
    n_unchanged = 0
    for row in range(len(chosen)):
        had = ids[bounds[row] : bounds[row + 1]]
        has = new_ids[new_bounds[row] : new_bounds[row + 1]]
        if np.array_equal(had, has):
            n_unchanged += 1
        elif old.decode(had) != new.decode(has):
            raise RunError(f"the text {chosen[row].as_py()[:80]!r} does not come back from the new tokenizer")
    return n_unchanged
