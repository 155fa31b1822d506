"""Answers of multiple choice, and of yes or no, in Korean and English."""

import re
import unicodedata
from dataclasses import dataclass

from synth.final_answers.answer_text import plain, trimmed, variants

CIRCLED = {chr(0x2460 + number): str(number + 1) for number in range(10)}
JAMO, SYLLABLES = "ㄱㄴㄷㄹㅁㅂㅅㅇ", "가나다라마바사아"
_LABEL = r"[A-J]|10|[1-9]|[ㄱ-ㅇ]|[가나다라마바사아](?![가-힣])"
_ONE = re.compile(
    rf"(?:(?:option|choice|answer|보기|선택지|문항)\s*)?(?P<open>[(\[])?(?P<label>{_LABEL}|(?-i:[a-j])(?=[)\].]|$))"
    rf"(?P<close>[)\].:,]|\s*-(?=\s)|\s*번(?=[\s,.:]|$))?(?P<rest>[:,.]?\s+\S.*|\S.*)?",
    re.IGNORECASE,
)
_AND = re.compile(r"\s*(?:,\s*(?:and\s+)?|\band\b|&|와(?=\s)|과(?=\s)|및|·|/|그리고)\s*")
_OR = re.compile(r"\bor\b|또는|혹은|이나\s|아니|\bnot\b|n't", re.IGNORECASE)

_YES = "yes true correct right 예 네 응 참 맞다 맞습니다 맞음 그렇다 그렇습니다 옳다 옳습니다 o ○"
_NO = (
    "no false incorrect wrong 아니오 아니요 아니다 아닙니다 아뇨 거짓 틀리다 틀립니다 틀렸다 틀렸습니다 틀림 "
    "그렇지않다 그렇지않습니다 옳지않다 옳지않습니다 맞지않다 맞지않습니다 x ×"
)
YES, NO = frozenset(_YES.split()), frozenset(_NO.split())


@dataclass(frozen=True)
class Labels:
    """Which options were chosen."""

    system: str
    """How they are named: `A`, `1`, `ㄱ` or `가`."""
    chosen: frozenset[str]


def labels(text: str, options: tuple[str, ...] = ()) -> Labels | None:
    """The options that an answer names; None where it names none, or leaves it open.

    Args:
        text: `B`, `(b)`, `③`, `보기 3`, `3번`, `ㄱ, ㄴ`, `(B) Seoul`.
        options: their texts in order: what an answer says behind a label must be the text of that option.
    """
    text = trimmed(plain("".join(CIRCLED.get(char, char) + ("번" if char in CIRCLED else "") for char in text)))
    if _OR.search(text):
        return None
    for one in variants(text):
        pieces = [piece for piece in _AND.split(one) if piece.strip()]
        found = [_label(piece, ()) for piece in pieces]
        if len(pieces) > 1 and all(found):
            systems = {_system(label) for label in found if label}
            return Labels(systems.pop(), frozenset(label for label in found if label)) if len(systems) == 1 else None
        if label := _label(one, options):
            return Labels(_system(label), frozenset({label}))
    return None


def _label(text: str, options: tuple[str, ...]) -> str | None:
    match = _ONE.fullmatch(text.strip())
    if not match:
        return None
    label, rest = match["label"].upper(), (match["rest"] or "").strip(" :,.")
    is_marked = match["close"] is not None and (match["open"] is None or match["close"][0] in ")]")
    if match["open"] and not is_marked:
        return None
    if not rest:
        return label
    if not is_marked or (match["close"] == "," and not match["open"]):
        return None
    place = _place(label)
    if options:
        is_that = place < len(options) and any(folded(one) == folded(options[place]) for one in variants(rest))
        return label if is_that else None
    return label if not re.fullmatch(r"\d.*", rest) or not label.isdigit() or match["open"] else None


def _system(label: str) -> str:
    return "1" if label.isdigit() else "ㄱ" if label in JAMO else "가" if label in SYLLABLES else "A"


def _place(label: str) -> int:
    """From 0."""
    names = {"1": [str(number) for number in range(1, 11)], "ㄱ": JAMO, "가": SYLLABLES, "A": "ABCDEFGHIJ"}
    return names[_system(label)].index(label)


def chosen_by_text(text: str, options: tuple[str, ...]) -> int | None:
    """The place of the option that an answer writes out, from 0."""
    said = {folded(one) for one in variants(trimmed(plain(text)))}
    places = [place for place, option in enumerate(options) if folded(trimmed(plain(option))) in said]
    return places[0] if len(places) == 1 else None


def place_of(gold: Labels) -> int | None:
    """Of a single label, from 0."""
    return _place(next(iter(gold.chosen))) if len(gold.chosen) == 1 else None


def yes_or_no(text: str) -> bool | None:
    """None where it is neither, or goes on."""
    text = trimmed(plain(text)).lower()
    first, comma, rest = text.partition(",")
    if (YES | NO) & set(re.findall(r"\w+", rest)):
        return None
    for one in ([first] if comma else []) + list(variants(text)):
        word = re.sub(r"[\s.!]+", "", one)
        if word in YES or word in NO:
            return word in YES
    return None


def folded(text: str) -> str:
    """Text that differs in nothing that matters: case, white space, punctuation around it, articles."""
    text = unicodedata.normalize("NFC", text).casefold()
    text = re.sub(r"^(?:the|a|an)\s+", "", text.strip())
    return re.sub(r"\s+", " ", text).strip(" .,;:!?\"'“”‘’「」『』()[]*_`")
