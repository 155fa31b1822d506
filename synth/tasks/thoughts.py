"""Thoughts before an answer: `<think>...</think>`, and whether they mix two languages."""

import re
import unicodedata
from dataclasses import dataclass

from synth.final_answers.answer_forms import without_thoughts
from synth.tasks.task import UnfitError, text_of
from synth.teachers.answers import Answer

LATIN_FRAC_MIN = 0.3
"""Words of mixed thoughts that are Latin at least: English is what they are thought in."""
HANGUL_WORDS_MIN = 2
"""Korean words that mixed thoughts keep at least, each counted once."""
KOREAN_FRAC_MIN = 0.5
"""Letters of a Korean answer that are Hangul at least."""

_TAGGED = re.compile(r"\A\s*(?:<think>)?(?P<thoughts>.*?)</think>(?P<said>.*)\Z", re.DOTALL)
_TAG = re.compile(r"</?think>")
_NOT_WORDS = re.compile(
    r"```.*?(?:```|\Z)|\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\$[^$\n]*\$|`[^`\n]*`|\\[A-Za-z]+", re.DOTALL
)
"""Code and formulas: `\\frac` is no English."""
_HANGUL_WORD = re.compile(r"[가-힣]+")
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")
"""A single letter is a variable."""


@dataclass(frozen=True)
class Trace:
    """What a teacher said, as a student learns it."""

    thoughts: str
    """Without tags; empty where thoughts are not asked for."""
    said: str

    @property
    def text(self) -> str:
        """All of it."""
        return f"<think>\n{self.thoughts}\n</think>\n\n{self.said}" if self.thoughts else self.said


def trace_of(answer: Answer, with_thoughts: bool) -> Trace:
    """What is in an answer.

    The model's own thoughts, where the server parses them, go before tags in the text. Where thoughts are not asked
    for, those that stand in tags are left out.

    Raises:
        UnfitError: see `text_of`; `cut` too where tags are open, `no_thoughts`, and `form` where tags are not one
            pair at the beginning.
    """
    text = text_of(answer)
    rest, is_open = without_thoughts(text)
    if is_open:
        raise UnfitError("cut", "thoughts do not end")
    if not with_thoughts or answer.reasoning:
        return _whole(_nfc(answer.reasoning or "").strip() if with_thoughts else "", rest.strip())
    found = _TAGGED.match(text)
    if not found or not found["thoughts"].strip():
        raise UnfitError("no_thoughts", text)
    return _whole(found["thoughts"].strip(), found["said"].strip())


def _nfc(text: str) -> str:
    """Letters of Hangul as one: some models write jamo."""
    return unicodedata.normalize("NFC", text)


def _whole(thoughts: str, said: str) -> Trace:
    if not said:
        raise UnfitError("cut", "thoughts, and no answer behind them")
    if _TAG.search(thoughts) or _TAG.search(said):
        raise UnfitError("form", "tags of thoughts stand in several places")
    return Trace(thoughts, said)


def why_not_mixed(trace: Trace) -> str | None:
    """What keeps a trace from being language-mixed thought with a Korean answer (KO-REAson, arXiv 2510.04230)."""
    words = _NOT_WORDS.sub(" ", trace.thoughts)
    hangul, latin = _HANGUL_WORD.findall(words), _LATIN_WORD.findall(words)
    if len(set(hangul)) < HANGUL_WORDS_MIN:
        return f"{len(set(hangul))} Korean words in its thoughts"
    latin_frac = len(latin) / (len(latin) + len(hangul))
    if latin_frac < LATIN_FRAC_MIN:
        return f"{latin_frac:.2f} of the words of its thoughts are English"
    said = _NOT_WORDS.sub(" ", trace.said)
    n_hangul, n_latin = (sum(map(len, one.findall(said))) for one in (_HANGUL_WORD, _LATIN_WORD))
    if n_hangul == 0 or n_hangul / (n_hangul + n_latin) < KOREAN_FRAC_MIN:
        return "its answer is not Korean"
    return None
