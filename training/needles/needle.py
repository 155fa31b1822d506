"""What is hidden: a sentence with a code that nobody can guess, and the question that it answers.

The forms are those of RULER (Hsieh et al. 2024), whose needles are a seven-digit number or a word that belongs to a
name. Names and code words are made of syllables, so that no model has read them, and are drawn again where the text
holds them. In all forms the code follows words that an answer can begin with, so that a model without a chat
template is asked by letting it complete them.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from manifests.errors import RunError
from training.needles.haystack import Language, folded

Kind = Literal["number", "word"]
N_DIGITS = 7
N_DRAWS_MOST = 1000
"""Draws until a name or a code is new."""


@dataclass(frozen=True)
class Form:
    """How a needle is worded; `{name}`, `{name_is}` (은, 는), `{name_does}` (이, 가), `{code}` and `{code_it}` (을,
    를) stand for what is drawn."""

    kind: Kind
    sentence: str
    question: str
    """Not with the words of `begun`: a model that copies would else go on as the question does."""
    begun: str
    """What the sentence says up to the code, without the space before it."""


FORMS: dict[Language, tuple[Form, ...]] = {
    "ko": (
        Form(
            "number",
            "{name}시의 비밀 번호는 {code}입니다.",
            "글에 나온 {name}시의 비밀 번호가 무엇입니까?",
            "{name}시의 비밀 번호는",
        ),
        Form(
            "number",
            "{name_does} 쓰는 금고의 열쇠 번호는 {code}입니다.",
            "글에 나온 {name}의 금고를 여는 열쇠 번호가 무엇입니까?",
            "{name_does} 쓰는 금고의 열쇠 번호는",
        ),
        Form(
            "word",
            "{name_is} 비밀 모임의 암호로 {code_it} 골랐습니다.",
            "글에 나온 {name}의 비밀 모임에서 쓰는 암호가 무엇입니까?",
            "{name_is} 비밀 모임의 암호로",
        ),
        Form(
            "word",
            "{name} 사업에 참여하는 사람의 암호말은 {code}입니다.",
            "글에 나온 {name} 사업에 참여하는 사람의 암호말이 무엇입니까?",
            "{name} 사업에 참여하는 사람의 암호말은",
        ),
    ),
    "en": (
        Form(
            "number",
            "The secret number of the city of {name} is {code}.",
            "What is the secret number of the city of {name}, according to the text?",
            "The secret number of the city of {name} is",
        ),
        Form(
            "number",
            "Everyone who enters Project {name} must type the access number {code}.",
            "Which access number must be typed to enter Project {name}, according to the text?",
            "Everyone who enters Project {name} must type the access number",
        ),
        Form(
            "word",
            "The secret word of the town of {name} is {code}.",
            "What is the secret word of the town of {name}, according to the text?",
            "The secret word of the town of {name} is",
        ),
        Form(
            "word",
            "The members of Project {name} greet each other with the code word {code}.",
            "With which code word do the members of Project {name} greet each other, according to the text?",
            "The members of Project {name} greet each other with the code word",
        ),
    ),
}

_HANGUL = (
    "가나다라마바사아자차카타파하거너더러머버서고노도로모보소오조코토호구누두루무부수"
    "감단람반산솔달들별봄빛샘섬온울윤은진찬한현훈"
)
_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "gr", "kr", "tr")
_VOWELS, _CODAS = "aeiou", "nrlsmx"


@dataclass(frozen=True)
class Hidden:
    """A needle that was drawn."""

    language: Language
    kind: Kind
    sentence: str
    question: str
    begun: str
    name: str
    code: str


def draw(language: Language, rng: random.Random, is_known: Callable[[str], bool]) -> Hidden:
    """A needle.

    Args:
        language: of the text that it is hidden in.
        rng: draws it.
        is_known: whether a name or a code stands in the text, or was drawn before.

    Raises:
        RunError: no new name or code is found.
    """
    form = rng.choice(FORMS[language])
    name = _drawn(lambda: _name(language, rng), is_known)
    make_code = _number if form.kind == "number" else _name if language == "ko" else _code_word
    code = _drawn(lambda: make_code(language, rng), lambda code: is_known(code) or code == name)
    words = {
        "name": name,
        "name_is": with_particle(name, "은", "는"),
        "name_does": with_particle(name, "이", "가"),
        "code": code,
        "code_it": with_particle(code, "을", "를"),
    }
    sentence, question, begun = (text.format(**words) for text in (form.sentence, form.question, form.begun))
    return Hidden(language, form.kind, sentence, question, begun, name, code)


def _drawn(make: Callable[[], str], is_known: Callable[[str], bool]) -> str:
    for _ in range(N_DRAWS_MOST):
        if not is_known(made := make()):
            return made
    raise RunError(f"needle: {N_DRAWS_MOST} draws gave no name or code that was not there before; lower `needle.n`")


def _name(language: Language, rng: random.Random) -> str:
    if language == "ko":
        return "".join(rng.sample(_HANGUL, 4))
    syllables = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(3)]
    return "".join([*syllables, rng.choice(_CODAS)]).capitalize()


def _code_word(language: Language, rng: random.Random) -> str:
    return _name(language, rng).lower()


def _number(language: Language, rng: random.Random) -> str:
    return str(rng.randint(10 ** (N_DIGITS - 1), 10**N_DIGITS - 1))


# Korean particles


_FIRST, _LAST, _N_FINALS = 0xAC00, 0xD7A3, 28
_DIGITS_WITH_FINAL = frozenset("013678")
"""영, 일, 삼, 육, 칠, 팔."""


def has_final(word: str) -> bool:
    """Whether a word ends in a consonant when it is read in Korean: Hangul, or digits one by one.

    The Unicode Standard, 3.12: syllables come in groups of 28, of which the first has no final consonant.
    """
    last = word[-1]
    if _FIRST <= ord(last) <= _LAST:
        return (ord(last) - _FIRST) % _N_FINALS != 0
    return last in _DIGITS_WITH_FINAL


def with_particle(word: str, after_consonant: str, after_vowel: str) -> str:
    """A word with the particle that its last sound asks for: 솔이, 나무가."""
    return word + (after_consonant if has_final(word) else after_vowel)


# Answers


_BETWEEN_DIGITS = r"[\s,.·_'’‐‑–—\-]?"


def is_said(code: str, answer: str) -> bool:
    """Whether the code stands in an answer.

    A number may have separators between its digits (1,234,567) but is no part of a longer one; full-width and
    decomposed forms, and capitals, count as the plain ones. A Korean word may be followed by a particle; one of
    another script is no part of a longer one.
    """
    wanted, text = folded(code), folded(answer)
    if wanted.isdecimal():
        pattern = rf"(?<![0-9]){_BETWEEN_DIGITS.join(wanted)}(?![0-9])"
    elif wanted.isascii():
        pattern = rf"(?<![a-z0-9]){re.escape(wanted)}(?![a-z0-9])"
    else:
        pattern = re.escape(wanted)
    return re.search(pattern, text) is not None
