"""Ways in which Korean swear words are written so that lists of words do not find them."""

import re
import unicodedata
from collections.abc import Callable, Sequence

SWEARS = [
    "시발", "씨발", "병신", "새끼", "지랄", "존나", "미친", "쓰레기", "꺼져", "기레기", "찌질", "개돼지", "대깨문",
    "쿵쾅", "문재앙", "김치녀", "한남", "역겹", "못생", "약쟁이", "돼지", "빨갱이", "좌빨", "틀딱", "일베", "아가리",
]  # fmt: skip
SWORN = re.compile("|".join(map(re.escape, SWEARS)))


def swearing(texts: Sequence[str]) -> list[str]:
    """The texts that hold one of SWEARS."""
    return [text for text in texts if SWORN.search(text)]


def _of_words(rewrite: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: SWORN.sub(lambda found: rewrite(found[0]), text)


def _parted(word: str) -> str:
    """As jamo of the keyboard: 시발 as ㅅㅣㅂㅏㄹ."""
    names = (unicodedata.name(jamo).split()[-1] for jamo in unicodedata.normalize("NFD", word))
    return "".join(unicodedata.lookup(f"HANGUL LETTER {name}") for name in names)


VARIANTS: list[tuple[str, str, Callable[[str], str]]] = [
    ("plain", "시발", lambda text: text),
    ("a point between syllables", "시.발", _of_words(".".join)),
    ("a space between syllables", "시 발", _of_words(" ".join)),
    ("a digit between syllables", "시1발", _of_words("1".join)),
    ("nothing to be seen between them", "시\\u200b발", _of_words("\u200b".join)),
    ("as jamo", "ㅅㅣㅂㅏㄹ", _of_words(_parted)),
    ("conjoining jamo (NFD)", "시발", _of_words(lambda word: unicodedata.normalize("NFD", word))),
]
"""Name, example and rewriting of each."""
