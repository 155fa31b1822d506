"""Advertisements that were composed, spelled as advertisers do, and ordinary texts that use the same words.

`benchmarks/data/spam` holds a line per text: its author, language, text. An author is a manner of writing; those
whose name begins with t are for tests. {site} and the like stand for names that `slots.tsv` lists.
"""

import random
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from classifiers.spelling import hidden_words

FOLDER = Path(__file__).parent / "data" / "spam"
KINDS = ("gambling", "adult")
HIDDEN_LATIN = [
    "casino", "poker", "slots", "slot", "bet", "betting", "roulette", "bonus",
    "porn", "sex", "sexy", "escort", "escorts", "nude", "xxx", "call", "girls",
]  # fmt: skip
LOOK_ALIKE = str.maketrans("aceopsx", "асеорѕх")
JAMO_L, JAMO_V = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ", "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
JAMO_T = ["", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"]


@dataclass(frozen=True)
class Text:
    """A composed text; `kind` is what it advertises, or `none`."""

    author: str
    kind: str
    language: str
    text: str

    @property
    def is_test(self) -> bool:
        """Whether it is of an author from whom nothing is learnt."""
        return self.author.startswith("t")


def read_texts() -> list[Text]:
    """All composed texts, slots as they stand."""
    found = []
    for name in (*KINDS, "ordinary"):
        kind = "none" if name == "ordinary" else name
        for line in (FOLDER / f"{name}.tsv").read_text("utf-8").splitlines():
            author, language, text = line.split("\t")
            found.append(Text(author, kind, language, text))
    return found


def read_real() -> list[tuple[str, str, str, str]]:
    """(kind, language, where, text): short quotations of advertisements, and of news about them, met on the web."""
    return [tuple(line.split("\t")) for line in (FOLDER / "real.tsv").read_text("utf-8").splitlines()]


def read_slots() -> dict[str, list[str]]:
    """What may stand in each slot."""
    lines = (FOLDER / "slots.tsv").read_text("utf-8").splitlines()
    return {name: values.split("|") for name, values in (line.split("\t") for line in lines)}


def read_phrases() -> dict[tuple[str, str], list[str]]:
    """Phrases by (kind, language): of advertisements, of any advertisement, of other ones, of news about them."""
    lines = (FOLDER / "phrases.tsv").read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return {(kind, language): phrases.split("|") for kind, language, phrases in rows}


def fill(text: str, slots: dict[str, list[str]], rng: random.Random) -> str:
    """The text with a value in each slot."""
    return re.sub(r"\{(\w+)\}", lambda m: rng.choice(slots.get(m[1], [m[0]])), text)


def in_jamo(syllable: str) -> str:
    """ㅋㅏ for 카."""
    number = ord(syllable) - 0xAC00
    return JAMO_L[number // 588] + JAMO_V[number % 588 // 28] + JAMO_T[number % 28]


def _between(sign: str):
    return lambda word, rng: sign.join(word)


def _one_in_jamo(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    return "".join(in_jamo(c) if k == at and "가" <= c <= "힣" else c for k, c in enumerate(word))


def _wide(word: str, rng: random.Random) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)


SPELLINGS = {
    "plain": lambda word, rng: word,
    "dots": _between("."),
    "spaces": _between(" "),
    "hyphens": _between("-"),
    "stars": _between("*"),
    "hearts": _between("♥"),
    "emoji": _between("🎰"),
    "zero width": _between("\u200b"),
    "one digit": _between("1"),
    "jamo": lambda word, rng: "".join(in_jamo(c) if "가" <= c <= "힣" else c for c in word),
    "one in jamo": _one_in_jamo,
    "NFD": lambda word, rng: unicodedata.normalize("NFD", word),
    "full width": _wide,
    "look-alikes": lambda word, rng: word.translate(LOOK_ALIKE),
}
"""How an advertiser spells a word; the view undoes them."""
HARDER = {
    "initials": lambda word, rng: "".join(in_jamo(c)[0] if "가" <= c <= "힣" else c for c in word),
    "underlines twice": _between("__"),
    "other vowel": lambda word, rng: "".join(_other_vowel(c) for c in word),
    "reversed": lambda word, rng: word[::-1],
}
"""Spellings that the view does not undo, or not all of them."""
SWAPPED = {"ㅏ": "ㅑ", "ㅗ": "ㅛ", "ㅣ": "ㅢ", "ㅓ": "ㅕ", "ㅡ": "ㅜ"}


def _other_vowel(char: str) -> str:
    if not "가" <= char <= "힣":
        return char
    number = ord(char) - 0xAC00
    vowel = JAMO_V[number % 588 // 28]
    return chr(ord(char) + 28 * (JAMO_V.index(SWAPPED.get(vowel, vowel)) - JAMO_V.index(vowel)))


_WORDS = re.compile("|".join(sorted([*hidden_words(), *(rf"\b{w}\b" for w in HIDDEN_LATIN)], key=len, reverse=True)))


def spelled(text: str, how: str, rng: random.Random) -> str:
    """The text with every word of the lexicon (and of a few Latin ones) spelled like that."""
    change = {**SPELLINGS, **HARDER}[how]
    return _WORDS.sub(lambda m: change(m[0], rng), text)
