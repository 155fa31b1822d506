"""Lexicons: sets of words, endings and phrases, a category each, found by their hashes while a text is read.

A file has a line per category: its name, a tab, entries parted by commas. A Latin word stands for all words of its
stem; `예제` is a whole run of Hangul, `예제-` how one begins, `-습니다` how one ends (up to four syllables; the
longest entry that fits counts). A phrase is several such words: three Latin ones at most; in Korean two, of which the
first is whole and the second whole or a beginning of up to two syllables.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifiers.token_hashes import (
    FIRST,
    LAST,
    MAX_WORD_BYTES,
    N_SYLLABLES,
    WHOLE,
    Counts,
    Hashes,
    hash_syllables,
    hash_word,
    join,
    stem,
)
from manifests.errors import RequestError

TEACHING = Path(__file__).parent / "lexicon" / "teaching.tsv"


@dataclass(frozen=True)
class Lexicon:
    """Hashes of entries, (n,) and rising, and the number of the category of each."""

    names: tuple[str, ...]
    hashes: Hashes
    categories: Counts


def read_lexicon(path: Path) -> Lexicon:
    """Read a lexicon; an entry that several categories name belongs to the first.

    Raises:
        RequestError: a line or an entry is not of the form above; names it.
    """
    entries: dict[int, int] = {}
    names: list[str] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        name, tab, words = line.partition("\t")
        if not tab or not name:
            raise RequestError(f"{path}, line {number}: expected a name, a tab and entries; found {line[:40]!r}")
        for entry in words.split(","):
            entries.setdefault(_hash(entry, f"{path}, line {number}"), len(names))
        names.append(name)
    order = sorted(entries)
    return Lexicon(tuple(names), np.array(order, np.uint64), np.array([entries[key] for key in order], np.int32))


def _hash(entry: str, where: str) -> int:
    words = entry.split()
    hashes = [_hash_run(word) if _is_hangul(word) else _hash_latin(word) for word in words]
    n_most = 2 if any(map(_is_hangul, words)) else 3
    if not 1 <= len(words) <= n_most or None in hashes:
        raise RequestError(f"{where}: {entry.strip()!r} is no entry; see the head of classifiers/text_lexicon.py")
    phrase = np.uint64(hashes[0] or 0)
    for last in hashes[1:]:
        phrase = np.uint64(join(phrase, np.uint64(last or 0)))
    return int(phrase)


def _is_hangul(word: str) -> bool:
    return any("가" <= letter <= "힣" for letter in word)


def _hash_run(word: str) -> int | None:
    """Of a run of Hangul, of how one begins or of how one ends."""
    syllables = word.strip("-")
    n_bytes, n = np.frombuffer(syllables.encode(), np.uint8), len(syllables)
    is_part = syllables != word
    if not all(map(_is_hangul, syllables)) or (is_part and n > N_SYLLABLES):
        return None
    if word.startswith("-"):
        return int(hash_syllables(n_bytes, 3 * (n - 1), n, -3, LAST))
    return int(hash_syllables(n_bytes, 0, n, 3, FIRST if is_part else WHOLE))


def _hash_latin(word: str) -> int | None:
    content = word.encode()
    if not word.replace("'", "").isalpha() or word != word.lower() or len(content) > MAX_WORD_BYTES:
        return None
    scratch = np.zeros(MAX_WORD_BYTES, np.uint8)
    scratch[: len(content)] = np.frombuffer(content, np.uint8)
    return int(hash_word(scratch, stem(scratch, len(content))))
