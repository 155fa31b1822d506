"""The text that needles are hidden in: sentences of a language, in the order of their documents.

Only running text is taken: code, tables and headings are left out, so that a needle stands among sentences. A text
that repeats a sentence has it once.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import manifests
from classifiers.rows import input_files
from manifests.errors import RequestError, RunError
from synth.tasks.passages import PARAGRAPHS, SENTENCES, parts
from training.chat.rows import Left, Row, read_rows, source_of

Language = Literal["ko", "en"]
SAMPLE_FOLDER = Path(manifests.__file__).parent / "sample"
SAMPLE = {"ko": "ko_docs.jsonl.zst", "en": "en_docs.parquet"}
"""Files of the sample that comes with Onggi."""
N_CHARS_MOST = 8_000_000
"""Of text that is kept: some two million tokens, and so sixty different prompts of 32K."""
N_CHARS_SENTENCE = range(12, 401)
"""Lengths of sentences that are taken."""
N_WORDS_LEAST = 3

_FENCED = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
_ENDS = re.compile(r"([.!?…。！？]|[가-힣][다요죠까])[\"'”’»」』)）〉》】]*$")
_MARKUP = re.compile(r"[<>{}|\[\]#=\\*_~]|^[-:]|\bhttps?:")
_DIGITS = re.compile(r"[0-9](?:[ ,.\-]?[0-9])*")


@dataclass(frozen=True)
class Haystack:
    """Text of a language."""

    language: Language
    sentences: Sequence[str]
    """Each with what stands before it: a line break where it begins a paragraph, else a space."""

    @cached_property
    def folded(self) -> str:
        """The text in which words are looked for: composed, in small letters."""
        return folded("".join(self.sentences))

    @cached_property
    def numbers(self) -> str:
        """All its numbers, without what stands between their digits."""
        return " ".join(re.sub(r"[^0-9]", "", found) for found in _DIGITS.findall(self.folded))

    def holds(self, word: str) -> bool:
        """Whether a word stands in it, or a number as part of one of its numbers."""
        return word in self.numbers if word.isdecimal() else folded(word) in self.folded


def folded(text: str) -> str:
    """A text in which full-width and decomposed characters are plain ones, in small letters."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def read_haystack(language: Language, path: str | None, base: str) -> Haystack:
    """The sentences of Parquet or JSONL with `text`, or of the sample that comes with Onggi.

    Args:
        language: of the text.
        path: a file, a folder or a glob; None is the sample.
        base: where a relative path starts.

    Raises:
        RequestError: there is no such file or column, a file or a row cannot be read, or no sentence is found; names
            them.
    """
    at = f"needle.haystack.{language}"
    found, n_chars = dict[str, None](), 0
    for row in _rows(path or str(SAMPLE_FOLDER / SAMPLE[language]), base, at):
        text = row.values["text"]
        if text is not None and not isinstance(text, str):
            raise RequestError(f"{at}: {row.place}: `text` holds {type(text).__name__}; expected text")
        for sentence in sentences(text or ""):
            if sentence not in found:
                found[sentence] = None
                n_chars += len(sentence)
        if n_chars >= N_CHARS_MOST:
            break
    if not found:
        raise RequestError(f"{at}: {path}: holds no sentence; expected running text in `text`, with full stops")
    return Haystack(language, tuple(found))


def _rows(path: str, base: str, at: str) -> Iterator[Row]:
    try:
        for file in input_files(source_of(path, base, at).path):
            yield from read_rows(source_of(file, base, at), ("text",), Left())
    except (RequestError, RunError, OSError) as error:
        said = str(error)
        raise RequestError(said if said.startswith(f"{at}: ") else f"{at}: {said}") from error


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, each with the space or line break before it; without code, tables and headings."""
    prose = _FENCED.sub("\n\n", text)
    for begin, end in parts(prose, 0, len(prose), PARAGRAPHS):
        before = "\n"
        for start, stop in parts(prose, begin, end, SENTENCES):
            sentence = " ".join(prose[start:stop].split())
            if _is_prose(sentence):
                yield before + sentence
                before = " "


def _is_prose(sentence: str) -> bool:
    return (
        len(sentence) in N_CHARS_SENTENCE
        and sentence.count(" ") + 1 >= N_WORDS_LEAST
        and _ENDS.search(sentence) is not None
        and _MARKUP.search(sentence) is None
    )
