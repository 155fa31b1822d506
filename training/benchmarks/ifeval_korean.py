"""What counts as a word, a sentence and a letter in Korean, for IFEval. All of it expects text in NFC."""

import re
import unicodedata

from training.benchmarks.ifeval_english import CLOSERS, count_parts, is_abbreviation, is_marker

ENDS = re.compile(rf"([.!?…。！？．]+)([{CLOSERS}」』》〉]*)")


def _syllables(*codas: int) -> str:
    """All syllables with one of these final consonants (27 in all, 0 is none), as a class of a pattern."""
    return f"[{''.join(chr(code) for code in range(0xAC00, 0xD7A4) if (code - 0xAC00) % 28 in codas)}]"


ANY, CODA_L, CODA_P = _syllables(*range(1, 28)), _syllables(8), _syllables(17)
FINAL = f"(?:(?:{ANY}|[이니하되])다|[가-힣]죠|[해세에예어아네지군나데게래돼와봐줘려]요|{CODA_L}까|{CODA_P}니까)"
"""Endings that close a sentence, told by the syllable before: nouns end in 다 and 요 as well (바다, 개요)."""
FINAL_LINE = re.compile(rf"{FINAL}[^\w\n]*(?:[ㅋㅎㅠㅜ]+[^\w\n]*)?(?=\n|\Z)")
AFTER_FINAL = re.compile(rf"{FINAL}\Z")
LIST_LETTER = re.compile(r"^[^\S\n]*(?:[-*+>][^\S\n]+)?[(*_]*[가나다라마바사아자차카타파하ㄱ-ㅎ①-⑳]\Z")
PARTICLES = (
    "들 은 는 이 가 을 를 의 에 에서 도 만 와 과 로 으로 랑 이랑 나 이나 께 께서 에게 한테 하고 "
    "까지 부터 보다 처럼 같이 마다 마저 조차 밖에 만큼 대로 라도 이라도 라는 이라는 란 이란 라고 이라고 "
    "며 이며 다 이다 입니다 이에요 예요 인 고 이고 였다 이었다 야 이야 요"
)
TAIL = re.compile(f"(?:{'|'.join(sorted(PARTICLES.split(), key=len, reverse=True))})*(?![^\\W_])")
"""Nothing but particles and forms of 이다 up to the end of the word."""
OPENERS = "\"'“‘「『《〈(<[*_#> \t"

_LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_CODAS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
JAMO = {
    **{chr(0x1100 + at): jamo for at, jamo in enumerate(_LEADS)},
    **{chr(0x1161 + at): jamo for at, jamo in enumerate(_VOWELS)},
    **{chr(0x11A8 + at): jamo for at, jamo in enumerate(_CODAS)},
}
"""The letters of syllables as they are typed by themselves."""


def count_words(text: str) -> int:
    """Eojeol: what stands between spaces and holds a letter or a digit; marks of lists and emoji are no words."""
    return sum(bool(re.search(r"[^\W_]", part)) for part in text.split())


def count_sentences(text: str) -> int:
    """Sentences: what ends with a mark before a space, or before Hangul where the space is missing; and lines that
    close with an ending of a sentence (-니다, -어요, -죠, ...) without a mark.

    Points of numbers and dates (2024. 5. 3.), of lists (1. 가. ㄱ.) and of abbreviations end none, nor does a
    quotation that goes on (`"가자."라고`), nor an ellipsis before which nothing has ended.
    """
    ends = {found.end() for found in ENDS.finditer(text) if _is_end(text, found)}
    ends |= {found.end() for found in FINAL_LINE.finditer(text) if not _is_heading(text, found.start())}
    return count_parts(text, sorted(ends))


def _is_end(text: str, found: re.Match[str]) -> bool:
    before, after = text[max(found.start() - 8, 0) : found.start()], text[found.end() : found.end() + 1]
    if after and not after.isspace() and not (_is_hangul(after) and _is_hangul(before[-1:]) and not found[2]):
        return False
    if set(found[1]) & set("!?。！？"):
        return True
    if len(found[1]) > 1 or "…" in found[1]:
        return bool(AFTER_FINAL.search(before)) or not text[found.end() :].strip()
    return not _is_point(text, found)


def _is_point(text: str, found: re.Match[str]) -> bool:
    """Whether a point belongs to a number, a list or an abbreviation."""
    line_end = text.find("\n", found.end())
    follows = text[found.end() : line_end if line_end >= 0 else len(text)].strip()
    at = found.start()
    line = text[text.rfind("\n", 0, at) + 1 : at]
    if text[at - 1 : at].isdigit() and follows:
        return True
    return is_marker(text, at) or bool(LIST_LETTER.match(line)) or is_abbreviation(text, at, follows)


def _is_heading(text: str, at: int) -> bool:
    return text[text.rfind("\n", 0, at) + 1 :].lstrip().startswith("#")


def _is_hangul(char: str) -> bool:
    return "가" <= char <= "힣"


def holds_word(text: str, word: str) -> bool:
    """Whether a word is used, in any case of letters.

    It has to begin a word of the text (no 발바리 for 바리). What follows may be anything (사랑 in 사랑합니다, 대통령
    in 대통령실에서); after a word of one syllable only particles (예 in 예는, and not in 예정).
    """
    for found in re.finditer(rf"(?<![^\W_]){re.escape(word)}", text, re.IGNORECASE):
        if len(word) > 1 and _is_hangul(word[-1]):
            return True
        if TAIL.match(text, found.end()):
            return True
    return False


def starts_with_word(paragraph: str, word: str) -> bool:
    """Whether a paragraph begins with a word, with or without particles; marks before it do not count."""
    return paragraph.lstrip(OPENERS).lower().startswith(word.strip().lower())


def count_letter(text: str, letter: str) -> int:
    """How often a letter is there: a syllable as it stands, a jamo also within syllables (ㄱ twice in 국)."""
    letter = letter.lower()
    if letter not in _LEADS + _VOWELS + _CODAS:
        return text.lower().count(letter)
    return sum(JAMO.get(char, char) == letter for char in unicodedata.normalize("NFD", text))


def count_characters(text: str, with_spaces: bool) -> int:
    """Characters, with spaces or without; line breaks never count."""
    return sum(not char.isspace() or (with_spaces and char not in "\r\n") for char in text)
