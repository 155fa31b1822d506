"""Which language a text is in: fastText's opinion, corrected by what its script says."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from classifiers.fasttext_models import FastTextModel, sample_lines
from classifiers.scripts import script_shares

VERSION = 1  # raise it whenever the same text may get another answer: caches and resumed runs depend on it
LID176 = Path(__file__).parent / "models" / "lid.176.ftz"
PARAGRAPH = re.compile(r"\S(?:.|\n(?![^\S\n]*\n))*")


@dataclass(frozen=True)
class LanguageColumns:
    """One value per document: BCP 47 tag (string), score in [0, 1] (float32), share of Hangul letters (float32)."""

    language: pa.Array
    score: pa.Array
    hangul_frac: pa.Array


@dataclass(frozen=True)
class ParagraphLanguage:
    """The language of text[start:end]; offsets in characters."""

    start: int
    end: int
    language: str
    score: float


class LanguageIdentifier:
    """Identifies languages with `lid176` (shipped) or any fastText model given by path."""

    def __init__(self, model: str = "lid176", max_chars: int = 1000) -> None:
        """RequestError when `model` is a path that is missing or cannot be loaded, or `max_chars` is below 1."""
        self._model = FastTextModel(LID176 if model == "lid176" else model)
        self._tags = np.array([*self._model.labels, "und"], dtype=object)
        self.max_chars = max_chars

    @property
    def fingerprint(self) -> str:
        """Changes when the model file, `max_chars` or the rules of this package change."""
        return f"language-{VERSION}-{self._model.digest}-{self.max_chars}"

    def identify(self, texts: pa.LargeStringArray) -> LanguageColumns:
        """Language, score and Hangul share of each text; a text without letters, or null, is `und` with score 0."""
        shares = script_shares(texts)
        top = self._model.predict(sample_lines(texts, self.max_chars))
        without_letters = shares.n_letters == 0
        tags = self._tags[np.where(without_letters, -1, top.label)]
        score = np.where(without_letters, np.float32(0), top.score)
        return LanguageColumns(pa.array(tags, pa.string()), pa.array(score), pa.array(shares.hangul_frac))

    def identify_paragraphs(self, text: str) -> list[ParagraphLanguage]:
        """The language of every paragraph (a block between blank lines), in order."""
        spans = [match.span() for match in PARAGRAPH.finditer(text)]
        columns = self.identify(pa.array([text[a:b] for a, b in spans], pa.large_string()))
        judged = zip(spans, columns.language.to_pylist(), columns.score.to_pylist(), strict=True)
        return [ParagraphLanguage(a, b, language, score) for (a, b), language, score in judged]
