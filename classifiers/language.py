"""Which language a text is in: its script and its signs first, fastText's opinion for what they leave open."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from classifiers import code_text, romanised
from classifiers.bcp47 import language_tag
from classifiers.code_text import code_signs
from classifiers.fasttext_models import FastTextModel, sample_windows
from classifiers.romanised import romanised_evidence
from classifiers.scripts import ScriptShares, script_shares
from manifests.errors import RequestError

VERSION = 1  # raise it whenever the same text may get another answer: caches and resumed runs depend on it
LID176 = Path(__file__).parent / "models" / "lid.176.ftz"

# Tuned on the even half of data/langid and on data/text; benchmarks/language.py shows what they do on the odd half.
CODE_PROBABILITY = 0.8
CODE_PROSE_FRAC_MAX = 0.15  # a text that is plain prose to this extent has a language, whatever code it shows
CODE_LATIN_FRAC_MIN = 0.5
CODE_SYMBOL_FRAC_MIN = 0.03  # no code is all letters, however unlike prose it looks
ROMANISED_LATIN_FRAC_MIN = 0.8
ROMANISED_EVIDENCE_MIN = 0.6  # nats per trigram; the rows of the even half lie above 1.2, other languages below 0.5
ROMANISED_SHRINKAGE = 8  # trigrams without evidence added to each text, so that one short word proves little
HANGUL_MAJORITY = 0.5  # of the letters: Korean, and fastText is not asked
HANGUL_MATRIX = 0.12  # Korean sentences full of Latin terms: Korean unless fastText is sure of something else
HANGUL_TRACE = 0.01  # from here on the whole sample is read: two languages may share it unevenly
LATIN_LETTERS_PER_SYLLABLE = 2.5  # what one Hangul syllable comes to in Latin letters
SURE = 0.5
QUITE_SURE = 0.8  # of a fifth of the sample: the rest is not read
MIN_SAMPLE_CHARS = 200
N_CANDIDATES = 5
ENGLISH_PRIOR = 4  # fastText learnt all languages alike; where it is not sure, English is likelier than the others
ENGLISH_LATIN_FRAC_MIN = 0.9

Tags = npt.NDArray[np.object_]
Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
PARAGRAPH = re.compile(r"\S(?:.|\n(?![^\S\n]*\n))*")
LINE = re.compile(r"\S.*")
UNDETERMINED = "und"


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
        """RequestError when `model` is a path that is missing or cannot be loaded, or `max_chars` is below 1.

        `max_chars` is how much of a text is read for everything but `hangul_frac`, which covers the whole text.
        """
        if max_chars < 1:
            raise RequestError(f"language: max_chars is {max_chars}; it must be at least 1")
        self._model = FastTextModel(LID176 if model == "lid176" else model)
        self._tags = np.array([*map(language_tag, self._model.labels), UNDETERMINED], dtype=object)
        self.max_chars = max_chars

    @property
    def fingerprint(self) -> str:
        """Changes when a model file, `max_chars` or the version of these rules changes."""
        small = b"".join(path.read_bytes() for path in (code_text.WEIGHTS, romanised.TABLE))
        return f"language-{VERSION}-{self._model.digest}-{xxhash.xxh3_64_hexdigest(small)}-{self.max_chars}"

    def identify(self, texts: pa.LargeStringArray) -> LanguageColumns:
        """Language, score and Hangul share of each text; a text without letters, or null, is `und` with score 0.

        `zxx` is code, markup and data; `ko-Latn` Korean in Latin letters. The score is the model's probability where
        fastText decides; for text mostly in Hangul, the share of Korean (a syllable as 2.5 Latin letters); else the
        confidence of the detector.
        """
        shares = script_shares(texts)
        samples = sample_windows(texts, self.max_chars)
        language = np.full(len(texts), UNDETERMINED, dtype=object)
        score = np.zeros(len(texts), np.float32)
        _by_signs(samples, shares, language, score)
        _by_hangul(shares, language, score)
        is_open = (score == 0) & (shares.n_letters > 0)
        self._by_fasttext(pc.utf8_lower(samples), shares, np.flatnonzero(is_open), language, score)
        return LanguageColumns(pa.array(language, pa.string()), pa.array(score), pa.array(shares.hangul_frac))

    def _by_fasttext(
        self, samples: pa.LargeStringArray, shares: ScriptShares, rows: Rows, language: Tags, score: Scores
    ) -> None:
        """fastText's first label for these rows, corrected where Hangul or a priori likelihood speaks against it."""
        language[rows], score[rows] = self._likeliest(pc.take(samples, pa.array(rows)), shares.hangul_frac[rows])
        hangul = shares.hangul_frac
        unsure = rows[(score[rows] < SURE) & (shares.latin_frac[rows] >= ENGLISH_LATIN_FRAC_MIN)]
        self._prefer_english(pc.take(samples, pa.array(unsure)), unsure, language, score)
        forced = rows[(hangul[rows] >= HANGUL_MATRIX) & (score[rows] < SURE) & (language[rows] != "ko")]
        language[forced], score[forced] = "ko", SURE
        impossible = rows[(language[rows] == "ko") & (hangul[rows] == 0)]
        language[impossible], score[impossible] = UNDETERMINED, 0

    def _likeliest(self, samples: pa.LargeStringArray, hangul_frac: Scores) -> tuple[Tags, Scores]:
        """The model's first label: of a fifth of the sample where that leaves little doubt, else of all of it."""
        top = self._model.predict(sample_windows(samples, max(self.max_chars // 5, MIN_SAMPLE_CHARS)))
        label, score = top.label[:, 0], top.score[:, 0]
        mixed = (hangul_frac >= HANGUL_TRACE) & ((hangul_frac < HANGUL_MATRIX) | (self._tags[label] != "ko"))
        doubtful = np.flatnonzero((score < QUITE_SURE) | mixed)
        top = self._model.predict(pc.take(samples, pa.array(doubtful)))
        label[doubtful], score[doubtful] = top.label[:, 0], top.score[:, 0]
        return self._tags[label], score

    def _prefer_english(self, samples: pa.LargeStringArray, rows: Rows, language: Tags, score: Scores) -> None:
        """English where it is among the model's candidates and, with its prior, likelier than the first."""
        top = self._model.predict(samples, N_CANDIDATES)
        english = np.where(self._tags[top.label] == "en", top.score, 0).max(axis=1, initial=0)
        wins = english * ENGLISH_PRIOR > score[rows]
        language[rows[wins]] = "en"
        score[rows[wins]] = english[wins]

    def identify_paragraphs(self, text: str) -> list[ParagraphLanguage]:
        """The language of every paragraph in order: blocks between blank lines, or lines where no line is blank."""
        blocks = [match.span() for match in PARAGRAPH.finditer(text)]
        spans = blocks if len(blocks) > 1 else [match.span() for match in LINE.finditer(text)]
        columns = self.identify(pa.array([text[a:b] for a, b in spans], pa.large_string()))
        judged = zip(spans, columns.language.to_pylist(), columns.score.to_pylist(), strict=True)
        return [ParagraphLanguage(a, b, language, score) for (a, b), language, score in judged]


def mixed_frac(paragraphs: list[ParagraphLanguage]) -> float:
    """Share of the characters that lie in paragraphs of another language than most; `und` and `zxx` do not count."""
    n_chars: Counter[str] = Counter()
    for paragraph in paragraphs:
        if paragraph.language not in (UNDETERMINED, "zxx"):
            n_chars[paragraph.language] += paragraph.end - paragraph.start
    return 1 - max(n_chars.values()) / n_chars.total() if n_chars else 0.0


def _by_signs(samples: pa.LargeStringArray, shares: ScriptShares, language: Tags, score: Scores) -> None:
    """Code and romanised Korean: what fastText has no label for."""
    mean, n_trigrams = romanised_evidence(samples)
    evidence = mean * n_trigrams / (n_trigrams + ROMANISED_SHRINKAGE)
    is_romanised = (evidence >= ROMANISED_EVIDENCE_MIN) & (shares.latin_frac >= ROMANISED_LATIN_FRAC_MIN)
    language[is_romanised] = "ko-Latn"
    score[is_romanised] = 1 / (1 + np.exp(-4 * (evidence[is_romanised] - ROMANISED_EVIDENCE_MIN)))
    probability, prose_frac = code_signs(samples)
    is_code = (probability >= CODE_PROBABILITY) & (prose_frac < CODE_PROSE_FRAC_MAX)
    is_code &= (shares.latin_frac >= CODE_LATIN_FRAC_MIN) & (shares.symbol_frac >= CODE_SYMBOL_FRAC_MIN)
    language[is_code], score[is_code] = "zxx", probability[is_code]


def _by_hangul(shares: ScriptShares, language: Tags, score: Scores) -> None:
    """Korean without asking fastText: no other language has these letters."""
    is_korean = (shares.hangul_frac >= HANGUL_MAJORITY) & (score == 0)
    hangul = LATIN_LETTERS_PER_SYLLABLE * shares.hangul_frac[is_korean]
    language[is_korean], score[is_korean] = "ko", hangul / (hangul + 1 - shares.hangul_frac[is_korean])
