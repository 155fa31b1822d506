"""The gate `language`: answers are in the language that was asked for, and in its script.

Only prose is judged. Of an answer with thoughts in <think>...</think> these may be in another language, since models
think in the one they know best; foreign scripts they may not have either.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import pyarrow as pa

from classifiers.language import LATIN_LETTERS_PER_SYLLABLE, LanguageIdentifier
from classifiers.scripts import HANGUL, LATIN, SCRIPT_RANGES, script_shares
from manifests.schema_synthesis import LanguageGate
from synth.gates.gate import BatchGate, Passed, Verdict
from synth.gates.prose import parted, prose, spoken
from synth.samples import Rejection, Sample

LETTERS_MIN = 20
"""Latin letters from which on the language of a text is identified; a letter of another script counts as several."""

SHOWN_CHARS = 20
"""Of foreign characters, what a rejection shows."""

_NOT_FOREIGN = "".join(
    f"{chr(first)}-{chr(last)}" for script, first, last in SCRIPT_RANGES if script in (HANGUL, LATIN)
)
_SYMBOLS = "\u00b5\u02b0-\u02ff\u2071\u207f\u2100-\u214f\U0001d400-\U0001d7ff"
"""Letters that stand for units and mathematical symbols: µ, ℃, ℝ, 𝑥."""

_FOREIGN = re.compile(rf"[^\W\d_{_NOT_FOREIGN}{_SYMBOLS}]+")
"""A run of letters of other scripts; numbers such as ② are among them, and are left out when letters are counted."""

_GREEK_SYMBOL = re.compile(r"[\u0370-\u03ff]{1,2}")
"""π and Δθ are symbols; more in a row is a word."""

_GLOSS = re.compile(r"(?<=[가-힣])\s?[(（\[［〔][^()（）\[\]［］〔〕]{1,60}[)）\]］〕]")
"""What stands in brackets behind a Korean word."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003347f]")


class Language(BatchGate):
    """Identifies languages, and looks for letters of other scripts."""

    name = "language"

    def __init__(self, settings: LanguageGate) -> None:
        self._settings = settings
        self._identifier = LanguageIdentifier()

    def judge_batch(self, batch: Sequence[Sample]) -> Iterable[Verdict]:
        """The verdicts of some samples."""
        both = [parted(spoken(sample)) for sample in batch]
        thoughts, answers = [prose(thought) for thought, _ in both], [prose(answer) for _, answer in both]
        column = pa.array(answers, pa.large_string())
        found, shares = self._identifier.identify(column), script_shares(column)
        rows = zip(
            batch,
            thoughts,
            answers,
            found.language.to_pylist(),
            found.score.to_pylist(),
            shares.latin_frac.tolist(),
            shares.hangul_frac.tolist(),
            (shares.n_letters * (1 + (LATIN_LETTERS_PER_SYLLABLE - 1) * (1 - shares.latin_frac))).tolist(),
            strict=True,
        )
        for sample, thought, answer, language, score, latin_frac, hangul_frac, n_letters in rows:
            is_long = n_letters >= LETTERS_MIN
            is_prose = is_long and language != "zxx"
            yield (
                (self._wrong_language(sample, language, score) if is_long else None)
                or self._foreign(sample, f"{thought}\n{answer}")
                or (self._latin(latin_frac, hangul_frac) if is_prose and sample.language == "ko" else None)
                or Passed(score)
            )

    def _wrong_language(self, sample: Sample, language: str, score: float) -> Rejection | None:
        """Code and data (`zxx`) and what nobody can tell (`und`) have no language that could be wrong."""
        if language in (sample.language, "zxx", "und") or score < self._settings.min_score:
            return None
        return Rejection(self.name, "wrong_language", score, self._settings.min_score, language)

    def _foreign(self, sample: Sample, text: str) -> Rejection | None:
        if text.isascii():
            return None
        letters = foreign_letters(text)
        if not letters:
            return None
        known = _known(sample)
        stray = [letter for letter in letters if letter not in known]
        frac = len(stray) / sum(map(str.isalpha, text))
        if frac <= self._settings.max_foreign_frac:
            return None
        shown = "".join(stray[:SHOWN_CHARS])
        return Rejection(self.name, "foreign_script", frac, self._settings.max_foreign_frac, shown)

    def _latin(self, latin_frac: float, hangul_frac: float) -> Rejection | None:
        """A syllable counts as several letters: a Korean text that names many functions is Korean."""
        both = latin_frac + LATIN_LETTERS_PER_SYLLABLE * hangul_frac
        frac = latin_frac / both if both else 0.0
        if frac <= self._settings.max_latin_frac:
            return None
        return Rejection(self.name, "latin", frac, self._settings.max_latin_frac)


def foreign_letters(text: str) -> list[str]:
    """The letters of other scripts than Hangul and Latin, in order.

    Hanja in brackets behind a Korean word, as 독립(獨立), and letters that are symbols, as π, are not among them.
    """
    bare = _GLOSS.sub(lambda gloss: _HAN.sub("", gloss[0]), text)
    runs = (run for run in _FOREIGN.findall(bare) if not _GREEK_SYMBOL.fullmatch(run))
    return [letter for run in runs for letter in run if letter.isalpha()]


def _known(sample: Sample) -> set[str]:
    """Characters that the prompt or the seed holds."""
    item = sample.item
    parts = [*(message.content for message in sample.prompt), item.text, item.input, item.answer or ""]
    return set(unicodedata.normalize("NFC", "".join(parts)))
